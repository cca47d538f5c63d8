"""How many of something could be had now, and where. No I/O."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID


class Free(NamedTuple):
    """Pieces of an item that are free at a site, as of when its region said so."""

    region: str
    site_id: UUID
    item: str
    pieces: int
    as_of: datetime


class At(NamedTuple):
    """How many units a site could serve."""

    region: str
    site_id: UUID
    units: int
    as_of: datetime


class Elsewhere(NamedTuple):
    """How many units another region could serve, as of the oldest of what it said."""

    region: str
    units: int
    as_of: datetime


@dataclass(frozen=True, slots=True)
class Supply:
    """How many units could be served; `sites` are this region's, the most first."""

    units: int
    sites: Sequence[At]
    elsewhere: Sequence[Elsewhere]


def sets_at(lines: Mapping[str, int], stock: Iterable[Free]) -> list[At]:
    """Whole units by site: all goods of a unit come from one site.

    Args:
        lines: pieces of each item that one unit takes.
    """
    by_site: dict[tuple[str, UUID], dict[str, Free]] = {}
    for each in stock:
        if each.item in lines:
            by_site.setdefault((each.region, each.site_id), {})[each.item] = each
    return [
        At(
            region,
            site_id,
            min(found[item].pieces // pieces for item, pieces in lines.items()),
            min(each.as_of for each in found.values()),
        )
        for (region, site_id), found in by_site.items()
        if found.keys() == lines.keys()
    ]


def places_now(resource: Literal["bed", "slot"], free_by_day: Sequence[int]) -> int:
    """Free places: a bed counts for the first night, an hour on any day that is told of."""
    if resource == "slot":
        return sum(free_by_day)
    return free_by_day[0] if free_by_day else 0


def supply_of(region: str, found: Iterable[At]) -> Supply:
    """What `region` has of it and what the others have; who has none is left out."""
    some = sorted((at for at in found if at.units > 0), key=lambda at: (-at.units, at.site_id))
    own = [at for at in some if at.region == region]
    others: dict[str, Elsewhere] = {}
    for at in some:
        if at.region != region:
            before = others.get(at.region, Elsewhere(at.region, 0, at.as_of))
            others[at.region] = Elsewhere(
                at.region, before.units + at.units, min(before.as_of, at.as_of)
            )
    return Supply(
        sum(at.units for at in own),
        own,
        sorted(others.values(), key=lambda each: (-each.units, each.region)),
    )
