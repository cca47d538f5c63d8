"""What a change of terms leaves of promises: pure decisions."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aidmesh_contracts.restriction import UNRESTRICTED, AreaMeans, Restriction, Use
from aidmesh_inventory.domain.days import keeps
from aidmesh_inventory.domain.terms import includes, still_allowed

DAY = date(2026, 3, 2)
AREAS = ("UA80", "UA8000", "UA46")
FOOD = Restriction(programmes=("food",))

some_days = st.dates(DAY, DAY + timedelta(days=3))


def some(codes: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...] | None]:
    return st.none() | st.lists(st.sampled_from(codes), unique=True).map(tuple)


restrictions = st.builds(
    Restriction,
    programmes=some(("food", "shelter")),
    kinds=some(("food_parcel", "soup")),
    areas=some(AREAS),
    area_means=st.sampled_from(AreaMeans),
    valid_from=st.none() | some_days,
    valid_to=st.none() | some_days,
)
uses = st.builds(
    Use,
    programme=st.sampled_from(("food", "shelter")),
    kind=st.sampled_from(("food_parcel", "soup")),
    on=some_days,
    service_area=st.sampled_from(AREAS),
    stay_area=st.none() | st.sampled_from(AREAS),
    origin_area=st.none() | st.sampled_from(AREAS),
)


@given(restrictions, restrictions, uses)
def test_what_is_included_is_allowed_as_well(
    wide: Restriction, narrow: Restriction, use: Use
) -> None:
    if includes(wide, narrow) and narrow.fits(use):
        assert wide.fits(use)


@given(restrictions, restrictions, uses)
def test_no_promise_stands_that_the_new_terms_do_not_allow(
    before: Restriction, after: Restriction, use: Use
) -> None:
    if still_allowed(before, after, use.on) and before.fits(use):
        assert after.fits(use)


@given(restrictions, uses)
def test_terms_that_stay_leave_every_promise(terms: Restriction, use: Use) -> None:
    assert includes(terms, terms)
    assert includes(UNRESTRICTED, terms)
    assert still_allowed(terms, terms, use.on)


@pytest.mark.parametrize(
    ("before", "after", "day", "stands"),
    [
        (Restriction(valid_to=DAY), Restriction(valid_to=DAY + timedelta(days=1)), DAY, True),
        (Restriction(valid_to=DAY + timedelta(days=1)), Restriction(valid_to=DAY), DAY, True),
        (UNRESTRICTED, Restriction(valid_to=DAY), DAY + timedelta(days=1), False),
        (UNRESTRICTED, Restriction(valid_from=DAY), DAY, True),
        (UNRESTRICTED, Restriction(valid_from=DAY + timedelta(days=1)), DAY, False),
        # What else it was promised for nobody knows any more.
        (UNRESTRICTED, FOOD, DAY, False),
        (FOOD, Restriction(programmes=("shelter", "food")), DAY, True),
        (Restriction(areas=("UA8000",)), Restriction(areas=("UA80",)), DAY, True),
        (Restriction(areas=("UA80",)), Restriction(areas=("UA8000",)), DAY, False),
        (
            Restriction(areas=("UA80",)),
            Restriction(areas=("UA80",), area_means=AreaMeans.STAY),
            DAY,
            False,
        ),
        # Goods were paid for when they were bought.
        (UNRESTRICTED, Restriction(cost_categories=("food",)), DAY, True),
    ],
)
def test_a_promise_stands_or_is_given_up(
    before: Restriction, after: Restriction, day: date, *, stands: bool
) -> None:
    assert still_allowed(before, after, day) is stands


def test_goods_are_good_on_their_last_day() -> None:
    assert keeps(None, DAY)
    assert keeps(DAY, DAY)
    assert not keeps(DAY, DAY + timedelta(days=1))
