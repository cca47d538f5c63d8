"""Which beds and which slots; deadlines, shares and area codes: pure decisions."""

from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aidmesh_contracts.days import FIRST_DAY, KYIV, LAST_DAY, day_of, days_after, is_future
from aidmesh_contracts.pickup import ends_at
from aidmesh_contracts.restriction import UNRESTRICTED, Use
from aidmesh_contracts.values import StockDemand
from aidmesh_inventory.domain import days
from aidmesh_inventory.domain.areas import ISO_BY_PCODE, iso_code_of
from aidmesh_inventory.domain.beds import (
    Bed,
    BedsPicked,
    BedsWanted,
    House,
    Stay,
    arrived,
    left,
    stays_on,
)
from aidmesh_inventory.domain.holding import Granted, Picture, Request, ranked
from aidmesh_inventory.domain.picking import Lot, Place, Shelves, Wanted
from aidmesh_inventory.domain.shares import Part, shares_of
from aidmesh_inventory.domain.slots import Diary, NoSlot, Slot, SlotWanted

DAY = date(2026, 3, 2)
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
SITES = tuple(UUID(int=number) for number in range(1, 4))
PLACES = (
    Place(SITES[0], "UA80", is_open=True),
    Place(SITES[1], "UA80", is_open=True),
    Place(SITES[2], "UA80", is_open=False),
)
FEATURES = ("ground_floor", "single_room", "family")

some_days = st.dates(DAY, DAY + timedelta(days=12))
stays = st.builds(
    lambda first, nights: Stay(first, None if nights is None else first + timedelta(days=nights)),
    some_days,
    st.none() | st.integers(0, 5),
)
beds = st.lists(
    st.builds(
        Bed,
        bed_id=st.uuids(version=4),
        site_id=st.sampled_from(SITES),
        code=st.just("shelter"),
        room=st.sampled_from(("1", "2")),
        features=st.frozensets(st.sampled_from(FEATURES)),
    ),
    max_size=8,
    unique_by=lambda bed: bed.bed_id,
)
bed_wishes = st.builds(
    BedsWanted,
    code=st.just("shelter"),
    stay=stays,
    places=st.integers(1, 3),
    features=st.frozensets(st.sampled_from(FEATURES), max_size=1),
    area=st.just("UA80"),
    site_id=st.none() | st.sampled_from(SITES),
)


def nights_of(stay: Stay) -> set[int]:
    """Every night as a number, open ends cut after 40 days."""
    end = stay.to_on or DAY + timedelta(days=40)
    every = (stay.from_on + timedelta(days=number) for number in range(60))
    return {day.toordinal() for day in every if day < end}


@given(stays, stays)
def test_stays_overlap_exactly_when_they_share_a_night(one: Stay, other: Stay) -> None:
    assert one.overlaps(other) == other.overlaps(one) == bool(nights_of(one) & nights_of(other))


@given(beds, st.lists(bed_wishes, max_size=10))
def test_no_night_of_a_bed_has_two_guests(there: list[Bed], wanted: list[BedsWanted]) -> None:
    house = House.of(PLACES, there, ())
    slept: dict[UUID, set[int]] = {}
    for wish in wanted:
        found = house.pick(wish)
        free = [
            bed
            for bed in there
            if wish.features <= bed.features
            and not (slept.get(bed.bed_id, set()) & nights_of(wish.stay))
        ]
        by_site = {
            site_id: sum(bed.site_id == site_id for bed in free)
            for site_id in SITES[:2]
            if wish.site_id in (None, site_id)
        }
        if not isinstance(found, BedsPicked):
            assert all(count < wish.places for count in by_site.values())
            continue
        assert len({bed.bed_id for bed in found.beds}) == wish.places
        assert {bed.site_id for bed in found.beds} == {found.site_id}
        assert by_site[found.site_id] >= wish.places
        spare = sum(len(bed.features) for bed in found.beds)
        best = sorted(len(bed.features) for bed in free if bed.site_id == found.site_id)
        assert spare == sum(best[: wish.places])
        house.book(found, wish.stay)
        for bed in found.beds:
            slept.setdefault(bed.bed_id, set()).update(nights_of(wish.stay))


@given(stays, some_days)
def test_coming_and_leaving(stay: Stay, day: date) -> None:
    came = arrived(stay, day)
    if came is None:
        assert stay.to_on is not None
        assert day >= stay.to_on
    else:
        assert (came.from_on, came.to_on) == (day, stay.to_on)
        assert not came.is_empty, "who comes has a night"
    gone = left(stay, day)
    if gone is None:
        assert day < stay.from_on
    else:
        assert gone.nights == (day - stay.from_on).days


@given(stays, st.none() | st.integers(1, 9), some_days)
def test_who_had_not_left_has_the_night_to_come_at_least(
    booked: Stay, more: int | None, today: date
) -> None:
    until = None if more is None else today + timedelta(days=more)
    again = stays_on(booked, until, today)
    assert again.from_on == booked.from_on
    assert again.to_on is None or again.to_on > today
    if until is not None:
        assert again.to_on == until
    elif booked.to_on is None or booked.to_on > today:
        assert again == booked, "as it was booked"
    else:
        assert again.to_on == today + timedelta(days=1)


slots = st.lists(
    st.builds(
        Slot,
        slot_id=st.uuids(version=4),
        site_id=st.sampled_from(SITES),
        code=st.sampled_from(("counseling", "legal")),
        starts_at=st.integers(-60, 140).map(lambda hours: NOW + timedelta(hours=hours)),
        minutes=st.just(50),
        free=st.integers(0, 3),
    ),
    max_size=8,
    unique_by=lambda slot: slot.slot_id,
)
slot_wishes = st.builds(
    SlotWanted,
    code=st.sampled_from(("counseling", "legal")),
    from_on=st.dates(DAY - timedelta(days=3), DAY + timedelta(days=4)),
    to_on=st.none() | st.dates(DAY, DAY + timedelta(days=6)),
    seats=st.integers(1, 2),
    area=st.just("UA80"),
    site_id=st.none() | st.sampled_from(SITES),
    as_written=st.booleans(),
    starts_before=st.none() | st.integers(-60, 140).map(lambda hours: NOW + timedelta(hours=hours)),
)


@given(slots, st.lists(slot_wishes, max_size=8))
def test_the_earliest_fitting_slot_is_given_and_never_more_seats_than_it_has(
    there: list[Slot], wanted: list[SlotWanted]
) -> None:
    diary = Diary.of(PLACES, there)
    free = {slot.slot_id: slot.free for slot in there}
    for wish in wanted:
        fitting = [
            slot
            for slot in there
            if slot.code == wish.code
            and slot.site_id in SITES[:2]
            and wish.site_id in (None, slot.site_id)
            and free[slot.slot_id] >= wish.seats
            and wish.from_on <= day_of(slot.starts_at) <= (wish.to_on or date.max)
            and (slot.starts_at > NOW or wish.as_written)
            and (wish.starts_before is None or slot.starts_at < wish.starts_before)
        ]
        found = diary.pick(wish, NOW)
        if isinstance(found, NoSlot):
            assert not fitting
            continue
        assert found == min(fitting, key=lambda slot: (slot.starts_at, slot.slot_id))
        diary.take(found, wish.seats)
        free[found.slot_id] -= wish.seats
        assert free[found.slot_id] >= 0


@pytest.mark.parametrize(
    ("closed_on", "was_open_on", "named", "found"),
    [
        (DAY, None, None, None),
        (DAY, None, 0, None),
        (DAY, DAY, None, 0),
        (DAY, DAY + timedelta(days=1), None, None),
        # Whoever names it was there, and is asked about it.
        (DAY, DAY + timedelta(days=1), 0, 0),
        (DAY, DAY, 1, None),
        (None, DAY, None, 0),
    ],
)
def test_a_place_that_has_closed_since_will_do_for_aid_that_was_given(
    closed_on: date | None, was_open_on: date | None, named: int | None, found: int | None
) -> None:
    closed = Place(SITES[0], "UA80", is_open=False, closed_on=closed_on)
    bed, slot = Bed(SITES[1], SITES[0], "shelter", "1", frozenset()), slot_at(SITES[0])
    site_id = None if named is None else SITES[named]
    for places in ([closed], [closed, PLACES[1]]):
        house, diary = House.of(places, [bed], ()), Diary.of(places, [slot])
        beds_wish = BedsWanted("shelter", Stay(DAY, None), 1, frozenset(), "UA80", site_id)
        slot_wish = SlotWanted("counseling", DAY, None, 1, "UA80", site_id, as_written=True)
        for picked in (
            house.pick(beds_wish, was_open_on=was_open_on),
            diary.pick(slot_wish, NOW, was_open_on=was_open_on),
        ):
            where = picked.site_id if isinstance(picked, BedsPicked | Slot) else None
            assert where == (None if found is None else SITES[found])


def test_open_places_go_before_those_that_have_closed_since() -> None:
    places = [Place(SITES[0], "UA80", is_open=False, closed_on=DAY), PLACES[1]]
    there = [Bed(site_id, site_id, "shelter", "1", frozenset()) for site_id in SITES[:2]]
    early, later = slot_at(SITES[0]), slot_at(SITES[1], hours=1)
    avoid = frozenset(SITES[:2])
    house, diary = House.of(places, there, ()), Diary.of(places, [early, later])
    for away in (frozenset[UUID](), avoid):
        beds_wish = BedsWanted("shelter", Stay(DAY, None), 1, frozenset(), "UA80", avoid=away)
        picked = house.pick(beds_wish, was_open_on=DAY)
        assert isinstance(picked, BedsPicked)
        assert picked.site_id == SITES[1]
        slot_wish = SlotWanted("counseling", DAY, None, 1, "UA80", avoid=away, as_written=True)
        assert diary.pick(slot_wish, NOW, was_open_on=DAY) == later


def slot_at(site_id: UUID, hours: int = 0) -> Slot:
    """A slot of the day."""
    return Slot(site_id, site_id, "counseling", NOW + timedelta(hours=hours), 50, 1)


def request(number: int, priority: int, asked_on: date, queue_no: int = 0) -> Request:
    use = Use(programme="food", kind="food_parcel", on=DAY, service_area="UA80")
    wanted = Wanted((StockDemand(item="parcel", quantity=1),), "UA80", DAY, use)
    return Request(UUID(int=number), 1, priority, asked_on, queue_no, wanted)


@given(st.permutations(range(7)))
def test_needs_are_served_by_priority_then_age_then_as_recorded(order: list[int]) -> None:
    requests = [
        request(9, 5, DAY, 7),
        request(1, 5, DAY, 8),
        request(2, 5, DAY, 8),
        request(8, 1, DAY - timedelta(days=2), 9),
        request(4, 1, DAY - timedelta(days=1)),
        request(5, 1, DAY),
        request(6, 0, DAY - timedelta(days=9)),
    ]
    assert ranked([requests[number] for number in order]) == requests


def test_a_picture_is_used_up() -> None:
    lot = Lot(UUID(int=1), SITES[0], "parcel", None, UNRESTRICTED, 1)
    picture = Picture(
        Shelves.of(PLACES, [lot], ["parcel"]), House.of(PLACES, (), ()), Diary.of(PLACES, ())
    )
    first, second = (picture.serve(request(number, 0, DAY), NOW) for number in (1, 2))
    assert isinstance(first, Granted)
    assert not isinstance(second, Granted)


def test_pick_up_clocks() -> None:
    told_at = NOW - timedelta(minutes=5)
    assert days.collect_by(told_at, 3, NOW) == ends_at(told_at, 3)
    # Heard of hours later: nobody could have handed anything out meanwhile.
    assert days.collect_by(NOW - timedelta(hours=5), 3, NOW) == ends_at(NOW, 3)
    # Who came is entered within a day of the slot, or of being told of it.
    for over_at, since in ((NOW, told_at), (told_at, NOW)):
        assert days.slot_due_at(over_at, since) == NOW + timedelta(days=1)


@given(some_days, st.integers(-2000, 8000).map(lambda hours: NOW + timedelta(hours=hours)))
def test_a_guest_always_has_a_day_to_come(from_on: date, since: datetime) -> None:
    due_at = days.bed_due_at(from_on, since)
    noon = datetime(from_on.year, from_on.month, from_on.day, 12, tzinfo=KYIV)
    assert due_at == max(noon + timedelta(days=1), since + timedelta(days=1))


@pytest.mark.parametrize("from_on", [date.min, FIRST_DAY, LAST_DAY, date.max])
def test_no_first_night_is_too_far_to_keep_a_bed_for(from_on: date) -> None:
    noon = datetime.combine(days_after(from_on, 1), time(12), KYIV)
    assert days.bed_due_at(from_on, NOW) == max(noon, NOW + timedelta(days=1))


@given(some_days, st.integers(-2000, 8000).map(lambda hours: NOW + timedelta(hours=hours)))
def test_guests_are_checked_out_from_noon_of_the_day_of_leaving(to_on: date, now: datetime) -> None:
    noon = datetime(to_on.year, to_on.month, to_on.day, 12, tzinfo=KYIV)
    left_by, entered_by = days.check_outs_due(now)
    assert (to_on <= left_by) == (noon <= now)
    assert entered_by == now - timedelta(days=1)


def test_a_guest_is_checked_out_at_noon_to_the_second() -> None:
    noon = datetime(2026, 3, 30, 9, tzinfo=UTC)  # the clocks have gone forward
    assert days.check_outs_due(noon)[0] == date(2026, 3, 30)
    assert days.check_outs_due(noon - timedelta(seconds=1))[0] == date(2026, 3, 29)


def test_days_are_those_of_kyiv() -> None:
    half_past_midnight = datetime(2026, 3, 2, 22, 30, tzinfo=UTC)
    assert day_of(half_past_midnight) == date(2026, 3, 3)
    assert not is_future(date(2026, 3, 3), half_past_midnight)
    assert is_future(date(2026, 3, 4), half_past_midnight)
    # Noon after the clocks went forward, in UTC.
    due_at = days.bed_due_at(date(2026, 3, 28), datetime(2026, 3, 1, tzinfo=UTC))
    assert due_at == datetime(2026, 3, 29, 9, tzinfo=UTC)


@given(
    st.lists(
        st.builds(
            Part,
            st.none() | st.sampled_from([UUID(int=1), UUID(int=2)]),
            st.sampled_from(("UAH", "EUR")),
            st.integers(0, 500),
            st.integers(1, 9),
        )
    )
)
def test_shares_add_up_by_currency(parts: list[Part]) -> None:
    shares = shares_of(parts)
    for currency in ("UAH", "EUR"):
        assert sum(each.amount_minor for each in shares if each.currency == currency) == sum(
            part.unit_value_minor * part.quantity for part in parts if part.currency == currency
        )
    assert len({(each.grant_id, each.currency) for each in shares}) == len(shares)


def test_area_codes_are_mapped_one_to_one_and_never_computed() -> None:
    assert len(ISO_BY_PCODE) == len(set(ISO_BY_PCODE.values())) == 27
    assert (iso_code_of("UA80"), iso_code_of("UA73"), iso_code_of("UA4606")) == (
        "UA-30",
        "UA-77",
        "UA-46",
    )
    assert iso_code_of("UA99") is None
