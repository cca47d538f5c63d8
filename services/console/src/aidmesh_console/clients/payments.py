"""Payments as the desk sees it: grants, payouts, purchases, and what waits for someone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from pydantic import Field, TypeAdapter

from aidmesh_console.clients.link import ACCEPTED, Link, Query, View
from aidmesh_console.clients.peers import LinkState


class Holding(View):
    """Part of a grant that a region holds, in the currency of spending, in minor units."""

    allotment_id: UUID | None = None
    grant_code: str | None = None
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
    link: LinkState | None = None


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
    refund_due_minor: int = 0
    refunded_minor: int = 0
    terms_version: int = 1
    holders: tuple[Holding, ...] = ()


class BudgetLine(View):
    """A line of a grant's budget, in the grant's currency."""

    code: str
    amount_minor: int
    allotted_minor: int = 0
    flexibility_percent: int = 0
    cost_categories: tuple[str, ...] | None = None


class Instalment(View):
    """A part of a grant that is expected or came in."""

    id: UUID
    expected_minor: int
    expected_on: date
    state: str
    received_minor: int | None = None
    received_on: date | None = None
    bank_reference: str | None = None
    reason: str | None = None


class Amendment(View):
    """What a grant promised before its terms got this version, and why they changed."""

    terms_version: int
    amount_minor: int
    period_to: date
    reason: str
    recorded_at: datetime


class WholeGrant(Grant):
    """A grant of this region with its budget and its instalments."""

    period_from: date
    period_to: date
    paying_office: str | None = None
    budget_lines: tuple[BudgetLine, ...] = ()
    instalments: tuple[Instalment, ...] = ()
    amendments: tuple[Amendment, ...] = ()


class Grants(View):
    """A page of the grants known here; `others` are what grants of other regions gave."""

    as_of: datetime
    grants: tuple[Grant, ...]
    others: tuple[Holding, ...] = ()
    next: str | None = None


class PurchaseLine(View):
    """What is bought: pieces of an item, or a service."""

    item: str | None = None
    description: str
    quantity: int
    unit_value_minor: int
    received: int = 0


class Correction(View):
    """What stood in a purchase before it was put right: a `bill` or a `payment`."""

    what: str
    amount_minor: int
    reference: str | None = None
    reason: str
    recorded_at: datetime


class Purchase(View):
    """Something that is bought from an allotment."""

    id: UUID
    allotment_id: UUID
    supplier: str
    cost_category: str
    programme: str
    currency: str
    amount_minor: int
    state: str
    planned_on: date
    paid_on: date | None = None
    area: str | None = None
    invoice_reference: str | None = None
    bank_reference: str | None = None
    lines: tuple[PurchaseLine, ...] = ()
    corrections: tuple[Correction, ...] = ()


class Purchases(View):
    """A page of purchases."""

    rows: tuple[Purchase, ...] = Field(validation_alias="purchases")
    next: str | None = None


class Discrepancy(View):
    """Money that a fact took and the books do not have; some may not see what for."""

    id: UUID
    about: str
    need_id: UUID
    programme: str | None
    amount_minor: int
    currency: str
    occurred_on: date
    opened_at: datetime


class Discrepancies(View):
    """A page of discrepancies."""

    rows: tuple[Discrepancy, ...] = Field(validation_alias="discrepancies")
    next: str | None = None


class AllotmentRequest(View):
    """An allotment beyond its budget line that waits for a second person."""

    id: UUID
    grant_id: UUID
    reason: str
    asked_at: datetime
    budget_line: str
    to_region: str
    amount_minor: int
    currency: str


class AllotmentRequests(View):
    """A page of requests."""

    rows: tuple[AllotmentRequest, ...] = Field(validation_alias="requests")
    next: str | None = None


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
    assigned_to: str | None = None


class PayingOrder(View):
    """What another region has this office pay; without a sum until the box could be opened."""

    id: UUID
    region: str
    grant_code: str | None = None
    amount_minor: int | None = None
    currency: str | None = None
    mechanism: str | None = None
    state: str
    recorded_at: datetime | None = None


class PayingOrders(View):
    """A page of orders."""

    rows: tuple[PayingOrder, ...] = Field(validation_alias="orders")
    next: str | None = None


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


class _Holdings(View):
    allotments: tuple[Holding, ...]
    next: str | None = None


class _Regions(View):
    regions: tuple[str, ...]


class _Allotted(View):
    request_id: UUID | None = None


class _Drawn(View):
    purchase_id: UUID


_GRANTS = TypeAdapter(Grants)
_PAYOUTS = TypeAdapter(Payouts)
_ORDERS = TypeAdapter(PayingOrders)
_ROWS = TypeAdapter(_Rows)
_GRANT = TypeAdapter(WholeGrant)
_HOLDINGS = TypeAdapter(_Holdings)
_REGIONS = TypeAdapter(_Regions)
_ALLOTTED = TypeAdapter(_Allotted)
_PURCHASES = TypeAdapter(Purchases)
_PURCHASE = TypeAdapter(Purchase)
_DRAWN = TypeAdapter(_Drawn)
_DISCREPANCIES = TypeAdapter(Discrepancies)
_REQUESTS = TypeAdapter(AllotmentRequests)
ROWS_MAX = 200
PAGES_MAX = 20
"""How many rows of a list payments gives at once."""
_SOURCE = "desk"
REFERENCE_CHARS_MAX = 140
"""What a bank's reference may have, as in ISO 20022."""


class Payments:
    """What the desk asks of payments."""

    def __init__(self, link: Link) -> None:
        self.link = link

    async def grants(self, after: str | None = None) -> Grants:
        """A page of grants in sums."""
        return await self.link.get("/v1/grants/summary", _GRANTS, {"after": after})

    async def grant(self, grant_id: UUID) -> WholeGrant:
        """One grant of this region, whole."""
        return await self.link.get(f"/v1/grants/{grant_id}", _GRANT)

    async def held_by(self, region: str) -> Sequence[Holding]:
        """What a region may spend: its allotments, all of them, to choose from."""
        held: list[Holding] = []
        after: str | None = None
        for _ in range(PAGES_MAX):
            query: Query = {"holder": region, "limit": ROWS_MAX, "after": after}
            page = await self.link.get("/v1/allotments", _HOLDINGS, query)
            held += page.allotments
            after = page.next
            if after is None:
                break
        return held

    async def regions(self) -> Sequence[str]:
        """Whom money may be allotted to."""
        return (await self.link.get("/v1/regions", _REGIONS)).regions

    async def allot(self, order: Mapping[str, object], key: UUID) -> bool:
        """Allot money; False if a second person has to approve it first."""
        answer = await self.link.post("/v1/allotments", _ALLOTTED, order, key)
        return answer.request_id is None

    async def act_on_grant(
        self, grant_id: UUID, step: str, body: Mapping[str, object], key: UUID
    ) -> None:
        """Amend a grant, demand of it, demand less, refund: `step` is its name."""
        await self.link.post(f"/v1/grants/{grant_id}:{step}", ACCEPTED, body, key)

    async def enter_instalment(self, row: Mapping[str, object], key: UUID) -> RowAnswer:
        """An instalment is expected, or came in; one that is expected may be named."""
        body = {"source": _SOURCE, "rows": [{"row_id": str(key), **row}]}
        return (await self.link.post("/v1/instalments:bulk", _ROWS, body, key)).rows[0]

    async def act_on_instalment(
        self, instalment_id: UUID, step: str, reason: str, key: UUID
    ) -> None:
        """Reverse or withdraw an instalment: `step` is its name."""
        path = f"/v1/instalments/{instalment_id}:{step}"
        await self.link.post(path, ACCEPTED, {"reason": reason}, key)

    async def purchases(self, states: Sequence[str], after: str | None = None) -> Purchases:
        """Purchases in some states, the oldest first."""
        query: Query = {"state": states, "after": after}
        return await self.link.get("/v1/purchases", _PURCHASES, query)

    async def purchase(self, purchase_id: UUID) -> Purchase:
        """One purchase with its lines."""
        return await self.link.get(f"/v1/purchases/{purchase_id}", _PURCHASE)

    async def draw_up(self, wish: Mapping[str, object], key: UUID) -> UUID:
        """Draw up a purchase; its id."""
        return (await self.link.post("/v1/purchases", _DRAWN, wish, key)).purchase_id

    async def act_on_purchase(
        self, purchase_id: UUID, step: str, body: Mapping[str, object], key: UUID
    ) -> None:
        """Order, receive, invoice, pay, correct or cancel a purchase: `step` is its name."""
        await self.link.post(f"/v1/purchases/{purchase_id}:{step}", ACCEPTED, body, key)

    async def discrepancies(self, after: str | None = None) -> Discrepancies:
        """Open discrepancies of money, the oldest first."""
        return await self.link.get("/v1/discrepancies", _DISCREPANCIES, {"after": after})

    async def settle_discrepancy(
        self, discrepancy_id: UUID, body: Mapping[str, object], key: UUID
    ) -> None:
        """Book a discrepancy on an allotment, or say why it is not booked."""
        await self.link.post(f"/v1/discrepancies/{discrepancy_id}:settle", ACCEPTED, body, key)

    async def requests(self, after: str | None = None) -> AllotmentRequests:
        """A page of allotments beyond their budget line that wait for a second person."""
        query: Query = {"limit": ROWS_MAX, "after": after}
        return await self.link.get("/v1/allotment-requests", _REQUESTS, query)

    async def decide_request(self, request_id: UUID, step: str, key: UUID) -> None:
        """Approve or refuse such an allotment."""
        await self.link.post(f"/v1/allotment-requests/{request_id}:{step}", ACCEPTED, key=key)

    async def payouts(self, state: str, after: str | None = None, limit: int = 50) -> Payouts:
        """Payouts in a state, the oldest first."""
        query: Query = {"state": state, "after": after, "limit": limit}
        return await self.link.get("/v1/payouts", _PAYOUTS, query)

    async def reviews(self, after: str | None = None) -> Payouts:
        """What one person paid alone and a second has to look at, the most urgent first."""
        query: Query = {"limit": ROWS_MAX, "after": after}
        return await self.link.get("/v1/payouts/reviews", _PAYOUTS, query)

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

    async def orders(self, state: str, after: str | None = None, limit: int = 50) -> PayingOrders:
        """What other regions have this office pay, in a state, the oldest first."""
        query: Query = {"state": state, "after": after, "limit": limit}
        return await self.link.get("/v1/paying-orders", _ORDERS, query)

    async def settle_order(
        self, payout_id: UUID, bank_reference: str, served_on: date, key: UUID
    ) -> Sequence[RowAnswer]:
        """The bank paid what another region had asked for."""
        row = {
            "row_id": str(key),
            "payout_id": str(payout_id),
            "bank_reference": bank_reference,
            "served_on": served_on.isoformat(),
        }
        body = {"source": _SOURCE, "rows": [row]}
        return (await self.link.post("/v1/paying-orders:settle", _ROWS, body, key)).rows

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

    async def not_collected(self, payout_id: UUID, key: UUID) -> None:
        """Nobody came for this cash."""
        await self.link.post(f"/v1/payouts/{payout_id}:not-collected", ACCEPTED, key=key)

    async def redo(self, payout_id: UUID, key: UUID) -> None:
        """Draw up a rejected or returned payout again."""
        await self.link.post(f"/v1/payouts/{payout_id}:redo", ACCEPTED, key=key)

    async def give_up(self, payout_id: UUID, key: UUID) -> None:
        """Let go of the money of a rejected or returned payout."""
        await self.link.post(f"/v1/payouts/{payout_id}:give-up", ACCEPTED, key=key)
