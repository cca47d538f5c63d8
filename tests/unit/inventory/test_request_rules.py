"""What an approved need asks of inventory, for every demand and day that there may be."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from aidmesh_contracts import pickup
from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import NeedId, RequestId, SiteId
from aidmesh_contracts.intake import NeedApprovedV1
from aidmesh_contracts.values import CapacityDemand, StockDemand
from aidmesh_inventory.domain.beds import BedsPicked
from aidmesh_inventory.domain.holding import Granted
from aidmesh_inventory.domain.picking import Place
from aidmesh_inventory.domain.requests import (
    booking_of,
    is_over,
    last_day_of,
    place_wanted,
    request_of,
    way_of,
)
from aidmesh_inventory.domain.slots import Diary, Slot

BEGIN = date(2026, 3, 20)  # summer time begins in these days
HORIZON = 40
SITES = tuple(SiteId(UUID(int=number)) for number in range(1, 5))

days = st.integers(0, 20).map(lambda number: BEGIN + timedelta(days=number))
# Any quarter of an hour, and often one in which Kyiv has the next day already.
instants = st.builds(
    lambda number, quarter: (
        datetime(2026, 3, 20, tzinfo=UTC) + timedelta(days=number, minutes=15 * quarter)
    ),
    st.integers(0, 20),
    st.one_of(st.integers(0, 95), st.integers(84, 95)),
)
sites = st.sampled_from(SITES)
away = st.frozensets(sites, max_size=2)


@st.composite
def stays(draw: st.DrawFn) -> CapacityDemand:
    """A demand for beds, of one night at least or open."""
    first, nights = draw(days), draw(st.one_of(st.none(), st.integers(1, 12)))
    return CapacityDemand(
        resource="bed", code="shelter", from_on=first,
        to_on=None if nights is None else first + timedelta(days=nights),
        places=draw(st.integers(1, 4)), as_written=draw(st.booleans()),
        features=tuple(draw(st.sets(st.sampled_from(["ground_floor", "quiet"])))),
    )  # fmt: skip


@st.composite
def visits(draw: st.DrawFn) -> CapacityDemand:
    """A demand for a slot."""
    first, more = draw(days), draw(st.one_of(st.none(), st.integers(0, 12)))
    return CapacityDemand(
        resource="slot", code="counseling", from_on=first,
        to_on=None if more is None else first + timedelta(days=more),
        places=draw(st.integers(1, 4)), as_written=draw(st.booleans()),
        starts_before=draw(st.one_of(st.none(), instants)),
    )  # fmt: skip


def approved(
    capacity: CapacityDemand | None, planned_on: date = BEGIN, collect_days: int | None = None
) -> NeedApprovedV1:
    """A need for a place, or else for goods."""
    return NeedApprovedV1(
        need_id=NeedId(UUID(int=9)), attempt_no=1, request_id=RequestId(UUID(int=8)), kind="kind",
        programme="food", priority=1, asked_on=BEGIN, planned_on=planned_on, place_area="UA80",
        stock=() if capacity else (StockDemand(item="parcel", quantity=1),), capacity=capacity,
        hold_s=900, collect_days=collect_days,
    )  # fmt: skip


def nights(first: date, end: date | None) -> set[date]:
    """The nights of a stay, those of an open one as far as anybody looks here."""
    last = end or BEGIN + timedelta(days=HORIZON)
    return {first + timedelta(days=number) for number in range((last - first).days)}


@given(stays(), days, st.one_of(st.none(), sites), away)
def test_the_nights_wanted_are_those_still_to_come(
    demand: CapacityDemand, today: date, site_id: SiteId | None, avoid: frozenset[SiteId]
) -> None:
    asked = nights(demand.from_on, demand.to_on)
    for entered_on in (today, None):
        beds, slot = place_wanted(demand, "UA80", site_id, frozenset[UUID](avoid), entered_on)
        assert beds is not None
        assert slot is None
        # Of aid that was given, and of what was arranged on paper, all of them.
        is_past_meant = entered_on is None or demand.as_written
        wanted = nights(beds.stay.from_on, beds.stay.to_on)
        assert wanted == {night for night in asked if is_past_meant or night >= today}
        assert beds.stay.to_on == demand.to_on, "an open stay stays open"
        assert (beds.code, beds.places) == (demand.code, demand.places)
        assert beds.features == set(demand.features)
        assert (beds.area, beds.site_id, beds.avoid) == ("UA80", site_id, avoid)


@given(stays(), days)
def test_a_stay_is_over_exactly_when_none_of_its_nights_is_wanted(
    demand: CapacityDemand, today: date
) -> None:
    beds, _ = place_wanted(demand, "UA80", None, frozenset(), today)
    assert beds is not None
    assert is_over(approved(demand), today) == (not nights(beds.stay.from_on, beds.stay.to_on))
    assert is_over(approved(demand), today) == beds.stay.is_empty


@given(st.one_of(st.none(), visits()), days)
def test_goods_and_slots_are_never_over_here(demand: CapacityDemand | None, today: date) -> None:
    assert not is_over(approved(demand), today)


@given(stays(), days, st.integers(0, 9))
def test_what_is_over_stays_over(demand: CapacityDemand, today: date, later: int) -> None:
    if is_over(approved(demand), today):
        assert is_over(approved(demand), today + timedelta(days=later))


@given(visits(), instants, instants, st.booleans())
def test_a_slot_is_given_if_it_begins_within_the_days_and_has_not_begun(
    demand: CapacityDemand, starts_at: datetime, now: datetime, is_given: bool
) -> None:
    today = None if is_given else day_of(now)
    beds, wanted = place_wanted(demand, "UA80", None, frozenset(), today)
    assert beds is None
    assert wanted is not None
    assert wanted.seats == demand.places
    here = SITES[0]
    slot = Slot(UUID(int=5), here, demand.code, starts_at, 50, demand.places)
    diary = Diary.of([Place(here, "UA8010", is_open=True)], [slot])
    fits = (
        demand.from_on <= day_of(starts_at) <= (demand.to_on or date.max)
        and (demand.starts_before is None or starts_at < demand.starts_before)
        and (is_given or demand.as_written or starts_at > now)
    )
    assert (diary.pick(wanted, now) == slot) == fits


def test_who_wants_no_place_gets_none() -> None:
    assert place_wanted(None, "UA80", None, frozenset(), BEGIN) == (None, None)


@given(instants, st.integers(0, 14), st.one_of(st.none(), st.integers(1, 14)))
def test_goods_should_keep_for_whoever_comes_on_the_last_day(
    now: datetime, planned_in: int, collect_days: int | None
) -> None:
    today = day_of(now)
    planned_on = today + timedelta(days=planned_in - 7)
    event = approved(None, planned_on, collect_days)
    last = last_day_of(event, today)
    # Whoever is told now may come until then; who comes on the planned day gets them, too.
    told_until = today if collect_days is None else day_of(pickup.ends_at(now, collect_days))
    assert last >= planned_on
    assert last >= told_until
    assert last in (planned_on, told_until), "and no longer: what keeps longest is for others"
    assert last <= last_day_of(event, today + timedelta(days=1))
    stock = request_of(event, {}, {}, set(), today).stock
    assert stock is not None
    assert (stock.planned_on, stock.last_day) == (planned_on, last)


@given(st.one_of(st.none(), stays(), visits()), days, instants, sites, st.booleans(), st.booleans())
def test_intake_is_told_of_the_place_that_was_asked_for_and_given(
    demand: CapacityDemand | None,
    today: date,
    starts_at: datetime,
    site_id: SiteId,
    has_beds: bool,
    has_slot: bool,
) -> None:
    request = request_of(approved(demand), {}, {}, set(), today)
    granted = Granted(
        site_id,
        beds=BedsPicked(site_id, ()) if has_beds else None,
        slot=Slot(UUID(int=5), site_id, "counseling", starts_at, 50, 9) if has_slot else None,
    )
    told = booking_of(request, granted)
    is_stay = demand is not None and demand.resource == "bed"
    is_visit = demand is not None and demand.resource == "slot"
    ways = {(True, False): "check_in", (False, True): "attendance", (False, False): "handover"}
    assert way_of(request) == ways[is_stay, is_visit]
    if not (is_stay and has_beds) and not (is_visit and has_slot):
        assert told is None
        return
    assert told is not None
    assert demand is not None
    assert (told.resource, told.code, told.site_id) == (demand.resource, demand.code, site_id)
    assert told.places == demand.places
    if is_stay:
        assert request.beds is not None
        assert (told.from_on, told.to_on) == (request.beds.stay.from_on, request.beds.stay.to_on)
        assert told.starts_at is None
    else:
        assert told.from_on == told.to_on == day_of(starts_at), "the day in Kyiv"
        assert told.starts_at == starts_at
