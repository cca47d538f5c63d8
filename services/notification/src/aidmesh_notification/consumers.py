"""Which event goes to which handler; the order is that within a batch.

What ends an attempt comes before what announces it, so that nothing is queued in vain.
"""

from aidmesh_chassis.consuming import Subscription
from aidmesh_contracts.intake import (
    ContactSealedV1,
    NeedClosedV1,
    NeedFulfilledV1,
    NeedReadyUntilV1,
    NeedReadyV1,
    NeedToldV1,
    NeedWithdrawnV1,
    PersonErasedV1,
)
from aidmesh_contracts.streams import Stream
from aidmesh_notification.handlers import people, queueing


def subscriptions(message_hours_max: int) -> tuple[Subscription, ...]:
    """Return what notification takes in."""
    return (
        Subscription(
            Stream.LOCAL,
            {
                PersonErasedV1: people.erase,
                NeedWithdrawnV1: queueing.end_attempts,
                NeedToldV1: queueing.end_attempts,
                NeedFulfilledV1: queueing.end_attempts,
                NeedClosedV1: queueing.end_attempts,
                NeedReadyV1: queueing.queue_ready(message_hours_max),
            },
        ),
        Subscription(
            Stream.PRIVATE,
            {
                ContactSealedV1: people.keep_contacts,
                NeedReadyUntilV1: queueing.queue_ready(message_hours_max),
            },
        ),
    )
