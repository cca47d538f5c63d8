"""What becomes of proposals to move money by what their holders say and give back."""

from collections.abc import Sequence
from datetime import datetime

from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received
from aidmesh_chassis.errors import Poison
from aidmesh_contracts.ids import AllotmentId, RebalancingId
from aidmesh_contracts.payments_rebalancing import RebalancingAnsweredV1, RebalancingChangedV1
from aidmesh_payments.domain import rebalancing as rules
from aidmesh_payments.domain.rebalancing import Proposal
from aidmesh_payments.handlers.office import Office
from aidmesh_payments.store import rebalancing as store


def state_of(proposal: Proposal, grantor: str) -> RebalancingChangedV1:
    """A proposal as all regions are told of it."""
    return RebalancingChangedV1(
        rebalancing_id=proposal.id,
        grant_id=proposal.grant_id,
        allotment_id=proposal.allotment_id,
        grantor=grantor,
        holder=proposal.holder,
        to_region=proposal.to_region,
        amount_minor=proposal.amount_minor,
        currency=proposal.currency,
        reason=proposal.reason,
        lapses_at=proposal.lapses_at,
        state=proposal.state,
        version=proposal.version,
    )


async def save(tx: Tx, proposal: Proposal, grantor: str) -> None:
    """Write a proposal whose grant is locked, and tell of it."""
    await store.save(tx.conn, proposal)
    tx.emit(state_of(proposal, grantor), version=proposal.version)


async def came_back(
    tx: Tx,
    grantor: str,
    rebalancing_id: RebalancingId,
    allotment_id: AllotmentId,
    amount_minor: int,
    credited_minor: int,
) -> None:
    """Note a return that a proposal asked for; its grant is locked.

    The money is booked whatever it says: of a proposal that there is not, or of another
    allotment, nothing is noted.
    """
    found = (await store.read(tx.conn, [rebalancing_id])).get(rebalancing_id)
    if (
        found is None
        or found.allotment_id != allotment_id
        or found.returned_minor is not None
        or amount_minor > found.amount_minor
    ):
        return
    await save(tx, rules.came_back(found, amount_minor, credited_minor), grantor)


async def hear_answers(
    office: Office, tx: Tx, batch: Sequence[Received[RebalancingAnsweredV1]]
) -> None:
    """Take in what holders say of this region's proposals; their grants are locked.

    Raises:
        Poison: somebody else than the holder speaks, or of a proposal that nobody made.
    """
    for item in sorted(batch, key=lambda item: item.event.rebalancing_id):
        if item.region != item.event.holder:
            raise Poison("not_the_holder")
        if item.event.grantor == office.region:
            await hear(tx, office.region, item.event, item.occurred_at)


async def hear(tx: Tx, grantor: str, said: RebalancingAnsweredV1, said_at: datetime) -> None:
    """Take in one answer, which the holder gave at `said_at`. Raises `Poison`."""
    known = (await store.read(tx.conn, [said.rebalancing_id])).get(said.rebalancing_id)
    if known is None or (known.holder, known.allotment_id) != (said.holder, said.allotment_id):
        raise Poison("unknown_proposal")
    heard = rules.hear(known, said.answer, said.version, said.amount_minor, said.reason)
    if heard.version > known.version:
        await save(tx, heard, grantor)
    elif heard is not known:
        await store.save(tx.conn, heard)
    if heard is not known:
        await store.note_answered(tx.conn, heard.id, said_at)
