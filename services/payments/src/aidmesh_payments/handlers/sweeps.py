"""What time brings about, by the database's clock."""

from dataclasses import replace

from aidmesh_chassis.db import Tx
from aidmesh_chassis.logs import counted
from aidmesh_contracts.days import day_of
from aidmesh_payments.domain.commitments import Commitment, ReleaseCause
from aidmesh_payments.domain.payout import uncollected
from aidmesh_payments.handlers import payees, pickup
from aidmesh_payments.handlers.book import Book
from aidmesh_payments.handlers.ending import (
    let_go,
    needs_of,
    payout_state,
    released_event,
)
from aidmesh_payments.handlers.office import Office
from aidmesh_payments.store import allotments as allotment_store
from aidmesh_payments.store import commitments as store
from aidmesh_payments.store import grant_terms
from aidmesh_payments.store import payouts as payout_store
from aidmesh_payments.store import pickup as pickup_store

LIMIT = 500


async def expire_holds(office: Office, tx: Tx) -> int:
    """Release holds that nobody confirmed in time."""
    places = await store.due_holds(tx.conn, LIMIT)
    if not places:
        return 0
    book = await Book.open(tx, office, (place.allotment_id for place in places))
    saved: list[Commitment] = []
    for commitment in (await store.lock(tx.conn, (place.id for place in places))).values():
        # It was found before it was locked: a confirmation may have been faster.
        until = commitment.hold_until if commitment.state == "held" else None
        if until is not None and until <= book.now:
            saved.append(let_go(book, commitment, "hold_expired"))
            tx.emit(released_event(saved[-1]))
    await store.save(tx.conn, saved)
    _tell_lapsed(tx, saved, "hold_expired")
    await book.close()
    return len(places)


async def expire_collections(office: Office, tx: Tx) -> int:
    """Release cash that nobody fetched in time, with its payout, whether or not it was listed."""
    places, later = await pickup.uncollected(tx, LIMIT)
    if not places and not later:
        return 0
    book = await Book.open(tx, office, (place.allotment_id for place in places))
    over = {place.id for place in places}
    locked = await store.lock(tx.conn, [*over, *(commitment_id for commitment_id, _ in later)])
    await pickup_store.set_deadlines(tx.conn, later)
    locked = {key: commitment for key, commitment in locked.items() if key in over}
    payouts = await payout_store.lock_live_of(tx.conn, locked)
    saved: list[Commitment] = []
    given_up = []
    for commitment in locked.values():
        # It was found before it was locked: a payment or a correction may have been faster.
        row, until = payouts.get(commitment.id), commitment.collect_by
        is_over = commitment.state == "committed" and until is not None and until <= book.now
        if not is_over or row is None or row.mechanism != "cash":
            continue
        payout = uncollected(row.payout)
        if payout is None:
            continue
        given_up.append(replace(row, payout=payout))
        tx.emit(payout_state(given_up[-1]), version=payout.version)
        saved.append(let_go(book, commitment, "not_collected"))
        tx.emit(released_event(saved[-1]))
    await store.save(tx.conn, saved)
    await payout_store.save(tx.conn, given_up)
    _tell_lapsed(tx, saved, "not_collected")
    await book.close()
    return len(places)


def _tell_lapsed(tx: Tx, lapsed: list[Commitment], cause: ReleaseCause) -> None:
    if lapsed:
        tx.log.info("commitment.lapsed", **counted("need", needs_of(lapsed)), cause=cause)


async def end_validity(office: Office, tx: Tx) -> int:
    """Give back what is free of allotments whose last day is over, and the rest as it frees."""
    ids = await allotment_store.past_validity(tx.conn, day_of(tx.now), LIMIT)
    if ids:
        book = await Book.open(tx, office, ids)
        for allotment_id in ids:
            book.put(book[allotment_id].recall())
        await book.close()
    return len(ids)


async def begin_periods(office: Office, tx: Tx) -> int:
    """Wake who waits for money that may be used from today on: it came in before, for nobody."""
    today = day_of(tx.now)
    found = await grant_terms.due_to_begin(tx.conn, today, LIMIT)
    if found:
        book = await Book.open(tx, office, await allotment_store.of_grants(tx.conn, found))
        book.all_grew(await grant_terms.begin(tx.conn, found, today))
        await book.close()
    return len(found)


async def forget_payees(tx: Tx) -> int:
    """Delete what is kept of erased people and is no payment record, or not any more."""
    return await payees.forget_all(tx)


async def mark_reviews(tx: Tx) -> int:
    """Mark payouts that a second person should have looked at by now."""
    return await payout_store.mark_overdue(tx.conn, LIMIT)
