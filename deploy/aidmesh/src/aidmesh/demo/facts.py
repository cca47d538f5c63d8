"""What the scenario is fitted to: public totals of 2024, and a plausible split of them.

Published are 14,385 people, over 22,000 individual services, shelters in five cities, centers
in eight regions equipped, and one national conference in Kyiv. How they split by kind, area
and week is made up, in proportions that such a year may well have had.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

PEOPLE = 14_385
FIRST_DAY = date(2024, 1, 1)
LAST_DAY = date(2024, 12, 31)
WEEKS = 53


@dataclass(frozen=True, slots=True)
class AreaFacts:
    """One area: an oblast or city by its P-code.

    Attributes:
        share: of the people, in thousandths.
        beds: of the shelter there, 0 for none.
        regions: which installation serves it; the first of these that runs.
    """

    code: str
    name: str
    share: int
    beds: int
    regions: tuple[str, ...]


AREAS: tuple[AreaFacts, ...] = (
    AreaFacts("UA80", "Kyiv", 338, 14, ("kyiv",)),
    AreaFacts("UA46", "Lviv", 142, 10, ("lviv",)),
    AreaFacts("UA51", "Odesa", 138, 10, ("odesa",)),
    AreaFacts("UA63", "Kharkiv", 118, 8, ("kharkiv", "kyiv")),
    AreaFacts("UA12", "Dnipro", 104, 8, ("dnipro", "kyiv")),
    AreaFacts("UA23", "Zaporizhzhia", 68, 0, ("zaporizhzhia", "dnipro", "odesa")),
    AreaFacts("UA05", "Vinnytsia", 50, 0, ("vinnytsia", "lviv")),
    AreaFacts("UA73", "Chernivtsi", 42, 0, ("chernivtsi", "lviv")),
)
KYIV = "UA80"


@dataclass(frozen=True, slots=True)
class KindFacts:
    """One kind of service in 2024.

    Attributes:
        code: of the catalogue.
        services: how many were given in the year, at scale 1.
        gap_days: the same person gets it again after this many days at the earliest.
        shelter_only: only where there is a shelter.
        first_week, last_week: when it is asked for.
        winter: how many times more often it is asked for in winter than in summer.
        per_household: those who live together count as one.
    """

    code: str
    services: int
    gap_days: int = 35
    shelter_only: bool = False
    first_week: int = 1
    last_week: int = 51
    winter: float = 1.0
    per_household: bool = False


KINDS: tuple[KindFacts, ...] = (
    KindFacts("shelter_night", 380, 60, shelter_only=True, last_week=49),
    KindFacts("shelter_outside", 60, 60, winter=1.5),
    KindFacts("food_parcel", 3_780, 80, winter=1.6),
    KindFacts("food_voucher", 1_060, 80, winter=1.4),
    KindFacts("hygiene_kit", 2_950, 80, winter=1.1),
    KindFacts("financial_aid", 3_760, 100, winter=1.3),
    KindFacts("rent_support", 90, 120, winter=1.2, per_household=True),
    KindFacts("travel", 60, 100, winter=0.8),
    KindFacts("counseling", 2_240, 14),
    KindFacts("counseling_paid", 680, 14),
    KindFacts("medical_care", 560, 21),
    KindFacts("medical_care_paid", 60, 60),
    KindFacts("medicine", 110, 40),
    KindFacts("hormone_therapy", 250, 80),
    KindFacts("legal_advice", 880, 21),
    KindFacts("hiv_test", 2_050, 90),
    KindFacts("sti_test", 690, 90),
    KindFacts("self_test", 620, 60),
    KindFacts("condoms_lubricant", 980, 40),
    KindFacts("prep_navigation", 410, 90),
    KindFacts("pep_navigation", 38, 90),
    KindFacts("event_place", 186, 300, first_week=30, last_week=36),
    KindFacts("event_lodging", 64, 300, first_week=30, last_week=36),
    KindFacts("event_travel", 82, 300, first_week=30, last_week=36),
)

OUTREACH: Mapping[str, int] = {"condoms_lubricant": 260, "group_session": 84}
"""Evenings at meeting points and group sessions: nobody is registered, heads are counted."""

ON_PRESCRIPTION = ("hormone_therapy", "medicine")

CENTER_KINDS = ("equipment_center", "furniture_center")
EQUIPMENT_MONTHS = (3, 6, 10)
"""When each of the eight centers gets devices and furniture."""

EVENT_KINDS = ("event_place", "event_lodging", "event_travel")
EVENT_WEEK = 39
EVENT_DAY, EVENT_END = date(2024, 9, 27), date(2024, 9, 29)
"""The national conference in Kyiv; its date here is as synthetic as the rest."""

WAITING_AT_THE_END: Mapping[str, int] = {"food_voucher": 150, "hormone_therapy": 14}
"""Asked for in the last week, when nothing is left: they wait into the next year."""

UNDONE = 64
UNDONE_FOR_GOOD = 16
"""Handovers undone; so many of them were for the wrong person and are cancelled then."""

TOGETHER_GAP_DAYS = 60
"""A parcel for a household counts for all of it, so nobody of it asks for one near that day."""

LOST = 12
LOST_AFTER_DAYS = 10
"""Parcels lost in a strike soon after they were handed over: a second one within the limit, which
only a lead may approve, with the reason."""

CANCELLED = 90
NO_SHOWS = 120
DUPLICATES = 36
OPEN_ENDED_AREA = "UA46"
FULL_SHELTER_FIRST, FULL_SHELTER_LAST = date(2024, 4, 1), date(2024, 4, 28)
SENT_ON = 9
CLOSED_AREA, CLOSED_FIRST_WEEK, CLOSED_LAST_WEEK = "UA63", 28, 29
"""A strike closes the center in Kharkiv for two weeks."""

CUT_WEEK = 36
"""A donor cuts a grant: what is still free of its allotments is recalled."""


def weeks() -> Sequence[date]:
    """The Mondays of 2024, which begins on one."""
    return [FIRST_DAY + timedelta(weeks=week) for week in range(WEEKS)]


def week_of(day: date) -> int:
    """The week of a day, counted from 1."""
    return (day - FIRST_DAY).days // 7 + 1


def scaled(count: int, scale: float, at_least: int = 1) -> int:
    """`count` at this scale, never less than `at_least`."""
    return max(at_least, round(count * scale))


def region_of(area: AreaFacts, regions: Sequence[str]) -> str:
    """Which of the running regions serves an area; the first one takes in what none would."""
    return next((name for name in area.regions if name in regions), regions[0])


def apportion(total: int, weights: Sequence[float]) -> list[int]:
    """Split `total` by weight, without remainder (largest remainders, ties by position)."""
    whole = sum(weights)
    exact = [total * weight / whole for weight in weights]
    parts = [int(share) for share in exact]
    order = sorted(range(len(weights)), key=lambda i: (parts[i] - exact[i], i))
    for i in order[: total - sum(parts)]:
        parts[i] += 1
    return parts
