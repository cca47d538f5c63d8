"""Which lots, at which site: a pure choice over an in-memory picture of what is free.

All lines of a need come from one site. Within the site: lots whose restriction allows the use
and that do not expire before the planned day; those that keep until the last day of pick-up before
others; first expired, first out; of equal ones the most restricted first (what fewer needs may take
is used while it can be), then the smallest id.
Among sites that can serve every line one whose goods keep until the last day of pick-up, and of
these the one whose first lot comes first in that same order.
Goods for a site may come from any site of the region: what lies there is taken first, then what
lies in its area.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal
from uuid import UUID

from aidmesh_contracts.restriction import UNRESTRICTED, Restriction, Use
from aidmesh_contracts.values import StockDemand
from aidmesh_inventory.domain.days import keeps

Reason = Literal["short", "restricted", "closed", "withdrawn", "unknown_item"]


@dataclass(frozen=True, slots=True)
class Lot:
    """What of a lot matters for the choice; `free` pieces are neither held nor gone.

    Attributes:
        is_expired: it counts as free no more; of it only aid is booked that was given before.
    """

    lot_id: UUID
    site_id: UUID
    item: str
    expiry: date | None
    restriction: Restriction
    free: int
    is_expired: bool = False

    @property
    def order(self) -> tuple[date, int, UUID]:
        """First expired first, most restricted first, smallest id."""
        return (self.expiry or date.max, -restrictedness(self.restriction), self.lot_id)


@dataclass(frozen=True, slots=True)
class Place:
    """A site as the choice sees it; `closed_on` is the day of a closing that lasts."""

    site_id: UUID
    area: str
    is_open: bool
    closed_on: date | None = None

    def was_closed(self, on: date) -> bool:
        """Whether it was closed all day; on the day of its closing it may have been open."""
        return self.closed_on is not None and on > self.closed_on

    def will_do(self, was_open_on: date | None) -> bool:
        """Whether something can be had there; for aid that was given, could be had on its day."""
        return self.is_open or (was_open_on is not None and not self.was_closed(was_open_on))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one need wants of the shelves.

    Attributes:
        lines: at most one for an item; see `merged`.
        site_id: the one site that will do, or None for any open site in `area`.
        to_site_id: the site that the goods are for; then any open site of the region will do.
        avoid: sites the need was sent away from; taken only where nothing else will do.
        prefer: the site whose goods for it may not be given any more: the person may know it.
        keep_until: the last day of pick-up; None for the planned day.
    """

    lines: tuple[StockDemand, ...]
    area: str
    planned_on: date
    use: Use
    site_id: UUID | None = None
    avoid: frozenset[UUID] = frozenset()
    to_site_id: UUID | None = None
    prefer: UUID | None = None
    keep_until: date | None = None

    @property
    def last_day(self) -> date:
        """Until when the goods should keep."""
        return self.planned_on if self.keep_until is None else self.keep_until


@dataclass(frozen=True, slots=True)
class Taken:
    """So many pieces of a lot."""

    lot: Lot
    quantity: int


@dataclass(frozen=True, slots=True)
class Picked:
    """Everything wanted, from one site."""

    site_id: UUID
    taken: tuple[Taken, ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """The first line that could not be served; one whose item nobody has entered comes first.

    Attributes:
        free: how much of it a part of the need could have, site by site, the most first; of no
            more sites than pieces are wanted.
    """

    reason: Reason
    line: StockDemand
    free: tuple[int, ...] = ()


def merged(lines: Iterable[StockDemand]) -> tuple[StockDemand, ...]:
    """One line for each item, in the order of their first lines."""
    return tuple(StockDemand(item=item, quantity=n) for item, n in _by_item(lines).items())


def restrictedness(restriction: Restriction) -> int:
    """In how many respects a restriction narrows the use."""
    return sum(
        value is not None
        for value in (
            restriction.programmes,
            restriction.kinds,
            restriction.areas,
            restriction.valid_from,
            restriction.valid_to,
        )
    )


@dataclass(slots=True)
class Shelves:
    """The picture: lots by site and item, and what has been taken from them meanwhile."""

    places: Mapping[UUID, Place]
    known_items: frozenset[str]
    _lots: dict[tuple[UUID, str], list[Lot]] = field(default_factory=dict)
    _free: dict[UUID, int] = field(default_factory=dict)

    @classmethod
    def of(
        cls, places: Iterable[Place], lots: Iterable[Lot], known_items: Iterable[str]
    ) -> "Shelves":
        """Draw the picture of these lots."""
        shelves = cls({place.site_id: place for place in places}, frozenset(known_items))
        for lot in sorted(lots, key=lambda each: each.order):
            shelves._lots.setdefault((lot.site_id, lot.item), []).append(lot)
            shelves._free[lot.lot_id] = lot.free
        return shelves

    def free(self, lot: Lot) -> int:
        """What is left of a lot."""
        return self._free[lot.lot_id]

    def take(self, taken: Iterable[Taken]) -> None:
        """Set aside what was picked."""
        for part in taken:
            left = self._free[part.lot.lot_id] - part.quantity
            assert left >= 0, "more was picked than is free"
            self._free[part.lot.lot_id] = left

    def pick(self, wanted: Wanted) -> Picked | Missing:
        """Choose, without taking."""
        unknown = next((line for line in wanted.lines if line.item not in self.known_items), None)
        if unknown is not None:
            return Missing("unknown_item", unknown)
        sites = self._sites(wanted)
        if not sites:
            named = None if wanted.site_id is None else self.places.get(wanted.site_id)
            reason: Reason = "closed" if named is not None and not named.is_open else "short"
            return Missing(reason, wanted.lines[0])
        whole: list[tuple[tuple[bool, int, bool, bool], tuple[date, int, UUID], Picked]] = []
        lacking: list[tuple[int, UUID, list[StockDemand]]] = []
        parts: list[list[Taken]] = []
        for site_id in sites:
            taken, missing = self._fill(site_id, wanted, lambda lot: _may_take(lot, wanted))
            if missing:
                lacking.append((len(missing), site_id, missing))
                parts.append(taken)
            else:
                picked = Picked(site_id, tuple(taken))
                is_early = any(not _keeps(each.lot, wanted.last_day) for each in taken)
                rank = (
                    site_id in wanted.avoid,
                    self._way(site_id, wanted),
                    site_id != wanted.prefer,
                    is_early,
                )
                whole.append((rank, taken[0].lot.order, picked))
        if whole:
            return min(whole, key=lambda each: each[:2])[2]
        _, site_id, missing = min(lacking, key=lambda each: each[:2])
        line = missing[0]
        short = self._fill(site_id, wanted, lambda lot: _keeps(lot, wanted.planned_on))[1]
        shares = sorted((_share(line, wanted, taken) for taken in parts), reverse=True)
        free = tuple(share for share in shares[: line.quantity] if share)
        return Missing("short" if line in short else "restricted", line, free)

    def gather(self, wanted: Wanted) -> tuple[UUID | None, tuple[Taken, ...], dict[str, int]]:
        """Take what is there for aid that was already given; a fact is never refused.

        Where no open site has it all, one that has closed since may; else a part is taken of an
        open site before one that has closed since, and where most of it is.

        Returns the site (None where there is none), what to book from its lots, and by item how
        many pieces the books lack.
        """
        found = self.pick(wanted)
        if isinstance(found, Picked):
            return found.site_id, found.taken, {}
        sites = self._sites(wanted, was_open_on=wanted.planned_on)
        if not sites:
            return None, (), _by_item(wanted.lines)

        def rank(site_id: UUID) -> tuple[bool, bool, bool, int, UUID]:
            taken, missing = self._fill(site_id, wanted, lambda lot: _may_take(lot, wanted))
            is_closed = not self.places[site_id].is_open
            pieces = sum(each.quantity for each in taken)
            return (bool(missing), not taken, is_closed, -pieces, site_id)

        site_id = min(sites, key=rank)
        taken, _ = self._fill(site_id, wanted, lambda lot: _may_take(lot, wanted))
        lack = _by_item(wanted.lines)
        for each in taken:
            lack[each.lot.item] -= each.quantity
        return site_id, tuple(taken), {item: n for item, n in lack.items() if n}

    def _sites(self, wanted: Wanted, *, was_open_on: date | None = None) -> list[UUID]:
        """Where it may be taken; for aid that was given on a day, also where it was open then.

        Whoever names a closed site for aid that was given is asked about it, and was there.
        """
        if wanted.site_id is not None:
            place = self.places.get(wanted.site_id)
            will_do = place is not None and (place.is_open or was_open_on is not None)
            return [wanted.site_id] if will_do else []
        named = None if was_open_on is None else wanted.to_site_id
        return [
            place.site_id
            for place in self.places.values()
            if (place.will_do(was_open_on) or place.site_id == named)
            and (wanted.to_site_id is not None or place.area.startswith(wanted.area))
        ]

    def _way(self, site_id: UUID, wanted: Wanted) -> int:
        """How far goods for a site have to go: nowhere, within its area, or farther."""
        if wanted.to_site_id in (None, site_id):
            return 0
        return 1 if self.places[site_id].area.startswith(wanted.area) else 2

    def _fill(
        self, site_id: UUID, wanted: Wanted, allowed: Callable[[Lot], bool]
    ) -> tuple[list[Taken], list[StockDemand]]:
        """What one site gives, and the lines it can't serve in full."""
        taken: list[Taken] = []
        missing: list[StockDemand] = []
        for line in wanted.lines:
            left = line.quantity
            there = self._lots.get((site_id, line.item), ())
            for is_lasting in (True, False):
                for lot in there:
                    if left == 0:
                        break
                    free = self._free[lot.lot_id]
                    if free > 0 and _keeps(lot, wanted.last_day) is is_lasting and allowed(lot):
                        part = min(free, left)
                        taken.append(Taken(lot, part))
                        left -= part
            if left:
                missing.append(line)
        return taken, missing


def _may_take(lot: Lot, wanted: Wanted) -> bool:
    return _keeps(lot, wanted.planned_on) and (
        lot.restriction is UNRESTRICTED or lot.restriction.fits(wanted.use)
    )


def _share(line: StockDemand, wanted: Wanted, taken: Iterable[Taken]) -> int:
    """How much of a line goes with what one site gives of all of them."""
    given = dict.fromkeys((each.item for each in wanted.lines), 0)
    for each in taken:
        given[each.lot.item] += each.quantity
    return min(line.quantity * given[each.item] // each.quantity for each in wanted.lines)


def _keeps(lot: Lot, day: date) -> bool:
    return keeps(lot.expiry, day)


def _by_item(lines: Iterable[StockDemand]) -> dict[str, int]:
    total: dict[str, int] = {}
    for line in lines:
        total[line.item] = total.get(line.item, 0) + line.quantity
    return total
