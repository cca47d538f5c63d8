"""The pick-up clock: what inventory (goods, places) and payments (cash) both go by.

Notification tells people its end, by the same function.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from aidmesh_contracts.days import KYIV, day_of

DOWNTIME_MAX: Final = timedelta(minutes=15)
"""Longer silences of ours extend the pick-up clocks, by as much."""


def starts_at(told_at: datetime, heard_at: datetime) -> datetime:
    """When the clock of someone starts who was told at `told_at`.

    Word of it that reached us late (by more than `DOWNTIME_MAX`) starts the clock only then.
    """
    return told_at if heard_at - told_at <= DOWNTIME_MAX else heard_at


def end_of(day: date) -> datetime:
    """The last instant of a day in Kyiv."""
    return datetime.combine(day, time.max, KYIV).astimezone(UTC)


def ends_at(started_at: datetime, days: int) -> datetime:
    """When a clock of so many days ends that started at an instant.

    People are told a day, so all of that day is theirs: the clock ends with it, in Kyiv, not at
    the minute at which they were told.
    """
    return end_of(day_of(started_at) + timedelta(days=days))


def downtime(last_seen: datetime, now: datetime) -> timedelta:
    """By how much the clocks are extended when they are looked at again after `last_seen`."""
    gap = now - last_seen
    return gap if gap > DOWNTIME_MAX else timedelta(0)
