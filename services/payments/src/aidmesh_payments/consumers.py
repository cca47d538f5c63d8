"""Which handler takes which event."""

from functools import partial

from aidmesh_chassis.consuming import Subscription
from aidmesh_contracts.intake import (
    AidGivenV1,
    NeedApprovedV1,
    NeedConfirmedV1,
    NeedReversedV1,
    NeedToldV1,
    NeedWithdrawnV1,
    PayeeErasedV1,
    PayeeSealedV1,
)
from aidmesh_contracts.inventory import (
    AlertChangedV1,
    GoodsReceivedV1,
    GoodsReversedV1,
    ReservationIssuedV1,
    ReservationReversedV1,
    SiteChangedV1,
    StaySettledV1,
)
from aidmesh_contracts.payments import (
    AllotmentChangedV1,
    AllotmentReceivedV1,
    AllotmentReturnedV1,
    AllotmentSentV1,
    GrantChangedV1,
    RecallRequestedV1,
)
from aidmesh_contracts.streams import Stream
from aidmesh_payments.handlers import allotting, needs, payees, pickup, services, spending
from aidmesh_payments.handlers.office import Office


def subscriptions(office: Office) -> tuple[Subscription, ...]:
    """Return what payments takes in; what frees money comes before what asks for it."""
    return (
        Subscription(
            Stream.LOCAL,
            {
                NeedWithdrawnV1: partial(needs.withdraw, office),
                ReservationReversedV1: partial(services.unpay_providers, office),
                NeedReversedV1: partial(spending.reverse_facts, office),
                NeedConfirmedV1: partial(needs.confirm, office),
                AidGivenV1: partial(spending.book_fact, office),
                NeedApprovedV1: partial(needs.hold, office),
                ReservationIssuedV1: partial(services.pay_providers, office),
                StaySettledV1: partial(services.settle_stays, office),
                NeedToldV1: pickup.told,
                PayeeErasedV1: payees.erase,
                GoodsReceivedV1: services.count_goods,
                GoodsReversedV1: services.uncount_goods,
            },
        ),
        Subscription(Stream.PRIVATE, {PayeeSealedV1: payees.keep}),
        Subscription(
            Stream.EVENTS,
            {SiteChangedV1: pickup.know_sites, AlertChangedV1: pickup.know_alerts},
        ),
        Subscription(
            Stream.WORLD,
            {
                GrantChangedV1: partial(allotting.know_grants, office),
                AllotmentSentV1: partial(allotting.receive, office),
                AllotmentReceivedV1: partial(allotting.arrived, office),
                AllotmentReturnedV1: partial(allotting.take_back, office),
                RecallRequestedV1: partial(allotting.obey_recall, office),
                AllotmentChangedV1: allotting.know_allotments,
            },
        ),
    )
