"""Which of the asks of other regions a rule accepts; a person decides the rest. No I/O.

A rule promises a whole ask or nothing: an ask is answered once, and a person may know of a way to
give more than a part. It never promises what is not free, what was promised before, or what the
region keeps for itself; and nothing at all while anybody here waits for the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final
from uuid import UUID

from aidmesh_contracts.restriction import AreaMeans, Restriction
from aidmesh_inventory.domain.picking import Lot

NEED_DAYS: Final = 28
"""Days over which the own need of an item is looked at."""
WEEK_DAYS: Final = 7
"""Days over which `week_max` counts."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Under which conditions asks are accepted without a person.

    Attributes:
        item: None for all items.
        site_id: the site whose goods may go; None for those of all open sites.
        regions: who may ask; None for everybody.
        keep_pieces: free pieces that stay whatever is asked.
        keep_days: as many free pieces stay as so many days of own need take.
        ask_max: the largest ask that it accepts.
        week_max: pieces that it promises within `WEEK_DAYS`.
    """

    rule_id: UUID
    item: str | None
    site_id: UUID | None
    regions: frozenset[str] | None
    keep_pieces: int
    keep_days: int
    ask_max: int
    week_max: int


@dataclass(frozen=True, slots=True)
class Shelf:
    """What there is here of an item that another region asks for.

    Attributes:
        free: pieces that may go there, by open site.
        issued: pieces that were given out within `NEED_DAYS`, by site.
        promised: pieces that others were promised and that are still here.
        waiting: pieces that needs of this region wait for.
    """

    free: Mapping[UUID, int]
    issued: Mapping[UUID, int]
    promised: int
    waiting: int

    def to_give(self, rule: Rule) -> int:
        """Pieces that a rule has to promise; what was promised counts wherever it may lie."""
        return self._at(rule, self.free) - self.promised - self._kept(rule)

    def _kept(self, rule: Rule) -> int:
        need = -(-self._at(rule, self.issued) * rule.keep_days // NEED_DAYS)
        return max(rule.keep_pieces, need)

    @staticmethod
    def _at(rule: Rule, pieces: Mapping[UUID, int]) -> int:
        if rule.site_id is None:
            return sum(pieces.values())
        return pieces.get(rule.site_id, 0)


def accepting_rule(
    item: str,
    quantity: int,
    to_region: str,
    shelf: Shelf,
    rules: Iterable[Rule],
    given: Mapping[UUID, int],
) -> Rule | None:
    """The rule that accepts an ask; None if a person has to decide.

    Args:
        given: pieces that each rule promised within `WEEK_DAYS`.
    """
    if shelf.waiting:
        return None
    for rule in sorted(rules, key=lambda rule: rule.rule_id):
        if (
            rule.item in (None, item)
            and (rule.regions is None or to_region in rule.regions)
            and quantity <= rule.ask_max
            and given.get(rule.rule_id, 0) + quantity <= rule.week_max
            and quantity <= shelf.to_give(rule)
        ):
            return rule
    return None


def may_leave(lots: Sequence[Lot], area: str, today: date) -> Mapping[UUID, int]:
    """Free pieces by site that would be of use in an area: not past their day, donors allowing."""
    found: dict[UUID, int] = {}
    for lot in lots:
        if (lot.expiry is None or lot.expiry > today) and _is_for(lot.restriction, area, today):
            found[lot.site_id] = found.get(lot.site_id, 0) + lot.free
    return found


def _is_for(restriction: Restriction, area: str, today: date) -> bool:
    """Whether a donor lets goods go to an area: where people stay or come from nobody knows yet."""
    if restriction.valid_to is not None and restriction.valid_to < today:
        return False
    if restriction.areas is None:
        return True
    return restriction.area_means is AreaMeans.SERVICE and any(
        area.startswith(each) for each in restriction.areas
    )
