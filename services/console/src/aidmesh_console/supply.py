"""What can be had where, put together for each kind of need. No I/O."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from aidmesh_console.clients.intake import Kind
from aidmesh_console.clients.inventory_views import AllStock, Capacity


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What another region had at `as_of`; None where nobody said when."""

    region: str
    free: int
    as_of: datetime | None


@dataclass(frozen=True, slots=True)
class Supply:
    """How many of a kind could be served now.

    Attributes:
        free: in this region; None where it is not a matter of goods or places.
        by_site: the same, by site, the most first.
        elsewhere: other regions that have some.
    """

    free: int | None
    by_site: tuple[tuple[UUID, int], ...] = ()
    elsewhere: tuple[Elsewhere, ...] = ()


def supply_of(kind: Kind, stock: AllStock, capacity: Sequence[Capacity]) -> Supply:
    """How many units of `kind` can be had: all its goods from one site, or a place tonight.

    A slot counts on any day that is told of; a bed counts for the first of them.
    """
    if kind.stock:
        here = _units(kind, ((each.site_id, each.item, each.free) for each in stock.own))
        away: dict[str, list[tuple[UUID, str, int]]] = {}
        oldest: dict[str, datetime] = {}
        for each in stock.others:
            away.setdefault(each.region, []).append((each.site_id, each.item, each.free))
            oldest[each.region] = min(oldest.get(each.region, each.as_of), each.as_of)
        elsewhere = [
            Elsewhere(region, sum(_units(kind, rows).values()), oldest[region])
            for region, rows in away.items()
        ]
        return _supply(here, elsewhere)
    if kind.capacity is not None:
        wanted = (kind.capacity.resource, kind.capacity.code)
        fitting = [place for place in capacity if (place.resource, place.code) == wanted]
        own: dict[UUID, int] = {}
        for place in fitting:
            if place.region is None:
                own[place.site_id] = own.get(place.site_id, 0) + _places(place)
        found = []
        for region in {place.region for place in fitting if place.region is not None}:
            told = [place for place in fitting if place.region == region]
            ages = [place.as_of for place in told if place.as_of is not None]
            free = sum(_places(place) for place in told)
            found.append(Elsewhere(region, free, min(ages, default=None)))
        return _supply(own, found)
    return Supply(None)


def low(
    stock: AllStock, waiting: Mapping[str, int], pieces: int = 10
) -> tuple[tuple[str, int, int], ...]:
    """Items that run out: fewer than `pieces` free in the region, or fewer than who waits.

    Returns (item, free, needs that wait for it), the worst first.
    """
    free: dict[str, int] = dict.fromkeys(waiting, 0)
    for each in stock.own:
        free[each.item] = free.get(each.item, 0) + each.free
    short = [
        (item, left, waiting.get(item, 0))
        for item, left in free.items()
        if left < pieces or left < waiting.get(item, 0)
    ]
    return tuple(sorted(short, key=lambda each: (-each[2], each[1], each[0])))


def _units(kind: Kind, rows: Iterable[tuple[UUID, str, int]]) -> dict[UUID, int]:
    """Whole units by site: all goods of a unit come from one site."""
    free: dict[UUID, dict[str, int]] = {}
    for site_id, item, left in rows:
        at_site = free.setdefault(site_id, {})
        at_site[item] = at_site.get(item, 0) + left
    units = {
        site_id: min(at_site.get(take.item, 0) // take.quantity for take in kind.stock)
        for site_id, at_site in free.items()
    }
    return {site_id: count for site_id, count in units.items() if count > 0}


def _places(capacity: Capacity) -> int:
    if capacity.resource == "slot":
        return sum(capacity.free_by_day)
    return capacity.free_by_day[0] if capacity.free_by_day else 0


def _supply(here: Mapping[UUID, int], elsewhere: Iterable[Elsewhere]) -> Supply:
    return Supply(
        sum(here.values()),
        tuple(
            sorted(
                ((site_id, count) for site_id, count in here.items() if count > 0),
                key=lambda each: -each[1],
            )
        ),
        tuple(sorted((each for each in elsewhere if each.free > 0), key=lambda each: -each.free)),
    )
