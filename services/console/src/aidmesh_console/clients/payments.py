"""Payments as the desk sees it: grants in sums, and payouts waiting for someone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from pydantic import Field, TypeAdapter

from aidmesh_console.clients.link import ACCEPTED, Link, Query, View


class Holding(View):
    """Part of a grant that a region holds, in the currency of spending, in minor units."""

    holder: str
    budget_line: str | None = None
    currency: str
    status: str
    received_minor: int = 0
    held_minor: int = 0
    committed_minor: int = 0
    spent_minor: int = 0
    free_minor: int = 0
    in_transit_minor: int = 0
    as_of: datetime | None = None


class Grant(View):
    """One grant in its own currency, in minor units."""

    id: UUID
    code: str
    donor: str
    currency: str
    status: str
    amount_minor: int
    received_minor: int
    unallotted_minor: int
    allotted_minor: int
    in_transit_minor: int = 0
    shortfall_minor: int = 0
    holders: tuple[Holding, ...] = ()


class Foreign(Holding):
    """What a grant of another region gave to this one."""

    grant_code: str | None = None


class Grants(View):
    """Every grant known here; `others` are those of other regions."""

    as_of: datetime
    grants: tuple[Grant, ...]
    others: tuple[Foreign, ...] = ()


class Payout(View):
    """A payment to a person; who it goes to is sealed and not shown here."""

    id: UUID
    need_id: UUID | None = None
    amount_minor: int
    currency: str
    mechanism: str | None = None
    state: str = ""
    reason: str | None = None
    recorded_at: datetime | None = None
    settled_on: date | None = None
    review_due_at: datetime | None = None


class Payouts(View):
    """A page of payouts."""

    rows: tuple[Payout, ...] = Field(validation_alias="payouts")
    next: str | None = None


class RowAnswer(View):
    """What became of one row of a bulk form."""

    row: int
    status: str
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Paid:
    """A line of a table: the bank paid this need or payout under this reference."""

    line: int
    id: UUID
    bank_reference: str


class _Rows(View):
    rows: tuple[RowAnswer, ...]


_GRANTS = TypeAdapter(Grants)
_PAYOUTS = TypeAdapter(Payouts)
_ROWS = TypeAdapter(_Rows)
_SOURCE = "desk"
REFERENCE_CHARS_MAX = 140
"""What a bank's reference may have, as in ISO 20022."""


class Payments:
    """What the desk asks of payments."""

    def __init__(self, link: Link) -> None:
        self.link = link

    async def grants(self) -> Grants:
        """Every grant in sums."""
        return await self.link.get("/v1/grants/summary", _GRANTS)

    async def payouts(self, state: str, after: str | None = None, limit: int = 50) -> Payouts:
        """Payouts in a state, the oldest first."""
        query: Query = {"state": state, "after": after, "limit": limit}
        return await self.link.get("/v1/payouts", _PAYOUTS, query)

    async def reviews(self) -> Payouts:
        """What one person paid alone and a second has to look at."""
        return await self.link.get("/v1/payouts/reviews", _PAYOUTS)

    async def review(self, payout_id: UUID, key: UUID) -> None:
        """A second person looked at it."""
        await self.link.post(f"/v1/payouts/{payout_id}:review", ACCEPTED, key=key)

    async def approve(self, payout_ids: Sequence[UUID], key: UUID) -> Sequence[RowAnswer]:
        """Approve payouts; each is answered by itself."""
        rows = [{"row_id": f"{key}/{each}", "payout_id": str(each)} for each in payout_ids]
        body = {"source": _SOURCE, "rows": rows}
        return (await self.link.post("/v1/payouts:approve", _ROWS, body, key)).rows

    async def settle(
        self, payout_id: UUID, bank_reference: str, served_on: date, key: UUID
    ) -> Sequence[RowAnswer]:
        """The bank paid: its reference, and the day."""
        row = {
            "row_id": str(key),
            "payout_id": str(payout_id),
            "bank_reference": bank_reference,
            "served_on": served_on.isoformat(),
        }
        body = {"source": _SOURCE, "rows": [row]}
        return (await self.link.post("/v1/payouts:settle", _ROWS, body, key)).rows

    async def settle_many(
        self, table: Sequence[Paid], served_on: date, key: UUID, *, by_need: bool
    ) -> Sequence[RowAnswer]:
        """The bank paid many. A line that comes twice, today or later, counts once."""
        rows = [
            {
                "row_id": f"{paid.id}/{paid.bank_reference}",
                "need_id" if by_need else "payout_id": str(paid.id),
                "bank_reference": paid.bank_reference,
                "served_on": served_on.isoformat(),
            }
            for paid in table
        ]
        body = {"source": _SOURCE, "rows": rows}
        return (await self.link.post("/v1/payouts:settle", _ROWS, body, key)).rows

    async def redo(self, payout_id: UUID, key: UUID) -> None:
        """Draw up a rejected or returned payout again."""
        await self.link.post(f"/v1/payouts/{payout_id}:redo", ACCEPTED, key=key)

    async def give_up(self, payout_id: UUID, key: UUID) -> None:
        """Let go of the money of a rejected or returned payout."""
        await self.link.post(f"/v1/payouts/{payout_id}:give-up", ACCEPTED, key=key)
