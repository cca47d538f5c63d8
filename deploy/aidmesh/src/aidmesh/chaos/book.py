"""The harness's own book: what was asked of the mesh, and what it said it had accepted.

Nothing in here comes from the mesh's databases. An operation whose answer got lost is unknown until
it is sent again with its key; only then does it count.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple, cast
from uuid import uuid4

from aidmesh.chaos.sightings import Sightings
from aidmesh.chaos.violation import ids_in
from aidmesh_chassis.auth import Role

Json = dict[str, object]
GOODS: Final = frozenset({"food_parcel", "hygiene_kit"})
"""Kinds of needs that take from stock, one piece each."""


class Status(StrEnum):
    """What is known of an operation."""

    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    REFUSED = "refused"


@dataclass(slots=True)
class Op:
    """One call that changes something.

    Attributes:
        what: the kind of operation.
        facts: what compare needs to know of it, as the client meant it.
        key: of idempotency; however often it is sent, it counts once. It goes along as correlation
            id, too.
        sent: how often it was sent.
        code: of the last answer.
    """

    no: int
    what: str
    region: str
    service: str
    path: str
    role: Role
    body: Json
    facts: Mapping[str, str]
    key: str = field(default_factory=lambda: str(uuid4()))
    status: Status = Status.UNKNOWN
    sent: int = 0
    code: int = 0
    answer: Json = field(default_factory=dict)

    @property
    def named(self) -> tuple[str, ...]:
        """What tells the events that it led to: its key, which they carry, and the ids it names."""
        said = " ".join((self.path, *self.facts.values(), str(self.answer)))
        return (self.key, *ids_in(said))

    def hear(self, code: int, answer: Json) -> None:
        """Take in a final answer; of a form with one row, what became of the row."""
        self.code = code
        self.answer = answer
        rows = answer.get("rows")
        done = code < 300
        if done and self.path.endswith(_FORMS) and isinstance(rows, list):
            self.answer = cast("Json", rows[0])
            done = self.answer.get("status") in ("done", "skipped")
        self.status = Status.ACCEPTED if done else Status.REFUSED


_FORMS: Final = (":bulk", "payouts:approve", "payouts:settle", "paying-orders:settle")


def text(data: Mapping[str, object], name: str) -> str:
    """A member that is a text; empty if it is none."""
    value = data.get(name)
    return value if isinstance(value, str) else ""


def rows(data: Mapping[str, object], name: str) -> list[Json]:
    """A member that is a list of objects; empty if it is none."""
    value = data.get(name)
    return cast("list[Json]", value) if isinstance(value, list) else []


class Book:
    """All operations of a run, in the order in which they were begun, and what was shown."""

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.shown = Sightings()

    def begin(
        self,
        what: str,
        region: str,
        service: str,
        path: str,
        role: Role,
        body: Json,
        facts: Mapping[str, str],
    ) -> Op:
        """Write an operation down before it is sent."""
        op = Op(len(self.ops) + 1, what, region, service, path, role, body, facts)
        self.ops.append(op)
        return op

    def accepted(self, *what: str) -> list[Op]:
        """What was accepted, of some kinds or all."""
        return [
            op for op in self.ops if op.status is Status.ACCEPTED and (not what or op.what in what)
        ]

    def unknown(self) -> list[Op]:
        """What nobody knows the fate of."""
        return [op for op in self.ops if op.status is Status.UNKNOWN]


@dataclass(slots=True)
class History:
    """What was accepted of one need.

    Attributes:
        erased: whose it was is; what was open of theirs is cancelled, if it was not referred.
        issues, undos: how often it was handed over, checked in or attended, and that taken back.
        paid: bank references of its payments, `returned`: how many of them came back.
        given_up: how often the money of a payment that failed was let go; somebody decides anew
            then, which they did `decided` times.
        referral: the offer that it was made of, for a need that another region referred.
    """

    need_id: str
    region: str
    kind: str
    issues: int = 0
    undos: int = 0
    told: bool = False
    cancelled: bool = False
    erased: bool = False
    offered: bool = False
    referral: str | None = None
    paid: list[str] = field(default_factory=list)
    returned: int = 0
    given_up: int = 0
    decided: int = 0

    @property
    def is_served(self) -> bool:
        """Whether it was given, and not taken back."""
        return len(self.paid) > self.returned or self.issues > self.undos

    @property
    def allowed(self) -> frozenset[str]:
        """The states that it may be in once the mesh is quiet."""
        if self.is_served:
            return frozenset({"fulfilled"})
        if self.cancelled and (self.paid or self.issues):
            # Given before the word of it came, canceled, taken back: somebody decides anew.
            return frozenset({"cancelled", "requested"})
        if self.cancelled:
            return frozenset({"cancelled"})
        if self.erased:
            return frozenset({"cancelled", *(("referred",) if self.offered else ())})
        waits = frozenset({"ready", "waitlisted"})
        if self.given_up > self.decided:
            return waits | {"requested"}
        if self.offered:
            return waits | {"referred"}
        if self.referral is not None:  # its region may have taken it back, or it found no place
            return waits | {"cancelled", "declined", "expired"}
        return waits


def histories(ops: Iterable[Op]) -> dict[str, History]:
    """What was accepted of each need. Pure."""
    found: dict[str, History] = {}
    needs_of_payouts: dict[str, str] = {}
    needs_of_persons: dict[str, list[str]] = {}
    later: list[Op] = []
    for op in ops:
        if op.status is not Status.ACCEPTED:
            continue
        if op.what == "ask":
            for need in rows(op.answer, "needs"):
                need_id = text(need, "need_id")
                found[need_id] = History(need_id, op.region, text(need, "kind"))
                needs_of_persons.setdefault(text(op.answer, "person_id"), []).append(need_id)
        elif op.what == "take_referral":
            need_id = text(op.answer, "need_id")
            referral = op.facts["referral"]
            found[need_id] = History(need_id, op.region, op.facts["kind"], referral=referral)
        elif op.what == "approve":
            needs_of_payouts[text(op.answer, "id")] = op.facts["need"]
        else:
            later.append(op)
    for op in later:
        if op.what == "erase":
            for need_id in needs_of_persons.get(op.facts["person"], ()):
                found[need_id].erased = True
        payout = op.facts.get("payout", "")
        history = found.get(op.facts.get("need") or needs_of_payouts.get(payout, ""))
        if history is not None:
            _note(history, op)
    return found


def _note(history: History, op: Op) -> None:
    match op.what:
        case "issue":
            history.issues += 1
        case "undo":
            history.undos += 1
        case "told":
            history.told = True
        case "cancel":
            history.cancelled = True
        case "refer":
            history.offered = True
        case "settle" | "settle_order":
            history.paid.append(op.facts["reference"])
        case "return_paid" | "return_order":
            history.returned += 1
        case "give_up":
            history.given_up += 1
        case "decide":
            history.decided += 1


class Moved(NamedTuple):
    """Pieces that came into a lot, or (below zero) went out of it, by an operation."""

    lot_id: str
    pieces: int


def moved_by(op: Op) -> list[Moved]:
    """What an accepted operation did to lots, as the API named them. Pure.

    What is issued leaves the lots that were set aside for it, as they were shown before.
    """
    match op.what:
        case "receive":
            lots = cast("list[str]", op.answer.get("lot_ids") or [])
            return [Moved(each, int(op.facts["quantity"])) for each in lots]
        case "issue" | "undo":
            sign = -1 if op.what == "issue" else 1
            parts = (each.split(":") for each in op.facts.get("lots", "").split())
            return [Moved(lot_id, sign * int(quantity)) for lot_id, quantity in parts]
        case "move":
            ends = (cast("Json", op.answer[end]) for end in ("from_lot", "to_lot"))
            from_lot, to_lot = (text(each, "lot_id") for each in ends)
            quantity = int(op.facts["quantity"])
            return [Moved(from_lot, -quantity), Moved(to_lot, quantity)]
        case "dispatch":
            lines = rows(op.answer, "lines")
            return [Moved(text(each, "lot_id"), -int(str(each["quantity"]))) for each in lines]
        case "count":
            counted = op.facts["lines"].split()
            lines = [each for each in rows(op.answer, "lines") if each["line_id"] in counted]
            return [Moved(text(each, "lot_id"), int(str(each["good"])))
                    for each in lines if each["good"]]  # fmt: skip
    return []


@dataclass(slots=True)
class LotHistory:
    """What the API said of a lot; `ops` are those that moved something."""

    came: int = 0
    went: int = 0
    ops: list[Op] = field(default_factory=list)

    @property
    def on_hand(self) -> int:
        """What must be left."""
        return self.came - self.went


def lots_of(ops: Iterable[Op]) -> dict[tuple[str, str], LotHistory]:
    """What was accepted of each lot, by its region and id. Pure.

    What was handed out and taken back has not gone out.
    """
    found: dict[tuple[str, str], LotHistory] = {}
    for op in ops:
        if op.status is not Status.ACCEPTED:
            continue
        for moved in moved_by(op):
            lot = found.setdefault((op.region, moved.lot_id), LotHistory())
            lot.ops.append(op)
            if op.what in ("receive", "count") or (op.what == "move" and moved.pieces > 0):
                lot.came += moved.pieces
            else:
                lot.went -= moved.pieces
    return found


def spent_minor(ops: Iterable[Op]) -> Counter[str]:
    """What each region's allotments must have spent, in minor units. Pure."""
    sums: Counter[str] = Counter()
    for op in ops:
        if op.status is not Status.ACCEPTED:
            continue
        if op.what in ("settle", "settle_order"):
            sums[op.facts["holder"]] += int(op.facts["amount_minor"])
        elif op.what in ("return_paid", "return_order"):
            sums[op.facts["holder"]] -= int(op.facts["amount_minor"])
    return sums


def allotted_minor(ops: Iterable[Op]) -> Counter[str]:
    """What was sent to each allotment, in minor units. Pure."""
    sums: Counter[str] = Counter()
    for op in ops:
        if op.status is not Status.ACCEPTED:
            continue
        if op.what in ("allot", "serve_wait"):
            sums[text(op.answer, "allotment_id")] += int(op.facts["amount_minor"])
        elif op.what == "raise":
            sums[op.facts["allotment"]] += int(op.facts["amount_minor"])
    return sums
