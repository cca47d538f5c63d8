"""What reporting takes in: facts, kept and applied the same way, and what links are told of."""

from aidmesh_chassis import handoff
from aidmesh_chassis.consuming import Subscription
from aidmesh_chassis.standings import Follower
from aidmesh_contracts.consumers import consumers_of
from aidmesh_contracts.payments_regions import RegionChangedV1
from aidmesh_contracts.reporting import HandoffTakenV1, LinkServedV1
from aidmesh_contracts.streams import Stream
from aidmesh_reporting.handlers.facts import record
from aidmesh_reporting.handlers.linking import hear

LINGER_S = 0.1
"""Results may be a moment old; larger batches cost the region less."""


def subscriptions() -> tuple[Subscription, ...]:
    """Return one subscription for each of reporting's streams.

    The contracts alone say which events are facts: those have no order. How regions stand is none.
    """
    follow = Follower()
    return (
        *(
            Subscription(
                consumer.stream,
                {
                    event: follow if event is RegionChangedV1 else record
                    for event in consumer.events
                },
                linger_s=LINGER_S,
            )
            for consumer in consumers_of("reporting")
            if consumer.stream is not Stream.HANDOFF
        ),
        Subscription(
            Stream.HANDOFF,
            {LinkServedV1: hear, HandoffTakenV1: handoff.settle},
            answer=lambda handoff_id: HandoffTakenV1(handoff_id=handoff_id),
        ),
    )
