"""Which handler takes which event; the order is the order within a batch."""

from aidmesh_chassis.consuming import Subscription
from aidmesh_contracts import inventory, notification, payments
from aidmesh_contracts.streams import Stream
from aidmesh_intake.handlers import saga


def subscriptions() -> tuple[Subscription, ...]:
    """Everything intake listens to."""
    return (
        Subscription(
            Stream.LOCAL,
            {
                payments.CommitmentHeldV1: saga.advance,
                inventory.ReservationHeldV1: saga.advance,
                payments.CommitmentMadeV1: saga.advance,
                inventory.ReservationConfirmedV1: saga.advance,
                inventory.ReservationRefusedV1: saga.advance,
                payments.CommitmentRefusedV1: saga.advance,
                inventory.ReservationReleasedV1: saga.advance,
                payments.CommitmentReleasedV1: saga.advance,
                notification.MessageSentV1: saga.advance,
                notification.MessageSuppressedV1: saga.advance,
                inventory.ReservationIssuedV1: saga.advance,
                payments.CommitmentSpentV1: saga.advance,
                inventory.ReservationReversedV1: saga.advance,
                payments.CommitmentReversedV1: saga.advance,
                inventory.SupplyGrewV1: saga.supply_grew,
                payments.FundsGrewV1: saga.funds_grew,
            },
        ),
    )
