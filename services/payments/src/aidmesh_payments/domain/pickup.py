"""The pick-up clock of cash: how long it has run, whatever stood in the way."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from aidmesh_contracts.pickup import ends_at


@dataclass(frozen=True, slots=True)
class Pause:
    """A time in which cash could not be fetched; it lasts still if `ended_at` is None.

    Attributes:
        site_id: only at this site.
        area: only in this area and what lies inside it. With neither it holds everywhere.
    """

    began_at: datetime
    ended_at: datetime | None
    site_id: UUID | None = None
    area: str | None = None

    def holds_at(self, site_id: UUID | None, area: str | None) -> bool:
        """Whether whoever comes to this place is concerned; None is a place that is not known."""
        if self.site_id is not None:
            return self.site_id == site_id
        return self.area is None or (area is not None and area.startswith(self.area))


@dataclass(frozen=True, slots=True)
class Clock:
    """How long cash waits for someone: so many days from an instant on."""

    started_at: datetime
    collect_days: int


def told_again(clock: Clock, again: Clock, pauses: Iterable[Pause], now: datetime) -> Clock:
    """The clock of someone who was told once more: the one that ends later.

    The last word to the person counts, but nobody loses time that they had. What lasts still, or
    is still to come, holds up both alike.

    Args:
        pauses: those that concern it.
        now: the database's clock.
    """
    known = [replace(each, ended_at=each.ended_at or max(now, each.began_at)) for each in pauses]
    before = kept_until(clock.started_at, clock.collect_days, known)
    after = kept_until(again.started_at, again.collect_days, known)
    assert before is not None  # they have all ended
    assert after is not None
    return again if after > before else clock


def kept_until(
    started_at: datetime, collect_days: int, pauses: Iterable[Pause] = ()
) -> datetime | None:
    """Until when cash waits for someone; None while its clock stands still."""
    return runs_out_at(started_at, ends_at(started_at, collect_days) - started_at, pauses)


def runs_out_at(started_at: datetime, lasts: timedelta, pauses: Iterable[Pause]) -> datetime | None:
    """When a clock has run for `lasts`; None while it stands still and nobody knows how long.

    It does not matter in which order pauses became known, nor whether they overlap.

    Args:
        pauses: those that concern it.
    """
    now, left = started_at, lasts
    for pause in sorted(pauses, key=lambda each: each.began_at):
        if pause.ended_at is not None and pause.ended_at <= now:
            continue
        running = max(pause.began_at - now, timedelta(0))
        if left <= running:
            break
        left -= running
        if pause.ended_at is None:
            return None
        now = pause.ended_at
    return now + left
