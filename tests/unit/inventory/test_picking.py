"""Which lots: a pure choice."""

from dataclasses import replace
from datetime import date, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aidmesh_contracts.restriction import UNRESTRICTED, Restriction, Use
from aidmesh_contracts.values import StockDemand
from aidmesh_inventory.domain.picking import (
    Lot,
    Missing,
    Picked,
    Place,
    Shelves,
    Wanted,
    merged,
    restrictedness,
)

DAY = date(2026, 3, 2)
ITEMS = ("parcel", "kit", "soap")
SITES = tuple(UUID(int=number) for number in range(1, 4))
PLACES = (
    Place(SITES[0], "UA80", is_open=True),
    Place(SITES[1], "UA8036", is_open=True),
    Place(SITES[2], "UA46", is_open=False),
)
RESTRICTIONS = (
    UNRESTRICTED,
    Restriction(programmes=("food",)),
    Restriction(programmes=("health",)),
    Restriction(programmes=("food",), areas=("UA80",)),
    Restriction(valid_to=DAY - timedelta(days=1)),
    Restriction(valid_from=DAY, valid_to=DAY),
    Restriction(valid_from=DAY + timedelta(days=1)),
)
USE = Use(programme="food", kind="food_parcel", on=DAY, service_area="UA80", stay_area="UA80")

lots = st.lists(
    st.builds(
        Lot,
        lot_id=st.uuids(version=4),
        site_id=st.sampled_from(SITES),
        item=st.sampled_from(ITEMS),
        expiry=st.none() | st.dates(DAY - timedelta(days=3), DAY + timedelta(days=9)),
        restriction=st.sampled_from(RESTRICTIONS),
        free=st.integers(0, 6),
    ),
    max_size=14,
    unique_by=lambda lot: lot.lot_id,
)
wishes = st.builds(
    lambda lines, site_id, avoid: Wanted(
        merged(lines), "UA80", DAY, USE, site_id, frozenset(avoid)
    ),
    st.lists(
        st.builds(StockDemand, item=st.sampled_from(ITEMS), quantity=st.integers(1, 5)),
        min_size=1,
        max_size=4,
    ),
    st.none() | st.sampled_from(SITES),
    st.sets(st.sampled_from(SITES), max_size=1),
)


def usable(lot: Lot) -> bool:
    return (lot.expiry is None or lot.expiry >= DAY) and lot.restriction.fits(USE)


def open_sites(wanted: Wanted) -> list[Place]:
    return [
        place
        for place in PLACES
        if place.is_open
        and (
            place.area.startswith("UA80")
            if wanted.site_id is None
            else place.site_id == wanted.site_id
        )
    ]


def can_serve(site_id: UUID, stock: list[Lot], wanted: Wanted) -> bool:
    return all(
        sum(
            lot.free
            for lot in stock
            if lot.site_id == site_id and lot.item == line.item and usable(lot)
        )
        >= line.quantity
        for line in wanted.lines
    )


@given(lots, wishes)
def test_all_lines_come_from_one_site_that_may_give_them(stock: list[Lot], wanted: Wanted) -> None:
    found = Shelves.of(PLACES, stock, ITEMS).pick(wanted)
    able = {
        place.site_id for place in open_sites(wanted) if can_serve(place.site_id, stock, wanted)
    }
    if isinstance(found, Missing):
        assert not able
        assert found.line in wanted.lines
        return
    assert found.site_id in able
    if able - wanted.avoid:
        assert found.site_id not in wanted.avoid
    given_out: dict[str, int] = {}
    for taken in found.taken:
        assert taken.lot.site_id == found.site_id
        assert usable(taken.lot)
        assert 0 < taken.quantity <= taken.lot.free
        given_out[taken.lot.item] = given_out.get(taken.lot.item, 0) + taken.quantity
    assert given_out == {line.item: line.quantity for line in wanted.lines}


@given(lots, wishes)
def test_first_expired_is_first_out_and_of_those_the_most_restricted(
    stock: list[Lot], wanted: Wanted
) -> None:
    found = Shelves.of(PLACES, stock, ITEMS).pick(wanted)
    if isinstance(found, Missing):
        return
    for item in {taken.lot.item for taken in found.taken}:
        taken = {each.lot.lot_id: each for each in found.taken if each.lot.item == item}
        there = sorted(
            (
                lot
                for lot in stock
                if lot.site_id == found.site_id and lot.item == item and lot.free and usable(lot)
            ),
            key=lambda lot: (
                lot.expiry or date.max,
                -restrictedness(lot.restriction),
                lot.lot_id,
            ),
        )
        assert [lot.lot_id for lot in there[: len(taken)]] == list(taken)
        # Only the last lot may be taken in part.
        assert all(taken[lot.lot_id].quantity == lot.free for lot in there[: len(taken) - 1])


@given(lots, st.lists(wishes, max_size=8))
def test_nothing_is_promised_twice_and_order_of_lots_does_not_matter(
    stock: list[Lot], wanted: list[Wanted]
) -> None:
    one, other = Shelves.of(PLACES, stock, ITEMS), Shelves.of(PLACES, reversed(stock), ITEMS)
    taken: dict[UUID, int] = {}
    for wish in wanted:
        found = one.pick(wish)
        assert found == other.pick(wish)
        if isinstance(found, Picked):
            one.take(found.taken)
            other.take(found.taken)
            for each in found.taken:
                taken[each.lot.lot_id] = taken.get(each.lot.lot_id, 0) + each.quantity
    for lot in stock:
        assert one.free(lot) == lot.free - taken.get(lot.lot_id, 0) >= 0


@given(lots, wishes)
def test_a_fact_is_never_refused_and_takes_no_more_than_there_is(
    stock: list[Lot], wanted: Wanted
) -> None:
    shelves = Shelves.of(PLACES, stock, ITEMS)
    site_id, taken, lacking = shelves.gather(wanted)
    shelves.take(taken)
    booked: dict[str, int] = dict(lacking)
    for each in taken:
        assert each.lot.site_id == site_id
        assert usable(each.lot)
        booked[each.lot.item] = booked.get(each.lot.item, 0) + each.quantity
    assert booked == {line.item: line.quantity for line in wanted.lines}


OPEN, OTHER, CLOSED, LONG_CLOSED = SITES_OF_FACTS = tuple(UUID(int=n) for n in (5, 6, 2, 1))
PLACES_OF_FACTS = (
    Place(OPEN, "UA80", is_open=True),
    Place(OTHER, "UA80", is_open=True),
    Place(CLOSED, "UA80", is_open=False, closed_on=DAY),
    Place(LONG_CLOSED, "UA80", is_open=False, closed_on=DAY - timedelta(days=1)),
)


@pytest.mark.parametrize(
    ("there", "site_id", "lacking"),
    [
        pytest.param((3, 0, 0, 8), OPEN, 1, id="one that had been closed by then is not taken"),
        pytest.param((0, 4, 9, 8), OTHER, 0, id="an open one that has it all"),
        pytest.param((3, 0, 4, 8), CLOSED, 0, id="one that has closed since has it all"),
        pytest.param((0, 1, 3, 8), OTHER, 3, id="of parts that of an open one"),
        pytest.param((1, 2, 3, 8), OTHER, 2, id="of open ones that which has most"),
        pytest.param((0, 0, 3, 8), CLOSED, 1, id="what only one has that has closed since"),
        pytest.param((0, 0, 0, 8), OPEN, 4, id="an open one where none has any"),
    ],
)
def test_goods_given_at_no_named_site_are_of_one_that_was_open(
    there: tuple[int, ...], site_id: UUID, lacking: int
) -> None:
    found = _gathered(there)
    assert found == (site_id, 4 - lacking, {"parcel": lacking} if lacking else {})


def test_goods_given_at_a_named_site_are_of_it_even_if_it_was_closed() -> None:
    assert _gathered((3, 0, 0, 8), site_id=LONG_CLOSED) == (LONG_CLOSED, 4, {})
    assert _gathered((3, 0, 0, 8), to_site_id=LONG_CLOSED) == (LONG_CLOSED, 4, {})
    assert _gathered((3, 0, 0, 8), to_site_id=OTHER) == (OPEN, 3, {"parcel": 1})


def test_no_site_is_found_where_all_had_been_closed_by_then() -> None:
    assert _gathered((0, 0, 0, 8), PLACES_OF_FACTS[3:]) == (None, 0, {"parcel": 4})


def _gathered(
    there: tuple[int, ...],
    places: tuple[Place, ...] = PLACES_OF_FACTS,
    *,
    site_id: UUID | None = None,
    to_site_id: UUID | None = None,
) -> tuple[UUID | None, int, dict[str, int]]:
    """Where four parcels that were given are booked, how many of them, and what is lacking."""
    stock = [
        Lot(UUID(int=number), at, "parcel", None, UNRESTRICTED, free)
        for number, (at, free) in enumerate(zip(SITES_OF_FACTS, there, strict=True))
    ]
    lines = (StockDemand(item="parcel", quantity=4),)
    wanted = Wanted(lines, "UA80", DAY, USE, site_id, to_site_id=to_site_id)
    at, taken, lacking = Shelves.of(places, stock, ITEMS).gather(wanted)
    return at, sum(each.quantity for each in taken), lacking


@given(lots, wishes, st.integers(2, 6))
def test_what_is_free_for_a_part_serves_that_part_and_no_larger_one(
    stock: list[Lot], one: Wanted, units: int
) -> None:
    shelves = Shelves.of(PLACES, stock, ITEMS)

    def times(count: int, site_id: UUID | None = one.site_id) -> Wanted:
        lines = tuple(StockDemand(item=x.item, quantity=x.quantity * count) for x in one.lines)
        return replace(one, lines=lines, site_id=site_id)

    found = shelves.pick(times(units))
    if isinstance(found, Picked):
        return
    line = next(each for each in one.lines if each.item == found.line.item)
    there = sorted(
        (
            max(n for n in range(units + 1) if n == 0 or can_serve(place.site_id, stock, times(n)))
            for place in open_sites(one)
        ),
        reverse=True,
    )
    parts = [each // line.quantity for each in found.free]
    assert [each for each in parts if each] == [each for each in there if each]
    assert all(0 < each < line.quantity * units for each in found.free)
    if parts and parts[0]:
        assert isinstance(shelves.pick(times(parts[0])), Picked)
        assert isinstance(shelves.pick(times(parts[0] + 1)), Missing)


def _parcels(
    number: int,
    days: int | None,
    restriction: Restriction = UNRESTRICTED,
    site_id: UUID = SITES[0],
) -> Lot:
    """Three parcels that expire so many days after they are needed."""
    expiry = None if days is None else DAY + timedelta(days=days)
    return Lot(UUID(int=number), site_id, "parcel", expiry, restriction, 3)


def _picked(
    *stock: Lot,
    avoid: frozenset[UUID] = frozenset(),
    prefer: UUID | None = None,
    keep_days: int | None = None,
) -> Lot | str:
    keep_until = None if keep_days is None else DAY + timedelta(days=keep_days)
    lines = (StockDemand(item="parcel", quantity=1),)
    wanted = Wanted(lines, "UA80", DAY, USE, avoid=avoid, prefer=prefer, keep_until=keep_until)
    found = Shelves.of(PLACES, stock, ITEMS).pick(wanted)
    return found.taken[0].lot if isinstance(found, Picked) else found.reason


def test_the_order_in_which_lots_go() -> None:
    last_day, later, never = _parcels(1, 0), _parcels(2, 5), _parcels(3, None)
    assert _picked(_parcels(4, -1)) == "short"
    assert _picked(never, later, last_day) == last_day  # good on its last day still
    assert _picked(never, later) == later
    tight = _parcels(9, 5, Restriction(programmes=("food",)))
    tighter = _parcels(10, 5, Restriction(programmes=("food",), areas=("UA80",)))
    assert _picked(later, tight) == tight
    assert _picked(later, tight, tighter) == tighter
    elsewhere = _parcels(11, 5, site_id=SITES[1])
    assert _picked(last_day, elsewhere) == last_day
    assert _picked(last_day, elsewhere, avoid=frozenset(SITES[:1])) == elsewhere
    assert _picked(last_day, avoid=frozenset(SITES[:1])) == last_day


def test_what_keeps_until_the_last_day_of_pick_up_goes_first() -> None:
    soon, enough, never = _parcels(1, 3), _parcels(2, 7), _parcels(3, None)
    assert _picked(soon, enough, never, keep_days=7) == enough
    assert _picked(soon, enough, never, keep_days=8) == never
    assert _picked(soon, keep_days=7) == soon  # better than nothing: the desk says so
    assert _picked(_parcels(4, -1), keep_days=7) == "short"
    elsewhere = _parcels(11, 7, site_id=SITES[1])
    assert _picked(soon, elsewhere, keep_days=7) == elsewhere
    # Three pieces of what keeps, and of the rest what is missing.
    wanted = Wanted(
        (StockDemand(item="parcel", quantity=4),), "UA80", DAY, USE,
        keep_until=DAY + timedelta(days=7),
    )  # fmt: skip
    found = Shelves.of(PLACES, [soon, enough], ITEMS).pick(wanted)
    assert isinstance(found, Picked)
    assert [(each.lot, each.quantity) for each in found.taken] == [(enough, 3), (soon, 1)]


def test_who_was_told_to_come_finds_it_where_they_come() -> None:
    here, elsewhere = _parcels(1, 9), _parcels(11, 5, site_id=SITES[1])
    assert _picked(here, elsewhere) == elsewhere
    assert _picked(here, elsewhere, prefer=SITES[0]) == here
    assert _picked(elsewhere, prefer=SITES[0]) == elsewhere
    assert _picked(here, elsewhere, prefer=SITES[0], avoid=frozenset(SITES[:1])) == elsewhere


def test_what_is_missing_is_named_with_its_reason() -> None:
    site_id = SITES[0]
    lot = Lot(UUID(int=9), site_id, "kit", None, RESTRICTIONS[2], 5)
    closed = Lot(UUID(int=8), SITES[2], "kit", None, UNRESTRICTED, 5)
    shelves = Shelves.of(PLACES, [lot, closed], ["kit", "soap"])

    def asked(item: str, site: UUID | None = None) -> Picked | Missing:
        line = StockDemand(item=item, quantity=1)
        return shelves.pick(Wanted((line,), "UA80", DAY, USE, site))

    def reason(found: Picked | Missing) -> str:
        assert isinstance(found, Missing)
        return found.reason

    assert reason(asked("kit")) == "restricted"
    assert reason(asked("soap")) == "short"
    assert reason(asked("gold")) == "unknown_item"
    two = tuple(StockDemand(item=item, quantity=1) for item in ("soap", "gold"))
    unknown = shelves.pick(Wanted(two, "UA80", DAY, USE))
    assert isinstance(unknown, Missing)
    assert (unknown.reason, unknown.line, unknown.free) == ("unknown_item", two[1], ())
    assert reason(asked("kit", SITES[2])) == "closed"
    assert reason(asked("kit", UUID(int=77))) == "short"
