"""Days and deadlines. Dates are those of Europe/Kyiv; instants are the database's."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from aidmesh_contracts.days import KYIV, day_of, days_after
from aidmesh_contracts.pickup import ends_at, starts_at

ARRIVAL_UNTIL: Final = time(12, 0)
DEPARTURE_UNTIL: Final = time(12, 0)
GRACE: Final = timedelta(hours=24)
"""How long a guest or a visitor has at least, counted from confirmation or from being told.

A place that was booked for a day gone by (an import, a region that was dark) would otherwise be
lost in the second it was confirmed.
"""


def keeps(expiry: date | None, day: date) -> bool:
    """Whether goods may be given on a day: `expiry` is the last good one, None if they keep."""
    return expiry is None or expiry >= day


def bed_due_at(from_on: date, since: datetime) -> datetime:
    """Until when a guest may come: noon after the first night, or 24 hours after `since`."""
    noon = datetime.combine(days_after(from_on, 1), ARRIVAL_UNTIL, tzinfo=KYIV)
    return max(noon.astimezone(UTC), since + GRACE)


def check_outs_due(now: datetime) -> tuple[date, datetime]:
    """Which guests whose leaving nobody entered are checked out at an instant.

    Returns the last day of leaving of which noon has passed, and until when the check-in was
    entered: 24 hours ago, for whoever enters the past goes on to enter when the guest left.
    """
    today = day_of(now)
    noon = datetime.combine(today, DEPARTURE_UNTIL, tzinfo=KYIV)
    return today if noon <= now else today - timedelta(days=1), now - GRACE


def slot_due_at(ends_at: datetime, since: datetime) -> datetime:
    """Until when attendance may be entered: 24 hours after the slot, or after `since`."""
    return max(ends_at, since) + GRACE


def collect_by(told_at: datetime, collect_days: int, now: datetime) -> datetime:
    """Until when goods are kept for someone who was told at `told_at`, as we hear at `now`."""
    return ends_at(starts_at(told_at, now), collect_days)
