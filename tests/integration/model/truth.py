"""What is true, in plain numbers: what people did, whatever the services make of it."""

from dataclasses import dataclass, field
from uuid import UUID

from aidmesh_contracts.ids import AllotmentId, PayoutId

ITEMS = {"hiv_test": "hiv_test", "test_delivered": "hiv_test", "self_test": "hiv_self_test"}
"""Which item a kind takes, one for each unit."""

PROGRAMMES = {"travel": "cash", "test_delivered": "prevention", "counseling_paid": "psychosocial"}
"""Which programme bears the money of a kind."""

PRICES_MINOR = {"travel": 150_000, "test_delivered": 50_000, "counseling_paid": 80_000}
"""What a unit of a kind costs."""


@dataclass
class Purse:
    """An allotment: what came, for which programme (None for any), and whether it is recalled."""

    came_minor: int
    programme: str | None
    is_recalled: bool = False

    def bears(self, kind: str) -> bool:
        """Whether it may pay for a kind now."""
        return not self.is_recalled and self.programme in (None, PROGRAMMES[kind])


@dataclass
class Truth:
    """Everything that happened outside the books.

    Attributes:
        lots, items: how many pieces came in, and of what.
        asked: by kind, how many units were asked for, facts aside.
        handed: by need and attempt, how many pieces or seats are out there now.
        paid: by payout, need and amount that the person has now.
        given: by need, kind and units that were given before they were entered.
        cancelled, served: needs that ever were.
        let_go: needs whose returned payment was given up.
        drawn_up_by, approved_by: by payout, who did.
    """

    lots: dict[UUID, int] = field(default_factory=dict)
    items: dict[UUID, str] = field(default_factory=dict)
    purses: dict[AllotmentId, Purse] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    handed: dict[tuple[UUID, int], int] = field(default_factory=dict)
    paid: dict[PayoutId, tuple[UUID, int]] = field(default_factory=dict)
    given: dict[UUID, tuple[str, int]] = field(default_factory=dict)
    cancelled: set[UUID] = field(default_factory=set)
    served: set[UUID] = field(default_factory=set)
    let_go: set[UUID] = field(default_factory=set)
    drawn_up_by: dict[PayoutId, UUID] = field(default_factory=dict)
    approved_by: dict[PayoutId, UUID] = field(default_factory=dict)

    def may_settle(self, payout_id: PayoutId, amount_minor: int, by: UUID, limit: int) -> bool:
        """Whether a payment needs nobody else: it is small, or another one approved it."""
        approver = self.approved_by.get(payout_id)
        people = {self.drawn_up_by.get(payout_id), approver, by} - {None}
        return amount_minor <= limit or (approver is not None and len(people) > 1)
