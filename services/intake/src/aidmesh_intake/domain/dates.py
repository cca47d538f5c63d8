"""The days that a need is planned, looked for and of use on."""

from datetime import date
from enum import StrEnum

from aidmesh_contracts.days import days_after


def planned_day(
    planned_on: date | None, needed_by: date | None, imported_on: date | None, today: date
) -> date:
    """The day that is written down for a need: limits and prices go by it until it is served.

    Each attempt to hold goods and money goes by `Need.day_on`, which is later for who still waits.

    Args:
        planned_on: given for this very purpose.
        needed_by: the last day on which the aid is of use.
        imported_on: `asked_on` of an import's row, None for what is entered by hand.
        today: in Europe/Kyiv.
    """
    return planned_on or needed_by or imported_on or today


class PlannedAs(StrEnum):
    """How long the day that a need is planned for stands, once it has gone by."""

    COMING = "coming"
    """It was today or later when the need was entered: who still waits is served today or later."""
    ASKED = "asked"
    """Of an import's row only the day it was asked on is known: the first attempt goes by it."""
    WRITTEN = "written"
    """Somebody wrote down a day gone by, as of records of paper: it stands."""


def planned_as(
    planned_on: date | None, needed_by: date | None, imported_on: date | None, today: date
) -> PlannedAs:
    """How long a planned day stands; takes what `planned_day` takes."""
    if planned_on is not None:
        return PlannedAs.WRITTEN if planned_on < today else PlannedAs.COMING
    if needed_by is None and imported_on is not None and imported_on < today:
        return PlannedAs.ASKED
    return PlannedAs.COMING


def first_day(planned_on: date | None, imported_on: date | None, today: date) -> date:
    """The day from which a place is looked for, unless the request names one.

    Never `needed_by`: aid that begins on its last useful day has been of use on no other.
    """
    return planned_on or imported_on or today


def last_day(within_hours: int, asked_on: date) -> date:
    """The last day on which a kind is of use for which hours count, while nobody said since when.

    All of `asked_on` may still have been before the exposure: no hour is taken from anybody.
    """
    return days_after(asked_on, -(-within_hours // 24))
