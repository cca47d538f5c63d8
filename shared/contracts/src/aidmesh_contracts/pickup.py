"""The pick-up clock: what inventory (goods, places) and payments (cash) both go by."""

from datetime import datetime, timedelta
from typing import Final

DOWNTIME_MAX: Final = timedelta(minutes=15)
"""Longer silences of ours extend the pick-up clocks, by as much."""


def starts_at(told_at: datetime, heard_at: datetime) -> datetime:
    """When the clock of someone starts who was told at `told_at`.

    Word of it that reached us late (by more than `DOWNTIME_MAX`) starts the clock only then.
    """
    return told_at if heard_at - told_at <= DOWNTIME_MAX else heard_at


def downtime(last_seen: datetime, now: datetime) -> timedelta:
    """By how much the clocks are extended when they are looked at again after `last_seen`."""
    gap = now - last_seen
    return gap if gap > DOWNTIME_MAX else timedelta(0)
