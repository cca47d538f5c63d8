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
from aidmesh_payments.domain.money import paid_for, plain_reference
from aidmesh_payments.handlers.returning import tell_grants
from aidmesh_payments.store import funding
from aidmesh_payments.store import grants as store
from aidmesh_payments.store import ledger as ledger_store
from aidmesh_payments.store.funding import BankLine, Receipt, Shortfall


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


async def enter(
    tx: Tx, expected: Sequence[Expected], came: Sequence[Came], by: UUID
) -> Sequence[GrantRefusal | None]:
    """Record instalments that are to come, and credit those that came in.

    Refused ones do not stop the others, and leave nothing: neither money that is credited nor an
    instalment that would still be expected.

    Args:
        expected: of grants that are known; also what came in before anybody expected it.

    Returns:
        why each of those that came was refused, or None when it is credited. An instalment comes
        in once: another one of the same id is refused. So is what nobody had expected where the
        grant has received just that already: the same line of the bank, entered by somebody else.
    """
    named = {each.instalment_id for each in came}
    known = await funding.lock_instalments(tx.conn, named)
    grants = {each.id: each.grant_id for each in expected}
    grants |= {each: grant_id for each, (grant_id, _, _) in known.items()}
    locked = await store.lock(tx.conn, (grants[each] for each in named if each in grants))
    # Read again under the lock.
    known = await funding.lock_instalments(tx.conn, named)
    open_ones = {each.id for each in expected}
    open_ones |= {each for each, (_, state, _) in known.items() if state == "expected"}
    unexpected = {each.id for each in expected} & named
    lines = [_line_of(each, grants) for each in came if each.instalment_id in unexpected]
    taken = {_as_compared(line) for line in await funding.received_lines(tx.conn, lines)}
    short: dict[GrantId, Sequence[Shortfall]] = {
        grant_id: await funding.open_shortfalls(tx.conn, grant_id) for grant_id in sorted(locked)
    }
    outcomes: list[GrantRefusal | None] = []
    receipts: list[Receipt] = []
    journals: list[ledger.Journal] = []
    for each in came:
        receipt: Receipt | GrantRefusal = GrantRefusal.UNKNOWN
        if each.instalment_id in grants:
            grant = locked[grants[each.instalment_id]]
            is_taken = each.instalment_id in unexpected and _line_of(each, grants) in taken
            receipt = _receipt(
                each, grant, is_open=each.instalment_id in open_ones, is_taken=is_taken
            )
        if isinstance(receipt, GrantRefusal):
            outcomes.append(receipt)
            continue
        outcomes.append(None)
        open_ones.remove(each.instalment_id)
        taken.add(_line_of(each, grants))
        grant = rules.receive(grant, each.amount_minor)
        receipts.append(receipt)
        journals.append(_credited(receipt, grant))
        locked[grant.id], short[grant.id], set_aside = await _serve_first(
            tx, receipt, grant, short[grant.id]
        )
        journals += set_aside
    credited = {receipt.instalment_id for receipt in receipts}
    to_come = [each for each in expected if each.id in credited or each.id not in named]
    await funding.add_expected(
        tx.conn, [(each.id, each.grant_id, each.amount_minor, each.on) for each in to_come], by
    )
    if receipts:
        changed = [locked[each] for each in sorted({grants[each] for each in credited})]
        await store.save(tx.conn, changed)
        await funding.receive(tx.conn, receipts)
        await ledger_store.post(tx.conn, journals)
        await tell_grants(tx, changed)
    return outcomes


def _line_of(came: Came, grants: Mapping[UUID, GrantId]) -> BankLine:
    grant_id = grants[came.instalment_id]
    return _as_compared(BankLine(grant_id, came.bank_reference, came.on, came.amount_minor))


def _as_compared(line: BankLine) -> BankLine:
    return line._replace(bank_reference=plain_reference(line.bank_reference))


def _receipt(came: Came, grant: Grant, *, is_open: bool, is_taken: bool) -> Receipt | GrantRefusal:
    if not is_open:
        return GrantRefusal.WRONG_STATE
    if is_taken:
        return GrantRefusal.RECEIVED_ALREADY
    paid = paid_for(came.amount_minor, grant.currency, came.paid_minor, came.paid_currency)
    if paid is None:
        return GrantRefusal.PAID_UNFIT
    return Receipt(came.instalment_id, came.amount_minor, *paid, came.on, came.bank_reference)


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
