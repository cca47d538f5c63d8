"""Which allotment pays for which need: one picture of the purses, one ranked pass."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal
from uuid import UUID

from aidmesh_contracts.ids import AllotmentId, GrantId, NeedId
from aidmesh_contracts.restriction import Restriction, Use
from aidmesh_contracts.values import BlockedBy

RefusalReason = Literal["short", "restricted", "recalled"]


@dataclass(frozen=True, slots=True)
class Purse:
    """An allotment as a choice sees it.

    Attributes:
        name: the grant's code and the budget line: what people know it by.
        usable: the grant is active and the allotment takes new commitments.
        cost_categories: what its budget line pays for; None for all the grant allows.
    """

    allotment_id: AllotmentId
    grant_id: GrantId
    currency: str
    free_minor: int
    restriction: Restriction
    name: tuple[str, str]
    cost_categories: tuple[str, ...] | None = None
    valid_until: date | None = None
    usable: bool = True

    @property
    def ends_on(self) -> date:
        """The first day of those that end its use."""
        return min(self.valid_until or date.max, self.restriction.valid_to or date.max)

    @property
    def looseness(self) -> int:
        """How many respects are left open: 0 is the most restricted."""
        rule = self.restriction
        tight = (rule.programmes, rule.kinds, rule.areas, rule.cost_categories)
        return sum(each is None for each in (*tight, self.cost_categories))

    def fits(self, use: Use, today: date) -> bool:
        """Whether donor, budget line and validity allow this use."""
        if self.valid_until is not None and max(use.on, today) > self.valid_until:
            return False
        if (
            self.cost_categories is not None
            and use.cost_category is not None
            and use.cost_category not in self.cost_categories
        ):
            return False
        return self.restriction.fits(use)


@dataclass(frozen=True, slots=True)
class Ask:
    """A need's wish for money."""

    need_id: NeedId
    attempt_no: int
    priority: int
    asked_on: date
    queue_no: int
    amount_minor: int
    currency: str
    use: Use


@dataclass(frozen=True, slots=True)
class Refused:
    """No purse will do, and what would have to grow."""

    reason: RefusalReason
    blocked_by: BlockedBy


Answer = Purse | Refused


def money_key(programme: str, currency: str) -> str:
    """Return the code that a need waits for when it waits for money."""
    return f"{programme}/{currency}"


def best_first(purses: Sequence[Purse]) -> list[Purse]:
    """Order purses: what ends first, then the most restricted, then by name.

    Ids are random: with them the same needs would be borne by other grants each time.
    """
    return sorted(
        purses,
        key=lambda purse: (purse.ends_on, purse.looseness, purse.name, purse.allotment_id),
    )


def rank(asks: Sequence[Ask]) -> list[Ask]:
    """Order needs: highest priority, then who asked first, then whose need was recorded first."""
    return sorted(asks, key=lambda ask: (-ask.priority, ask.asked_on, ask.queue_no, ask.need_id))


def choose(
    purses: Sequence[Purse], asks: Sequence[Ask], today: date
) -> Mapping[tuple[NeedId, int], Answer]:
    """Serve needs in rank order from the purses; nobody gets what another was given.

    Args:
        purses: all of this region, recalled ones too (they explain a refusal).
        today: in Kyiv; money is neither used nor promised after `valid_until`.

    Returns:
        by need and attempt, the purse that pays (as it was given) or the refusal.
    """
    ordered = best_first(purses)
    free: dict[UUID, int] = {purse.allotment_id: purse.free_minor for purse in ordered}
    fitting: dict[tuple[str, Use], list[Purse]] = {}
    answers: dict[tuple[NeedId, int], Answer] = {}
    for ask in rank(asks):
        key = (ask.currency, ask.use)
        candidates = fitting.get(key)
        if candidates is None:
            candidates = fitting[key] = [
                purse
                for purse in ordered
                if purse.currency == ask.currency and purse.fits(ask.use, today)
            ]
        usable = [purse for purse in candidates if purse.usable]
        found = next((p for p in usable if free[p.allotment_id] >= ask.amount_minor), None)
        if found is not None:
            free[found.allotment_id] -= ask.amount_minor
            answers[ask.need_id, ask.attempt_no] = found
            continue
        answers[ask.need_id, ask.attempt_no] = Refused(
            _reason(ask, ordered, candidates, usable, free),
            BlockedBy(
                resource="money",
                code=money_key(ask.use.programme, ask.currency),
                quantity=ask.amount_minor,
            ),
        )
    return answers


def _reason(
    ask: Ask,
    all_purses: Sequence[Purse],
    fitting: Sequence[Purse],
    usable: Sequence[Purse],
    free: Mapping[UUID, int],
) -> RefusalReason:
    if usable:
        return "short"
    if fitting:
        return "recalled"
    enough_elsewhere = any(
        purse.usable
        and purse.currency == ask.currency
        and free[purse.allotment_id] >= ask.amount_minor
        for purse in all_purses
    )
    return "restricted" if enough_elsewhere else "short"
