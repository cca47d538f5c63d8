"""The grantor's steps with a proposal to move money from one holder to another."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import AllotmentId, RebalancingId
from aidmesh_payments.domain import rebalancing as rules
from aidmesh_payments.domain.grants import Override
from aidmesh_payments.domain.money import Rate
from aidmesh_payments.domain.rebalancing import Proposal, RebalancingRefusal
from aidmesh_payments.handlers import proposals, return_asks
from aidmesh_payments.handlers.allotting import Order, allot
from aidmesh_payments.handlers.office import Office, check_region
from aidmesh_payments.problems import problem
from aidmesh_payments.store import allotments as allotment_store
from aidmesh_payments.store import funding
from aidmesh_payments.store import granted as granted_store
from aidmesh_payments.store import grants as grant_store
from aidmesh_payments.store import rebalancing as store

LIMIT = 1
"""One by one: allotments are locked before grants."""

Decision = Callable[[Proposal], Proposal | RebalancingRefusal]


async def propose(
    office: Office,
    tx: Tx,
    rebalancing_id: RebalancingId,
    allotment_id: AllotmentId,
    to_region: str,
    amount_minor: int,
    reason: str,
    days: int,
    by: UUID | None,
) -> None:
    """Propose that a holder gives free money back for another one. Raises `Problem`.

    Args:
        amount_minor: in the currency of spending.
        days: how long the holder has to consent.
        by: None where a rule proposes it.
    """
    check_region(office, to_region)
    # What the own region holds is locked before its grant, like everywhere.
    await allotment_store.lock(tx.conn, [allotment_id])
    made = await granted_store.allotment(tx.conn, allotment_id)
    if made is None:
        raise Problem(NOT_FOUND)
    await grant_store.lock(tx.conn, [made.grant_id])
    made = await granted_store.allotment(tx.conn, allotment_id)
    assert made is not None  # noqa: S101 - allotments are never deleted
    refusal = rules.check(
        holder=made.holder,
        to_region=to_region,
        amount_minor=amount_minor,
        left_minor=made.granted.amount_minor - made.granted.returned_minor,
        recalled=made.recall_reason is not None,
    )
    if refusal is not None:
        raise problem(refusal)
    proposal = Proposal(
        id=rebalancing_id,
        grant_id=made.grant_id,
        allotment_id=made.id,
        holder=made.holder,
        to_region=to_region,
        amount_minor=amount_minor,
        currency=made.currency,
        reason=reason,
        lapses_at=tx.now + timedelta(days=days),
        proposer=by,
    )
    await store.insert(tx.conn, proposal)
    await _tell(office, tx, proposal)


async def _tell(office: Office, tx: Tx, proposal: Proposal) -> None:
    """Tell all regions; the own one takes it in at once."""
    told = proposals.state_of(proposal, office.region)
    tx.emit(told, version=proposal.version)
    await return_asks.hear(office, tx, told, tx.now)


async def _decide(office: Office, tx: Tx, rebalancing_id: RebalancingId, decide: Decision) -> None:
    found = (await store.read(tx.conn, [rebalancing_id])).get(rebalancing_id)
    if found is None:
        raise Problem(NOT_FOUND)
    await allotment_store.lock(tx.conn, [found.allotment_id])
    await grant_store.lock(tx.conn, [found.grant_id])
    decided = decide((await store.read(tx.conn, [rebalancing_id]))[rebalancing_id])
    if isinstance(decided, RebalancingRefusal):
        raise problem(decided)
    await store.save(tx.conn, decided)
    await _tell(office, tx, decided)


async def sign(office: Office, tx: Tx, rebalancing_id: RebalancingId, by: UUID) -> None:
    """A second person lets the money go on once it is back. Raises `Problem`."""
    await _decide(office, tx, rebalancing_id, lambda each: rules.sign(each, by))


async def withdraw(office: Office, tx: Tx, rebalancing_id: RebalancingId) -> None:
    """It is not wanted any more. Raises `Problem`."""
    await _decide(office, tx, rebalancing_id, rules.withdraw)


async def retry(office: Office, tx: Tx, rebalancing_id: RebalancingId) -> None:
    """Try again to pass money on. Raises `Problem`."""
    await _decide(office, tx, rebalancing_id, rules.retry)


async def keep(office: Office, tx: Tx, rebalancing_id: RebalancingId) -> None:
    """Leave in the grant what came back. Raises `Problem`."""
    await _decide(office, tx, rebalancing_id, rules.keep)


async def pass_on(office: Office, tx: Tx) -> int:
    """Allot to the other holder what came back and was signed for; a sweep.

    What cannot be allotted waits for a person, with the reason.
    """
    if office.regions() is None:
        return 0  # nobody has told yet whom money can be sent to
    due = await store.due(tx.conn, LIMIT)
    for rebalancing_id in due:
        await _pass_on(office, tx, rebalancing_id)
    return len(due)


async def _pass_on(office: Office, tx: Tx, rebalancing_id: RebalancingId) -> None:
    found = (await store.read(tx.conn, [rebalancing_id]))[rebalancing_id]
    await allotment_store.lock(tx.conn, [found.allotment_id])
    await grant_store.lock(tx.conn, [found.grant_id])
    # Found before it was locked: somebody may have kept the money.
    proposal = (await store.read(tx.conn, [rebalancing_id]))[rebalancing_id]
    if not rules.is_due(proposal):
        return
    try:
        # As if nothing had been written where it is refused; nothing is told before.
        async with tx.conn.transaction():
            await _allot(office, tx, proposal)
    except Problem as refused:
        await store.save(tx.conn, hindered := rules.hinder(proposal, refused.kind.slug))
        await _tell(office, tx, hindered)
        return
    await store.save(tx.conn, moved := rules.moved(proposal))
    await _tell(office, tx, moved)


async def _allot(office: Office, tx: Tx, proposal: Proposal) -> None:
    """Send on what came back, worth what it was booked with. Raises `Problem`."""
    assert proposal.signer is not None  # noqa: S101 - it is due
    assert proposal.returned_minor is not None  # noqa: S101 - it is due
    made = await granted_store.allotment(tx.conn, proposal.allotment_id)
    grant = (await grant_store.lock(tx.conn, [proposal.grant_id]))[proposal.grant_id]
    assert made is not None  # noqa: S101 - a foreign key
    today = day_of(tx.now)
    if made.valid_until is not None and made.valid_until < today:
        raise problem("validity-over")
    kept = await funding.latest_rate(tx.conn, grant.currency, made.currency, today)
    order = Order(
        allotment_id=rules.allotment_id_of(proposal.id),
        transfer_id=rules.sending_id(proposal.id),
        grant_id=proposal.grant_id,
        budget_line=made.budget_line,
        to_region=proposal.to_region,
        amount_minor=proposal.returned_minor,
        currency=proposal.currency,
        rate=Rate(made.rate, today, "allotment") if kept is None else Rate(*kept),
        valid_until=made.valid_until,
        granted_minor=proposal.credited_minor,
        rebalancing_id=proposal.id,
    )
    # What moves within a line may exceed it by a change of rates alone: the second signature
    # lets it, for the reason of the proposal.
    override = Override(proposal.signer, proposal.reason)
    await allot(office, tx, order, proposal.proposer, override)
