"""What inventory says: a provider served a need, for how long, or did not; goods came in."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received
from aidmesh_contracts.ids import CommitmentId, NeedId, PurchaseId, derive_id
from aidmesh_contracts.inventory import (
    GoodsReceivedV1,
    GoodsReversedV1,
    ReservationIssuedV1,
    ReservationReversedV1,
    StaySettledV1,
)
from aidmesh_payments.domain import commitments as rules
from aidmesh_payments.domain import purchase, stays
from aidmesh_payments.domain.allotments import NotEnough
from aidmesh_payments.domain.commitments import Commitment
from aidmesh_payments.handlers.book import Book
from aidmesh_payments.handlers.commitments import charge, charge_nothing, late_of
from aidmesh_payments.handlers.ending import discrepancy_of
from aidmesh_payments.handlers.office import Office
from aidmesh_payments.handlers.purchases import changed_event
from aidmesh_payments.handlers.spending import reverse_attempt, tell_spent
from aidmesh_payments.store import commitments as store
from aidmesh_payments.store import discrepancies
from aidmesh_payments.store import purchases as purchase_store


async def pay_providers(
    office: Office, tx: Tx, batch: Sequence[Received[ReservationIssuedV1]]
) -> None:
    """Spend what was committed for providers whose service was given."""
    places = {
        (place.need_id, place.attempt_no): place
        for place in await store.locate(
            tx.conn, (item.event.need_id for item in batch), ("provider",)
        )
    }
    issued = [item for item in batch if (item.event.need_id, item.event.attempt_no) in places]
    if not issued:
        return
    book = await Book.open(tx, office, (place.allotment_id for place in places.values()))
    current = await store.lock(tx.conn, (place.id for place in places.values()))
    odd: list[discrepancies.Discrepancy] = []
    touched: dict[object, Commitment] = {}
    for item in issued:
        event = item.event
        commitment = current[places[event.need_id, event.attempt_no].id]
        taken, verdict = rules.served(commitment, event.issue_no)
        if taken is commitment:
            continue
        if verdict == "pay_late":
            try:
                book.put(book[taken.allotment_id].commit_free(taken.amount_minor))
            except NotEnough:
                odd.append(discrepancy_of(taken, "late_service", event.served_on))
                verdict = "known"
            else:
                taken = replace(taken, state="committed", cause=None)
        elif verdict == "pay" and taken.state == "held":
            book.put(book[taken.allotment_id].commit(taken.amount_minor))
            taken = replace(taken, state="committed", hold_until=None)
        if verdict != "known":
            book.put(book[taken.allotment_id].spend(taken.amount_minor))
            taken = rules.spend(taken, event.served_on)
            tell_spent(book, taken, fulfils=False, cause=item)
        current[taken.id] = touched[taken.id] = taken
    await store.save(tx.conn, list(touched.values()))
    await discrepancies.open_discrepancies(tx.conn, odd)
    await book.close()


async def _lock_stays(
    tx: Tx, need_ids: Iterable[NeedId]
) -> tuple[dict[tuple[NeedId, int], store.Place], set[NeedId]]:
    """Lock the needs that providers are committed to; returns where, and whose facts are reversed.

    A person may find money for such a stay right now: whoever comes second sees the other.
    """
    paid_for = {place.need_id for place in await store.locate(tx.conn, need_ids, ("provider",))}
    reversed_facts = await store.begin_facts(tx.conn, paid_for)
    places = await store.locate(tx.conn, paid_for, ("provider",))
    return {(place.need_id, place.attempt_no): place for place in places}, reversed_facts


async def unpay_providers(
    office: Office, tx: Tx, batch: Sequence[Received[ReservationReversedV1]]
) -> None:
    """Reverse the spending for services that did not happen."""
    places, _ = await _lock_stays(tx, (item.event.need_id for item in batch))
    undone = [item for item in batch if (item.event.need_id, item.event.attempt_no) in places]
    if not undone:
        return
    book = await Book.open(tx, office, (place.allotment_id for place in places.values()))
    current = await store.lock(tx.conn, (place.id for place in places.values()))
    late = await discrepancies.booked_late(tx.conn, current)
    ended = await store.ended_of(tx.conn, (item.event.need_id for item in undone))
    touched: dict[CommitmentId, Commitment] = {}
    gone: set[CommitmentId] = set()
    for item in undone:
        event = item.event
        commitment = current[places[event.need_id, event.attempt_no].id]
        marked, reverse = rules.undone(commitment, event.issue_no)
        if commitment.issue_no == event.issue_no:
            gone.add(commitment.id)
            if (lent := late_of(commitment, late, current)) is not None:
                current[lent.id] = touched[lent.id] = charge_nothing(book, lent, item)
        if reverse:
            marked = reverse_attempt(
                book,
                marked,
                event.reason,
                fulfils=False,
                ended_no=ended[event.need_id],
                on=marked.spent_on,
                cause=item,
            )
        current[marked.id] = touched[marked.id] = marked
    await store.save(tx.conn, list(touched.values()))
    await discrepancies.close_settlements(tx.conn, gone, "reversed")
    await book.close()


async def settle_stays(office: Office, tx: Tx, batch: Sequence[Received[StaySettledV1]]) -> None:
    """Charge the nights there were, where a price by night was committed.

    Fewer than were booked release the rest; more need a top-up, and without money for it a
    person has to find some. A settlement that is corrected later gives way to the last one, with
    all that was booked for it: also what a person found elsewhere for nights that were missing.
    """
    places, reversed_facts = await _lock_stays(tx, (item.event.need_id for item in batch))
    settled = [item for item in batch if (item.event.need_id, item.event.attempt_no) in places]
    if not settled:
        return
    book = await Book.open(tx, office, (place.allotment_id for place in places.values()))
    current = await store.lock(tx.conn, (place.id for place in places.values()))
    late = await discrepancies.booked_late(tx.conn, current)
    odd: list[discrepancies.Discrepancy] = []
    touched: dict[CommitmentId, Commitment] = {}
    corrected: set[CommitmentId] = set()
    for item in settled:
        event = item.event
        assert event.attempt_no is not None  # noqa: S101 - it has a commitment
        known = current[places[event.need_id, event.attempt_no].id]
        lent = late_of(known, late, current)
        decided = stays.settle(
            known,
            issue_no=event.issue_no or 0,
            nights=event.nights,
            settle_no=event.settle_no,
            late_minor=None if lent is None else lent.amount_minor,
            was_reversed=event.need_id in reversed_facts,
        )
        if decided is None:
            continue
        if event.settle_no is not None:
            corrected.add(known.id)
            odd = [each for each in odd if each.commitment_id != known.id]
        if lent is not None and decided.takes_back_late:
            current[lent.id] = touched[lent.id] = charge_nothing(book, lent, item)
        changed, missing_minor = _charged(book, decided, item)
        if changed is not known:
            current[known.id] = touched[known.id] = changed
        if missing_minor:
            odd.append(_lacking(replace(changed, amount_minor=missing_minor), event))
    await store.save(tx.conn, list(touched.values()))
    await discrepancies.close_settlements(tx.conn, corrected, "corrected")
    await discrepancies.open_discrepancies(tx.conn, odd)
    await book.close()


def _charged(
    book: Book, decided: stays.Settled, cause: Received[StaySettledV1]
) -> tuple[Commitment, int]:
    """Do what was decided; also returns how much money it lacks, in minor units."""
    commitment, cost_minor = decided.commitment, decided.cost_minor
    match decided.then:
        case "nothing":
            return commitment, 0
        case "ask":
            # Nobody was to be paid; now somebody is, from money that may be gone.
            return commitment, cost_minor
        case "change":
            return replace(commitment, amount_minor=cost_minor), 0
        case "charge_nothing":
            return charge_nothing(book, commitment, cause), 0
        case "charge":
            try:
                return charge(book, commitment, cost_minor, "check_out", cause), 0
            except NotEnough:
                return commitment, cost_minor - commitment.amount_minor


def _lacking(commitment: Commitment, event: StaySettledV1) -> discrepancies.Discrepancy:
    """What a settlement lacks; a corrected one lacks something of its own."""
    odd = discrepancy_of(commitment, "longer_stay", event.to_on)
    if event.settle_no is None:
        return odd
    return odd._replace(id=derive_id("discrepancy", odd.about, commitment.id, event.settle_no))


async def uncount_goods(tx: Tx, batch: Sequence[Received[GoodsReversedV1]]) -> None:
    """Take back what was counted in by mistake, once by receipt and in any order."""
    orders = await purchase_store.lock(tx.conn, (item.event.purchase_id for item in batch))
    counted = await purchase_store.admit_reversals(
        tx.conn,
        [
            (
                derive_id("receipt-reversal", item.event.receipt_id),
                item.event.receipt_id,
                item.event.purchase_id,
                item.event.received_on,
            )
            for item in batch
            if item.event.purchase_id in orders
        ],
    )
    back = {item.event.receipt_id: item.event for item in batch if item.event.receipt_id in counted}
    pieces: dict[PurchaseId, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for event in back.values():
        for line in event.lines:
            pieces[event.purchase_id][line.item] += line.quantity
    changed = [
        replace(orders[key], purchase=purchase.count_out(orders[key].purchase, counted_out))
        for key, counted_out in pieces.items()
    ]
    await purchase_store.save(tx.conn, changed)
    for row in changed:
        if row.purchase.is_to_come and orders[row.id].purchase.state != "ordered":
            tx.emit(changed_event(row))


async def count_goods(tx: Tx, batch: Sequence[Received[GoodsReceivedV1]]) -> None:
    """Match what was counted to the purchases, once by receipt."""
    orders = await purchase_store.lock(tx.conn, (item.event.purchase_id for item in batch))
    fresh = await purchase_store.admit_receipts(
        tx.conn,
        [
            (item.event.receipt_id, item.event.purchase_id, item.event.received_on)
            for item in batch
            # A purchase of before a restore, or of another system: inventory has the lots.
            if item.event.purchase_id in orders
        ],
    )
    counted: dict[PurchaseId, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for item in batch:
        if item.event.receipt_id in fresh:
            for line in item.event.lines:
                counted[item.event.purchase_id][line.item] += line.quantity
    changed = [
        replace(orders[key], purchase=purchase.count_in(orders[key].purchase, pieces))
        for key, pieces in counted.items()
    ]
    await purchase_store.save(tx.conn, changed)
