"""Days as people mean them: in Ukraine, whatever the server's clock is set to."""

from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

KYIV: Final = ZoneInfo("Europe/Kyiv")


def today_of(now: datetime) -> date:
    """The day in Europe/Kyiv at an aware instant."""
    return now.astimezone(KYIV).date()


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


def last_day(within_hours: int, asked_on: date, exposed_at: datetime | None) -> date:
    """The last day on which a kind is of use for which hours count.

    Args:
        asked_on: what it is counted from while the hour is not known: its whole day is left.
        exposed_at: when the hours began to run.
    """
    if exposed_at is not None:
        return today_of(exposed_at + timedelta(hours=within_hours))
    return asked_on + timedelta(days=-(-within_hours // 24))
