"""What was entered wrong of grants, or is not so any more: put right, never edited."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import GrantId, derive_id
from aidmesh_payments.domain import grants as rules
from aidmesh_payments.domain import ledger
from aidmesh_payments.domain.grants import Grant, GrantRefusal
from aidmesh_payments.handlers.book import Book
from aidmesh_payments.handlers.office import Office
from aidmesh_payments.handlers.returning import tell_grants
from aidmesh_payments.problems import problem
from aidmesh_payments.store import allotments as allotment_store
from aidmesh_payments.store import funding, grant_terms
from aidmesh_payments.store import grants as store
from aidmesh_payments.store import ledger as ledger_store
from aidmesh_payments.store.funding import Instalment, Withdrawal


async def _lock_instalment(tx: Tx, instalment_id: UUID) -> tuple[Grant, Instalment]:
    found = await funding.instalment(tx.conn, instalment_id)
    if found is None:
        raise Problem(NOT_FOUND)
    grant = (await store.lock(tx.conn, [found.grant_id]))[found.grant_id]
    again = await funding.instalment(tx.conn, instalment_id)
    assert again is not None  # noqa: S101 - instalments are never deleted
    return grant, again


async def reverse_instalment(tx: Tx, instalment_id: UUID, reason: str, by: UUID) -> None:
    """Take an instalment out again that did not come, or not so.

    It stays as it was entered, reversed; the right one is entered as another. A donor to whom it
    would have gone back waits for that again.

    Raises:
        Problem: it was not received, or its money was given on: it is to be returned first.
    """
    grant, wrong = await _lock_instalment(tx, instalment_id)
    if wrong.state != "received":
        raise problem("wrong-state")
    assert wrong.received_minor is not None  # noqa: S101 - a CHECK of the table
    assert wrong.paid_minor is not None  # noqa: S101
    assert wrong.paid_currency is not None  # noqa: S101
    today = day_of(tx.now)
    covered = await funding.covered_by(tx.conn, derive_id("journal", "refund_due", instalment_id))
    decided = rules.reverse_instalment(
        grant, wrong.received_minor, sum(each.amount_minor for each in covered)
    )
    if isinstance(decided, GrantRefusal):
        raise problem(decided)
    changed, missing = decided
    await store.save(tx.conn, [changed])
    await funding.correct_instalment(tx.conn, instalment_id, "reversed", reason, by)
    journals = [
        ledger.instalment_reversed(
            instalment_id,
            grant.id,
            grant.currency,
            wrong.received_minor,
            wrong.paid_minor,
            wrong.paid_currency,
            today,
            reason,
        )
    ]
    if missing:
        again = ledger.refund_due_reversed(
            instalment_id, grant.id, grant.currency, missing, today, reason
        )
        await funding.reopen_shortfalls(tx.conn, covered, missing, again.id)
        journals.append(again)
    await ledger_store.post(tx.conn, journals)
    await tell_grants(tx, [changed])


async def withdraw_instalment(tx: Tx, instalment_id: UUID, reason: str, by: UUID) -> None:
    """An instalment that was expected will not come. Raises `Problem`."""
    _, expected = await _lock_instalment(tx, instalment_id)
    if expected.state != "expected":
        raise problem("wrong-state")
    await funding.correct_instalment(tx.conn, instalment_id, "withdrawn", reason, by)


async def withdraw_demand(
    tx: Tx, entry_id: UUID, grant_id: GrantId, amount_minor: int, reason: str, on: date, by: UUID
) -> int:
    """A donor does not want so much back after all: what is missing goes first.

    Returns:
        what the donor still waits for, in minor units.

    Raises:
        Problem: there is no such grant, or so much was not demanded or went back already.
    """
    grant = (await store.lock(tx.conn, [grant_id])).get(grant_id)
    if grant is None:
        raise Problem(NOT_FOUND)
    shortfalls = await funding.open_shortfalls(tx.conn, grant_id)
    decided = rules.withdraw_demand(
        grant, amount_minor, sum(each.amount_minor for each in shortfalls)
    )
    if isinstance(decided, GrantRefusal):
        raise problem(decided)
    changed, less = decided
    await store.save(tx.conn, [changed])
    journals: list[ledger.Journal] = []
    if amount_minor > less:
        journals.append(
            ledger.demand_withdrawn(
                derive_id("journal", "demand_withdrawn", entry_id),
                grant_id,
                grant.currency,
                amount_minor - less,
                on,
                reason,
            )
        )
    await ledger_store.post(tx.conn, journals)
    booked = journals[0].id if journals else None
    await funding.insert_withdrawal(
        tx.conn, Withdrawal(entry_id, grant_id, amount_minor, booked, reason, on, by)
    )
    # The newest demand is the one that is taken back.
    left = await funding.cover_shortfalls(tx.conn, shortfalls[::-1], less, withdrawal_id=entry_id)
    await tell_grants(tx, [changed])
    return sum(each.amount_minor for each in left)


@dataclass(frozen=True, slots=True)
class Amendment:
    """What a donor changed; None leaves it as it was.

    Attributes:
        line_amounts: new amounts of budget lines by code, in minor units.
        terms_version: that somebody looked at when they decided; None if nobody said.
    """

    amount_minor: int | None
    period_to: date | None
    line_amounts: Mapping[str, int]
    reason: str
    terms_version: int | None = None


async def amend(office: Office, tx: Tx, grant_id: GrantId, amendment: Amendment, by: UUID) -> int:
    """Change what a grant promises and until when; its holders are told.

    Needs are woken if days can be paid that could not be before. What the donor allows ends with
    the period, or on a day that the donor named apart from it.

    Returns:
        the new version of its terms.

    Raises:
        Problem: there is no such grant of ours, it was amended since, or the decision refuses.
    """
    book = await Book.open(tx, office, await allotment_store.of_grant(tx.conn, grant_id))
    grant = (await store.lock(tx.conn, [grant_id])).get(grant_id)
    terms = await store.terms(tx.conn, grant_id)
    if grant is None or terms is None:
        raise Problem(NOT_FOUND)
    if amendment.terms_version not in (None, terms.terms_version):
        raise problem("wrong-state")
    before = await store.promise(tx.conn, grant_id)
    period_to = amendment.period_to or before.period_to
    if period_to < before.period_from:
        raise problem("period-ends-before-it-begins")
    decided = rules.amend(
        grant,
        await store.lines(tx.conn, grant_id),
        amendment.amount_minor or grant.amount_minor,
        amendment.line_amounts,
        before.overhead_bp,
    )
    if isinstance(decided, GrantRefusal):
        raise problem(decided)
    changed, lines = decided
    valid_to = min(period_to, before.allowed_to or period_to)
    new = terms.model_copy(
        update={
            "terms_version": terms.terms_version + 1,
            "restriction": terms.restriction.model_copy(update={"valid_to": valid_to}),
        }
    )
    await store.save(tx.conn, [changed])
    await store.amend(tx.conn, changed, before, period_to, lines, new, amendment.reason, by)
    await grant_terms.put(
        tx.conn,
        new,
        office.region,
        status=changed.status,
        state_version=changed.version,
        amount_minor=changed.amount_minor,
        received_minor=changed.received_minor,
    )
    await tell_grants(tx, [changed])
    if rules.wakes(changed.status, terms.restriction, new.restriction):
        book.all_grew()
    await book.close()
    return new.terms_version
