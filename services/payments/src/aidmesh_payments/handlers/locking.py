"""One order of locks, so that nobody waits for whoever waits for them; see decision 30.

need_attempt, allotment, donor_grant where it gets something back, commitment, payout, purchase,
provider_bill, discrepancy, given_review, donor_grant otherwise, account, paying_order,
grant_to_come; within a table by id. A batch of several kinds of events is handled kind by kind, so
it locks all of that at its start: the second kind would come to what stands before the first.
"""

from collections.abc import Sequence

from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received
from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import AllotmentId, NeedId, PurchaseId
from aidmesh_contracts.intake import AidGivenV1, NeedApprovedV1, NeedReversedV1, NeedWithdrawnV1
from aidmesh_contracts.inventory import GoodsReceivedV1, GoodsReversedV1
from aidmesh_contracts.payments_grants import (
    AllotmentReissuedV1,
    AllotmentReturnedV1,
    AllotmentSentV1,
    GrantChangedV1,
    RecallRequestedV1,
)
from aidmesh_contracts.payments_rebalancing import RebalancingAnsweredV1, RebalancingChangedV1
from aidmesh_payments.domain.allotments import Allotment
from aidmesh_payments.handlers.office import Office
from aidmesh_payments.store import allotments as allotment_store
from aidmesh_payments.store import commitments as store
from aidmesh_payments.store import granted as granted_store
from aidmesh_payments.store import grants as grant_store
from aidmesh_payments.store import purchases as purchase_store


async def lock_local(office: Office, tx: Tx, batch: Sequence[Received[Event]]) -> None:
    """Lock what a batch about needs will touch, unless it is of one kind, which locks by itself."""
    events = [item.event for item in batch]
    if len({type(event) for event in events}) < 2:
        return
    need_ids: set[NeedId] = set()
    noted: set[NeedId] = set()
    currencies: set[str] = set()
    bought: set[PurchaseId] = set()
    for event in events:
        need_id = getattr(event, "need_id", None)
        if need_id is not None:
            need_ids.add(need_id)
        if isinstance(event, NeedWithdrawnV1 | NeedReversedV1):
            noted.add(event.need_id)
        elif isinstance(event, NeedApprovedV1 | AidGivenV1) and event.money is not None:
            noted.add(event.need_id)
            currencies.add(event.money.currency)
        elif isinstance(event, GoodsReceivedV1 | GoodsReversedV1) and event.purchase_id is not None:
            bought.add(event.purchase_id)
    noted |= {place.need_id for place in await store.locate(tx.conn, need_ids)}
    await store.begin_facts(tx.conn, noted)
    # Read again: with the needs locked nothing of theirs moves.
    places = await store.locate(tx.conn, noted)
    allotments = await allotment_store.lock_all(
        tx.conn, (place.allotment_id for place in places), currencies
    )
    await lock_grants_of(office, tx, allotments)
    await store.lock(tx.conn, (place.id for place in places))
    await purchase_store.lock(tx.conn, bought)


async def lock_world(office: Office, tx: Tx, batch: Sequence[Received[Event]]) -> None:
    """Lock what a batch about grants and allotments will touch, one such batch at a time.

    Terms of other regions' grants are written by such batches only.
    """
    await allotment_store.lock_world(tx.conn)
    ids: set[AllotmentId] = set()
    returned: list[AllotmentId] = []
    for event in (item.event for item in batch):
        if isinstance(
            event,
            AllotmentSentV1 | RecallRequestedV1 | RebalancingChangedV1 | AllotmentReissuedV1,
        ):
            ids.add(event.allotment_id)
        elif isinstance(event, GrantChangedV1):
            ids.update(await allotment_store.of_grant(tx.conn, event.grant_id))
        elif (
            isinstance(event, AllotmentReturnedV1 | RebalancingAnsweredV1)
            and event.grantor == office.region
        ):
            returned.append(event.allotment_id)
    allotments = list((await allotment_store.lock(tx.conn, ids)).values())
    await lock_grants_of(office, tx, allotments, returned)


async def lock_grants_of(
    office: Office,
    tx: Tx,
    allotments: Sequence[Allotment],
    returned: Sequence[AllotmentId] = (),
) -> None:
    """Lock the own grants to which something of locked allotments may go back.

    Args:
        returned: allotments of others, of which something did, or about which they answered.
    """
    grants = {
        each.grant_id
        for each in allotments
        if each.status != "active" and each.grantor == office.region
    }
    for allotment_id in returned:
        made = await granted_store.allotment(tx.conn, allotment_id)
        if made is not None:
            grants.add(made.grant_id)
    if grants:
        await grant_store.lock(tx.conn, grants)
