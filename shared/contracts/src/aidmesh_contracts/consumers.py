"""Who takes in what. Provisioning makes one durable consumer of each entry.

This is the one place where a new subscription is declared; a service that registers other
handlers than these does not start.
"""

from dataclasses import dataclass

from aidmesh_contracts import (
    intake,
    intake_links,
    intake_referrals,
    inventory,
    inventory_shipments,
    notification,
    payments,
    payments_grants,
    payments_rebalancing,
    payments_waits,
    reporting,
)
from aidmesh_contracts.base import Event
from aidmesh_contracts.payments_regions import RegionChangedV1
from aidmesh_contracts.streams import Stream

ACK_POLICY = "explicit"
ACK_WAIT_S = 10
ACKS_PENDING_MAX = 4_096
DELIVERIES_MAX = -1
"""How every durable is acknowledged; how often a message is tried is for the database to count.

What a service had in hand when it was killed comes again after ACK_WAIT_S, so people wait for that
long; a batch that takes longer says meanwhile that it is worked on.
"""


@dataclass(frozen=True, slots=True)
class Consumer:
    """One durable: a service, the stream it reads and the events it takes from it."""

    service: str
    stream: Stream
    events: tuple[type[Event], ...]

    @property
    def durable(self) -> str:
        """The durable's name, such as `inventory-local`."""
        return f"{self.service}-{self.stream.lower()}"

    def filter_subjects(self, region: str) -> tuple[str, ...]:
        """The subjects it filters on; in WORLD and HANDOFF the origin's region is a wildcard."""
        if self.stream is Stream.HANDOFF:
            return tuple(event.subject("*", region) for event in self.events)
        origin = "*" if self.stream is Stream.WORLD else region
        return tuple(event.subject(origin) for event in self.events)


CONSUMERS: tuple[Consumer, ...] = (
    Consumer(
        "intake",
        Stream.LOCAL,
        (
            inventory.ReservationHeldV1,
            inventory.ReservationRefusedV1,
            inventory.ReservationConfirmedV1,
            inventory.ReservationReleasedV1,
            inventory.ReservationIssuedV1,
            inventory.ReservationReversedV1,
            inventory.SupplyGrewV1,
            payments.CommitmentHeldV1,
            payments.CommitmentRefusedV1,
            payments.CommitmentMadeV1,
            payments.CommitmentReleasedV1,
            payments.CommitmentSpentV1,
            payments.CommitmentReversedV1,
            payments.FundsGrewV1,
            notification.MessageSentV1,
            notification.MessageSuppressedV1,
        ),
    ),
    Consumer(
        "intake",
        Stream.WORLD,
        (
            intake.KeyChangedV1,
            inventory.CapacityChangedV1,
            inventory.SiteChangedV1,
            RegionChangedV1,
        ),
    ),
    Consumer("intake", Stream.EVENTS, (RegionChangedV1,)),
    Consumer(
        "intake",
        Stream.HANDOFF,
        (
            intake.HandoffTakenV1,
            intake_referrals.ReferralOfferedV1,
            intake_referrals.ReferralAcceptedV1,
            intake_referrals.ReferralRefusedV1,
            intake_referrals.ReferralConfirmedV1,
            intake_referrals.ReferralWithdrawnV1,
            intake_links.LookupAskedV1,
            intake_links.LookupAnsweredV1,
            intake_links.LookupClosedV1,
            intake_links.LinkFoundV1,
            intake_links.LinkSaidV1,
        ),
    ),
    Consumer(
        "inventory",
        Stream.LOCAL,
        (
            intake.NeedApprovedV1,
            intake.NeedConfirmedV1,
            intake.NeedWithdrawnV1,
            intake.NeedToldV1,
            intake.AidGivenV1,
            intake.NeedReversedV1,
            intake.WaitingChangedV1,
            payments.CommitmentMadeV1,
            payments.PurchaseOrderedV1,
            payments.PurchaseCanceledV1,
            payments.PurchaseChangedV1,
            payments.PurchaseBilledV1,
        ),
    ),
    Consumer(
        "inventory",
        Stream.WORLD,
        (
            inventory.StockChangedV1,
            inventory.CapacityChangedV1,
            inventory.SiteChangedV1,
            inventory_shipments.TransferAskedV1,
            inventory_shipments.TransferAnsweredV1,
            inventory_shipments.TransferWithdrawnV1,
            inventory_shipments.ShipmentChangedV1,
            inventory_shipments.ShipmentCountedV1,
            inventory.KeyChangedV1,
            payments_grants.GrantChangedV1,
            RegionChangedV1,
        ),
    ),
    Consumer("inventory", Stream.EVENTS, (payments_grants.GrantChangedV1, RegionChangedV1)),
    Consumer(
        "payments",
        Stream.LOCAL,
        (
            intake.NeedApprovedV1,
            intake.NeedConfirmedV1,
            intake.NeedWithdrawnV1,
            intake.NeedToldV1,
            intake.AidGivenV1,
            intake.NeedReversedV1,
            intake.PayeeErasedV1,
            inventory.ReservationIssuedV1,
            inventory.ReservationReversedV1,
            inventory.StaySettledV1,
            inventory.GoodsReceivedV1,
            inventory.GoodsReversedV1,
            intake.WaitingChangedV1,
        ),
    ),
    Consumer("payments", Stream.PRIVATE, (intake.PayeeSealedV1,)),
    Consumer("payments", Stream.EVENTS, (inventory.SiteChangedV1, inventory.AlertChangedV1)),
    Consumer(
        "payments",
        Stream.WORLD,
        (
            payments_grants.GrantChangedV1,
            payments_grants.AllotmentSentV1,
            payments_grants.AllotmentReceivedV1,
            payments_grants.AllotmentReturnedV1,
            payments_grants.ReturnBookedV1,
            payments_grants.RecallRequestedV1,
            payments_grants.AllotmentChangedV1,
            payments_rebalancing.RebalancingChangedV1,
            payments_rebalancing.RebalancingAnsweredV1,
            payments_waits.WaitChangedV1,
            payments_grants.AllotmentReissuedV1,
            payments.KeyChangedV1,
            RegionChangedV1,
        ),
    ),
    Consumer(
        "payments",
        Stream.HANDOFF,
        (
            payments.PayoutAssignedV1,
            payments.PayoutWithdrawnV1,
            payments.PayoutOutcomeV1,
            payments.HandoffTakenV1,
        ),
    ),
    Consumer(
        "notification",
        Stream.LOCAL,
        (
            intake.NeedReadyV1,
            intake.NeedWithdrawnV1,
            intake.NeedToldV1,
            intake.NeedFulfilledV1,
            intake.NeedClosedV1,
            intake.PersonErasedV1,
        ),
    ),
    Consumer("notification", Stream.PRIVATE, (intake.ContactSealedV1, intake.NeedReadyUntilV1)),
    Consumer(
        "reporting",
        Stream.LOCAL,
        (
            intake.NeedFulfilledV1,
            intake.NeedReversedV1,
            intake.NeedWaitlistedV1,
            intake.NeedUnlistedV1,
            intake.NeedClosedV1,
            intake.PersonMergedV1,
            intake.PersonUnmergedV1,
            intake_links.PersonLinkedV1,
            intake_links.PersonPartedV1,
            inventory.AidBookedV1,
            inventory.StaySettledV1,
            payments.CommitmentSpentV1,
            payments.CommitmentReversedV1,
        ),
    ),
    Consumer("reporting", Stream.EVENTS, (payments_grants.GrantChangedV1, RegionChangedV1)),
    Consumer(
        "reporting",
        Stream.WORLD,
        (reporting.MonthlyResultsV1, payments_grants.GrantChangedV1, RegionChangedV1),
    ),
    Consumer("reporting", Stream.HANDOFF, (reporting.LinkServedV1, reporting.HandoffTakenV1)),
)


def consumers_of(service: str) -> tuple[Consumer, ...]:
    """Return the durables of one service."""
    return tuple(consumer for consumer in CONSUMERS if consumer.service == service)
