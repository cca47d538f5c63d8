"""What reporting takes in: every event is kept and applied the same way."""

from aidmesh_chassis.consuming import Subscription
from aidmesh_contracts.consumers import consumers_of
from aidmesh_reporting.handlers import record

LINGER_S = 0.1
"""Results may be a moment old; larger batches cost the region less."""


def subscriptions() -> tuple[Subscription, ...]:
    """Return one subscription for each of reporting's streams.

    The contracts alone say which events these are: each is a fact, and facts have no order.
    """
    return tuple(
        Subscription(consumer.stream, dict.fromkeys(consumer.events, record), linger_s=LINGER_S)
        for consumer in consumers_of("reporting")
    )
