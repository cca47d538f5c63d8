"""What other regions could send for those who wait here. No I/O.

Needs never leave the region: what is known is how many pieces wait, by item and place. What is
asked for already, or on its way, covers some of them first; only the rest is proposed, each piece
of it to one region. So proposals and asks together are never more than what waits.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID


class Waiting(NamedTuple):
    """Needs that wait for an item because there is too little of it, all together.

    Attributes:
        site_id: where the goods have to be, None for any site in `area`.
        area: None for anywhere in the region.
        sensitive: of needs that only some roles may see.
        quantity: pieces that they want.
        chosen: of needs that somebody chose to be served from elsewhere by rule.
    """

    item: str
    site_id: UUID | None
    area: str | None
    sensitive: bool
    needs: int
    quantity: int
    chosen: bool = False

    def is_served_at(self, site_id: UUID, area: str) -> bool:
        """Whether goods at a site are of use."""
        if self.site_id is not None:
            return self.site_id == site_id
        return self.area is None or area.startswith(self.area)

    @property
    def narrowness(self) -> tuple[bool, int]:
        """Sorts those first who can be served in the fewest places."""
        return (self.site_id is None, -len(self.area or ""))


class Coming(NamedTuple):
    """Pieces that were asked for and not refused, are on their way to a site, or have just come.

    Attributes:
        left: they are in no other region's stock any more.
    """

    item: str
    from_region: str
    site_id: UUID
    area: str
    quantity: int
    left: bool


class Elsewhere(NamedTuple):
    """What another region has free of an item, as it told it last."""

    region: str
    item: str
    free: int
    as_of: datetime


class Proposal(NamedTuple):
    """So many pieces could be asked of a region for those who wait."""

    waiting: Waiting
    from_region: str
    quantity: int
    free: int
    as_of: datetime


class AskRule(NamedTuple):
    """Proposals for an item that are asked for without a person, to be sent to a site.

    Attributes:
        regions: who is asked; None for everybody.
        open_max: pieces that may be asked for or on their way there at once.
        sensitive_too: it also serves needs that only some roles may see.
        chosen_only: it serves only needs that somebody chose.
    """

    rule_id: UUID
    item: str
    to_site_id: UUID
    area: str
    regions: frozenset[str] | None
    open_max: int
    sensitive_too: bool
    chosen_only: bool = False


class Ask(NamedTuple):
    """An ask to be made by rule."""

    rule: AskRule
    from_region: str
    quantity: int


def propose(
    waiting: Collection[Waiting],
    coming: Collection[Coming],
    elsewhere: Iterable[Elsewhere],
    aside: Mapping[tuple[Waiting, str], int],
) -> list[Proposal]:
    """What to ask whom for.

    Of several regions the one with the most is asked first.

    Args:
        elsewhere: of regions that are heard.
        aside: how much of what (see `of`) by whom a person set aside; it comes again once it is
            more.
    """
    free = {(each.item, each.region): each for each in elsewhere}
    left = {key: each.free for key, each in free.items()}
    for each in coming:
        # It is still in that region's figure, and promised or about to be.
        if not each.left and (each.item, each.from_region) in left:
            left[each.item, each.from_region] -= each.quantity
    found: list[Proposal] = []
    for wanted, uncovered in _uncovered(waiting, coming):
        missing = uncovered
        regions = sorted(
            (key for key in left if key[0] == wanted.item and left[key] > 0),
            key=lambda key: (-left[key], key[1]),
        )
        for key in regions:
            quantity = min(missing, left[key])
            if quantity <= aside.get((of(wanted), key[1]), 0):
                continue
            told = free[key]
            found.append(Proposal(wanted, told.region, quantity, told.free, told.as_of))
            left[key] -= quantity
            missing -= quantity
    return found


def of(waiting: Waiting) -> Waiting:
    """What is waited for, whoever waits."""
    return waiting._replace(needs=0, quantity=0, chosen=False)


def _uncovered(
    waiting: Collection[Waiting], coming: Collection[Coming]
) -> Sequence[tuple[Waiting, int]]:
    """What is waited for and how much of it is neither asked for nor on its way.

    Goods go to those first who can be served in the fewest places, so that none is covered by what
    could have gone elsewhere.
    """
    missing = {each: each.quantity for each in sorted(waiting, key=lambda w: w.narrowness)}
    for each in coming:
        pieces = each.quantity
        for wanted, left in missing.items():
            if wanted.item == each.item and wanted.is_served_at(each.site_id, each.area):
                taken = min(pieces, left)
                missing[wanted] = left - taken
                pieces -= taken
    return [(wanted, pieces) for wanted, pieces in missing.items() if pieces > 0]


def asks_by_rule(
    proposals: Iterable[Proposal], rules: Collection[AskRule], coming: Collection[Coming]
) -> list[Ask]:
    """Which proposals are asked for at once, each by one rule, and how much of them."""
    room = {
        rule: rule.open_max
        - sum(
            each.quantity
            for each in coming
            if each.item == rule.item and each.site_id == rule.to_site_id
        )
        for rule in sorted(rules, key=lambda rule: rule.rule_id)
    }
    found: list[Ask] = []
    for each in proposals:
        for rule, pieces in room.items():
            if (
                pieces > 0
                and rule.item == each.waiting.item
                and (rule.regions is None or each.from_region in rule.regions)
                and (rule.sensitive_too or not each.waiting.sensitive)
                and (each.waiting.chosen or not rule.chosen_only)
                and each.waiting.is_served_at(rule.to_site_id, rule.area)
            ):
                quantity = min(each.quantity, pieces)
                room[rule] -= quantity
                found.append(Ask(rule, each.from_region, quantity))
                break
    return found
