"""The whole year's demand: everyone's needs, and those with which something goes wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from random import Random

from aidmesh.demo import facts
from aidmesh.demo.facts import scaled, week_of
from aidmesh.demo.needs import (
    GOODS,
    Fate,
    Need,
    ending_of,
    give_out,
    make_people,
    make_wishes,
    need_of,
    services_by_area,
    someone,
)
from aidmesh.demo.people import Person
from aidmesh.demo.shelters import Stay, plan_outside, plan_stays
from aidmesh_intake.domain.kinds import Kind


@dataclass(frozen=True, slots=True)
class Merge:
    """Two records of one person, found to be the same in a week."""

    week: int
    area: str
    code: str
    into_code: str


@dataclass(frozen=True, slots=True)
class Year:
    """All people and needs; needs in the order they are asked, each with its row id."""

    people: tuple[Person, ...]
    needs: tuple[Need, ...]
    merges: tuple[Merge, ...]


def plan_year(rng: Random, kinds: Mapping[str, Kind], scale: float, regions: Sequence[str]) -> Year:
    """Draw the demand of 2024. The same arguments give the same year."""
    people = make_people(rng, scale)
    own = services_by_area(_kind("shelter_night"), scale)
    outside = services_by_area(_kind("shelter_outside"), scale)
    stays, turned_away = plan_stays(rng, own, regions, scale)
    hotel = plan_outside(rng, outside, scale)
    needs: list[Need] = []
    for area in facts.AREAS:
        crowd = list(people[area.code])
        rng.shuffle(crowd)
        guests = iter(crowd)
        sheltered = [
            *(_stay_need(next(guests), "shelter_night", s) for s in stays if s.area == area.code),
            *(_stay_need(next(guests), "shelter_outside", s) for s in hotel if s.area == area.code),
        ]
        wishes = make_wishes(rng, area.code, scale)
        pairs = give_out(rng, crowd, wishes, spoken_for=len(sheltered))
        needs += sheltered
        needs += [
            need_of(rng, person, wish, ending_of(kinds[wish.kind.code])) for person, wish in pairs
        ]
    needs += [_turned_away(rng, people[facts.KYIV], i) for i in range(turned_away)]
    _send_others_after_them(needs)
    needs += _waiting(rng, people, scale)
    needs += _cancelled(rng, people, scale)
    needs += _undone(rng, people, needs, scale)
    needs += _lost(rng, needs, scale)
    _ask_once_for_all(needs)
    needs += _outreach(rng, kinds, scale)
    needs += _equipment(scale)
    _some_miss_it(rng, needs, scale)
    merges = _duplicates(rng, needs, scale)
    needs.sort(key=lambda need: need.asked_on)  # stable: within a day in the order drawn
    for number, need in enumerate(needs, start=1):
        need.row_id = f"n{number:06d}"
    everyone = tuple(person for area in facts.AREAS for person in people[area.code])
    return Year(everyone, tuple(needs), tuple(merges))


def _kind(code: str) -> facts.KindFacts:
    return next(kind for kind in facts.KINDS if kind.code == code)


def _stay_need(person: Person, kind: str, stay: Stay) -> Need:
    person.remember(kind, stay.from_on)
    return Need(
        kind=kind,
        ending="check_in",
        person=person,
        home_area=person.area,
        place_area=stay.area,
        asked_on=stay.from_on,
        act_week=week_of(stay.from_on),
        act_on=stay.from_on,
        from_on=stay.from_on,
        to_on=stay.until,
        left_on=stay.left_on,
        sent_on_to=stay.sent_on_to,
    )


def _turned_away(rng: Random, crowd: list[Person], number: int) -> Need:
    """A guest for whom no shelter of the region has a bed."""
    day = date(2024, 4, 2) + timedelta(days=number % 4)
    person = someone(rng, crowd, "shelter_night", day, 60)
    need = _stay_need(person, "shelter_night", Stay(facts.KYIV, day, day + timedelta(days=7), day))
    need.fate = "cancelled"
    return need


def _send_others_after_them(needs: list[Need]) -> None:
    """Whoever a full house sends on asks last on that day, when the beds are taken."""
    needs.sort(key=lambda need: need.sent_on_to is not None)


def _waiting(rng: Random, people: dict[str, list[Person]], scale: float) -> list[Need]:
    """Asked for in the last days, when nothing is left."""
    needs: list[Need] = []
    day = facts.LAST_DAY - timedelta(days=1)
    for code, count in facts.WAITING_AT_THE_END.items():
        shares = facts.apportion(scaled(count, scale), [area.share for area in facts.AREAS])
        for area, share in zip(facts.AREAS, shares, strict=True):
            needs += [_extra(rng, people[area.code], code, day, "waits") for _ in range(share)]
    return needs


def _cancelled(rng: Random, people: dict[str, list[Person]], scale: float) -> list[Need]:
    """Asked for, and no longer wanted a few days later."""
    needs = []
    for _ in range(scaled(facts.CANCELLED, scale)):
        area = rng.choices(facts.AREAS, [a.share for a in facts.AREAS])[0]
        needs.append(
            _extra(rng, people[area.code], rng.choice(GOODS), _some_day(rng, 3, 46), "cancelled")
        )
    return needs


def _undone(
    rng: Random, people: dict[str, list[Person]], needs: list[Need], scale: float
) -> list[Need]:
    """Handovers undone a week later: most are done again, some were for the wrong person."""
    wrong = []
    for _ in range(scaled(facts.UNDONE_FOR_GOOD, scale)):
        area = rng.choices(facts.AREAS, [a.share for a in facts.AREAS])[0]
        need = _extra(rng, people[area.code], rng.choice(GOODS), _some_day(rng, 3, 44), "wrong")
        need.undone_week = need.act_week + 1
        wrong.append(need)
    again = [n for n in needs if n.kind in GOODS and n.fate == "served" and 2 < n.week < 46]
    redo = scaled(facts.UNDONE - facts.UNDONE_FOR_GOOD, scale)
    for need in rng.sample(again, min(redo, len(again))):
        need.undone_week = need.act_week + 1
    return wrong


def _lost(rng: Random, needs: Sequence[Need], scale: float) -> list[Need]:
    """Parcels given a second time, because the first one was lost."""
    could = [
        need
        for need in needs
        if (need.kind, need.fate, need.undone_week) == ("food_parcel", "served", None)
        and 2 < need.week < 44
        and not need.for_household
    ]
    again = []
    for first in rng.sample(could, min(scaled(facts.LOST, scale), len(could))):
        day = first.asked_on + timedelta(days=facts.LOST_AFTER_DAYS)
        need = replace(first, asked_on=day, act_week=week_of(day), override="lost_in_strike")
        again.append(need)
    return again


def _ask_once_for_all(needs: Sequence[Need]) -> None:
    """Let a household ask as one only where none of its members asks for the same near that day."""
    asked: dict[tuple[str, str], list[Need]] = {}
    for need in needs:
        if need.person is not None and need.person.household:
            asked.setdefault((need.person.household, need.kind), []).append(need)
    for theirs in asked.values():
        for need in theirs:
            need.for_household = need.for_household and not any(
                other.person is not need.person
                and abs((other.asked_on - need.asked_on).days) <= facts.TOGETHER_GAP_DAYS
                for other in theirs
            )


def _extra(rng: Random, crowd: list[Person], kind: str, day: date, fate: Fate) -> Need:
    """One more need of someone who is helped with something else anyway."""
    person = someone(rng, crowd, kind, day, _kind(kind).gap_days)
    person.remember(kind, day)
    return Need(
        kind=kind,
        ending="handover",
        person=person,
        home_area=person.area,
        place_area=person.area,
        asked_on=day,
        act_week=week_of(day),
        fate=fate,
    )


def _some_day(rng: Random, first_week: int, last_week: int) -> date:
    week = rng.randint(first_week, last_week)
    return facts.FIRST_DAY + timedelta(weeks=week - 1, days=rng.randrange(5))


def _outreach(rng: Random, kinds: Mapping[str, Kind], scale: float) -> list[Need]:
    """What is given to people whom nobody registers."""
    needs = []
    for kind, count in facts.OUTREACH.items():
        shares = facts.apportion(scaled(count, scale), [area.share for area in facts.AREAS])
        for area, share in zip(facts.AREAS, shares, strict=True):
            for _ in range(share):
                day = _some_day(rng, 2, 51)
                need = Need(
                    kind=kind,
                    ending="fact",
                    person=None,
                    home_area=area.code,
                    place_area=area.code,
                    asked_on=day,
                    act_week=week_of(day),
                    act_on=day,
                    headcount=rng.randint(8, 40),
                )
                if ending_of(kinds[kind]) == "attendance":
                    need.ending, need.act_week, need.act_on = "attendance", need.week + 1, None
                    need.from_on, need.to_on = day, facts.LAST_DAY
                needs.append(need)
    return needs


def _equipment(scale: float) -> list[Need]:
    """Centers are equipped in spring, summer and autumn; each at least once at any scale."""
    dates = [
        (kind, area.code, date(2024, month, 3 + number))
        for kind in facts.CENTER_KINDS
        for month in facts.EQUIPMENT_MONTHS
        for number, area in enumerate(facts.AREAS)
    ]
    count = scaled(len(dates), scale, at_least=len(facts.AREAS))
    return [
        Need(
            kind=kind,
            ending="handover",
            person=None,
            home_area=area,
            place_area=area,
            asked_on=day,
            act_week=week_of(day),
        )
        for kind, area, day in (dates * -(-count // len(dates)))[:count]
    ]


def _some_miss_it(rng: Random, needs: list[Need], scale: float) -> None:
    could = [
        need
        for need in needs
        if need.ending == "attendance" and need.kind not in facts.EVENT_KINDS and need.week < 48
    ]
    for need in rng.sample(could, min(scaled(facts.NO_SHOWS, scale), len(could))):
        need.missed = 1


def _duplicates(rng: Random, needs: list[Need], scale: float) -> list[Merge]:
    """Some came a second time under another code; both records are merged later."""
    by_person: dict[int, list[Need]] = {}
    for need in needs:
        if need.person is not None and need.fate == "served" and need.week < 46:
            by_person.setdefault(need.person.number, []).append(need)
    several = [list_ for list_ in by_person.values() if len(list_) > 1 and not _shown(list_)]
    merges = []
    chosen = rng.sample(several, min(scaled(facts.DUPLICATES, scale), len(several)))
    for number, theirs in enumerate(chosen):
        need = max(theirs, key=lambda need: (need.asked_on, need.kind))
        person = need.person
        if person is None or need.for_household:
            continue
        need.alias = f"{person.area[2:]}-again-{number:04d}"
        week = max(n.act_week for n in theirs) + 3
        merges.append(Merge(week, person.area, need.alias, person.code))
    return merges


def _shown(theirs: list[Need]) -> bool:
    """Whether some of these are stays under a roof, or against a limit: left as they are."""
    return any(need.ending == "check_in" or need.override for need in theirs)
