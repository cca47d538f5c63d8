"""Money that comes back to its grant, and how a grant's state is told."""

from collections.abc import Iterable
from datetime import date

from aidmesh_chassis.db import Tx
from aidmesh_contracts.ids import AllotmentId, RebalancingId, TransferId, derive_id
from aidmesh_contracts.payments_grants import GrantChangedV1
from aidmesh_payments.domain import grants, ledger
from aidmesh_payments.domain.money import to_grant_currency
from aidmesh_payments.handlers import proposals
from aidmesh_payments.store import funding
from aidmesh_payments.store import granted as granted_store
from aidmesh_payments.store import grants as store


async def credit_grant(
    tx: Tx,
    grantor: str,
    allotment_id: AllotmentId,
    transfer_id: TransferId,
    amount_minor: int,
    on: date,
    rebalancing_id: RebalancingId | None = None,
) -> list[ledger.Journal]:
    """Credit a return that was not credited before, at the newest rate kept.

    What a donor still waits for is set aside from it first.

    Args:
        grantor: the own region.
        rebalancing_id: the proposal that it came back for.

    Returns:
        the journals to write.

    Raises:
        LookupError: we made no such allotment.
    """
    made = await granted_store.allotment(tx.conn, allotment_id)
    if made is None:
        raise LookupError("no such allotment")
    grant = (await store.lock(tx.conn, [made.grant_id]))[made.grant_id]
    # Read again: another return may have been credited while we waited for the lock.
    made = await granted_store.allotment(tx.conn, allotment_id)
    assert made is not None  # noqa: S101 - allotments are never deleted
    line = await store.line(tx.conn, made.grant_id, made.budget_line)
    assert line is not None  # noqa: S101 - a foreign key
    worth_minor = await _worth_minor(tx, amount_minor, made.currency, grant.currency, on)
    shortfalls = await funding.open_shortfalls(tx.conn, grant.id)
    taken = grants.take_back(
        grant,
        line,
        made.granted,
        amount_minor,
        worth_minor=worth_minor,
        shortfall_minor=sum(each.amount_minor for each in shortfalls),
    )
    await store.save(tx.conn, [taken.grant])
    await store.save_line(tx.conn, grant.id, taken.line)
    await granted_store.save_returned(tx.conn, allotment_id, taken.granted)
    set_aside = derive_id("journal", "refund_due", transfer_id)
    await funding.cover_shortfalls(tx.conn, shortfalls, taken.set_aside_minor, journal_id=set_aside)
    await tell_grants(tx, [taken.grant])
    if rebalancing_id is not None:
        await proposals.came_back(
            tx, grantor, rebalancing_id, allotment_id, amount_minor, taken.credited_minor
        )
    journals = [
        ledger.return_received(
            transfer_id,
            grant.id,
            allotment_id,
            grant.currency,
            taken.booked_minor,
            taken.credited_minor,
            made.currency,
            amount_minor,
            on,
        )
    ]
    if taken.set_aside_minor:
        journals.append(
            ledger.refund_due(set_aside, grant.id, grant.currency, taken.set_aside_minor, on)
        )
    return journals


async def _worth_minor(
    tx: Tx, amount_minor: int, currency: str, grant_currency: str, on: date
) -> int | None:
    """An amount in the currency of its grant; None where that is the same, or no rate is kept."""
    if grant_currency == currency:
        return None
    kept = await funding.latest_rate(tx.conn, grant_currency, currency, on)
    if kept is None:
        return None
    return to_grant_currency(amount_minor, currency, grant_currency, kept[0])


async def tell_grants(tx: Tx, changed: Iterable[grants.Grant]) -> None:
    """Publish the state of grants."""
    for grant in changed:
        terms = await store.terms(tx.conn, grant.id)
        assert terms is not None  # noqa: S101 - a foreign key
        tx.emit(
            GrantChangedV1(
                grant_id=grant.id,
                terms=terms,
                amount_minor=grant.amount_minor,
                received_minor=grant.received_minor,
                status=grant.status,
                version=grant.version,
                unallotted_minor=grant.unallotted_minor,
            ),
            version=grant.version,
        )
