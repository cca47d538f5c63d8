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
from aidmesh_payments.domain import purchase
from aidmesh_payments.domain.allotments import NotEnough
from aidmesh_payments.domain.commitments import Commitment
from aidmesh_payments.handlers.book import Book
from aidmesh_payments.handlers.commitments import charge, charge_nothing, late_of
from aidmesh_payments.handlers.ending import discrepancy_of
from aidmesh_payments.handlers.office import Office
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
        settle_no = event.settle_no
        cost_minor = rules.cost_of_stay(known, event.issue_no or 0, event.nights, settle_no)
        if cost_minor is None:
            continue
        if settle_no is not None:
            known = replace(known, settle_no=settle_no)
            current[known.id] = touched[known.id] = known
            corrected.add(known.id)
            odd = [each for each in odd if each.commitment_id != known.id]
        slept_none = known.state == "released" and (
            0 < known.issue_no == event.issue_no
            or (not known.attempt_no and event.need_id not in reversed_facts)
        )
        lent = late_of(known, late, current)
        if lent is not None:
            paid_minor = lent.amount_minor + (0 if slept_none else known.amount_minor)
            if settle_no is None or cost_minor == paid_minor:
                continue
            current[lent.id] = touched[lent.id] = charge_nothing(book, lent, item)
        if cost_minor == (0 if slept_none else known.amount_minor):
            continue
        if slept_none:
            # Nobody was to be paid; now somebody is, from money that may be gone.
            more = replace(known, amount_minor=cost_minor)
            odd.append(_lacking(more, event))
            continue
        if cost_minor == 0:
            slept = replace(known, issue_no=max(known.issue_no, event.issue_no or 0))
            changed = charge_nothing(book, slept, item)
        elif known.state == "released":
            changed = replace(known, amount_minor=cost_minor)
        else:
            try:
                changed = charge(book, known, cost_minor, "check_out", item)
            except NotEnough:
                more = replace(known, amount_minor=cost_minor - known.amount_minor)
                odd.append(_lacking(more, event))
                continue
        current[known.id] = touched[known.id] = changed
    await store.save(tx.conn, list(touched.values()))
    await discrepancies.close_settlements(tx.conn, corrected, "corrected")
    await discrepancies.open_discrepancies(tx.conn, odd)
    await book.close()


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
