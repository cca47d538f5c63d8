"""Which money could serve the needs that wait for some in other regions, and in the own. No I/O.

What waits is known as sums, by region, programme and currency. Money of a fitting grant is proposed
for it: first what no holder has, then what other holders have free. What was sent for it already
covers some of it; only the rest is proposed, and each sum once. So what is proposed and sent is
never more than what waits, and never more than there is.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import NamedTuple
from uuid import UUID

from aidmesh_contracts.ids import AllotmentId, GrantId

Key = tuple[str, str, str]
"""Region, programme and currency."""
Pool = tuple[str, ...]
"""Something that several sources draw on: a grant's unallotted money, a budget line's room."""


class Wait(NamedTuple):
    """Money that needs of a region wait for, in minor units of the currency of spending.

    Attributes:
        chosen_minor: of that, for needs that somebody there chose to be served by rule.
    """

    region: str
    programme: str
    currency: str
    amount_minor: int
    version: int
    as_of: datetime
    chosen_minor: int = 0

    @property
    def key(self) -> Key:
        """What is waited for, and where."""
        return (self.region, self.programme, self.currency)


@dataclass(frozen=True, slots=True)
class Source:
    """Money of a budget line that may go to whoever waits.

    Attributes:
        holder: whose free money it is; None for what was not allotted.
        allotment_id: of that holder; None for what was not allotted.
        programmes: whom it may serve, None for all.
        is_plain: the donor restricts nothing but programmes and the period, so that whatever waits
            may be paid from it; otherwise a person has to look.
        pools: all of what it draws on.
        worth: what a minor unit of spending takes from them.
        as_of: when another holder told what it has; None for what is known here.
    """

    grant_id: GrantId
    budget_line: str
    currency: str
    holder: str | None
    allotment_id: AllotmentId | None
    programmes: tuple[str, ...] | None
    is_plain: bool
    pools: tuple[Pool, ...]
    worth: Fraction = Fraction(1)
    as_of: datetime | None = None

    def fits(self, wait: Wait) -> bool:
        """Whether it may be for those who wait, as far as can be said without looking at them."""
        return (
            self.currency == wait.currency
            and self.holder != wait.region
            and (self.programmes is None or wait.programme in self.programmes)
        )


class Offer(NamedTuple):
    """So much of a source could go to those who wait; `free_minor` is all that it has left."""

    wait: Wait
    source: Source
    amount_minor: int
    free_minor: int


def propose(
    waits: Iterable[Wait],
    sources: Collection[Source],
    pools: Mapping[Pool, int],
    coming: Mapping[Key, int],
    aside: Mapping[Key, int],
) -> list[Offer]:
    """What could be sent to whom.

    Args:
        waits: of regions that are heard.
        sources: of active grants; of holders that are heard.
        pools: what each has left, in minor units of the grant's currency.
        coming: what was sent for a wait and is not there yet, or was proposed.
        aside: what of it a person set aside; it comes again once it is more.
    """
    left = dict(pools)
    found: list[Offer] = []
    ordered = sorted(
        sources,
        key=lambda source: (
            source.holder is not None,
            source.programmes is None,
            str(source.grant_id),
            source.budget_line,
            str(source.allotment_id),
        ),
    )
    # Who can be served by the fewest comes first, so that nobody takes what only they could have.
    fitting = {wait: [each for each in ordered if each.fits(wait)] for wait in waits}
    for wait in sorted(fitting, key=lambda each: (len(fitting[each]), each.key)):
        missing = wait.amount_minor - coming.get(wait.key, 0)
        if missing <= aside.get(wait.key, 0):
            continue
        for source in fitting[wait]:
            free = _free_minor(source, left)
            amount = min(missing, free)
            if amount <= 0:
                continue
            found.append(Offer(wait, source, amount, free))
            missing -= amount
            for pool in source.pools:
                left[pool] -= _taken(source, amount)
    return found


def _free_minor(source: Source, left: Mapping[Pool, int]) -> int:
    """What the pools of a source allow, in the currency of spending."""
    return int(max(0, min(left[pool] for pool in source.pools)) / source.worth)


def _taken(source: Source, amount_minor: int) -> int:
    """What a sum takes from the pools, rounded up: rounding must not promise a cent too much."""
    return -int(-amount_minor * source.worth // 1)


class Rule(NamedTuple):
    """Money that goes to those who wait without a person.

    Attributes:
        programme: None for all.
        regions: to whom; None for everybody.
        keep_minor: so much of each source stays whatever waits.
        move_max_minor: the largest sum of one move.
        week_max_minor: all that it moves within seven days.
        set_by: who answers for it.
        chosen_only: it is for needs that somebody chose.
    """

    rule_id: UUID
    programme: str | None
    currency: str
    regions: frozenset[str] | None
    keep_minor: int
    move_max_minor: int
    week_max_minor: int
    set_by: UUID
    chosen_only: bool = False

    def is_about(self, offer: Offer) -> bool:
        """Whether it may act on an offer at all."""
        return (
            offer.source.is_plain
            and offer.wait.currency == self.currency
            and self.programme in (None, offer.wait.programme)
            and (self.regions is None or offer.wait.region in self.regions)
        )


class Move(NamedTuple):
    """What a rule does with an offer: all of it, or a part."""

    rule: Rule
    offer: Offer
    amount_minor: int


def by_rule(
    offers: Collection[Offer],
    rules: Collection[Rule],
    given: Mapping[UUID, int],
    served: Mapping[Key, datetime],
    coming: Mapping[Key, int],
) -> list[Move]:
    """What rules would send now, each offer by one rule at the most.

    Args:
        given: what each rule moved within seven days.
        served: as of when a wait was told for which a rule acted last. One acts again when the
            region has told another sum: money that helps nobody is not followed by more.
        coming: what was sent for a wait already; where a rule is for chosen needs it counts as if
            it were for these.
    """
    chosen = {
        wait.key: wait.chosen_minor - coming.get(wait.key, 0)
        for wait in {offer.wait for offer in offers}
    }
    room = {rule: rule.week_max_minor - given.get(rule.rule_id, 0) for rule in rules}
    found: list[Move] = []
    for offer in offers:
        last = served.get(offer.wait.key)
        if last is not None and offer.wait.as_of <= last:
            continue
        for rule in sorted(room, key=lambda rule: rule.rule_id):
            amount = min(
                offer.amount_minor,
                offer.free_minor - rule.keep_minor,
                rule.move_max_minor,
                room[rule],
                chosen[offer.wait.key] if rule.chosen_only else offer.amount_minor,
            )
            if amount > 0 and rule.is_about(offer):
                room[rule] -= amount
                chosen[offer.wait.key] -= amount
                found.append(Move(rule, offer, amount))
                break
    return found
