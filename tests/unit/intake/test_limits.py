"""How much somebody may get of a kind within how many days."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aidmesh_intake.catalogue import packaged
from aidmesh_intake.domain.kinds import Kind, Limit
from aidmesh_intake.domain.limits import Hindrance, Past, Wish, hindrance, objection, people_of
from unit.intake.builders import DAY

PERSON, OTHER, THIRD, HOME = UUID(int=3), UUID(int=4), UUID(int=5), UUID(int=9)
FAMILY = (PERSON, OTHER, THIRD)
KINDS = {kind.code: kind for kind in packaged()}
DAYS = st.dates(date(2024, 1, 1), date(2024, 4, 30))


def limited(count: int, days: int) -> Kind:
    """A kind with one limit."""
    parcel = KINDS["food_parcel"]
    return parcel.model_copy(update={"limits": (Limit(count=count, days=days),)})


def wish(
    *people: UUID, on: date = DAY, quantity: int = 1, home: UUID | None = None, kind: str = "-"
) -> Wish:
    """Somebody asks for something."""
    return Wish(UUID(int=1), frozenset(people), home, kind, quantity, on, on)


def past(
    *people: UUID,
    on: date = DAY,
    quantity: int = 1,
    home: UUID | None = None,
    kind: str = "food_parcel",
    open_: bool = False,
) -> Past:
    """Something that somebody got."""
    need_id = UUID(int=1000 + on.toordinal())
    return Past(need_id, frozenset(people), home, kind, quantity, on, on, open_)


GOT = st.tuples(DAYS, st.integers(1, 4), st.sampled_from([(PERSON,), (OTHER,), FAMILY]))


@given(
    st.lists(GOT, unique_by=lambda each: each[0], max_size=8),
    DAYS,
    st.integers(1, 3),
    st.integers(1, 40),
    st.integers(1, 7),
    st.sampled_from([(PERSON,), FAMILY]),
)
def test_a_limit_counts_the_units_of_every_window_for_everyone(
    got: Sequence[tuple[date, int, tuple[UUID, ...]]],
    on: date,
    count: int,
    length: int,
    quantity: int,
    people: tuple[UUID, ...],
) -> None:
    found = hindrance(
        limited(count, length),
        wish(*people, on=on, quantity=quantity),
        [past(*theirs, on=day, quantity=many) for day, many, theirs in got],
    )
    # In sixths, so that a third of a household's parcels is a whole number.
    exceeded = any(
        6 * quantity // len(people)
        + sum(
            6 * many // len(theirs)
            for day, many, theirs in got
            if person in theirs and start <= day < start + timedelta(days=length)
        )
        > 6 * count
        for person in people
        for start in (on - timedelta(days=back) for back in range(length))
    )
    assert (found is Hindrance.LIMIT) is exceeded


def test_one_parcel_for_each_person() -> None:
    parcel = KINDS["food_parcel"]
    assert hindrance(parcel, wish(PERSON), []) is None
    assert hindrance(parcel, wish(PERSON, quantity=5), []) is Hindrance.LIMIT
    assert hindrance(parcel, wish(*FAMILY, quantity=3), []) is None
    assert hindrance(parcel, wish(*FAMILY, quantity=4), []) is Hindrance.LIMIT
    theirs = past(*FAMILY, quantity=3, home=HOME)
    assert hindrance(parcel, wish(OTHER, home=HOME), [theirs]) is Hindrance.LIMIT
    own = past(OTHER, home=HOME)
    assert hindrance(parcel, wish(*FAMILY, quantity=3, home=HOME), [own]) is Hindrance.LIMIT
    assert hindrance(parcel, wish(PERSON, home=HOME), [own]) is None


def test_a_household_of_nobody_yet_is_limited_too() -> None:
    nobody = people_of(None, HOME, (), as_one=True)
    parcel = KINDS["food_parcel"]
    first = past(*nobody, home=HOME)
    assert hindrance(parcel, wish(*nobody, home=HOME), []) is None
    assert hindrance(parcel, wish(*nobody, home=HOME), [first]) is Hindrance.LIMIT
    assert hindrance(parcel, wish(*nobody, home=HOME, quantity=2), []) is Hindrance.LIMIT


def test_a_limit_of_a_household_counts_its_members() -> None:
    kind = KINDS["rent_support"]
    theirs = past(OTHER, home=HOME, kind=kind.code)
    assert hindrance(kind, wish(PERSON, home=HOME), [theirs]) is Hindrance.LIMIT
    assert hindrance(kind, wish(PERSON), [theirs]) is None
    before = past(OTHER, kind=kind.code)  # before they moved in
    assert hindrance(kind, wish(*FAMILY, home=HOME), [before]) is Hindrance.LIMIT


def test_the_same_request_twice() -> None:
    kind = KINDS["counseling"]
    one = wish(PERSON)
    assert hindrance(kind, one, [past(PERSON, kind=kind.code, open_=True)]) is Hindrance.DUPLICATE
    assert hindrance(kind, one, [past(PERSON, kind=kind.code)]) is None
    assert hindrance(kind, one, [past(OTHER, kind=kind.code, open_=True)]) is None
    assert hindrance(kind, one, [past(PERSON, kind="other", open_=True)]) is None
    assert hindrance(kind, wish(), [past(kind=kind.code, open_=True)]) is None
    itself = Past(one.need_id, one.people, None, kind.code, 1, DAY, DAY, open=True)
    assert hindrance(kind, one, [itself]) is None


@given(st.integers(0, 40), st.integers(0, 40))
def test_the_same_request_twice_stays_so_until_one_is_served(looked_at: int, waited: int) -> None:
    """What they wait for may be served on later days by then; another visit is another day."""
    kind = KINDS["counseling"]
    twin = past(PERSON, kind=kind.code, open_=True)
    later = replace(wish(PERSON), on=DAY + timedelta(days=looked_at))
    assert hindrance(kind, later, [replace(twin, until=DAY + timedelta(days=waited))]) is (
        Hindrance.DUPLICATE
    )
    other = replace(later, planned_on=DAY + timedelta(days=1))
    assert hindrance(kind, replace(other, on=DAY), [twin]) is None


@pytest.mark.parametrize(("days_apart", "speaks_against"), [(29, True), (30, False)])
@pytest.mark.parametrize("direction", [1, -1])
def test_a_window_ends_with_its_last_day(
    days_apart: int, direction: int, speaks_against: bool
) -> None:
    got = past(PERSON, on=DAY + direction * timedelta(days=days_apart))
    found = hindrance(KINDS["food_parcel"], wish(PERSON), [got])
    assert found == (Hindrance.LIMIT if speaks_against else None)


def test_who_still_waits_counts_on_any_day_they_may_be_served() -> None:
    parcel = KINDS["food_parcel"]
    asked, today = DAY, DAY + timedelta(days=40)
    waits = replace(past(PERSON, on=asked, open_=True), until=today)
    for after, speaks_against in ((-30, False), (-29, True), (35, True), (69, True), (70, False)):
        wanted = wish(PERSON, on=asked + timedelta(days=after))
        found = hindrance(parcel, wanted, [waits])
        assert (found is Hindrance.LIMIT) is speaks_against, after


def test_what_was_counted_against_a_wish_is_named_with_its_limit() -> None:
    kind = limited(2, 30)
    inside = [past(PERSON, on=DAY - timedelta(days=ago)) for ago in (29, 3)]
    before = past(PERSON, on=DAY - timedelta(days=30))
    of_other_kind = past(PERSON, on=DAY - timedelta(days=4), kind="hygiene_kit")
    of_others = past(OTHER, on=DAY - timedelta(days=5))
    found = objection(kind, wish(PERSON), [*inside, before, of_other_kind, of_others])
    assert found is not None
    assert (found.what, found.limit) == (Hindrance.LIMIT, kind.limits[0])
    assert found.earlier == (inside[1], inside[0]), "the latest first, and only what counts"


def test_each_member_of_a_household_that_is_over_the_limit_is_counted() -> None:
    mine, theirs = (
        past(who, on=DAY - timedelta(days=ago)) for who, ago in ((PERSON, 1), (OTHER, 2))
    )
    found = objection(limited(1, 30), wish(*FAMILY, quantity=3, home=HOME), [mine, theirs])
    assert found is not None
    assert found.earlier == (mine, theirs)


def test_a_wish_may_exceed_a_limit_all_by_itself() -> None:
    found = objection(limited(1, 30), wish(PERSON, quantity=2), [])
    assert found is not None
    assert (found.what, found.earlier) == (Hindrance.LIMIT, ())


def test_a_duplicate_names_the_need_that_it_repeats() -> None:
    kind = KINDS["food_parcel"].model_copy(update={"limits": ()})
    twin, served = past(PERSON, open_=True), past(OTHER)
    found = objection(kind, wish(PERSON), [twin, served])
    assert found is not None
    assert (found.what, found.limit, found.earlier) == (Hindrance.DUPLICATE, None, (twin,))
