"""Attempts of needs that are over: what they bound is let go, unless it has left."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date

from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received
from aidmesh_chassis.logs import counted
from aidmesh_contracts.ids import NeedId, derive_id
from aidmesh_contracts.intake import NeedApprovedV1, NeedWithdrawnV1
from aidmesh_contracts.payments import CommitmentReleasedV1, PayoutChangedV1
from aidmesh_payments.domain import commitments as rules
from aidmesh_payments.domain.commitments import Commitment
from aidmesh_payments.domain.payout import stop
from aidmesh_payments.handlers.asking import ask_back
from aidmesh_payments.handlers.book import Book, Cause
from aidmesh_payments.handlers.office import Office
from aidmesh_payments.store import commitments as store
from aidmesh_payments.store import discrepancies
from aidmesh_payments.store import payouts as payout_store
from aidmesh_payments.store.payouts import PayoutRow


def let_go(
    book: Book, commitment: Commitment, why: rules.ReleaseCause, cause: Cause = None
) -> Commitment:
    """Free what a commitment holds; the caller saves it and tells of it."""
    released = rules.release(commitment, why)
    assert released is not None  # noqa: S101 - callers look at the state
    allotment = book[commitment.allotment_id]
    free = allotment.release_held if commitment.state == "held" else allotment.release_committed
    book.put(free(commitment.amount_minor))
    book.grew(commitment.allotment_id, commitment.amount_minor, commitment.need_id, cause)
    return released


def released_event(commitment: Commitment) -> CommitmentReleasedV1:
    """Say that a commitment was let go."""
    assert commitment.need_id is not None  # noqa: S101 - it is a need's
    assert commitment.cause is not None  # noqa: S101 - it is released
    return CommitmentReleasedV1(
        commitment_id=commitment.id,
        need_id=commitment.need_id,
        attempt_no=commitment.attempt_no,
        cause=commitment.cause,
        undone_no=(commitment.spend_no or None) if commitment.purpose == "payout" else None,
    )


def payout_state(row: PayoutRow) -> PayoutChangedV1:
    """Tell the state of a payout."""
    return PayoutChangedV1(
        payout_id=row.id,
        need_id=row.need_id,
        state=row.payout.state,
        reason=row.payout.reason,
        version=row.payout.version,
    )


def cancelled(row: PayoutRow) -> PayoutRow:
    """A payout that did not leave is given up with its commitment."""
    return replace(row, payout=stop(row.payout))


async def withdraw(office: Office, tx: Tx, batch: Sequence[Received[NeedWithdrawnV1]]) -> None:
    """End attempts: release what they hold, leave a tombstone for what may still come."""
    causes = {item.event.need_id: item for item in batch}
    ended = await store.end_attempts(
        tx.conn, [(item.event.need_id, item.event.attempt_no) for item in batch]
    )
    places = [
        place
        for place in await store.locate(tx.conn, ended)
        if 0 < place.attempt_no <= ended[place.need_id]
    ]
    if places:
        await end(office, tx, places, causes)


async def end(
    office: Office,
    tx: Tx,
    places: Sequence[store.Place],
    causes: Mapping[NeedId, Received[NeedApprovedV1] | Received[NeedWithdrawnV1]],
) -> None:
    """Let go of what attempts that are over have bound, unless it has left."""
    book = await Book.open(tx, office, (place.allotment_id for place in places))
    locked = await store.lock(tx.conn, (place.id for place in places))
    payouts = await payout_store.lock_live_of(tx.conn, locked)
    saved: list[Commitment] = []
    given_up: list[PayoutRow] = []
    odd: list[discrepancies.Discrepancy] = []
    for commitment in locked.values():
        need_id = commitment.need_id
        if need_id is None or commitment.state not in ("held", "committed"):
            continue
        row = payouts.get(commitment.id)
        if row is not None and row.is_awaited:
            given_up.append(ask_back(tx, row, "withdrawn"))
            continue
        if row is not None and row.has_left:
            # The bank may have paid by now: what comes of it is a fact, and a person looks.
            odd.append(discrepancy_of(commitment, "withdrawn_after_export", book.today))
            continue
        if row is not None:
            given_up.append(cancelled(row))
            tx.emit(
                payout_state(given_up[-1]),
                cause=causes[need_id],
                version=given_up[-1].payout.version,
            )
        saved.append(let_go(book, commitment, "withdrawn", causes[need_id]))
        tx.emit(released_event(saved[-1]), cause=causes[need_id])
    await store.save(tx.conn, saved)
    await payout_store.save(tx.conn, given_up)
    await discrepancies.open_discrepancies(tx.conn, odd)
    if saved:
        tx.log.debug("commitment.released", **counted("need", needs_of(saved)))
    if odd:
        about = counted("need", {each.need_id for each in odd})
        tx.log.warning("commitment.withdrawn_late", **about)
    await book.close()


def needs_of(commitments: Sequence[Commitment]) -> set[NeedId]:
    """The needs that commitments are for."""
    return {each.need_id for each in commitments if each.need_id is not None}


def discrepancy_of(commitment: Commitment, about: str, on: date) -> discrepancies.Discrepancy:
    """Describe a fact about a commitment that a person has to settle."""
    assert commitment.need_id is not None  # noqa: S101 - it is a need's
    return discrepancies.Discrepancy(
        id=derive_id("discrepancy", about, commitment.id, commitment.issue_no),
        about=about,
        need_id=commitment.need_id,
        programme=commitment.programme,
        amount_minor=commitment.amount_minor,
        currency=commitment.currency,
        occurred_on=on,
        cost_category=None,
        commitment_id=commitment.id,
    )
