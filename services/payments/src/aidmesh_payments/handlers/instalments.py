"""Instalments of grants: expected, and taken in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_contracts.ids import GrantId, derive_id
from aidmesh_payments.domain import grants as rules
from aidmesh_payments.domain import ledger
from aidmesh_payments.domain.grants import Grant, GrantRefusal
from aidmesh_payments.handlers.returning import tell_grants
from aidmesh_payments.store import funding
from aidmesh_payments.store import grants as store
from aidmesh_payments.store import ledger as ledger_store
from aidmesh_payments.store.funding import Receipt, Shortfall


@dataclass(frozen=True, slots=True)
class Expected:
    """An instalment that a donor promised, in the grant's currency."""

    id: UUID
    grant_id: GrantId
    amount_minor: int
    on: date


@dataclass(frozen=True, slots=True)
class Came:
    """Money that came in.

    Attributes:
        amount_minor: credited, in the grant's currency.
        paid_minor, paid_currency: what the donor paid, where that is another currency.
    """

    instalment_id: UUID
    amount_minor: int
    on: date
    bank_reference: str
    paid_minor: int | None = None
    paid_currency: str | None = None


async def expect(tx: Tx, expected: Sequence[Expected], by: UUID) -> None:
    """Record instalments that are to come; their grants are known."""
    await funding.add_expected(
        tx.conn, [(each.id, each.grant_id, each.amount_minor, each.on) for each in expected], by
    )


async def take_in(tx: Tx, came: Sequence[Came]) -> Mapping[UUID, GrantRefusal | None]:
    """Credit instalments that came in; refused ones do not stop the others.

    Returns:
        by instalment that exists, why it was refused, or None when it is credited.
    """
    ids = [each.instalment_id for each in came]
    found = await funding.lock_instalments(tx.conn, ids)
    locked = await store.lock(tx.conn, (grant_id for grant_id, _, _ in found.values()))
    # Read again under the lock.
    found = await funding.lock_instalments(tx.conn, ids)
    short: dict[GrantId, Sequence[Shortfall]] = {
        grant_id: await funding.open_shortfalls(tx.conn, grant_id) for grant_id in sorted(locked)
    }
    outcomes: dict[UUID, GrantRefusal | None] = {}
    receipts: list[Receipt] = []
    journals: list[ledger.Journal] = []
    for each in came:
        if each.instalment_id not in found:
            continue
        grant_id, state, _ = found[each.instalment_id]
        if state != "expected" or each.instalment_id in outcomes:
            outcomes.setdefault(each.instalment_id, GrantRefusal.WRONG_STATE)
            continue
        grant = rules.receive(locked[grant_id], each.amount_minor)
        outcomes[each.instalment_id] = None
        receipt = _receipt(each, grant.currency)
        receipts.append(receipt)
        journals.append(_credited(receipt, grant))
        locked[grant_id], short[grant_id], set_aside = await _serve_first(
            tx, receipt, grant, short[grant_id]
        )
        journals += set_aside
    if receipts:
        touched = {found[receipt.instalment_id][0] for receipt in receipts}
        changed = [locked[grant_id] for grant_id in sorted(touched)]
        await store.save(tx.conn, changed)
        await funding.receive(tx.conn, receipts)
        await ledger_store.post(tx.conn, journals)
        await tell_grants(tx, changed)
    return outcomes


def _receipt(came: Came, grant_currency: str) -> Receipt:
    return Receipt(
        came.instalment_id,
        came.amount_minor,
        came.paid_minor or came.amount_minor,
        came.paid_currency or grant_currency,
        came.on,
        came.bank_reference,
    )


def _credited(receipt: Receipt, grant: Grant) -> ledger.Journal:
    return ledger.instalment(
        derive_id("journal", "instalment", receipt.instalment_id),
        grant.id,
        grant.currency,
        receipt.received_minor,
        receipt.paid_minor,
        receipt.paid_currency,
        receipt.received_on,
        receipt.bank_reference,
    )


async def _serve_first(
    tx: Tx, receipt: Receipt, grant: Grant, shortfalls: Sequence[Shortfall]
) -> tuple[Grant, Sequence[Shortfall], Sequence[ledger.Journal]]:
    """Whoever asked money back is served first, from a grant that this receipt was credited to."""
    missing = sum(each.amount_minor for each in shortfalls)
    grant, still = rules.demand_back(grant, missing)
    journal_id = derive_id("journal", "refund_due", receipt.instalment_id)
    left = await funding.cover_shortfalls(
        tx.conn, shortfalls, missing - still, journal_id=journal_id
    )
    if missing <= still:
        return grant, left, ()
    due = ledger.refund_due(
        journal_id, grant.id, grant.currency, missing - still, receipt.received_on
    )
    return grant, left, (due,)
