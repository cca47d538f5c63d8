"""How much one person may get of a kind, and what looks like the same request twice.

Limits bind what is to be held, never what was given: facts are recorded whatever they exceed.

What a household gets counts for each of its members, in equal shares: two parcels for a
household of three are two thirds for everyone. So three parcels are within "one for each person",
four are not, and none of the three may have another of their own in the same days.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from fractions import Fraction
from uuid import UUID

from aidmesh_intake.domain.kinds import Kind, Limit


class Hindrance(StrEnum):
    """Why a rule does not approve; a person may, with a reason."""

    LIMIT = "limit"
    DUPLICATE = "duplicate"


@dataclass(frozen=True, slots=True)
class Override:
    """Somebody answers for approving what a limit or a duplicate speaks against.

    Attributes:
        reason: a code, no free text about anybody.
        as_lead: they decide as a lead.
    """

    reason: str
    staff_id: UUID
    as_lead: bool

    def allowed(self, caseworker: UUID | None) -> bool:
        """Whether they may decide about a request of this caseworker.

        Nobody but a lead lets pass alone what they entered themselves.
        """
        return self.as_lead or self.staff_id != caseworker


@dataclass(frozen=True, slots=True)
class Wish:
    """A need as limits see it: what is to be checked, and each that counts against it.

    Attributes:
        people: whom it counts for: the person, or every member of the household (the household's
            own id while nobody is known to belong to it).
        household_id: of the household, or of the person's household.
        quantity: units of the kind, for all of them together.
        on: `served_on`, else the day that it is to be served on, as far as that is known.
    """

    need_id: UUID
    people: frozenset[UUID]
    household_id: UUID | None
    kind: str
    quantity: int
    on: date

    @property
    def share(self) -> Fraction:
        """What of it counts for each one."""
        return Fraction(self.quantity, max(1, len(self.people)))


@dataclass(frozen=True, slots=True)
class Past(Wish):
    """An earlier need that counts: open (not served yet) or served.

    Attributes:
        until: of an open one whose day has gone by the day from which it can still be served.
    """

    open: bool
    until: date | None = None

    def day_beside(self, on: date) -> date:
        """The day it counts on against a wish for `on`: of those it may be served on, the nearest.

        Who still waits is served on the day that a second wish is for as well as on any other.
        """
        return self.on if self.until is None else min(max(self.on, on), self.until)


def people_of(
    person_id: UUID | None, household_id: UUID | None, members: Iterable[UUID], *, as_one: bool
) -> frozenset[UUID]:
    """Whom a need counts for.

    Args:
        members: of the household.
        as_one: it is for the whole household.
    """
    if not as_one:
        return frozenset(() if person_id is None else (person_id,))
    everyone = frozenset(members)
    if everyone or household_id is None:
        return everyone
    return frozenset((household_id,))


def hindrance(kind: Kind, wish: Wish, history: Iterable[Past]) -> Hindrance | None:
    """The first thing that speaks against a wish, or None.

    Args:
        history: other needs of the same people or household, of any kind, each once.
    """
    past = [each for each in history if each.need_id != wish.need_id]
    for limit in kind.limits:
        kinds = limit.kinds or (kind.code,)
        if _exceeds(limit, wish, [each for each in past if each.kind in kinds]):
            return Hindrance.LIMIT
    same_day = any(
        each.open and each.kind == kind.code and each.on == wish.on and each.people == wish.people
        for each in past
        if wish.people
    )
    return Hindrance.DUPLICATE if same_day else None


def _exceeds(limit: Limit, wish: Wish, past: Sequence[Past]) -> bool:
    if limit.per == "household" and wish.household_id is not None:
        theirs = [
            (each.day_beside(wish.on), Fraction(each.quantity))
            for each in past
            if each.household_id == wish.household_id or not each.people.isdisjoint(wish.people)
        ]
        return _over(limit, wish.on, Fraction(wish.quantity), theirs)
    return any(
        _over(
            limit,
            wish.on,
            wish.share,
            [(each.day_beside(wish.on), each.share) for each in past if person in each.people],
        )
        for person in wish.people
    )


def _over(limit: Limit, on: date, more: Fraction, got: Sequence[tuple[date, Fraction]]) -> bool:
    """Whether some window of `limit.days` days around `on` would hold more than allowed."""
    starts = {on, *(day for day, _ in got if 0 <= (on - day).days < limit.days)}
    return any(
        more + sum(much for day, much in got if 0 <= (day - start).days < limit.days) > limit.count
        for start in starts
    )
