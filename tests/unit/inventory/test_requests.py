"""What an approved need asks of inventory, and what intake is told of it: pure decisions."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from aidmesh_contracts.ids import NeedId, RequestId, SiteId
from aidmesh_contracts.intake import NeedApprovedV1
from aidmesh_contracts.values import CapacityDemand, StockDemand
from aidmesh_inventory.domain.beds import BedsPicked
from aidmesh_inventory.domain.holding import Granted
from aidmesh_inventory.domain.requests import booking_of, is_over, place_wanted, request_of, way_of
from aidmesh_inventory.domain.slots import Slot

TODAY = date(2026, 3, 2)
NEED = NeedId(UUID(int=1))
HERE, THERE, AWAY = (SiteId(UUID(int=number)) for number in (2, 3, 4))
PARCEL = StockDemand(item="parcel", quantity=2)


def day(number: int) -> date:
    return TODAY + timedelta(days=number)


def bed(first: int, last: int | None, *, as_written: bool = False) -> CapacityDemand:
    return CapacityDemand(
        resource="bed",
        code="shelter",
        from_on=day(first),
        to_on=None if last is None else day(last),
        places=2,
        as_written=as_written,
    )


def slot(first: int, last: int) -> CapacityDemand:
    return CapacityDemand(
        resource="slot", code="counseling", from_on=day(first), to_on=day(last), places=3
    )


def approved(
    capacity: CapacityDemand | None = None,
    *,
    stock: tuple[StockDemand, ...] = (PARCEL,),
    site_id: SiteId | None = None,
    to_site_id: SiteId | None = None,
) -> NeedApprovedV1:
    return NeedApprovedV1(
        need_id=NEED,
        attempt_no=1,
        request_id=RequestId(UUID(int=9)),
        kind="food_parcel",
        programme="food",
        priority=5,
        asked_on=TODAY,
        queue_no=7,
        planned_on=day(1),
        place_area="UA80",
        site_id=site_id,
        to_site_id=to_site_id,
        stock=stock,
        capacity=capacity,
        hold_s=900,
        sensitive=False,
    )


@pytest.mark.parametrize(
    ("capacity", "over"),
    [
        (bed(-3, 0), True),
        (bed(-3, 1), False),
        (bed(-3, None), False),
        (bed(-3, 0, as_written=True), False),
        (slot(-3, -1), False),
        (None, False),
    ],
)
def test_a_stay_is_over_once_every_night_of_it_is(
    capacity: CapacityDemand | None, over: bool
) -> None:
    assert is_over(approved(capacity), TODAY) is over


@pytest.mark.parametrize(
    ("first", "as_written", "today", "begins"),
    [(-2, False, TODAY, 0), (2, False, TODAY, 2), (-2, True, TODAY, -2), (-2, False, None, -2)],
)
def test_nights_gone_by_are_wanted_only_where_they_are_meant_as_written(
    first: int, as_written: bool, today: date | None, begins: int
) -> None:
    wanted, _ = place_wanted(bed(first, 5, as_written=as_written), "UA80", None, frozenset(), today)
    assert wanted is not None
    assert (wanted.stay.from_on, wanted.stay.to_on) == (day(begins), day(5))


@pytest.mark.parametrize(("today", "as_written"), [(TODAY, False), (None, True)])
def test_aid_that_was_given_may_have_been_in_a_slot_that_has_begun(
    today: date | None, as_written: bool
) -> None:
    _, wanted = place_wanted(slot(-1, 1), "UA80", None, frozenset(), today)
    assert wanted is not None
    assert wanted.as_written is as_written
    assert (wanted.from_on, wanted.to_on, wanted.seats) == (day(-1), day(1), 3)


def test_a_request_goes_by_its_need() -> None:
    avoid = {NEED: frozenset[UUID]({AWAY}), UUID(int=8): frozenset[UUID]({HERE})}
    request = request_of(approved(site_id=HERE), avoid, {NEED: THERE}, {HERE}, TODAY)
    assert (request.need_id, request.priority, request.queue_no) == (NEED, 5, 7)
    assert request.stock is not None
    assert request.stock.site_id == HERE
    assert request.stock.avoid == frozenset[UUID]({AWAY})
    assert request.stock.prefer == THERE
    assert request_of(approved(stock=()), {}, {}, set(), TODAY).stock is None


@pytest.mark.parametrize(("collect_days", "last"), [(None, 1), (1, 1), (7, 7)])
def test_goods_should_keep_until_the_last_day_of_pick_up(
    collect_days: int | None, last: int
) -> None:
    event = approved().model_copy(update={"collect_days": collect_days})
    wanted = request_of(event, {}, {}, set(), TODAY).stock
    assert wanted is not None
    assert (wanted.planned_on, wanted.last_day) == (day(1), day(last))


def test_goods_for_a_site_come_from_any_other_once_it_is_known() -> None:
    for known, expected in (({THERE}, (None, THERE)), (set(), (THERE, None))):
        wanted = request_of(approved(to_site_id=THERE), {}, {}, known, TODAY).stock
        assert wanted is not None
        assert (wanted.site_id, wanted.to_site_id) == expected


def test_beds_are_checked_into_slots_attended_and_goods_handed_over() -> None:
    ways = [
        way_of(request_of(approved(each), {}, {}, set(), TODAY)) for each in (bed(0, 2), slot(0, 2))
    ]
    assert ways == ["check_in", "attendance"]
    assert way_of(request_of(approved(), {}, {}, set(), TODAY)) == "handover"


def test_intake_is_told_of_the_place_that_was_given() -> None:
    stay = request_of(approved(bed(0, 2)), {}, {}, set(), TODAY)
    told = booking_of(stay, Granted(HERE, beds=BedsPicked(HERE, ())))
    assert told is not None
    assert (told.resource, told.code, told.site_id, told.places) == ("bed", "shelter", HERE, 2)
    assert (told.from_on, told.to_on, told.starts_at) == (day(0), day(2), None)
    visit = request_of(approved(slot(0, 9)), {}, {}, set(), TODAY)
    starts_at = datetime(2026, 3, 4, 22, 30, tzinfo=UTC)
    given = Granted(HERE, slot=Slot(UUID(int=5), THERE, "counseling", starts_at, 60, 4))
    told = booking_of(visit, given)
    assert told is not None
    assert (told.resource, told.code, told.site_id, told.places) == ("slot", "counseling", THERE, 3)
    assert (told.from_on, told.to_on, told.starts_at) == (day(3), day(3), starts_at)
    goods = request_of(approved(), {}, {}, set(), TODAY)
    assert booking_of(goods, Granted(HERE)) is None
