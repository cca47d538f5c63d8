"""Which handler takes which event."""

from aidmesh_chassis.consuming import Subscription
from aidmesh_contracts.intake import (
    AidGivenV1,
    NeedApprovedV1,
    NeedConfirmedV1,
    NeedReversedV1,
    NeedToldV1,
    NeedWithdrawnV1,
)
from aidmesh_contracts.inventory import CapacityChangedV1, SiteChangedV1, StockChangedV1
from aidmesh_contracts.payments import CommitmentMadeV1, PurchaseOrderedV1
from aidmesh_contracts.streams import Stream
from aidmesh_inventory.handlers import attempts, facts, hold, receipts, world

WORLD_LINGER_S = 0.1
"""Copies of what peers say may be a moment older; larger batches cost less."""


def subscriptions() -> tuple[Subscription, ...]:
    """The service's subscriptions.

    Within a batch withdrawals and reversals come first: what they free can be held by the
    approvals of the same batch, and what is over already is not tried.
    """
    return (
        Subscription(
            Stream.LOCAL,
            {
                NeedWithdrawnV1: attempts.withdraw,
                PurchaseOrderedV1: receipts.expect,
                NeedReversedV1: facts.reverse_facts,
                AidGivenV1: facts.book_facts,
                NeedConfirmedV1: attempts.confirm,
                CommitmentMadeV1: attempts.confirm_paid,
                NeedToldV1: attempts.tell,
                NeedApprovedV1: hold.hold,
            },
        ),
        Subscription(
            Stream.WORLD,
            {
                SiteChangedV1: world.copy_sites,
                StockChangedV1: world.copy_stock,
                CapacityChangedV1: world.copy_capacity,
            },
            linger_s=WORLD_LINGER_S,
        ),
    )
