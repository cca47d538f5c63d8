"""Which handler takes which event."""

from functools import partial

from aidmesh_chassis import handoff, peer_keys
from aidmesh_chassis.consuming import Subscription, class_by_class
from aidmesh_chassis.standings import Follower
from aidmesh_contracts.intake import (
    AidGivenV1,
    NeedApprovedV1,
    NeedConfirmedV1,
    NeedReversedV1,
    NeedToldV1,
    NeedWithdrawnV1,
    PayeeErasedV1,
    PayeeSealedV1,
    WaitingChangedV1,
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
    HandoffTakenV1,
    KeyChangedV1,
    PayoutAssignedV1,
    PayoutOutcomeV1,
    PayoutWithdrawnV1,
)
from aidmesh_contracts.payments_grants import (
    AllotmentChangedV1,
    AllotmentReceivedV1,
    AllotmentReissuedV1,
    AllotmentReturnedV1,
    AllotmentSentV1,
    GrantChangedV1,
    RecallRequestedV1,
    ReturnBookedV1,
)
from aidmesh_contracts.payments_rebalancing import RebalancingAnsweredV1, RebalancingChangedV1
from aidmesh_contracts.payments_regions import RegionChangedV1
from aidmesh_contracts.payments_waits import WaitChangedV1
from aidmesh_contracts.streams import Stream
from aidmesh_payments.handlers import (
    allotting,
    assigning,
    ending,
    holding,
    locking,
    lost,
    needs,
    orders,
    payees,
    pickup,
    proposals,
    return_asks,
    services,
    spending,
    waits,
)
from aidmesh_payments.handlers.office import Office


def subscriptions(office: Office) -> tuple[Subscription, ...]:
    """Return what payments takes in; what frees money comes before what asks for it."""
    return (
        Subscription(
            Stream.LOCAL,
            class_by_class(
                partial(locking.lock_local, office),
                {
                    NeedWithdrawnV1: partial(ending.withdraw, office),
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
                    WaitingChangedV1: waits.keep,
                },
            ),
        ),
        Subscription(Stream.PRIVATE, {PayeeSealedV1: payees.keep}),
        Subscription(
            Stream.EVENTS,
            {SiteChangedV1: pickup.know_sites, AlertChangedV1: pickup.know_alerts},
        ),
        Subscription(
            Stream.WORLD,
            class_by_class(
                partial(locking.lock_world, office),
                {
                    GrantChangedV1: partial(holding.know_grants, office),
                    AllotmentSentV1: partial(holding.receive, office),
                    AllotmentReceivedV1: partial(allotting.arrived, office),
                    AllotmentReturnedV1: partial(allotting.take_back, office),
                    ReturnBookedV1: partial(holding.booked, office),
                    RecallRequestedV1: partial(holding.obey_recall, office),
                    AllotmentChangedV1: allotting.know_allotments,
                    RebalancingChangedV1: partial(return_asks.know, office),
                    RebalancingAnsweredV1: partial(proposals.hear_answers, office),
                    WaitChangedV1: waits.know,
                    AllotmentReissuedV1: partial(lost.hear_reissues, office),
                    KeyChangedV1: peer_keys.know,
                    RegionChangedV1: Follower(lost.follow),
                },
            ),
        ),
        Subscription(
            Stream.HANDOFF,
            {
                PayoutOutcomeV1: partial(assigning.take_outcomes, office),
                PayoutAssignedV1: partial(orders.receive, office),
                PayoutWithdrawnV1: partial(orders.withdraw, office),
                HandoffTakenV1: handoff.settle,
            },
            answer=lambda handoff_id: HandoffTakenV1(handoff_id=handoff_id),
        ),
    )
