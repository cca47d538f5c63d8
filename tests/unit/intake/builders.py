"""Needs and answers for tests of pure decisions."""

from datetime import UTC, date, datetime
from uuid import UUID

from aidmesh_contracts.ids import NeedId, PersonId, RequestId
from aidmesh_contracts.values import CapacityDemand, MoneyDemand, StockDemand
from aidmesh_intake.domain.asks import Ask
from aidmesh_intake.domain.kinds import ForWhom
from aidmesh_intake.domain.need import Need

NOW = datetime(2024, 5, 6, 9, 0, tzinfo=UTC)
DAY = date(2024, 5, 6)

STOCK = Ask(stock=(StockDemand(item="food_parcel", quantity=1),))
CASH = Ask(money=MoneyDemand(amount_minor=100, currency="UAH", cost_category="cash", by="payout"))
PAID = Ask(
    capacity=CapacityDemand(resource="slot", code="counseling", from_on=DAY),
    money=MoneyDemand(amount_minor=100, currency="UAH", cost_category="fees", by="provider"),
)
NOTHING = Ask()


def need(ask: Ask = STOCK, *, quantity: int = 1, splittable: bool = False) -> Need:
    """A requested need."""
    return Need(
        id=NeedId(UUID(int=1)),
        request_id=RequestId(UUID(int=2)),
        kind="kind",
        programme="food",
        sensitive=False,
        for_whom=ForWhom.PERSON,
        person_id=PersonId(UUID(int=3)),
        household_id=None,
        members=(),
        headcount=None,
        quantity=quantity,
        unit="piece",
        asked_on=DAY,
        queue_no=1,
        planned_on=DAY,
        needed_by=None,
        priority=10,
        rule_version=1,
        place_area="UA80",
        stay_area=None,
        origin_area=None,
        site_id=None,
        ask=ask,
        payee_ref=None,
        hold_s=900,
        collect_days=7,
        splittable=splittable,
    )
