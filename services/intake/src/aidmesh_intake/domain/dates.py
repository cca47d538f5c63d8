"""Days as people mean them: in Ukraine, whatever the server's clock is set to."""

from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

KYIV: Final = ZoneInfo("Europe/Kyiv")


def today_of(now: datetime) -> date:
    """The day in Europe/Kyiv at an aware instant."""
    return now.astimezone(KYIV).date()


def end_of(day: date) -> datetime:
    """The last instant of a day in Europe/Kyiv."""
    return datetime.combine(day, time.max, KYIV)


def planned_day(
    planned_on: date | None, needed_by: date | None, imported_on: date | None, today: date
) -> date:
    """The day that limits, prices and grant periods go by until a need is served.

    Args:
        planned_on: given for this very purpose.
        needed_by: the last day on which the aid is of use.
        imported_on: `asked_on` of an import's row, None for what is entered by hand.
        today: in Europe/Kyiv.
    """
    return planned_on or needed_by or imported_on or today


def first_day(planned_on: date | None, imported_on: date | None, today: date) -> date:
    """The day from which a place is looked for, unless the request names one.

    Never `needed_by`: aid that begins on its last useful day has been of use on no other.
    """
    return planned_on or imported_on or today


def last_day(within_hours: int, asked_on: date) -> date:
    """The last day on which a kind is of use for which hours count, while nobody said since when.

    All of `asked_on` may still have been before the exposure: no hour is taken from anybody.
    """
    return asked_on + timedelta(days=-(-within_hours // 24))
