"""Which beds: places by night in one shelter, each taken by one guest at a time.

A stay is `[from_on, to_on)`; without `to_on` it is open-ended and keeps the bed until check-out.
The best fit is the bed with the fewest features nobody asked for, so that a bed on the ground
floor is still free when someone needs it; then by room, so that people who come together sleep
together; then the smallest id.
"""

from bisect import insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Literal
from uuid import UUID

from aidmesh_inventory.domain.picking import Place


@dataclass(frozen=True, slots=True)
class Stay:
    """Nights `[from_on, to_on)`; a `to_on` of None is open-ended."""

    from_on: date
    to_on: date | None

    @property
    def is_empty(self) -> bool:
        """No night at all: someone who left on the day they came."""
        return self.to_on is not None and self.to_on <= self.from_on

    def overlaps(self, other: "Stay") -> bool:
        """Whether some night is in both."""
        if self.is_empty or other.is_empty:
            return False
        return (self.to_on is None or other.from_on < self.to_on) and (
            other.to_on is None or self.from_on < other.to_on
        )

    @property
    def nights(self) -> int:
        """How many nights; of an open-ended stay the first one."""
        return 1 if self.to_on is None else max(0, (self.to_on - self.from_on).days)


@dataclass(frozen=True, slots=True)
class Bed:
    """One bed of a shelter."""

    bed_id: UUID
    site_id: UUID
    code: str
    room: str
    features: frozenset[str]


@dataclass(frozen=True, slots=True)
class BedsWanted:
    """Places for people who come together; of `avoid` only where nothing else will do."""

    code: str
    stay: Stay
    places: int
    features: frozenset[str]
    area: str
    site_id: UUID | None = None
    avoid: frozenset[UUID] = frozenset()


@dataclass(frozen=True, slots=True)
class BedsPicked:
    """As many beds as places, in one shelter."""

    site_id: UUID
    beds: tuple[Bed, ...]


@dataclass(frozen=True, slots=True)
class NoBeds:
    """No shelter has room; `closed` when the one that was named is closed."""

    reason: Literal["short", "closed"]


@dataclass(slots=True)
class House:
    """The picture: beds by site and kind, and the stays in each."""

    places: Mapping[UUID, Place]
    _beds: dict[tuple[UUID, str], list[Bed]] = field(default_factory=dict)
    _stays: dict[UUID, list[tuple[date, date, Stay]]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, places: Iterable[Place], beds: Iterable[Bed], stays: Iterable[tuple[UUID, Stay]]
    ) -> "House":
        """Draw the picture."""
        house = cls({place.site_id: place for place in places})
        for bed in beds:
            house._beds.setdefault((bed.site_id, bed.code), []).append(bed)
        for bed_id, stay in stays:
            house._add(bed_id, stay)
        return house

    def is_free(self, bed_id: UUID, stay: Stay) -> bool:
        """Whether nobody else sleeps there on any night of the stay."""
        return not any(stay.overlaps(other) for _, _, other in self._stays.get(bed_id, ()))

    def pick(self, wanted: BedsWanted, *, was_open_on: date | None = None) -> BedsPicked | NoBeds:
        """Choose, without booking.

        Args:
            was_open_on: the day of aid that was given: shelters that have closed since will do
                where no open one will.
        """
        choices: list[tuple[tuple[bool, bool, int, UUID], BedsPicked]] = []
        for site_id in self._sites(wanted, was_open_on):
            free = [
                bed
                for bed in self._beds.get((site_id, wanted.code), ())
                if wanted.features <= bed.features and self.is_free(bed.bed_id, wanted.stay)
            ]
            if len(free) >= wanted.places:
                free.sort(key=lambda bed: (len(bed.features), bed.room, bed.bed_id))
                beds = tuple(free[: wanted.places])
                extra = sum(len(bed.features - wanted.features) for bed in beds)
                is_closed = not self.places[site_id].is_open
                rank = (is_closed, site_id in wanted.avoid, extra, site_id)
                choices.append((rank, BedsPicked(site_id, beds)))
        if choices:
            return min(choices, key=lambda each: each[0])[1]
        named = None if wanted.site_id is None else self.places.get(wanted.site_id)
        return NoBeds("closed" if named is not None and not named.is_open else "short")

    def book(self, picked: BedsPicked, stay: Stay) -> None:
        """Take the beds for the stay."""
        for bed in picked.beds:
            assert self.is_free(bed.bed_id, stay), "a bed was picked that is taken"
            self._add(bed.bed_id, stay)

    def _add(self, bed_id: UUID, stay: Stay) -> None:
        insort(
            self._stays.setdefault(bed_id, []),
            (stay.from_on, stay.to_on or date.max, stay),
            key=lambda each: each[:2],
        )

    def _sites(self, wanted: BedsWanted, was_open_on: date | None) -> list[UUID]:
        if wanted.site_id is not None:
            place = self.places.get(wanted.site_id)
            will_do = place is not None and (place.is_open or was_open_on is not None)
            return [wanted.site_id] if will_do else []
        return [
            place.site_id
            for place in self.places.values()
            if place.will_do(was_open_on) and place.area.startswith(wanted.area)
        ]


def arrived(booked: Stay, arrived_on: date) -> Stay | None:
    """The stay of a guest who came on `arrived_on`; None when their nights had already passed.

    Coming late gives up the nights gone by; coming early adds nights (if the bed is free then).
    """
    if booked.to_on is not None and arrived_on >= booked.to_on:
        return None
    return Stay(arrived_on, booked.to_on)


def left(stay: Stay, left_on: date) -> Stay | None:
    """The stay of a guest who left on `left_on`; None when that is before they came."""
    return None if left_on < stay.from_on else Stay(stay.from_on, left_on)


def stays_on(booked: Stay, until: date | None, today: date) -> Stay:
    """The stay of a guest who had not left after all.

    It goes on as it was booked, or until another day; where that is over, for the night to come.
    """
    to_on = until or booked.to_on
    if to_on is not None and to_on <= today:
        to_on = today + timedelta(days=1)
    return Stay(booked.from_on, to_on)
