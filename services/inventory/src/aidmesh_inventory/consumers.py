"""Which handler takes which event."""

from functools import partial

from aidmesh_chassis import peer_keys
from aidmesh_chassis.consuming import Subscription, class_by_class
from aidmesh_chassis.standings import Follower
from aidmesh_contracts.intake import (
    AidGivenV1,
    NeedApprovedV1,
    NeedConfirmedV1,
    NeedReversedV1,
    NeedToldV1,
    NeedWithdrawnV1,
    WaitingChangedV1,
)
from aidmesh_contracts.inventory import (
    CapacityChangedV1,
    KeyChangedV1,
    SiteChangedV1,
    StockChangedV1,
)
from aidmesh_contracts.inventory_shipments import (
    ShipmentChangedV1,
    ShipmentCountedV1,
    TransferAnsweredV1,
    TransferAskedV1,
    TransferWithdrawnV1,
)
from aidmesh_contracts.payments import (
    CommitmentMadeV1,
    PurchaseBilledV1,
    PurchaseCanceledV1,
    PurchaseChangedV1,
    PurchaseOrderedV1,
)
from aidmesh_contracts.payments_grants import GrantChangedV1
from aidmesh_contracts.payments_regions import RegionChangedV1
from aidmesh_contracts.streams import Stream
from aidmesh_inventory.handlers import (
    arrivals,
    attempts,
    facts,
    grants,
    hold,
    locking,
    proposing,
    receipts,
    transfers,
    world,
)

WORLD_LINGER_S = 0.1
"""Copies of what peers say may be a moment older; larger batches cost less."""


def subscriptions(region: str) -> tuple[Subscription, ...]:
    """The service's subscriptions.

    Within a batch withdrawals and reversals come first: what they free can be held by the
    approvals of the same batch, and what is over already is not tried.
    """
    return (
        Subscription(
            Stream.LOCAL,
            class_by_class(
                locking.lock_local,
                {
                    NeedWithdrawnV1: attempts.withdraw,
                    PurchaseOrderedV1: receipts.expect,
                    PurchaseCanceledV1: receipts.expect_no_more,
                    PurchaseChangedV1: receipts.know_whether_to_come,
                    PurchaseBilledV1: receipts.know_prices,
                    NeedReversedV1: facts.reverse_facts,
                    AidGivenV1: facts.book_facts,
                    NeedConfirmedV1: attempts.confirm,
                    CommitmentMadeV1: attempts.confirm_paid,
                    NeedToldV1: attempts.tell,
                    NeedApprovedV1: hold.hold,
                    WaitingChangedV1: proposing.keep_waiting,
                },
            ),
        ),
        Subscription(
            Stream.WORLD,
            {
                SiteChangedV1: world.copy_sites,
                StockChangedV1: world.copy_stock,
                CapacityChangedV1: world.copy_capacity,
                TransferAskedV1: partial(transfers.hear_ask, region),
                TransferAnsweredV1: partial(transfers.hear_answer, region),
                TransferWithdrawnV1: partial(transfers.hear_withdrawal, region),
                ShipmentChangedV1: partial(arrivals.hear_shipments, region),
                ShipmentCountedV1: partial(arrivals.hear_counts_of, region),
                KeyChangedV1: peer_keys.know,
                GrantChangedV1: grants.know,
                RegionChangedV1: Follower(),
            },
            linger_s=WORLD_LINGER_S,
        ),
        Subscription(Stream.EVENTS, {GrantChangedV1: grants.know, RegionChangedV1: Follower()}),
    )
