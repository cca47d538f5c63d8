"""Whom two regions know counts once in the whole, and the reader is told where that can't be."""

from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from aidmesh_reporting.domain.results import (
    Cell,
    Elsewhere,
    Line,
    PublishedLine,
    PublishedMonth,
)
from aidmesh_reporting.domain.whole import count_once, of_everything, of_what_is_not_sensitive

FOOD = PublishedLine("UA46", "food", None, 8, 9, 0, 9, "piece", sensitive=False)
LVIV = PublishedMonth(
    "lviv", "2024-01", datetime(2024, 2, 1, tzinfo=UTC), 8, 9, 0, 8, (FOOD,), settled=True
)
TOTAL = Line(people=10, services=12)
OWN = {Cell(kind="food"): Line(people=7, services=7), Cell(kind="rent"): Line(people=5, services=5)}


def test_who_is_counted_elsewhere_is_taken_out_of_the_total_and_said_to_be() -> None:
    whole = of_everything(
        OWN, TOTAL, [replace(LVIV, elsewhere=1)], Elsewhere(2, {}), ("kind",),
        pairs_may_be_missed=False,
    )  # fmt: skip
    assert (whole.total.people, whole.total.people_exact, whole.total.services) == (15, True, 21)
    assert whole.twice == 3
    # Of which kind they had is not known: the lines keep them, as upper bounds.
    food = whole.lines[Cell(kind="food")]
    assert (food.people, food.people_exact) == (15, False)


def test_pairs_that_nobody_told_of_make_the_total_an_upper_bound() -> None:
    for missed in (True, False):
        whole = of_everything(OWN, TOTAL, [LVIV], Elsewhere(), (), pairs_may_be_missed=missed)
        assert whole.total.people_exact is not missed


def test_without_what_is_sensitive_nobody_is_told_how_many_are_known_twice() -> None:
    whole = of_what_is_not_sensitive(OWN, TOTAL, [LVIV], Elsewhere(2, {}), ("kind",))
    assert (whole.twice, whole.total.people, whole.total.people_exact) == (None, 18, False)
    known = of_what_is_not_sensitive(OWN, TOTAL, [LVIV], Elsewhere(), ("kind",))
    assert known.total.people_exact


@given(st.integers(0, 40), st.dictionaries(st.sampled_from(["2024-01", "2024-02"]), st.integers(0)))
def test_nothing_that_was_read_is_changed(total: int, by_month: dict[str, int]) -> None:
    months = {Cell(month=name): Line(people=6) for name in ("2024-01", "2024-02")}
    before = deepcopy(months)
    once = count_once(months, ("month",), Elsewhere(total, by_month))
    assert months == before
    assert all(
        once[cell].people == max(0, 6 - by_month.get(cell.month or "", 0)) for cell in months
    )
