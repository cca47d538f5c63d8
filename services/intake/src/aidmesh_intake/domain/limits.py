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
        planned_on: the day that it was asked for; two requests for one day are the same twice,
            also if they are looked at later.
    """

    need_id: UUID
    people: frozenset[UUID]
    household_id: UUID | None
    kind: str
    quantity: int
    on: date
    planned_on: date

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


@dataclass(frozen=True, slots=True)
class Objection:
    """What speaks against a wish.

    Attributes:
        limit: which it would exceed; None for a duplicate.
        earlier: what was counted against it, the latest first; none where it asks for more than the
            limit all by itself.
    """

    what: Hindrance
    limit: Limit | None
    earlier: tuple[Past, ...]


def hindrance(kind: Kind, wish: Wish, history: Iterable[Past]) -> Hindrance | None:
    """The first thing that speaks against a wish, or None; arguments as of `objection`."""
    found = objection(kind, wish, history)
    return None if found is None else found.what


def objection(kind: Kind, wish: Wish, history: Iterable[Past]) -> Objection | None:
    """The first thing that speaks against a wish with what was counted, or None.

    Args:
        history: other needs of the same people or household, of any kind, each once.
    """
    past = [each for each in history if each.need_id != wish.need_id]
    for limit in kind.limits:
        kinds = limit.kinds or (kind.code,)
        counted = _exceeding(limit, wish, [each for each in past if each.kind in kinds])
        if counted is not None:
            return Objection(Hindrance.LIMIT, limit, _latest_first(counted))
    same_day = [
        each
        for each in past
        if wish.people
        and each.open
        and each.kind == kind.code
        and each.planned_on == wish.planned_on
        and each.people == wish.people
    ]
    return Objection(Hindrance.DUPLICATE, None, _latest_first(same_day)) if same_day else None


def _latest_first(found: Iterable[Past]) -> tuple[Past, ...]:
    by_id = {each.need_id: each for each in found}
    return tuple(sorted(by_id.values(), key=lambda each: (each.on, each.need_id), reverse=True))


_Got = tuple[Past, date, Fraction]
"""What somebody got or is to get, the day it counts on, and how much of it counts."""


def _exceeding(limit: Limit, wish: Wish, past: Sequence[Past]) -> list[Past] | None:
    """What was counted against a wish that exceeds a limit; None if it does not."""
    if limit.per == "household" and wish.household_id is not None:
        theirs = [
            (each, each.day_beside(wish.on), Fraction(each.quantity))
            for each in past
            if each.household_id == wish.household_id or not each.people.isdisjoint(wish.people)
        ]
        return _over(limit, wish.on, Fraction(wish.quantity), theirs)
    counted = [
        found
        for person in wish.people
        if (
            found := _over(
                limit,
                wish.on,
                wish.share,
                [
                    (each, each.day_beside(wish.on), each.share)
                    for each in past
                    if person in each.people
                ],
            )
        )
        is not None
    ]
    return [each for found in counted for each in found] if counted else None


def _over(limit: Limit, on: date, more: Fraction, got: Sequence[_Got]) -> list[Past] | None:
    """What is in the windows of `limit.days` days around `on` that would hold more than allowed.

    None if no window would.
    """
    starts = {on, *(day for _, day, _ in got if 0 <= (on - day).days < limit.days)}
    windows = [[one for one in got if 0 <= (one[1] - start).days < limit.days] for start in starts]
    full = [each for each in windows if more + sum(much for _, _, much in each) > limit.count]
    return [past for each in full for past, _, _ in each] if full else None
