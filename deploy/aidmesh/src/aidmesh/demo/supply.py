"""Goods, places and money for the demand: enough by the end of the year, not always in time."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from math import ceil
from random import Random

from aidmesh.demo import facts
from aidmesh.demo.needs import Need
from aidmesh.demo.shelters import outside_beds, shelter_beds
from aidmesh_contracts.days import KYIV as KYIV_TIME
from aidmesh_intake.domain.kinds import Kind

SLOTS_A_WEEK = 40
"""One professional: eight an hour apart on each of five days."""

TIGHT = ("food_parcel", "food_voucher", "hygiene_kit", "hormone_therapy")
"""Kinds whose goods run out between deliveries. Those that somebody waits for at the end are
used up to the last piece; of the others some are left, for whoever tries the desk."""


@dataclass(frozen=True, slots=True)
class Site:
    """A place of the organization."""

    region: str
    code: str
    name: str
    area: str
    site_type: str


@dataclass(frozen=True, slots=True)
class Bed:
    """A bed of a shelter, or one rented outside."""

    region: str
    site_code: str
    label: str
    room: str
    code: str
    owner: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """Goods that come in; `purchase` names the order they were bought with, if any."""

    region: str
    week: int
    received_on: date
    site_code: str
    item: str
    quantity: int
    purchase: str


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in time with a professional, or at an event."""

    region: str
    week: int
    site_code: str
    code: str
    professional: str
    starts_at: datetime
    minutes: int
    seats: int


def center_of(area: str) -> str:
    """Code of the community center of an area."""
    return f"center-{area.lower()}"


def conference_of(region: str) -> str:
    """Code of a region's places at the national conference."""
    return f"conference-{region}"


def plan_sites(regions: Mapping[str, str]) -> list[Site]:
    """A center in each area, shelters in five cities, rented beds, places at the conference."""
    sites = []
    for area in facts.AREAS:
        region, low = regions[area.code], area.code.lower()
        sites.append(Site(region, center_of(area.code), f"Center {area.name}", area.code, "center"))
        if area.beds:
            name = f"Shelter {area.name}"
            sites.append(Site(region, f"shelter-{low}", name, area.code, "shelter"))
        name = f"Guest house {area.name}"
        sites.append(Site(region, f"outside-{low}", name, area.code, "hotel"))
    for region in dict.fromkeys(regions.values()):
        name = "National conference, Kyiv"
        sites.append(Site(region, conference_of(region), name, facts.KYIV, "venue"))
    return sites


def plan_beds(
    kinds: Mapping[str, Kind], needs: Sequence[Need], regions: Mapping[str, str], scale: float
) -> list[Bed]:
    """The beds of the shelters, those rented outside, and those of the conference."""
    beds = []
    for area in facts.AREAS:
        low = area.code.lower()
        groups = [
            ("shelter_night", f"shelter-{low}", shelter_beds(area, scale) if area.beds else 0),
            ("shelter_outside", f"outside-{low}", outside_beds(scale)),
        ]
        for kind, site, count in groups:
            take = kinds[kind].capacity
            if take is None:
                raise ValueError(f"{kind} takes no bed")
            owner = "own" if kind == "shelter_night" else "outside"
            for number in range(count):
                label, room = f"{number + 1:02d}", f"room-{number // 2 + 1}"
                beds.append(Bed(regions[area.code], site, label, room, take.code, owner))
    guests = Counter(regions[need.home_area] for need in needs if need.kind == "event_lodging")
    for region, count in sorted(guests.items()):
        beds += [
            Bed(region, conference_of(region), f"{i + 1:03d}", f"room-{i // 2 + 1}",
                "event_lodging", "outside")
            for i in range(count)
        ]  # fmt: skip
    return beds


def plan_receipts(
    rng: Random, kinds: Mapping[str, Kind], needs: Sequence[Need], regions: Mapping[str, str]
) -> list[Receipt]:
    """Deliveries to the centers, some four weeks apart, by item."""
    wanted: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    tight: set[str] = set()
    used_up: set[str] = set()
    for need in needs:
        if need.fate != "served":
            continue
        for line in kinds[need.kind].stock:
            wanted[need.place_area, line.item][need.week] += line.quantity * need.quantity
            if need.kind in TIGHT:
                tight.add(line.item)
            if need.kind in facts.WAITING_AT_THE_END:
                used_up.add(line.item)
    receipts = []
    names = list(dict.fromkeys(regions.values()))
    for (area, item), by_week in sorted(wanted.items()):
        weeks = _delivery_weeks(area, names.index(regions[area]))
        left_over = 0.0 if item in used_up else 0.1
        for index, (week, quantity) in enumerate(
            _deliveries(rng, by_week, weeks, tight=item in tight, left_over=left_over)
        ):
            region = regions[area]
            receipts.append(
                Receipt(
                    region=region,
                    week=week,
                    received_on=facts.FIRST_DAY + timedelta(weeks=week - 1),
                    site_code=center_of(area),
                    item=item,
                    quantity=quantity,
                    purchase=f"{region}-{week:02d}" if index % 2 else "",
                )
            )
    receipts.sort(key=lambda r: (r.region, r.week, r.site_code, r.item))
    return receipts


def _delivery_weeks(area: str, turn: int) -> list[int]:
    """Every fourth week, each region on its own turn; a closed center takes nothing in."""
    weeks = [1, *range(4 + turn % 4, 50, 4)]
    if area == facts.CLOSED_AREA:
        closed = range(facts.CLOSED_FIRST_WEEK, facts.CLOSED_LAST_WEEK + 1)
        weeks = [facts.CLOSED_LAST_WEEK + 1 if week in closed else week for week in weeks]
    return sorted(set(weeks))


def _deliveries(
    rng: Random, by_week: Counter[int], weeks: list[int], *, tight: bool, left_over: float
) -> list[tuple[int, int]]:
    """What comes in when: of tight goods a little less than is wanted until the next delivery.

    By the last one it is as much as the year's services take, and `left_over` of that more.
    """
    total = sum(by_week.values())
    given = 0
    deliveries = []
    for position, week in enumerate(weeks):
        until = weeks[position + 1] if position + 1 < len(weeks) else facts.WEEKS + 1
        due = sum(quantity for w, quantity in by_week.items() if w < until)
        if until > facts.WEEKS:
            quantity = ceil(total * (1 + left_over)) - given
        elif tight:
            quantity = int((due - given) * rng.choice((0.7, 0.85, 1.0, 1.0)))
        else:
            quantity = ceil(due * 1.15) - given
        if quantity > 0:
            deliveries.append((week, quantity))
            given += quantity
    return deliveries


def plan_slots(
    rng: Random, kinds: Mapping[str, Kind], needs: Sequence[Need], regions: Mapping[str, str]
) -> list[Slot]:
    """Appointments, published a week ahead: sometimes too few, by the end enough."""
    wanted: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    minutes: dict[str, int] = {}
    event: Counter[str] = Counter()
    for need in needs:
        take = kinds[need.kind].capacity
        if take is None or take.resource != "slot" or need.fate != "served":
            continue
        if need.kind in facts.EVENT_KINDS:
            event[regions[need.home_area]] += 1
            continue
        minutes[take.code] = take.minutes or 50
        wanted[need.place_area, take.code][need.week] += 1
        if need.missed:
            # Who did not come takes another one, two weeks later.
            wanted[need.place_area, take.code][need.week + 2] += need.missed
    slots = []
    for (area, code), by_week in sorted(wanted.items()):
        if area == facts.CLOSED_AREA:
            # Places of the weeks before are lost with the closure: there are others after it.
            reopened = facts.CLOSED_LAST_WEEK + 1
            by_week[reopened] += sum(by_week[reopened - n] for n in range(3, 6))
        for week, count in _published(rng, area, by_week):
            slots += _week_of_slots(regions[area], area, code, week, count, minutes[code])
    for region, seats in sorted(event.items()):
        slots.append(_conference(kinds, region, seats))
    slots.sort(key=lambda s: (s.region, s.week, s.professional, s.starts_at))
    return slots


def _published(rng: Random, area: str, by_week: Counter[int]) -> list[tuple[int, int]]:
    """How many are published in which week, for the week that follows."""
    given = 0
    result = []
    last = max(by_week)
    for week in range(1, last + 1):
        # Nobody is woken for places of a closed house, and those of 2024 are past when it reopens.
        closed = facts.CLOSED_FIRST_WEEK - 1 <= week <= facts.CLOSED_LAST_WEEK
        if area == facts.CLOSED_AREA and closed:
            continue
        due = sum(quantity for w, quantity in by_week.items() if w <= week)
        short = rng.random() < 0.2 and week < last - 1
        count = int((due - given) * 0.7) if short else due - given + (1 if week >= last - 1 else 0)
        if count > 0:
            result.append((week, count))
            given += count
    return result


def _week_of_slots(
    region: str, area: str, code: str, week: int, count: int, minutes: int
) -> list[Slot]:
    monday = facts.FIRST_DAY + timedelta(weeks=week)
    slots = []
    for number in range(count):
        professional, place = divmod(number, SLOTS_A_WEEK)
        day, hour = divmod(place, 8)
        starts_at = datetime.combine(monday + timedelta(days=day), time(9 + hour), KYIV_TIME)
        slots.append(
            Slot(
                region=region,
                week=week,
                site_code=center_of(area),
                code=code,
                professional=f"{code}-{area.lower()}-{professional + 1}",
                starts_at=starts_at,
                minutes=min(minutes, 60),
                seats=1,
            )
        )
    return slots


def _conference(kinds: Mapping[str, Kind], region: str, seats: int) -> Slot:
    take = kinds["event_place"].capacity
    if take is None:
        raise ValueError("the conference has no places")
    return Slot(
        region=region,
        week=29,
        site_code=conference_of(region),
        code=take.code,
        professional=conference_of(region),
        starts_at=datetime.combine(facts.EVENT_DAY, time(10), KYIV_TIME),
        minutes=take.minutes or 480,
        seats=seats,
    )
