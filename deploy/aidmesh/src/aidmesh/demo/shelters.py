"""Stays in the shelters: no night has more guests than beds, and in April Kyiv is full."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random

from aidmesh.demo import facts
from aidmesh.demo.facts import AreaFacts

NIGHTS = (3, 5, 7, 10, 14, 18, 21, 24)
OUTSIDE_NIGHTS = (2, 3, 4, 5)
OPEN_STAYS = 4


@dataclass(frozen=True, slots=True)
class Stay:
    """One stay of a guest.

    Attributes:
        until: the day booked to leave, None for an open-ended stay.
        left_on: the day the guest leaves.
        sent_on_to: the area of the shelter that takes the guest in, where this one is full.
    """

    area: str
    from_on: date
    until: date | None
    left_on: date
    sent_on_to: str | None = None


@dataclass(slots=True)
class Shelter:
    """One house: how many of its beds are taken, night by night."""

    beds: int
    taken: dict[date, int] = field(default_factory=dict)

    def has_room(self, from_on: date, until: date, *, spare: int = 0) -> bool:
        """Whether a bed, and `spare` more, are free in every night of `[from_on, until)`."""
        most = self.beds - spare
        return all(self.taken.get(night, 0) < most for night in _nights(from_on, until))

    def take(self, from_on: date, until: date) -> None:
        """Count one more guest."""
        for night in _nights(from_on, until):
            self.taken[night] = self.taken.get(night, 0) + 1


def _nights(from_on: date, until: date) -> list[date]:
    return [from_on + timedelta(days=i) for i in range((until - from_on).days)]


def shelter_beds(area: AreaFacts, scale: float) -> int:
    """How many beds a shelter has at this scale."""
    return facts.scaled(area.beds, scale, at_least=1 if area.code == facts.KYIV else 2)


def outside_beds(scale: float) -> int:
    """How many beds are rented outside in each area."""
    return facts.scaled(5, scale, at_least=2)


def plan_stays(
    rng: Random, counts: dict[str, int], regions: Sequence[str], scale: float
) -> tuple[list[Stay], int]:
    """All stays of the year in the shelters, and how many guests found no bed in the region.

    Args:
        counts: stays by area, sent-on guests included where they end up.
    """
    shelters = {a.code: Shelter(shelter_beds(a, scale)) for a in facts.AREAS if a.beds}
    stays: list[Stay] = []
    left = dict(counts)
    full = _fill_april(rng, shelters[facts.KYIV], left[facts.KYIV])
    stays += full
    left[facts.KYIV] -= len(full)
    turned_away = 0
    for number in range(facts.scaled(facts.SENT_ON, scale)):
        day = date(2024, 4, 2) + timedelta(days=number % 4)
        until = day + timedelta(days=rng.choice((5, 7, 9)))
        target = next(
            (
                area
                for area in _other_shelters(regions)
                if left[area] and shelters[area].has_room(day, until, spare=1)
            ),
            None,
        )
        if target is None:
            turned_away += 1
            continue
        shelters[target].take(day, until)
        stays.append(Stay(facts.KYIV, day, until, until, sent_on_to=target))
        left[target] -= 1
    for area, count in left.items():
        for _ in range(_open_stays(area, count)):
            _open_stay(rng, shelters[area], area, stays)
        missing = count - sum(1 for stay in stays if stay.area == area and stay.until is None)
        for _ in range(missing):
            stays.append(_some_stay(rng, shelters[area], area))
    return stays, turned_away


def plan_outside(rng: Random, counts: dict[str, int], scale: float) -> list[Stay]:
    """All stays in rented beds."""
    stays: list[Stay] = []
    for area, count in counts.items():
        hotel = Shelter(outside_beds(scale))
        stays += [
            _fitting(rng, hotel, area, OUTSIDE_NIGHTS, first_week=1, last_week=50)
            for _ in range(count)
        ]
    return stays


def _other_shelters(regions: Sequence[str]) -> list[str]:
    """The other shelters of the region that Kyiv belongs to, the safer ones first."""
    areas = {area.code: area for area in facts.AREAS}
    home = facts.region_of(areas[facts.KYIV], regions)
    near = ("UA46", "UA51", "UA12", "UA63")
    return [code for code in near if facts.region_of(areas[code], regions) == home]


def _fill_april(rng: Random, shelter: Shelter, count: int) -> list[Stay]:
    """Two guests a bed, one after the other, so that no bed is free in the first half of April."""
    stays = []
    for _ in range(min(shelter.beds, count)):
        first = date(2024, 3, 18) + timedelta(days=rng.randrange(12))
        turn = date(2024, 4, 15) + timedelta(days=rng.randrange(6))
        stays.append(Stay(facts.KYIV, first, turn, turn))
        shelter.take(first, turn)
        if len(stays) < count:
            end = date(2024, 4, 29) + timedelta(days=rng.randrange(10))
            stays.append(Stay(facts.KYIV, turn, end, end))
            shelter.take(turn, end)
        if len(stays) >= count:
            break
    return stays


def _open_stays(area: str, count: int) -> int:
    return min(OPEN_STAYS, count) if area == facts.OPEN_ENDED_AREA else 0


def _open_stay(rng: Random, shelter: Shelter, area: str, stays: list[Stay]) -> None:
    """One open-ended stay in each quarter; its bed stays out of use until the next."""
    quarter = sum(1 for stay in stays if stay.area == area and stay.until is None)
    from_on = date(2024, 1 + 3 * quarter, 8)
    left_on = from_on + timedelta(days=rng.randint(30, 60))
    stays.append(Stay(area, from_on, None, left_on))
    if quarter == 0:
        shelter.beds = max(1, shelter.beds - 1)


def _some_stay(rng: Random, shelter: Shelter, area: str) -> Stay:
    stay = _fitting(rng, shelter, area, NIGHTS, first_week=1, last_week=49)
    nights = (stay.left_on - stay.from_on).days
    april = facts.FULL_SHELTER_FIRST <= stay.left_on <= facts.FULL_SHELTER_LAST
    if nights > 5 and not april and rng.random() < 0.08:
        # Someone who leaves early frees the rest of the nights.
        left_on = stay.from_on + timedelta(days=nights - 3)
        return Stay(area, stay.from_on, stay.until, left_on)
    return stay


def _fitting(
    rng: Random,
    shelter: Shelter,
    area: str,
    choices: tuple[int, ...],
    *,
    first_week: int,
    last_week: int,
) -> Stay:
    for _ in range(2000):
        week = rng.randint(first_week, last_week)
        from_on = facts.FIRST_DAY + timedelta(weeks=week - 1, days=rng.randrange(7))
        until = from_on + timedelta(days=rng.choice(choices))
        if until <= facts.LAST_DAY and shelter.has_room(from_on, until):
            shelter.take(from_on, until)
            return Stay(area, from_on, until, until)
    raise ValueError(f"no bed in {area} for another stay in 2024")
