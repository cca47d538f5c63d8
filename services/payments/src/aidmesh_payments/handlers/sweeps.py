"""What time brings about, by the database's clock."""

from aidmesh_chassis.db import Tx
from aidmesh_chassis.idempotency import purge
from aidmesh_chassis.logs import counted
from aidmesh_payments.domain.commitments import Commitment, ReleaseCause
from aidmesh_payments.domain.money import today_in_kyiv
from aidmesh_payments.handlers import payees, pickup
from aidmesh_payments.handlers.book import Book
from aidmesh_payments.handlers.needs import (
    cancelled,
    let_go,
    needs_of,
    payout_state,
    released_event,
)
from aidmesh_payments.handlers.office import Office
from aidmesh_payments.store import allotments as allotment_store
from aidmesh_payments.store import commitments as store
from aidmesh_payments.store import payouts as payout_store

LIMIT = 500


async def expire_holds(office: Office, tx: Tx) -> int:
    """Release holds that nobody confirmed in time."""
    places = await store.due_holds(tx.conn, LIMIT)
    await _release(office, tx, places, "hold_expired")
    return len(places)


async def expire_collections(office: Office, tx: Tx) -> int:
    """Release cash that nobody fetched in time, with its payout."""
    places = await pickup.uncollected(tx, LIMIT)
    await _release(office, tx, places, "not_collected")
    return len(places)


async def _release(office: Office, tx: Tx, places: list[store.Place], cause: ReleaseCause) -> None:
    if not places:
        return
    book = await Book.open(tx, office, (place.allotment_id for place in places))
    locked = await store.lock(tx.conn, (place.id for place in places))
    payouts = await payout_store.lock_live_of(tx.conn, locked)
    saved: list[Commitment] = []
    given_up = []
    for commitment in locked.values():
        # It was found before it was locked: a confirmation or a payment may have been faster.
        if cause == "hold_expired":
            until = commitment.hold_until if commitment.state == "held" else None
        else:
            until = commitment.collect_by if commitment.state == "committed" else None
        row = payouts.get(commitment.id)
        if until is None or until > book.now:
            continue
        if row is not None:
            if row.payout.state not in ("draft", "approved"):
                continue
            given_up.append(cancelled(row))
            tx.emit(payout_state(given_up[-1]), version=given_up[-1].payout.version)
        saved.append(let_go(book, commitment, cause))
        tx.emit(released_event(saved[-1]))
    await store.save(tx.conn, saved)
    await payout_store.save(tx.conn, given_up)
    if saved:
        tx.log.info("commitment.lapsed", **counted("need", needs_of(saved)), cause=cause)
    await book.close()


async def end_validity(office: Office, tx: Tx) -> int:
    """Give back what is free of allotments whose last day is over, and the rest as it frees."""
    ids = await allotment_store.past_validity(tx.conn, today_in_kyiv(tx.now), LIMIT)
    if ids:
        book = await Book.open(tx, office, ids)
        for allotment_id in ids:
            book.put(book[allotment_id].recall())
        await book.close()
    return len(ids)


async def forget_payees(tx: Tx) -> int:
    """Delete what is kept of erased people and is no payment record, or not any more."""
    return await payees.forget_all(tx)


async def mark_reviews(tx: Tx) -> int:
    """Mark payouts that a second person should have looked at by now."""
    return await payout_store.mark_overdue(tx.conn, LIMIT)


async def purge_answers(tx: Tx) -> int:
    """Forget answers to POSTs of long ago."""
    return await purge(tx, LIMIT)
