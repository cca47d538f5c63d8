"""Grants at their grantor: pledged, changed, demanded back, refunded and not after all."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_contracts.ids import GrantId, derive_id
from aidmesh_contracts.payments_grants import GrantTerms
from aidmesh_contracts.restriction import Restriction
from aidmesh_payments.domain import grants as rules
from aidmesh_payments.domain import ledger
from aidmesh_payments.domain.grants import OVERHEAD, Grant, GrantRefusal, Line
from aidmesh_payments.handlers.book import Book
from aidmesh_payments.handlers.office import Office, check_region
from aidmesh_payments.handlers.returning import tell_grants
from aidmesh_payments.problems import problem
from aidmesh_payments.store import allotments as allotment_store
from aidmesh_payments.store import funding, grant_terms
from aidmesh_payments.store import grants as store
from aidmesh_payments.store import ledger as ledger_store

Decision = Callable[[Grant], Grant | GrantRefusal]


@dataclass(frozen=True, slots=True)
class NewGrant:
    """A grant that a donor pledged. `overhead_bp` are hundredths of a percent."""

    id: GrantId
    donor_id: UUID
    code: str
    currency: str
    amount_minor: int
    period: tuple[date, date]
    restriction: Restriction
    lines: tuple[Line, ...]
    overhead_bp: int
    paying_office: str


async def pledge(office: Office, tx: Tx, new: NewGrant, by: UUID) -> None:
    """Register a grant; its overhead becomes a budget line. Raises `Problem`."""
    # Payouts handed to an office that there is not would wait for ever.
    check_region(office, new.paying_office)
    donor = await store.donor_name(tx.conn, new.donor_id)
    if donor is None:
        raise Problem(NOT_FOUND)
    lines = new.lines
    overhead = rules.overhead_minor(new.amount_minor, new.overhead_bp)
    if overhead:
        lines += (Line(OVERHEAD, overhead, 0, cost_categories=(OVERHEAD,)),)
    refusal = rules.check_lines(new.amount_minor, lines)
    if refusal is not None:
        raise problem(refusal)
    restriction = new.restriction.model_copy(
        update={
            "valid_from": max(new.period[0], new.restriction.valid_from or date.min),
            "valid_to": min(new.period[1], new.restriction.valid_to or date.max),
        }
    )
    terms = GrantTerms(
        grant_id=new.id,
        code=new.code,
        donor=donor,
        currency=new.currency,
        restriction=restriction,
        paying_office=new.paying_office,
        terms_version=1,
    )
    await grant_terms.put(
        tx.conn,
        terms,
        office.region,
        status="pledged",
        state_version=1,
        amount_minor=new.amount_minor,
        received_minor=0,
    )
    grant = Grant(new.id, new.currency, new.amount_minor, "pledged")
    if not await store.insert_grant(
        tx.conn,
        grant,
        new.donor_id,
        new.code,
        new.period,
        new.restriction.valid_to,
        new.overhead_bp,
        lines,
        by,
    ):
        raise problem("code-taken")
    await tell_grants(tx, [grant])


async def change_status(office: Office, tx: Tx, grant_id: GrantId, verb: str) -> None:
    """Activate, suspend, close or resume. What can be spent again wakes needs. Raises `Problem`."""
    # Allotments are locked before their grant, like everywhere.
    book = await Book.open(tx, office, await allotment_store.of_grant(tx.conn, grant_id))
    await _change(tx, grant_id, lambda grant: rules.change_status(grant, verb))
    if verb == "resume":
        book.all_grew()
    await book.close()


async def _change(tx: Tx, grant_id: GrantId, decide: Decision, *journals: ledger.Journal) -> Grant:
    grant = await _locked(tx, grant_id)
    decided = decide(grant)
    if isinstance(decided, GrantRefusal):
        raise problem(decided)
    await store.save(tx.conn, [decided])
    await ledger_store.post(tx.conn, journals)
    await tell_grants(tx, [decided])
    return decided


async def demand_back(
    tx: Tx, demand_id: UUID, grant_id: GrantId, amount_minor: int, reason: str, on: date, by: UUID
) -> int:
    """Set aside what a donor wants back; what is missing becomes a shortfall.

    Returns:
        the shortfall in minor units. Raises `Problem`.
    """
    grant = await _locked(tx, grant_id)
    changed, missing = rules.demand_back(grant, amount_minor)
    await store.save(tx.conn, [changed])
    if amount_minor > missing:
        journal = ledger.refund_due(
            derive_id("journal", "refund_due", demand_id),
            grant_id,
            grant.currency,
            amount_minor - missing,
            on,
        )
        await ledger_store.post(tx.conn, [journal])
    if missing:
        await funding.insert_shortfall(tx.conn, demand_id, grant_id, missing, reason, on, by)
    await tell_grants(tx, [changed])
    return missing


async def refund(
    tx: Tx, refund_id: UUID, grant_id: GrantId, amount_minor: int, on: date, reference: str
) -> None:
    """Record that money set aside went back to the donor. Raises `Problem`."""
    grant = await _locked(tx, grant_id)
    journal = ledger.refund(
        derive_id("journal", "refund", refund_id),
        grant_id,
        grant.currency,
        amount_minor,
        on,
        reference,
    )
    await _change(tx, grant_id, lambda each: rules.refund(each, amount_minor), journal)


async def reverse_refund(
    tx: Tx, entry_id: UUID, grant_id: GrantId, amount_minor: int, reason: str, on: date
) -> None:
    """Set aside again what did not go back to the donor after all.

    The refund stays as it was booked; the right one is booked as another.

    Raises:
        Problem: there is no such grant, or not so much went back.
    """
    grant = await _locked(tx, grant_id)
    journal = ledger.refund_reversed(
        derive_id("journal", "refund_reversed", entry_id),
        grant_id,
        grant.currency,
        amount_minor,
        on,
        reason,
    )
    await _change(tx, grant_id, lambda each: rules.reverse_refund(each, amount_minor), journal)


async def book_difference(
    tx: Tx, difference_id: UUID, grant_id: GrantId, loss_minor: int, on: date, reason: str
) -> None:
    """Book what a real conversion cost more or less than its rate. Raises `Problem`."""
    grant = await _locked(tx, grant_id)
    journal = ledger.exchange_difference(
        derive_id("journal", "exchange_difference", difference_id),
        grant_id,
        grant.currency,
        loss_minor,
        on,
        reason,
    )
    await _change(
        tx, grant_id, lambda each: rules.book_exchange_difference(each, loss_minor), journal
    )


async def _locked(tx: Tx, grant_id: GrantId) -> rules.Grant:
    grant = (await store.lock(tx.conn, [grant_id])).get(grant_id)
    if grant is None:
        raise Problem(NOT_FOUND)
    return grant
