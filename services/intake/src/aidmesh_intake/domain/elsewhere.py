"""Which waiting needs a free bed or slot of another region could serve. No I/O.

A need is matched with one place at most, and of each place no more is matched than is free: so
what is proposed of it, all together, is never more than waits or than there is. Whoever comes
first on the waitlist is matched first.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from aidmesh_intake.domain.kinds import ForWhom
from aidmesh_intake.domain.need import Need, State, Wait

AGE_MAX: Final = timedelta(days=2)
"""A region tells its places anew every day: what is older is no news of these days."""
SOUGHT_DAYS_MAX: Final = 366
"""Regions tell of weeks: of more days than these none is compared."""


@dataclass(slots=True)
class Place:
    """Free beds or seats of a kind at a site of another region.

    Attributes:
        free_by_day: from `first_on` on; what is matched goes off.
    """

    region: str
    site_id: UUID
    area: str
    resource: str
    code: str
    first_on: date
    free_by_day: list[int]
    as_of: datetime

    def take(self, seeker: "Seeker") -> bool:
        """Give a seeker what they want, if it is free."""
        days = [(day - self.first_on).days for day in seeker.days]
        free = [
            day
            for day in days
            if 0 <= day < len(self.free_by_day) and self.free_by_day[day] >= seeker.places
        ]
        if self.resource == "slot":
            used = free[:1]
        else:
            # What lies beyond the days that were told of nobody knows: the target will say.
            known = [day for day in days if day < len(self.free_by_day)]
            used = free if free and free == known else []
        for day in used:
            self.free_by_day[day] -= seeker.places
        return bool(used)


class Seeker(NamedTuple):
    """A need that waits for a place.

    Attributes:
        days: the nights of a bed, or those on one of which a slot will do; of an open end the
            first.
        offered_to: the region that it is offered to already; then it only takes up room there.
        chosen: somebody chose it to be served from elsewhere by rule.
    """

    need_id: UUID
    kind: str
    sensitive: bool
    resource: str
    code: str
    places: int
    days: Sequence[date]
    asked_on: date
    offered_to: str | None = None
    chosen: bool = False


class Match(NamedTuple):
    """A need, and the place that could serve it."""

    seeker: Seeker
    place: Place


def seeker_of(
    need: Need, today: date, offered_to: str | None = None, *, chosen: bool = False
) -> Seeker | None:
    """What a waiting need seeks elsewhere; None where another region can't be asked by a form.

    So it is where hours count, or a room must have features that no region tells of.
    """
    place = need.place_on(today)
    if (
        place is None
        or place.features
        or need.needed_until is not None
        or need.for_whom is not ForWhom.PERSON
        or need.state is not State.WAITLISTED
        or need.pending
    ):
        return None
    if offered_to is None and (
        need.wait not in (Wait.SHORT, Wait.BEHIND)
        or need.blocked_by is None
        or need.blocked_by.resource != place.resource
    ):
        return None
    last = place.from_on if place.to_on is None else place.to_on
    count = (last - place.from_on).days + (place.resource == "slot" or place.to_on is None)
    return Seeker(
        need.id,
        need.kind,
        need.sensitive,
        place.resource,
        place.code,
        place.places,
        [place.from_on + timedelta(days=day) for day in range(min(count, SOUGHT_DAYS_MAX))],
        need.asked_on,
        offered_to,
        chosen,
    )


def match(seekers: Iterable[Seeker], places: Iterable[Place], now: datetime) -> list[Match]:
    """Match needs with places, in the order given.

    Args:
        seekers: first those that are offered already: their places are taken.
        places: of regions that are heard.
    """
    rooms = [each for each in places if each.as_of > now - AGE_MAX]
    found: list[Match] = []
    for seeker in sorted(seekers, key=lambda each: each.offered_to is None):
        for room in rooms:
            if (
                (room.resource, room.code) == (seeker.resource, seeker.code)
                and seeker.offered_to in (None, room.region)
                and room.take(seeker)
            ):
                if seeker.offered_to is None:
                    found.append(Match(seeker, room))
                break
    return found


class Rule(NamedTuple):
    """A kind of need that is offered without a person, where its person agreed.

    Attributes:
        regions: to whom; None for everybody.
        open_max: how many of its offers may stand at once.
        hours: for how long each stands.
        set_by: who answers for it.
        chosen_only: it offers only needs that somebody chose.
    """

    rule_id: UUID
    kind: str
    regions: frozenset[str] | None
    open_max: int
    hours: int
    set_by: UUID
    chosen_only: bool = False


def by_rule(
    matches: Iterable[Match], rules: Iterable[Rule], standing: Mapping[UUID, int]
) -> list[tuple[Rule, Match]]:
    """What rules would offer next, in the order of the matches: one of them at a time.

    Args:
        standing: how many offers of each rule stand.
    """
    of_kind = {each.kind: each for each in rules if standing.get(each.rule_id, 0) < each.open_max}
    return [
        (rule, each)
        for each in matches
        if (rule := of_kind.get(each.seeker.kind)) is not None
        and (rule.regions is None or each.place.region in rule.regions)
        and (each.seeker.chosen or not rule.chosen_only)
    ]
