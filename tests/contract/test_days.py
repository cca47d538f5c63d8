"""Days and moments that people give are possible ones, in every form, row and query."""

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AwareDatetime, BaseModel, TypeAdapter, ValidationError

from aidmesh_chassis.auth import verifier_of
from aidmesh_chassis.http import Body, Routes, create_app, take
from aidmesh_chassis.keys import KeyRing
from aidmesh_contracts.days import (
    FIRST_MOMENT,
    LAST_DAY,
    LAST_MOMENT,
    EnteredDay,
    EnteredMoment,
    days_after,
    is_possible,
)
from aidmesh_contracts.registry import ALL
from aidmesh_contracts.restriction import EnteredRestriction, Restriction
from aidmesh_intake.domain.rows import ImportRow
from support.apps import SERVICES, app_of
from support.bodies import unbounded_days, unbounded_in

DAY: TypeAdapter[date] = TypeAdapter(EnteredDay)
MOMENT: TypeAdapter[datetime] = TypeAdapter(EnteredMoment)


def kinds_of(model: type[BaseModel]) -> list[type[BaseModel]]:
    """All classes that are made from one."""
    return [each for kind in model.__subclasses__() for each in (kind, *kinds_of(kind))]


@pytest.mark.parametrize("name", SERVICES)
def test_no_route_takes_any_day(name: str, keys_dir: Path) -> None:
    assert unbounded_days(app_of(name, keys_dir)) == set()


def test_no_row_of_a_form_takes_any_day(keys_dir: Path) -> None:
    """Rows of bulk forms and files, which documents of routes do not show."""
    for name in SERVICES:
        app_of(name, keys_dir)
    rows: list[type[BaseModel]] = [
        kind for kind in kinds_of(Body) if kind.__module__.startswith("aidmesh_")
    ]
    import_rows: tuple[type[BaseModel], ...] = (ImportRow,)
    dated = 0
    for kind in (*rows, *import_rows):
        schema = kind.model_json_schema()
        assert unbounded_in(schema, schema.get("$defs", {})) == set(), kind
        dated += "formatMinimum" in str(schema)
    assert dated > 30


def test_days_without_bounds_are_found(keys_dir: Path) -> None:
    class Inner(BaseModel):
        """A part."""

        days: list[date | None]
        fine: EnteredDay

    class Outer(Body):
        """A body."""

        parts: tuple[Inner, ...]
        at: AwareDatetime | None = None
        fine_at: EnteredMoment | None = None

    routes = Routes()

    @routes.post("/taken")
    async def taken(body: Outer) -> None:
        """It takes a body."""

    @routes.get("/asked")
    async def asked(since: date, until: EnteredDay | None = None) -> None:
        """It is asked about days."""

    app = create_app("test", "kyiv", verifier_of(KeyRing(keys_dir), "kyiv"))
    take(app, routes)
    assert unbounded_days(app) == {"POST /taken: days", "POST /taken: at", "GET /asked: ?since"}


@pytest.mark.parametrize("day", ["2000-01-01", "2014-03-18", "2026-11-27", "2099-12-31"])
def test_a_day_that_is_possible_is_taken(day: str) -> None:
    assert DAY.validate_python(day) == DAY.validate_json(f'"{day}"') == date.fromisoformat(day)


@pytest.mark.parametrize(
    "day", ["0001-01-01", "1014-02-03", "1999-12-31", "2100-01-01", "9999-12-31"]
)
def test_of_another_day_it_is_said_which_are_possible(day: str) -> None:
    with pytest.raises(ValidationError) as refused:
        DAY.validate_python(day)
    (error,) = refused.value.errors()
    assert (error["type"], error["ctx"]) == (
        "day_out_of_range",
        {"ge": "2000-01-01", "le": "2099-12-31"},
    )


def test_moments_are_those_of_the_same_days_in_kyiv() -> None:
    for moment in (FIRST_MOMENT, LAST_MOMENT):
        assert MOMENT.validate_python(moment.isoformat()) == moment
        assert is_possible(moment.date())
    tick = timedelta(microseconds=1)
    impossible = [
        (FIRST_MOMENT - tick).isoformat(),
        (LAST_MOMENT + tick).isoformat(),
        # None of these can be told in other zones.
        "0001-01-01T00:00:00+05:00",
        "9999-12-31T23:59:59-12:00",
    ]
    for each in impossible:
        with pytest.raises(ValidationError, match="day_out_of_range"):
            MOMENT.validate_python(each)
    with pytest.raises(ValidationError, match="timezone_aware"):
        MOMENT.validate_python("2024-02-03T10:00:00")


@given(st.dates(), st.integers(-(10**7), 10**7))
def test_days_are_counted_no_further_than_the_calendar(day: date, count: int) -> None:
    counted = days_after(day, count)
    ends = date.min if count < 0 else date.max
    assert counted == ends or (counted - day).days == count
    assert abs((counted - day).days) <= abs(count)


def test_what_a_donor_restricts_is_entered_with_possible_days_and_read_with_any() -> None:
    entered: TypeAdapter[Restriction] = TypeAdapter(EnteredRestriction)
    plain = {"valid_from": "2019-01-01", "valid_to": str(LAST_DAY)}
    assert entered.validate_python(plain) == Restriction.model_validate(plain)
    for field in ("valid_from", "valid_to"):
        with pytest.raises(ValidationError, match="day_out_of_range"):
            entered.validate_python({field: "9999-12-31"})
        read = Restriction.model_validate({field: "9999-12-31"})
        assert date.max in (read.valid_from, read.valid_to)


def test_events_are_read_whatever_their_days() -> None:
    bounded = [event.type for event in ALL if "formatMinimum" in str(event.model_json_schema())]
    assert bounded == []
