"""What intake listens to; one handler takes a batch as a whole, so that it locks in one order."""

from aidmesh_chassis import handoff, peer_keys
from aidmesh_chassis.consuming import Subscription
from aidmesh_chassis.standings import Follower
from aidmesh_contracts import (
    intake,
    intake_links,
    intake_referrals,
    inventory,
    notification,
    payments,
)
from aidmesh_contracts.payments_regions import RegionChangedV1
from aidmesh_contracts.streams import Stream
from aidmesh_intake.handlers import (
    answering,
    elsewhere,
    leaving,
    linking,
    looking,
    referring,
    saga,
    taking,
)

WORLD_LINGER_S = 0.1
"""Copies of what peers say may be a moment older; larger batches cost less."""


def subscriptions() -> tuple[Subscription, ...]:
    """Everything intake listens to."""
    return (
        Subscription(
            Stream.LOCAL,
            {
                payments.CommitmentHeldV1: saga.take_in,
                inventory.ReservationHeldV1: saga.take_in,
                payments.CommitmentMadeV1: saga.take_in,
                inventory.ReservationConfirmedV1: saga.take_in,
                inventory.ReservationRefusedV1: saga.take_in,
                payments.CommitmentRefusedV1: saga.take_in,
                inventory.ReservationReleasedV1: saga.take_in,
                payments.CommitmentReleasedV1: saga.take_in,
                notification.MessageSentV1: saga.take_in,
                notification.MessageSuppressedV1: saga.take_in,
                inventory.ReservationIssuedV1: saga.take_in,
                payments.CommitmentSpentV1: saga.take_in,
                inventory.ReservationReversedV1: saga.take_in,
                payments.CommitmentReversedV1: saga.take_in,
                inventory.SupplyGrewV1: saga.take_in,
                payments.FundsGrewV1: saga.take_in,
            },
        ),
        Subscription(
            Stream.WORLD,
            {
                intake.KeyChangedV1: peer_keys.know,
                inventory.CapacityChangedV1: elsewhere.copy_places,
                inventory.SiteChangedV1: elsewhere.copy_sites,
                RegionChangedV1: Follower(leaving.follow),
            },
            linger_s=WORLD_LINGER_S,
        ),
        Subscription(Stream.EVENTS, {RegionChangedV1: Follower(leaving.follow)}),
        Subscription(
            Stream.HANDOFF,
            {
                intake.HandoffTakenV1: handoff.settle,
                intake_referrals.ReferralOfferedV1: taking.keep_offers,
                intake_referrals.ReferralAcceptedV1: referring.take_answers,
                intake_referrals.ReferralRefusedV1: referring.take_answers,
                intake_referrals.ReferralConfirmedV1: taking.go_on,
                intake_referrals.ReferralWithdrawnV1: taking.withdraw,
                intake_links.LookupAskedV1: answering.keep_asked,
                intake_links.LookupAnsweredV1: looking.keep_answers,
                intake_links.LookupClosedV1: answering.keep_closed,
                intake_links.LinkFoundV1: looking.take_found,
                intake_links.LinkSaidV1: linking.hear,
            },
            answer=lambda handoff_id: intake.HandoffTakenV1(handoff_id=handoff_id),
        ),
    )
