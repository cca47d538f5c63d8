"""Days as people mean them: in Ukraine, whatever a clock is set to; those given and those counted.

Whoever types the year 9999 or 1014 has mistyped it, and what is planned, priced or limited by such
a day goes wrong long after. So forms, rows and queries take `EnteredDay` and `EnteredMoment`.
Events and stored rows do not: what was told before is read as it is; `days_after` counts from it.
"""

from datetime import date, datetime, time, timedelta
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, AwareDatetime, Field, JsonValue
from pydantic_core import PydanticCustomError

KYIV: Final = ZoneInfo("Europe/Kyiv")

FIRST_DAY: Final = date(2000, 1, 1)
"""Records of paper, prices, consents and grants reach back to the years before the war, no further.

What people were born in is a year by itself (`PersonalYear`).
"""
LAST_DAY: Final = date(2099, 12, 31)
"""Stores write this day for goods that keep without end; grants and stays end long before it."""

FIRST_MOMENT: Final = datetime.combine(FIRST_DAY, time.min, KYIV)
LAST_MOMENT: Final = datetime.combine(LAST_DAY, time.max, KYIV)
"""The first and the last instant of those days, in Kyiv."""

OUT_OF_RANGE: Final = "day_out_of_range"
"""The rule that a day breaks which is not possible; errors name the days that are."""


def day_of(instant: datetime) -> date:
    """The day in Kyiv at an instant."""
    return instant.astimezone(KYIV).date()


def is_future(day: date, now: datetime) -> bool:
    """Whether a day has not come yet in Kyiv: nothing can have happened on it."""
    return day > day_of(now)


def is_possible(day: date) -> bool:
    """Whether a day can be meant by whoever gives it."""
    return FIRST_DAY <= day <= LAST_DAY


def _possible_day(day: date) -> date:
    if not is_possible(day):
        raise _out_of_range(FIRST_DAY.isoformat(), LAST_DAY.isoformat())
    return day


def _possible_moment(moment: datetime) -> datetime:
    if not FIRST_MOMENT <= moment <= LAST_MOMENT:
        raise _out_of_range(FIRST_MOMENT.isoformat(), LAST_MOMENT.isoformat())
    return moment


def _out_of_range(first: str, last: str) -> PydanticCustomError:
    return PydanticCustomError(OUT_OF_RANGE, "from {ge} to {le}", {"ge": first, "le": last})


def _told(first: date, last: date) -> dict[str, JsonValue]:
    """Bounds as JSON Schema writes those of formats."""
    return {"formatMinimum": first.isoformat(), "formatMaximum": last.isoformat()}


EnteredDay = Annotated[
    date,
    AfterValidator(_possible_day),
    Field(json_schema_extra=_told(FIRST_DAY, LAST_DAY)),
]
"""A day that somebody gives, from `FIRST_DAY` to `LAST_DAY`."""

EnteredMoment = Annotated[
    AwareDatetime,
    AfterValidator(_possible_moment),
    Field(json_schema_extra=_told(FIRST_MOMENT, LAST_MOMENT)),
]
"""An instant that somebody gives, with its time zone, within those days in Kyiv."""


def days_after(day: date, count: int) -> date:
    """The day that is `count` days after another, or before it where `count` is negative.

    The calendar's first or last day where there is no such day: a day of an event or of a row that
    was stored before days were bounded may be any, and no decision may fail by it.
    """
    if count < 0:
        return day - timedelta(days=min(-count, (day - date.min).days))
    return day + timedelta(days=min(count, (date.max - day).days))
