"""Who is served first: points for answers, by rules that anyone can read.

The rules carry a version; a need keeps the version it was scored by. Why someone has points
says much about them, so the reasons are stored encrypted and lists show a band only.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Band(StrEnum):
    """What lists show of a score."""

    EMERGENCY = "emergency"
    URGENT = "urgent"
    RAISED = "raised"
    NORMAL = "normal"


RULE_VERSION: Final = 1
ANSWERS: Final[Mapping[str, int]] = {
    "in_danger_now": 100,
    "no_shelter_tonight": 80,
    "medication_runs_out": 60,
    "violence_at_home": 50,
    "displaced_this_month": 30,
    "with_children": 25,
    "disability": 25,
    "chronic_illness": 20,
    "pregnant": 20,
    "minor": 20,
    "over_60": 15,
    "no_income": 15,
    "veteran_or_family": 10,
}
"""Points of a yes, version 1."""

RULES: Final[Mapping[int, Mapping[str, int]]] = {RULE_VERSION: ANSWERS}
"""Points of a yes by the version of the rules: a need keeps the one it was scored by."""

POINTS_MAX: Final = 900
EMERGENCY_POINTS: Final = 1000
"""What no answers alone come to."""

_BANDS: Final = ((EMERGENCY_POINTS, Band.EMERGENCY), (100, Band.URGENT), (40, Band.RAISED))


@dataclass(frozen=True, slots=True)
class Score:
    """Points, where they come from, and the rules' version."""

    points: int
    reasons: tuple[str, ...]
    rule_version: int = RULE_VERSION


def score(base_points: int, answers: Mapping[str, bool]) -> Score:
    """Add the points of every yes to those of the kind.

    Answers alone never lift a need over an emergency kind such as PEP, for which hours count.

    Raises:
        KeyError: an answer to a question that the rules do not ask.
    """
    for name in answers:
        if name not in ANSWERS:
            raise KeyError(name)
    reasons = tuple(sorted(name for name, yes in answers.items() if yes))
    return Score(base_points + min(sum(ANSWERS[name] for name in reasons), POINTS_MAX), reasons)


@dataclass(frozen=True, slots=True)
class Explained:
    """An answer, and the points it brought."""

    answer: str
    yes: bool
    points: int


def explain(answers: Mapping[str, bool], rule_version: int) -> tuple[Explained, ...]:
    """What each answer counted by the rules of then, what counted most first."""
    rules = RULES[rule_version]
    found = [
        Explained(name, yes, rules.get(name, 0) if yes else 0) for name, yes in answers.items()
    ]
    return tuple(sorted(found, key=lambda each: (-each.points, each.answer)))


def points_of(answers: Iterable[Explained]) -> int:
    """How far answers lift a need, all together."""
    return min(sum(each.points for each in answers), POINTS_MAX)


def band(points: int) -> Band:
    """The band of a score."""
    for floor, found in _BANDS:
        if points >= floor:
            return found
    return Band.NORMAL


def floor_of(wanted: Band) -> tuple[int, int | None]:
    """The points of a band: from, and below (None for no bound)."""
    below: int | None = None
    for floor, found in _BANDS:
        if found is wanted:
            return floor, below
        below = floor
    return 0, below
