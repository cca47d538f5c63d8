"""Goods on their way between regions, as either side's book has them. No I/O.

What the sender says and what the receiver counted come by events in any order, again, and late.
The sender's last word is its highest version, but a dispatch is final, and a sender that was
restored may tell it below what it had told before; a line is counted once. So whatever comes when,
both books end up the same, and none ever goes back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple
from uuid import UUID

from aidmesh_contracts.inventory_shipments import ShipmentChangedV1, ShipmentCount, ShipmentLine

Sent = Literal["preparing", "dispatched", "cancelled"]
State = Literal["preparing", "dispatched", "receiving", "received", "cancelled"]
CountFault = Literal["not-dispatched", "unknown-line", "already-counted", "reason-missing"]


@dataclass(frozen=True, slots=True)
class Shipment:
    """A shipment as a book has it.

    Attributes:
        sent: the sender's last word.
        version: of that word.
        counts: what came of its lines, as far as they were counted.
    """

    sent: Sent
    version: int
    lines: tuple[ShipmentLine, ...]
    counts: Mapping[UUID, ShipmentCount] = field(default_factory=dict)

    @property
    def state(self) -> State:
        """Where it is: follows from the two sides' words, so it never goes back."""
        if not self.counts:
            return self.sent
        return (
            "received" if all(each.line_id in self.counts for each in self.lines) else "receiving"
        )

    @property
    def in_transit(self) -> Mapping[str, int]:
        """Pieces that left and were not counted yet, by item."""
        found: dict[str, int] = {}
        for line in self.lines if self.sent == "dispatched" else ():
            if line.line_id not in self.counts:
                found[line.item] = found.get(line.item, 0) + line.quantity
        return found


class Counted(NamedTuple):
    """What somebody counted of a line: usable pieces, damaged ones, and why if they are not all."""

    good: int
    damaged: int
    reason: str | None


def count_of(line: ShipmentLine, counted: Counted) -> ShipmentCount:
    """What came of a line: dispatched = good + damaged + short - surplus."""
    missing = line.quantity - counted.good - counted.damaged
    return ShipmentCount(
        line_id=line.line_id,
        good=counted.good,
        damaged=counted.damaged,
        short=max(0, missing),
        surplus=max(0, -missing),
        reason=counted.reason,
    )


def adds_up(line: ShipmentLine, count: ShipmentCount) -> bool:
    """Whether no piece of a line was lost or made by counting."""
    return line.quantity == count.good + count.damaged + count.short - count.surplus


def take_count(
    known: Shipment, counted: Mapping[UUID, Counted]
) -> tuple[Shipment, Sequence[ShipmentCount]] | CountFault:
    """Count lines at the receiver; returns the shipment then, and what is new of it."""
    if known.sent != "dispatched":
        return "not-dispatched"
    lines = {each.line_id: each for each in known.lines}
    if not counted.keys() <= lines.keys():
        return "unknown-line"
    if counted.keys() & known.counts.keys():
        return "already-counted"
    new = [count_of(lines[line_id], each) for line_id, each in sorted(counted.items())]
    if any(is_odd(each) and each.reason is None for each in new):
        return "reason-missing"
    return replace(known, counts={**known.counts, **{each.line_id: each for each in new}}), new


def is_odd(count: ShipmentCount) -> bool:
    """Whether something else came of a line than was dispatched."""
    return bool(count.damaged or count.short or count.surplus)


def is_sound(said: ShipmentChangedV1) -> bool:
    """Whether a sender's word can be: no line twice, and what left did so on a day, with lines."""
    ids = {each.line_id for each in said.lines}
    if len(ids) < len(said.lines):
        return False
    if said.state != "dispatched":
        return said.dispatched_on is None
    return said.dispatched_on is not None and bool(ids)


def hear_sender(known: Shipment | None, said: Shipment) -> tuple[Shipment, bool]:
    """Take in the sender's word; returns the shipment then, and whether its lines contradict.

    What was dispatched stays as it was taken in first, by event or by manifest.
    """
    if known is None:
        return said, False
    if known.sent == "dispatched":
        differs = said.sent == "dispatched" and set(said.lines) != set(known.lines)
        return replace(known, version=max(known.version, said.version)), differs
    if said.sent != "dispatched" and said.version <= known.version:
        return known, False
    version = max(known.version, said.version)
    return replace(said, version=version, counts=known.counts), False


def hear_counts(
    known: Shipment, told: Sequence[ShipmentCount]
) -> tuple[Shipment, Sequence[ShipmentCount]] | None:
    """Take in what the receiver counted; returns the shipment then and what is new of it.

    None if it can't be: of lines that were never sent, a line twice, or of numbers that do not
    add up.
    """
    lines = {each.line_id: each for each in known.lines}
    if known.sent != "dispatched" or len({each.line_id for each in told}) < len(told):
        return None
    if any(each.line_id not in lines or not adds_up(lines[each.line_id], each) for each in told):
        return None
    new = [each for each in told if each.line_id not in known.counts]
    return replace(known, counts={**known.counts, **{each.line_id: each for each in new}}), new
