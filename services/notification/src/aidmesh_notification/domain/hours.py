"""Hours of the day in which a message may arrive, by the wall clock in Europe/Kyiv."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from aidmesh_contracts.days import KYIV

DAY_MIN: Final = 24 * 60
# A window can vanish on the night the clocks go forward, so the day after is looked at too.
_DAYS_AHEAD: Final = 3


@dataclass(frozen=True, slots=True)
class Window:
    """From `from_min` up to, not including, `to_min`, in minutes since midnight.

    A window whose start is later than its end goes across midnight. One whose start and end
    are the same would say nothing, so it can't be made.
    """

    from_min: int
    to_min: int

    def __post_init__(self) -> None:
        if not (0 <= self.from_min < DAY_MIN and 0 <= self.to_min <= DAY_MIN):
            raise ValueError("hours lie between 00:00 and 24:00")
        if self.from_min == self.to_min:
            raise ValueError("a window needs different start and end")

    def holds(self, now: datetime) -> bool:
        """Whether the wall clock in Kyiv is inside the window at `now` (aware)."""
        local = now.astimezone(KYIV)
        minute = local.hour * 60 + local.minute
        if self.from_min < self.to_min:
            return self.from_min <= minute < self.to_min
        return minute >= self.from_min or minute < self.to_min

    def next_opening(self, now: datetime) -> datetime:
        """Return `now` when inside, else the next instant at which the window opens.

        On the night the clocks go forward a start that does not exist is taken an hour later
        by the wall clock, and if the window is over by then, the next day's.

        Raises:
            LookupError: never for a valid window; it would open on no day.
        """
        if self.holds(now):
            return now
        today = now.astimezone(KYIV).replace(
            hour=self.from_min // 60, minute=self.from_min % 60, second=0, microsecond=0
        )
        openings = (
            # Adding days to a local time keeps the wall clock; fold tells the two passes of
            # the hour that comes twice in autumn.
            (today + timedelta(days=days)).replace(fold=fold).astimezone(now.tzinfo)
            for days in range(-1, _DAYS_AHEAD)
            for fold in (0, 1)
        )
        later = [opening for opening in openings if opening > now and self.holds(opening)]
        if not later:
            raise LookupError("the window opens on no day")
        return min(later)


def parse_hours(hours_from: str, hours_to: str) -> Window:
    """Read two times of day, `HH:MM`; an end of `24:00` is midnight.

    Raises:
        ValueError: they are no times, or the window would be empty.
    """
    return Window(_minutes(hours_from), _minutes(hours_to))


def _minutes(text: str) -> int:
    hours, _, minutes = text.partition(":")
    if not (hours.isdecimal() and minutes.isdecimal() and len(hours) <= 2 and len(minutes) == 2):
        raise ValueError("a time of day is written HH:MM")
    if int(minutes) > 59:
        raise ValueError("a time of day is written HH:MM")
    return int(hours) * 60 + int(minutes)
