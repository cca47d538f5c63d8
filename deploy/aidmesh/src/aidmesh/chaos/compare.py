"""The book against the mesh: what was accepted is there, once, and nothing else is. Pure.

Each promise is a function of the book and of what the databases say when all is quiet.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from aidmesh.chaos.book import Book, History, LotHistory, histories, lots_of, text
from aidmesh.chaos.snapshot import Message, Seen
from aidmesh.chaos.violation import Violation

World = Mapping[str, Seen]
BOTH: Final = 2
PER_LOT: Final = "handed out ≤ received, per lot"


@dataclass(frozen=True, slots=True)
class Known:
    """All that is compared.

    Attributes:
        world: what each region's databases say.
        sent: ids of messages that left, in the order of the spool.
        people: how many people all regions together have helped, as each of them shows it; empty
            where nobody was asked.
    """

    book: Book
    world: World
    sent: Sequence[str]
    told_once: frozenset[str]
    people: Mapping[str, int | None] = field(default_factory=dict)

    @property
    def histories(self) -> Mapping[str, History]:
        """What was accepted of each need."""
        return histories(self.book.ops)


Check = Callable[[Known], Iterator[Violation]]


def answered(known: Known) -> Iterator[Violation]:
    """Whatever was sent was answered in the end, if only after it was sent again."""
    for op in known.book.unknown():
        yield Violation(
            "every operation is answered",
            op.region,
            f"{op.what} {op.path}: no answer after {op.sent} tries, the last was {op.code}",
            op.named,
        )


def needs_are_right(known: Known) -> Iterator[Violation]:
    """Every need is in a state that what was done with it allows, and there is no other need."""
    promise = "every need is in a right state"
    for need_id, history in known.histories.items():
        need = known.world[history.region].needs.get(need_id)
        if need is None:
            yield Violation(
                "accepted is present", history.region, f"need {need_id} is not there", (need_id,)
            )
        elif need.state not in (allowed := _allowed(known, history, is_over=need.is_over)):
            yield Violation(
                promise,
                history.region,
                f"{need.kind} {need_id} is {need.state}, not {' or '.join(sorted(allowed))}"
                f" (issued {history.issues}, undone {history.undos}, paid {len(history.paid)})",
                (need_id,),
            )
        elif need.pending and need.state not in ("cancelled", "declined", "expired"):
            yield Violation(
                promise, history.region, f"need {need_id} was never let go of", (need_id,)
            )
    for seen in known.world.values():
        for need_id in seen.needs.keys() - known.histories.keys():
            yield Violation(promise, seen.region, f"nobody asked for need {need_id}", (need_id,))


def _allowed(known: Known, history: History, *, is_over: bool) -> frozenset[str]:
    """As the book says, and what nobody writes into it: rules, and days that pass."""
    allowed = history.allowed
    is_open = "waitlisted" in allowed
    if is_open or (history.erased and not history.is_served):
        seen = known.world[history.region]
        if history.need_id in seen.offered_by_rule:
            allowed |= {"referred"}
    return allowed | {"expired"} if is_open and is_over else allowed


def nobody_waits_for_what_is_free(known: Known) -> Iterator[Violation]:
    """Whoever is first in a queue could not be served with what is there."""
    for seen in known.world.values():
        first: dict[str, str] = {}
        for need_id, need in seen.needs.items():
            if need.state != "waitlisted" or need.blocked_by is None or need.wait == "offered":
                continue
            before = first.get(need.blocked_by)
            if before is None or need.place < seen.needs[before].place:
                first[need.blocked_by] = need_id
        for need_id in first.values():
            free = _free_for(seen, need_id)
            if free:
                need = seen.needs[need_id]
                yield Violation(
                    "nobody waits for what is free",
                    seen.region,
                    f"{need.kind} {need_id} waits ({need.wait}) for {need.blocked_by}: {free}",
                    (need_id,),
                )


def _free_for(seen: Seen, need_id: str) -> str:
    """What is free that the need waits for; empty if nothing is."""
    need = seen.needs[need_id]
    resource, _, code = (need.blocked_by or "").partition(":")
    wanted = need.quantity or 1
    if resource == "stock":
        free = sum(lot.on_hand - lot.held for lot in seen.lots.values() if lot.item == code)
        return f"{free} pieces are free" if free >= wanted else ""
    if resource == "money":
        most = max(
            (
                each.received_minor - each.returned_minor - each.bound_minor - each.spent_minor
                for each in seen.held.values()
                if each.status == "active"
            ),
            default=0,
        )
        return f"{most} are free" if most >= wanted else ""
    if resource == "slot":
        return f"{seen.free_seats} seats are free" if seen.free_seats >= wanted else ""
    first_on, last_on = need.first_on, need.last_on
    if first_on is None or last_on is None:
        return ""
    taken = {
        night.bed_id
        for night in seen.nights
        if night.from_on <= last_on and (night.to_on is None or night.to_on > first_on)
    }
    free_beds = set(seen.beds) - taken
    return f"{len(free_beds)} beds are free" if free_beds else ""


def stock_is_conserved(known: Known) -> Iterator[Violation]:
    """Of no lot more went out than came in, and what is left of each is what the book says."""
    wanted = lots_of(known.book.ops)
    for seen in known.world.values():
        for lot_id, lot in seen.lots.items():
            if lot.went > lot.came or not 0 <= lot.held <= lot.on_hand:
                what = f"lot {lot_id}: {lot.came} came, {lot.went} went, {lot.held} held"
                about = _about_lot(wanted, seen.region, lot_id)
                yield Violation(PER_LOT, seen.region, what, about)
    there = {
        (seen.region, lot_id): lot.on_hand
        for seen in known.world.values()
        for lot_id, lot in seen.lots.items()
    }
    nothing = LotHistory()
    for region, lot_id in sorted(wanted.keys() | there.keys()):
        said = wanted.get((region, lot_id), nothing)
        about = _about_lot(wanted, region, lot_id)
        if said.went > said.came:
            what = f"lot {lot_id}: {said.came} came and {said.went} went, says the book"
            yield Violation(PER_LOT, region, what, about)
        on_hand = there.get((region, lot_id), 0)
        if said.on_hand != on_hand:
            what = f"lot {lot_id} has {on_hand} on hand, the book says {said.on_hand}"
            yield Violation("stock is what came less what went", region, what, about)


def _about_lot(
    wanted: Mapping[tuple[str, str], LotHistory], region: str, lot_id: str
) -> tuple[str, ...]:
    """A lot with the receipts, needs, shipments and lots that moved it, the last ones first."""
    lot = wanted.get((region, lot_id))
    named = [
        op.facts.get("shipment")
        or op.facts.get("need")
        or op.facts.get("lot")
        or text(op.answer, "receipt_id")
        for op in reversed(lot.ops if lot is not None else ())
    ]
    return tuple(dict.fromkeys((lot_id, *filter(None, named))))


def asks_agree(known: Known) -> Iterator[Violation]:
    """Of goods that one region asked another for both say the same, and nobody else knows.

    None is withdrawn that nobody withdrew.
    """
    promise = "both ends of an ask agree"
    yield from _both_agree(known, promise, "ask", lambda seen: seen.transfers)
    withdrawn = {op.facts["transfer"] for op in known.book.accepted("withdraw_goods")}
    for seen in known.world.values():
        for transfer, state in seen.transfers.items():
            if state == "withdrawn" and transfer not in withdrawn:
                yield Violation(
                    promise, seen.region, f"nobody withdrew ask {transfer}", (transfer,)
                )


def shipments_agree(known: Known) -> Iterator[Violation]:
    """Of goods on their way both ends say the same, and nobody else knows."""
    promise = "both ends of a shipment agree"
    yield from _both_agree(known, promise, "shipment", lambda seen: seen.shipments)


def _both_agree(
    known: Known, promise: str, what: str, states: Callable[[Seen], Mapping[str, str]]
) -> Iterator[Violation]:
    found: dict[str, dict[str, str]] = {}
    for seen in known.world.values():
        for thing, state in states(seen).items():
            found.setdefault(thing, {})[seen.region] = state
    for thing, by_region in found.items():
        if len(by_region) != BOTH or len(set(by_region.values())) > 1:
            said = ", ".join(f"{state} in {region}" for region, state in by_region.items())
            yield Violation(promise, min(by_region), f"{what} {thing}: {said}", (thing,))


def beds_are_booked_once(known: Known) -> Iterator[Violation]:
    """No bed has two guests in one night."""
    for seen in known.world.values():
        nights = sorted(seen.nights, key=lambda night: (night.bed_id, night.from_on))
        for one, other in pairwise(nights):
            if one.bed_id == other.bed_id and (one.to_on is None or one.to_on > other.from_on):
                yield Violation(
                    "no bed is double-booked",
                    seen.region,
                    f"bed {one.bed_id}: {one.reservation_id} and {other.reservation_id}",
                    (str(one.reservation_id), str(other.reservation_id)),
                )


def people_are_told_once(known: Known) -> Iterator[Violation]:
    """Nobody was told twice of one thing, and what became of every message can be seen."""
    promise = "no message is sent twice, none without a visible state"
    by_id = {
        message_id: (seen, message)
        for seen in known.world.values()
        for message_id, message in seen.messages.items()
    }
    left = Counter(known.sent)
    attempts: Counter[tuple[str, object, object, str]] = Counter()
    for message_id, times in left.items():
        found = by_id.get(message_id)
        if found is None:
            what = f"message {message_id} left and is known to nobody"
            yield Violation(promise, "", what, (message_id,))
            continue
        seen, message = found
        if message.template not in known.told_once:
            continue
        about = _about_message(message_id, message)
        attempts[seen.region, message.need_id, message.attempt_no, message.template] += 1
        if times > 1:
            what = f"message {message_id} left {times} times"
            yield Violation(promise, seen.region, what, about)
        if message.state not in ("sent", "delivered", "failed", "unknown"):
            what = f"message {message_id} left and is {message.state}"
            yield Violation(promise, seen.region, what, about)
    for (region, need_id, attempt_no, _), times in attempts.items():
        if times > 1 and need_id is not None:
            what = f"need {need_id} attempt {attempt_no} was told {times} times"
            yield Violation(promise, region, what, (str(need_id),))
    for message_id, (seen, message) in by_id.items():
        about = _about_message(message_id, message)
        if message.state in ("sent", "delivered") and not left[message_id]:
            yield Violation(promise, seen.region, f"message {message_id} never left", about)
        if message.state in ("queued", "sending"):
            what = f"message {message_id} is {message.state} for ever"
            yield Violation(promise, seen.region, what, about)
    for seen in known.world.values():
        told = {(str(each.need_id), each.attempt_no) for each in seen.messages.values()}
        for need_id, need_row in seen.needs.items():
            unheard = (need_id, need_row.attempt_no) not in told
            if need_row.state == "ready" and unheard and not need_row.knows:
                what = f"need {need_id} is ready, and no message says so"
                yield Violation(promise, seen.region, what, (need_id,))


def _about_message(message_id: str, message: Message) -> tuple[str, ...]:
    """The message, and the need that it speaks of, if it does."""
    return (message_id,) if message.need_id is None else (str(message.need_id), message_id)
