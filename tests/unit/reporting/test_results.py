"""The whole of several regions, and what of it may be shown in public."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from aidmesh_reporting.domain.months import (
    first_day,
    last_day,
    month_of,
    months_between,
    months_over,
    to_restate,
    whole_months,
)
from aidmesh_reporting.domain.results import (
    Cell,
    Dimension,
    PublishedLine,
    PublishedMonth,
    all_settled,
    of_others,
)

AT = datetime(2024, 7, 1, tzinfo=UTC)
GRANT = UUID(int=7)


def row(
    area: str, kind: str, people: int, services: int, grant: UUID | None = None
) -> PublishedLine:
    return PublishedLine(area, kind, grant, people, services, 0, services * 2, "piece")


def month(
    name: str, people: int, year_people: int, *lines: PublishedLine, region: str = "lviv"
) -> PublishedMonth:
    services = sum(line.services for line in lines)
    return PublishedMonth(region, name, AT, people, services, 0, year_people, lines, False)


JANUARY = month("2024-01", 8, 8, row("UA46", "food", 6, 7), row("UA46", "legal", 4, 4, GRANT))
FEBRUARY = month("2024-02", 5, 10, row("UA46", "food", 5, 5))


def test_services_add_up_and_people_do_so_only_where_they_are_distinct() -> None:
    by_kind = of_others([JANUARY, FEBRUARY], ("kind",))
    assert by_kind[Cell(kind="food")].services == 12
    assert by_kind[Cell(kind="food")].people == 11
    assert not by_kind[Cell(kind="food")].people_exact
    assert by_kind[Cell(kind="legal")].people_exact
    by_month = of_others([JANUARY, FEBRUARY], ("month",))
    assert by_month[Cell(month="2024-01")].people == 8
    assert by_month[Cell(month="2024-01")].people_exact


def test_the_years_own_count_makes_the_total_exact() -> None:
    total = of_others([FEBRUARY, JANUARY], ())[Cell()]
    assert (total.people, total.people_exact, total.services) == (10, True, 16)
    march = month("2024-03", 4, 12, row("UA46", "food", 4, 4))
    later = of_others([FEBRUARY, march], ())[Cell()]
    assert (later.people, later.people_exact) == (9, False)
    december = month("2023-12", 3, 3, row("UA46", "food", 3, 3))
    both = of_others([december, JANUARY], ())[Cell()]
    assert (both.people, both.people_exact) == (11, False), "each year counts its own"


def test_regions_add_up() -> None:
    other = month("2024-01", 3, 3, row("UA80", "food", 3, 3), region="kyiv")
    total = of_others([JANUARY, other], ())[Cell()]
    assert (total.people, total.services, total.quantities) == (11, 14, {"piece": 28})


def test_the_whole_is_settled_once_every_region_has_settled_every_month() -> None:
    regions, months = ("kyiv", "lviv"), ("2024-01", "2024-02")
    told = [
        replace(month(name, 0, 0, region=region), settled=True)
        for region in regions
        for name in months
    ]
    assert all_settled(told, regions, months)
    assert not all_settled(told, None, months)
    assert not all_settled(told[1:], regions, months)
    assert not all_settled([*told[:3], replace(told[3], settled=False)], regions, months)
    # Whoever told something has a part in the sum, also if nobody counts on them any more.
    assert not all_settled([*told, month("2024-01", 0, 0, region="odesa")], regions, months)


def test_a_month_is_over_the_day_after_its_last() -> None:
    months = ["2024-01", "2024-02", "2024-03"]
    assert months_over(months, date(2024, 2, 29)) == ["2024-01"]
    assert months_over(months, date(2024, 3, 1)) == ["2024-01", "2024-02"]


days = st.dates(date(2020, 1, 1), date(2030, 12, 31))


@given(days, st.integers(0, 900))
def test_months_of_a_period(start: date, length: int) -> None:
    end = start + timedelta(days=length)
    period = {start + timedelta(days=offset) for offset in range(length + 1)}
    months = months_between(start, end)
    assert months == sorted({month_of(day) for day in period})
    for name in months:
        assert first_day(name).day == 1
        assert (last_day(name) + timedelta(days=1)).day == 1
        in_full = first_day(name) in period and last_day(name) in period
        assert (name in whole_months(start, end)) == in_full


def test_the_last_month_of_the_calendar_is_one_too() -> None:
    assert last_day("9999-12") == date.max
    assert months_between(date(9999, 11, 2), date.max) == ["9999-11", "9999-12"]
    assert months_between(date.min, date(1, 2, 1)) == ["0001-01", "0001-02"]


def test_a_change_reaches_the_later_months_of_its_year() -> None:
    known = ["2023-12", "2024-01", "2024-03", "2024-05", "2025-01"]
    assert to_restate(["2024-03", "2024-02"], known) == [
        "2024-02", "2024-03", "2024-05",
    ]  # fmt: skip
    assert to_restate(["2023-11"], known) == ["2023-11", "2023-12"]


dimensions = st.lists(st.sampled_from(["kind", "area", "month", "grant"]), unique=True, max_size=4)


@given(dimensions)
def test_services_are_the_same_however_they_are_split(by: list[Dimension]) -> None:
    lines = of_others([JANUARY, FEBRUARY], by)
    assert sum(line.services for line in lines.values()) == 16
    assert sum(line.quantities["piece"] for line in lines.values()) == 32
