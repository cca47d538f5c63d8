"""How much one person may get of a kind, and what looks like the same request twice.

Limits bind what is to be held, never what was given: facts are recorded whatever they exceed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from uuid import UUID

from aidmesh_intake.domain.kinds import Kind, Limit


class Hindrance(StrEnum):
    """Why a rule does not approve; a person may, with a reason."""

    LIMIT = "limit"
    DUPLICATE = "duplicate"


@dataclass(frozen=True, slots=True)
class Past:
    """An earlier need that counts: open or served.

    Attributes:
        on: `served_on`, else `planned_on`.
        open: not served yet.
    """

    need_id: UUID
    person_id: UUID | None
    household_id: UUID | None
    kind: str
    on: date
    open: bool


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be checked."""

    need_id: UUID
    person_id: UUID | None
    household_id: UUID | None
    on: date


def hindrance(kind: Kind, wish: Wish, history: Iterable[Past]) -> Hindrance | None:
    """The first thing that speaks against a wish, or None.

    Args:
        history: other needs of the same person or household, of any kind.
    """
    past = [each for each in history if each.need_id != wish.need_id]
    for limit in kind.limits:
        kinds = limit.kinds or (kind.code,)
        days = sorted(each.on for each in past if each.kind in kinds and _same(limit, wish, each))
        if _exceeds(limit, wish.on, days):
            return Hindrance.LIMIT
    same_day = any(
        each.open
        and each.kind == kind.code
        and each.on == wish.on
        and wish.person_id is not None
        and each.person_id == wish.person_id
        for each in past
    )
    return Hindrance.DUPLICATE if same_day else None


def _same(limit: Limit, wish: Wish, past: Past) -> bool:
    if limit.per == "household" and wish.household_id is not None:
        return past.household_id == wish.household_id
    return wish.person_id is not None and past.person_id == wish.person_id


def _exceeds(limit: Limit, on: date, days: Sequence[date]) -> bool:
    """Whether some window of `limit.days` days around `on` would hold more than allowed."""
    near = sorted([*(day for day in days if abs((day - on).days) < limit.days), on])
    return any(
        (near[last] - near[first]).days < limit.days
        for first in range(len(near) - limit.count)
        for last in (first + limit.count,)
    )
