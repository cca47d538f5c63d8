"""Payments as the desk sees it: grants, payouts, purchases, and what waits for someone."""

from collections.abc import Mapping, Sequence
from datetime import date
from uuid import UUID

from pydantic import TypeAdapter

from aidmesh_console.clients.link import ACCEPTED, ROWS_MAX, Link, Page, Query, View
from aidmesh_console.clients.payments_views import (
    AllotmentRequests,
    Discrepancies,
    Donor,
    Grants,
    Holding,
    MoneyOfNeed,
    Paid,
    PayingOrders,
    PaymentLists,
    Payout,
    Payouts,
    Purchase,
    Purchases,
    Rates,
    RowAnswer,
    WholeGrant,
)


class _Rows(View):
    rows: tuple[RowAnswer, ...]


class _Holdings(Page):
    allotments: tuple[Holding, ...]


class _Regions(Page):
    regions: tuple[str, ...]


class _Allotted(View):
    request_id: UUID | None = None


class _Drawn(View):
    purchase_id: UUID


class _Donors(Page):
    donors: tuple[Donor, ...]


class _DonorMade(View):
    donor_id: UUID


class _Pledged(View):
    grant_id: UUID


_GRANTS = TypeAdapter(Grants)
_PAYOUTS = TypeAdapter(Payouts)
_OF_NEED = TypeAdapter(MoneyOfNeed)
_ORDERS = TypeAdapter(PayingOrders)
_LISTS = TypeAdapter(PaymentLists)
_ROWS = TypeAdapter(_Rows)
_GRANT = TypeAdapter(WholeGrant)
_HOLDINGS = TypeAdapter(_Holdings)
_REGIONS = TypeAdapter(_Regions)
_ALLOTTED = TypeAdapter(_Allotted)
_PURCHASES = TypeAdapter(Purchases)
_PURCHASE = TypeAdapter(Purchase)
_DRAWN = TypeAdapter(_Drawn)
_DONORS = TypeAdapter(_Donors)
_DONOR_MADE = TypeAdapter(_DonorMade)
_PLEDGED = TypeAdapter(_Pledged)
_RATES = TypeAdapter(Rates)
_DISCREPANCIES = TypeAdapter(Discrepancies)
_REQUESTS = TypeAdapter(AllotmentRequests)
LISTS_SHOWN = 5
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

    async def donors(self) -> Sequence[Donor]:
        """Who gives grants: all of them, to choose from."""
        pages = self.link.pages("/v1/donors", _DONORS)
        return [each async for page in pages for each in page.donors]

    async def add_donor(self, name: str, key: UUID) -> UUID:
        """Enter a donor; its id."""
        return (await self.link.post("/v1/donors", _DONOR_MADE, {"name": name}, key)).donor_id

    async def pledge(self, wish: Mapping[str, object], key: UUID) -> UUID:
        """Enter a grant that was promised; its id."""
        return (await self.link.post("/v1/grants", _PLEDGED, wish, key)).grant_id

    async def rates(self, after: str | None = None) -> Rates:
        """A page of exchange rates, the newest first."""
        return await self.link.get("/v1/rates", _RATES, {"after": after})

    async def add_rate(self, rate: Mapping[str, object], key: UUID) -> None:
        """Enter a rate of exchange."""
        await self.link.post("/v1/rates", ACCEPTED, rate, key)

    async def held_by(self, region: str) -> Sequence[Holding]:
        """What a region may spend: its allotments, all of them, to choose from."""
        return await self.held(region)

    async def held(self, region: str | None = None) -> Sequence[Holding]:
        """All allotments that are known, of one holder or all."""
        pages = self.link.pages("/v1/allotments", _HOLDINGS, {"holder": region})
        return [each async for page in pages for each in page.allotments]

    async def regions(self) -> Sequence[str]:
        """Whom money may be allotted to."""
        pages = self.link.pages("/v1/regions", _REGIONS)
        return [each async for page in pages for each in page.regions]

    async def allot(self, order: Mapping[str, object], key: UUID) -> bool:
        """Allot money; False if a second person has to approve it first."""
        answer = await self.link.post("/v1/allotments", _ALLOTTED, order, key)
        return answer.request_id is None

    async def act_on_grant(
        self, grant_id: UUID, step: str, body: Mapping[str, object], key: UUID
    ) -> None:
        """Amend, suspend or resume a grant, demand of it and so on: `step` is its name."""
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

    async def of_need(self, need_id: UUID) -> Sequence[Payout]:
        """The payouts of a need, the first one first."""
        return (await self.link.get(f"/v1/needs/{need_id}/commitment", _OF_NEED)).payouts

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

    async def export(self, currency: str, mechanism: str, key: UUID) -> None:
        """Put approved payouts on a new payment list."""
        body = {"currency": currency, "mechanism": mechanism}
        await self.link.post("/v1/payouts:export", ACCEPTED, body, key)

    async def came_back(self, payout_id: UUID, reason: str, key: UUID) -> None:
        """The bank sent a payout back."""
        path = f"/v1/payouts/{payout_id}:return"
        await self.link.post(path, ACCEPTED, {"reason": reason}, key)

    async def export_orders(self, currency: str, mechanism: str, key: UUID) -> None:
        """Put what waits on a new payment list."""
        body = {"currency": currency, "mechanism": mechanism}
        await self.link.post("/v1/paying-orders:export", ACCEPTED, body, key)

    async def act_on_order(self, payout_id: UUID, step: str, reason: str, key: UUID) -> None:
        """The bank did not carry it out, or it came back: `step` is its name."""
        path = f"/v1/paying-orders/{payout_id}:{step}"
        await self.link.post(path, ACCEPTED, {"reason": reason}, key)

    async def payment_lists(self) -> PaymentLists:
        """The newest payment lists, the newest first."""
        return await self.link.get("/v1/payout-batches", _LISTS, {"limit": LISTS_SHOWN})

    async def payment_list(self, list_id: UUID) -> bytes:
        """A payment list as CSV, with payees opened: every reading is on record."""
        return await self.link.get_file(f"/v1/payout-batches/{list_id}/list.csv")

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

    async def reject(self, payout_id: UUID, reason: str, key: UUID) -> None:
        """The bank did not carry it out."""
        path = f"/v1/payouts/{payout_id}:reject"
        await self.link.post(path, ACCEPTED, {"reason": reason}, key)

    async def redo(self, payout_id: UUID, key: UUID) -> None:
        """Draw up a rejected or returned payout again."""
        await self.link.post(f"/v1/payouts/{payout_id}:redo", ACCEPTED, key=key)

    async def give_up(self, payout_id: UUID, key: UUID) -> None:
        """Let go of the money of a rejected or returned payout."""
        await self.link.post(f"/v1/payouts/{payout_id}:give-up", ACCEPTED, key=key)
