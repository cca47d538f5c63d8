"""Who asks for what, when, and what becomes of it: the demand side of the scenario."""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from itertools import accumulate
from math import cos, pi
from random import Random
from typing import Literal

from aidmesh.demo import facts
from aidmesh.demo.facts import KindFacts, week_of
from aidmesh.demo.people import CANARIES, Person, make_person
from aidmesh_intake.domain.kinds import Kind

WEEKDAYS = tuple(accumulate((6, 6, 6, 6, 5, 2, 1)))
GOODS = ("food_parcel", "hygiene_kit")
SHELTERS = ("shelter_night", "shelter_outside")

Fate = Literal["served", "waits", "cancelled", "wrong"]
"""What becomes of a need: `wrong` was handed over, undone and then cancelled."""

Ending = Literal["handover", "check_in", "attendance", "payout", "serve", "fact"]
"""What makes a need a service: goods handed over, a guest checked in, a place attended, a
payment settled, work done that takes nothing, or a fact entered after it happened."""


def ending_of(kind: Kind) -> Ending:
    """What makes a need of this kind a service."""
    if kind.capacity is not None:
        return "check_in" if kind.capacity.resource == "bed" else "attendance"
    if kind.stock:
        return "handover"
    return "payout" if kind.money is not None else "serve"


@dataclass(slots=True)
class Need:
    """One row of a request file, with what happens to it afterwards.

    Attributes:
        place_area: where it is asked for; `sent_on_to` where a full shelter sends the guest.
        act_week: the week in which it is planned to be handed over, checked in and so on.
        act_on: the day of that, where it is fixed.
        undone_week: the week after the handover in which it is undone.
        missed: how often the person does not come before they do.
        override: why it is approved although a limit speaks against it.
        left_on: the day a guest really leaves; `to_on` is the day booked, None if open.
    """

    kind: str
    ending: Ending
    person: Person | None
    home_area: str
    place_area: str
    asked_on: date
    act_week: int
    fate: Fate = "served"
    row_id: str = ""
    quantity: int = 1
    headcount: int | None = None
    act_on: date | None = None
    from_on: date | None = None
    to_on: date | None = None
    left_on: date | None = None
    undone_week: int | None = None
    missed: int = 0
    sent_on_to: str | None = None
    alias: str = ""
    override: str = ""
    for_household: bool = False

    @property
    def week(self) -> int:
        """The week it is asked for in."""
        return week_of(self.asked_on)


@dataclass(slots=True)
class _Wish:
    kind: KindFacts
    asked_on: date


def services_by_area(kind: KindFacts, scale: float) -> dict[str, int]:
    """How many services of a kind fall to the people of each area."""
    areas = [a for a in facts.AREAS if a.beds or not kind.shelter_only]
    weights = [a.beds if kind.shelter_only else a.share for a in areas]
    counts = facts.apportion(facts.scaled(kind.services, scale), weights)
    return {area.code: count for area, count in zip(areas, counts, strict=True)}


def people_by_area(scale: float) -> dict[str, int]:
    """How many people live in each area."""
    counts = facts.apportion(
        facts.scaled(facts.PEOPLE, scale), [area.share for area in facts.AREAS]
    )
    return {area.code: count for area, count in zip(facts.AREAS, counts, strict=True)}


def _asked_on(rng: Random, kind: KindFacts) -> date:
    """A day of the kind's weeks, in winter more often than in summer; Sundays are quiet."""
    numbers, until = _weeks_of(kind)
    week = rng.choices(numbers, cum_weights=until)[0]
    weekday = rng.choices(range(7), cum_weights=WEEKDAYS)[0]
    return facts.FIRST_DAY + timedelta(weeks=week - 1, days=weekday)


@cache
def _weeks_of(kind: KindFacts) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """The weeks of a kind, and their weights summed up."""
    numbers = tuple(range(kind.first_week, kind.last_week + 1))
    cold = [(1 + cos(2 * pi * (n - 2) / facts.WEEKS)) / 2 for n in numbers]
    return numbers, tuple(accumulate(1 + (kind.winter - 1) * c for c in cold))


def make_people(rng: Random, scale: float) -> dict[str, list[Person]]:
    """Everyone, by area; some live together."""
    codes = tuple(area.code for area in facts.AREAS)
    people: dict[str, list[Person]] = {}
    number = 0
    canary_every = max(1, facts.scaled(facts.PEOPLE, scale) // CANARIES)
    for code, count in people_by_area(scale).items():
        people[code] = [
            make_person(rng, n, code, codes, canary=n % canary_every == 0)
            for n in range(number, number + count)
        ]
        number += count
        i = 0
        while i < count - 4:
            size = rng.choices((1, 2, 3, 4), (88, 8, 3, 1))[0]
            if size > 1:
                _live_together(people[code][i : i + size])
            i += size
    return people


def _live_together(members: list[Person]) -> None:
    first = members[0]
    shared: dict[str, list[int]] = {kind.code: [] for kind in facts.KINDS if kind.per_household}
    for member in members:
        member.household = f"h-{first.area[2:]}-{first.number:05d}"
        member.days |= shared  # the same lists for all of them


def give_out(
    rng: Random, people: list[Person], wishes: list[_Wish], spoken_for: int
) -> list[tuple[Person, _Wish]]:
    """Say whose wish each one is, so that everyone has at least one.

    Args:
        spoken_for: so many of the people (the first) have a service already.
    """
    rng.shuffle(wishes)
    waiting = people[spoken_for:]
    if len(wishes) < len(waiting):
        raise ValueError("fewer services than people")
    pairs: list[tuple[Person, _Wish]] = []
    for i in range(len(wishes)):
        if i < len(waiting):
            person = waiting[i]
            _swap_if_asked_before(wishes, i, person)
            wish = wishes[i]
        else:
            wish = wishes[i]
            person = someone(rng, people, wish.kind.code, wish.asked_on, wish.kind.gap_days)
        person.remember(wish.kind.code, wish.asked_on)
        pairs.append((person, wish))
    return pairs


def _swap_if_asked_before(wishes: list[_Wish], i: int, person: Person) -> None:
    """Give someone whose household has asked for this already one of the later wishes."""
    for j in range(i, len(wishes)):
        kind = wishes[j].kind
        if person.may_ask(kind.code, wishes[j].asked_on, kind.gap_days):
            wishes[i], wishes[j] = wishes[j], wishes[i]
            return


def someone(rng: Random, people: list[Person], kind: str, day: date, gap_days: int) -> Person:
    """Someone who has not asked for this kind near that day.

    Raises:
        ValueError: everyone has.
    """
    for _ in range(30):
        person = rng.choice(people)
        if person.may_ask(kind, day, gap_days):
            return person
    for person in people:
        if person.may_ask(kind, day, gap_days):
            return person
    raise ValueError(f"too few people for {kind}")


def make_wishes(rng: Random, area: str, scale: float) -> list[_Wish]:
    """All that is asked for and served in an area, shelters left out: they need free beds."""
    return [
        _Wish(kind, _asked_on(rng, kind))
        for kind in facts.KINDS
        if kind.code not in SHELTERS
        for _ in range(services_by_area(kind, scale).get(area, 0))
    ]


def need_of(rng: Random, person: Person, wish: _Wish, ending: Ending) -> Need:
    """The need a wish becomes, with the week of its end."""
    week = week_of(wish.asked_on)
    kind = wish.kind
    need = Need(
        kind=kind.code,
        ending=ending,
        person=person,
        home_area=person.area,
        place_area=person.area,
        asked_on=wish.asked_on,
        act_week=week,
    )
    if kind.code in facts.EVENT_KINDS and ending != "payout":
        need.place_area = facts.KYIV
        need.act_week, need.act_on = facts.EVENT_WEEK, facts.EVENT_DAY
        need.from_on = facts.EVENT_DAY
        need.to_on = facts.EVENT_END if ending == "check_in" else facts.EVENT_DAY
        need.left_on = facts.EVENT_END if ending == "check_in" else None
    elif ending == "attendance":
        # Places are published for the week that follows.
        need.act_week = week + 1
        need.from_on, need.to_on = wish.asked_on, facts.LAST_DAY
    elif ending == "payout" or rng.random() < 0.2:
        need.act_week = week + 1
    if person.household and kind.code in GOODS:
        need.for_household = rng.random() < 0.7
    return need
