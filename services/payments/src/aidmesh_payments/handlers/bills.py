"""What providers charge for needs: one person enters it, above the float limit another sees it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple
from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_contracts.ids import CommitmentId
from aidmesh_payments.domain import bill as rules
from aidmesh_payments.domain.allotments import NotEnough
from aidmesh_payments.domain.bill import Bill, BillRefusal
from aidmesh_payments.domain.commitments import Commitment
from aidmesh_payments.handlers.book import Book
from aidmesh_payments.handlers.commitments import charge, charge_nothing, check_free, late_of
from aidmesh_payments.handlers.office import Office
from aidmesh_payments.problems import problem
from aidmesh_payments.store import bills as store
from aidmesh_payments.store import commitments as commitment_store
from aidmesh_payments.store import discrepancies
from aidmesh_payments.store.bills import BillRow


class _Billed(NamedTuple):
    """A provider's commitment with all others of its need, locked."""

    book: Book
    commitment: Commitment
    current: Mapping[CommitmentId, Commitment]


async def _lock(office: Office, tx: Tx, commitment_id: CommitmentId) -> _Billed:
    """Lock what a bill is for. Raises `Problem`."""
    place = await commitment_store.place_of(tx.conn, commitment_id)
    if place is None:
        raise Problem(NOT_FOUND)
    if place.need_id is None:
        raise problem("wrong-state")
    await commitment_store.begin_facts(tx.conn, [place.need_id])
    places = await commitment_store.locate(tx.conn, [place.need_id])
    book = await Book.open(tx, office, (each.allotment_id for each in places))
    current = await commitment_store.lock(tx.conn, (each.id for each in places))
    commitment = current[commitment_id]
    if commitment.purpose != "provider" or commitment.state not in ("committed", "spent"):
        raise problem("wrong-state")
    return _Billed(book, commitment, current)


async def enter(
    office: Office,
    tx: Tx,
    bill_id: UUID,
    commitment_id: CommitmentId,
    amount_minor: int,
    reason: str,
    by: UUID,
) -> Bill:
    """Enter what a provider really charges for a need, before or after the service.

    Up to the float limit it is charged at once. Above it nothing changes until another person has
    approved it: what is served meanwhile is paid as it was committed.

    Raises:
        Problem: nothing is committed to a provider, or there is not so much free.
    """
    billed = await _lock(office, tx, commitment_id)
    limit = office.float_limit_minor(billed.commitment.currency)
    bill = rules.enter(amount_minor, reason, by, float_limit_minor=limit)
    await store.insert(tx.conn, BillRow(bill_id, commitment_id, bill))
    if bill.state == "charged":
        await _charge(tx, billed, bill)
    else:
        try:
            check_free(billed.book, billed.commitment, amount_minor)
        except NotEnough:
            raise problem("allotment-short") from None
    return bill


async def approve(office: Office, tx: Tx, bill_id: UUID, by: UUID) -> None:
    """Have a bill charged that waits, whether or not the service was given since.

    Raises:
        Problem: whoever entered it asks, it does not wait any more, or there is not so much free.
    """
    commitment_id = await store.find(tx.conn, bill_id)
    if commitment_id is None:
        raise Problem(NOT_FOUND)
    billed = await _lock(office, tx, commitment_id)
    row = await store.lock(tx.conn, bill_id)
    assert row is not None  # noqa: S101 - it was found, and none is deleted
    approved = rules.approve(row.bill, by)
    if isinstance(approved, BillRefusal):
        raise problem(approved)
    await store.decide(tx.conn, replace(row, bill=approved))
    await _charge(tx, billed, approved)


async def withdraw(tx: Tx, bill_id: UUID, by: UUID) -> None:
    """Give up a bill that waits. Raises `Problem`."""
    row = await store.lock(tx.conn, bill_id)
    if row is None:
        raise Problem(NOT_FOUND)
    withdrawn = rules.withdraw(row.bill, by)
    if isinstance(withdrawn, BillRefusal):
        raise problem(withdrawn)
    await store.decide(tx.conn, replace(row, bill=withdrawn))


async def _charge(tx: Tx, billed: _Billed, bill: Bill) -> None:
    """Change what is committed or was spent to what the bill asks for.

    It holds whatever check-out says of the nights, and for all of them: what was found elsewhere
    for some goes back. Raises `Problem`.
    """
    book, commitment, current = billed
    if bill.amount_minor != commitment.amount_minor:
        try:
            commitment = charge(book, commitment, bill.amount_minor, bill.reason)
        except NotEnough:
            raise problem("allotment-short") from None
    changed = [replace(commitment, night_minor=None)]
    late = await discrepancies.booked_late(tx.conn, [commitment.id])
    lent = late_of(commitment, late, current)
    if lent is not None:
        changed.append(charge_nothing(book, lent, None))
    await commitment_store.save(tx.conn, changed)
    await discrepancies.close_settlements(tx.conn, [commitment.id], "corrected")
    await book.close()
