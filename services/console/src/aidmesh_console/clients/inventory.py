"""Inventory as the desk asks it."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from aidmesh_console.clients.inventory_views import (
    AllStock,
    Assets,
    Beds,
    Capacity,
    CheckOuts,
    Discrepancies,
    ExpectedLines,
    Item,
    Lots,
    LotsBought,
    LotTerms,
    Reservation,
    Reservations,
    RowAnswer,
    Site,
    Slots,
    Stock,
    StockAway,
    Supply,
)
from aidmesh_console.clients.link import ACCEPTED, ROWS_MAX, Link, Page, Query, View


class _Rows(View):
    rows: tuple[RowAnswer, ...]


class _Sites(Page):
    rows: tuple[Site, ...]


class _Items(Page):
    rows: tuple[Item, ...]


class _Total(View):
    item: str
    free: int


class _Totals(Page):
    rows: tuple[_Total, ...]


class _Supplies(View):
    rows: tuple[Supply, ...]


class _CapacityList(Page):
    rows: tuple[Capacity, ...]


_SITES = TypeAdapter(_Sites)
_ITEMS = TypeAdapter(_Items)
_LOTS = TypeAdapter(Lots)
_LOTS_BOUGHT = TypeAdapter(LotsBought)
_LOT = TypeAdapter(LotTerms)
_STOCK = TypeAdapter(AllStock)
_TOTALS = TypeAdapter(_Totals)
_SUPPLIES = TypeAdapter(_Supplies)
_CAPACITY = TypeAdapter(_CapacityList)
_BEDS = TypeAdapter(Beds)
_SLOTS = TypeAdapter(Slots)
_CHECK_OUTS = TypeAdapter(CheckOuts)
_RESERVATIONS = TypeAdapter(Reservations)
_EXPECTED = TypeAdapter(ExpectedLines)
_DISCREPANCIES = TypeAdapter(Discrepancies)
_ROWS = TypeAdapter(_Rows)
_ASSETS = TypeAdapter(Assets)
_SOURCE = "desk"


class Inventory:
    """What the desk asks of inventory."""

    def __init__(self, link: Link, region: str) -> None:
        self.link = link
        self._region = region

    async def sites(self) -> Sequence[Site]:
        """The places of this region."""
        pages = self.link.pages("/v1/sites", _SITES)
        return [each async for page in pages for each in page.rows]

    async def items(self) -> Sequence[Item]:
        """The kinds of goods."""
        pages = self.link.pages("/v1/items", _ITEMS)
        return [each async for page in pages for each in page.rows]

    async def stock(self, site_id: UUID | None = None) -> AllStock:
        """What there is, here and elsewhere."""
        own: list[Stock] = []
        others: list[StockAway] = []
        query: Query = {"site_id": str(site_id) if site_id else None}
        async for page in self.link.pages("/v1/stock", _STOCK, query):
            own += page.own
            others += page.others
        return AllStock(own=tuple(own), others=tuple(others))

    async def lots(self, site_id: UUID | None, item: str | None, after: str | None = None) -> Lots:
        """A page of the lots with something on hand."""
        query: Query = {
            "site_id": str(site_id) if site_id else None,
            "item": item,
            "after": after,
            "limit": ROWS_MAX,
        }
        return await self.link.get("/v1/lots", _LOTS, query)

    async def lots_of(self, purchase_id: UUID, after: str | None = None) -> LotsBought:
        """A page of the lots that came from a purchase."""
        query: Query = {"after": after, "limit": ROWS_MAX}
        return await self.link.get(f"/v1/purchases/{purchase_id}/lots", _LOTS_BOUGHT, query)

    async def lines_of(self, purchase_id: UUID) -> ExpectedLines:
        """What was ordered with a purchase, whether or not more is to come of it."""
        query: Query = {"limit": ROWS_MAX}
        return await self.link.get(f"/v1/purchases/{purchase_id}/lines", _EXPECTED, query)

    async def expected(self, item: str | None = None) -> ExpectedLines:
        """The first of what is still to come of purchases; of one item, if it is given."""
        query: Query = {"item": item, "limit": ROWS_MAX}
        return await self.link.get("/v1/purchases/expected", _EXPECTED, query)

    async def lot(self, lot_id: UUID) -> LotTerms:
        """One lot with its donor's terms."""
        return await self.link.get(f"/v1/lots/{lot_id}", _LOT)

    async def free_of_items(self) -> Mapping[str, int]:
        """How much of each item is free in this region."""
        pages = self.link.pages("/v1/stock/totals", _TOTALS)
        return {each.item: each.free async for page in pages for each in page.rows}

    async def supply(self, wanted: Sequence[Mapping[str, object]]) -> Mapping[str, Supply]:
        """How much of each of these could be had now, by its code, in one answer."""
        found = await self.link.post("/v1/supply:lookup", _SUPPLIES, {"wanted": wanted})
        return {each.code: each for each in found.rows}

    async def own_beds(self) -> Sequence[Capacity]:
        """Free beds of this region's sites, which come before those of others."""
        rows: list[Capacity] = []
        async for page in self.link.pages("/v1/capacity", _CAPACITY, {"resource": "bed"}):
            own = [each for each in page.rows if each.region == self._region]
            rows += own
            if len(own) < len(page.rows):
                break
        return rows

    async def all_beds(self) -> Sequence[Capacity]:
        """Free beds of the next days, here and elsewhere."""
        pages = self.link.pages("/v1/capacity", _CAPACITY, {"resource": "bed"})
        return [
            each.model_copy(update={"region": None}) if each.region == self._region else each
            async for page in pages
            for each in page.rows
        ]

    async def beds(
        self, site_id: UUID, first_on: date, days: int, after: str | None = None
    ) -> Beds:
        """The beds of a site by room, and who is in them."""
        query: Query = {
            "site_id": str(site_id),
            "from": first_on.isoformat(),
            "days": days,
            "after": after,
            "limit": ROWS_MAX,
        }
        return await self.link.get("/v1/beds", _BEDS, query)

    async def slots(self, site_id: UUID | None, after: str | None = None) -> Slots:
        """A page of the slots from today on, of one site or all."""
        query: Query = {"site_id": str(site_id) if site_id else None, "after": after}
        return await self.link.get("/v1/slots", _SLOTS, query)

    async def cancel_slot(self, slot_id: UUID, key: UUID) -> None:
        """Cancel a slot; those who had a seat are placed anew."""
        await self.link.post(f"/v1/slots/{slot_id}:cancel", ACCEPTED, key=key)

    async def check_outs(self, site_id: UUID, after: str | None = None) -> CheckOuts:
        """Guests of a site who should have left, and of whom nobody said that they did."""
        query: Query = {"site_id": str(site_id), "after": after, "limit": ROWS_MAX}
        return await self.link.get("/v1/check-outs", _CHECK_OUTS, query)

    async def left_since(self, site_id: UUID, since: date, after: str | None = None) -> CheckOuts:
        """Guests of a site whom somebody checked out, as having left since that day."""
        query: Query = {
            "site_id": str(site_id),
            "left_since": since.isoformat(),
            "after": after,
            "limit": ROWS_MAX,
        }
        return await self.link.get("/v1/check-outs", _CHECK_OUTS, query)

    async def ready(
        self, site_id: UUID | None = None, after: str | None = None, limit: int = 50
    ) -> Reservations:
        """What is ready to be handed over, the soonest deadline first."""
        query: Query = {
            "state": "confirmed",
            "site_id": str(site_id) if site_id else None,
            "after": after,
            "limit": limit,
        }
        return await self.link.get("/v1/reservations", _RESERVATIONS, query)

    async def of_needs(self, need_ids: Sequence[UUID]) -> Sequence[Reservation]:
        """What is or was set aside for these needs."""
        body = {"need_ids": [str(each) for each in need_ids]}
        return (await self.link.post("/v1/reservations:lookup", _RESERVATIONS, body)).rows

    async def set_aside(self, reservation_id: UUID) -> Sequence[Reservation]:
        """What is set aside under this id; nothing if there is no such reservation."""
        body = {"reservation_ids": [str(reservation_id)]}
        return (await self.link.post("/v1/reservations:lookup", _RESERVATIONS, body)).rows

    async def of_number(self, number: str) -> Sequence[Reservation]:
        """What is or was set aside for needs whose id begins with these digits."""
        body = {"need_number": number}
        return (await self.link.post("/v1/reservations:lookup", _RESERVATIONS, body)).rows

    async def act(
        self, reservation_id: UUID, step: str, body: Mapping[str, Any], key: UUID
    ) -> None:
        """Hand over, check in or out, undo and so on: `step` is its name."""
        await self.link.post(f"/v1/reservations/{reservation_id}:{step}", ACCEPTED, body, key)

    async def hand_over(
        self, reservation_ids: Sequence[UUID], served_on: date, key: UUID
    ) -> Sequence[RowAnswer]:
        """Hand over goods to many; each is answered by itself."""
        rows = [
            {
                "row_id": f"{key}/{each}",
                "reservation_id": str(each),
                "served_on": served_on.isoformat(),
            }
            for each in reservation_ids
        ]
        body = {"source": _SOURCE, "rows": rows}
        return (await self.link.post("/v1/handovers:bulk", _ROWS, body, key)).rows

    async def assets(
        self, site_id: UUID | None, grant_id: UUID | None, after: str | None = None
    ) -> Assets:
        """The register of assets, of a center or bought by a grant."""
        query: Query = {
            "site_id": str(site_id) if site_id else None,
            "grant_id": str(grant_id) if grant_id else None,
            "after": after,
        }
        return await self.link.get("/v1/assets", _ASSETS, query)

    async def act_on_bed(self, bed_id: UUID, step: str, key: UUID) -> None:
        """Take a bed out of use, or into use again: `step` is its name."""
        await self.link.post(f"/v1/beds/{bed_id}:{step}", ACCEPTED, {}, key)

    async def act_on_asset(
        self, asset_id: UUID, step: str, body: Mapping[str, Any], key: UUID
    ) -> None:
        """Move an asset, say how it ended or that it did not: `step` is its name."""
        await self.link.post(f"/v1/assets/{asset_id}:{step}", ACCEPTED, body, key)

    async def discrepancies(self, after: str | None = None) -> Discrepancies:
        """Open discrepancies."""
        return await self.link.get("/v1/discrepancies", _DISCREPANCIES, {"after": after})

    async def settle(self, discrepancy_id: UUID, reason: str, key: UUID) -> None:
        """Say how a discrepancy was settled."""
        path = f"/v1/discrepancies/{discrepancy_id}:settle"
        await self.link.post(path, ACCEPTED, {"reason": reason}, key)

    async def close_site(self, site_id: UUID, reason: str, key: UUID, *, keep: bool) -> None:
        """Close a site; `keep` leaves what is set aside there, its clocks stand still."""
        body = {"reason": reason, "keep": keep}
        await self.link.post(f"/v1/sites/{site_id}:close", ACCEPTED, body, key)

    async def reopen_site(self, site_id: UUID, reason: str, key: UUID) -> None:
        """Open a closed site again."""
        await self.link.post(f"/v1/sites/{site_id}:reopen", ACCEPTED, {"reason": reason}, key)

    async def add(self, what: str, body: Mapping[str, Any], key: UUID) -> None:
        """Add one of `sites`, `items`, `beds` or `slots`."""
        await self.link.post(f"/v1/{what}", ACCEPTED, body, key)

    async def receive(self, receipt: Mapping[str, Any], key: UUID) -> None:
        """Goods came in and were counted."""
        await self.link.post("/v1/receipts", ACCEPTED, receipt, key)

    async def correct_site(self, site_id: UUID, body: Mapping[str, Any], key: UUID) -> None:
        """Correct a site's name or address."""
        await self.link.post(f"/v1/sites/{site_id}:correct", ACCEPTED, body, key)

    async def reverse_receipt(self, receipt_id: UUID, reason: str, key: UUID) -> None:
        """Take back goods that were entered by mistake."""
        path = f"/v1/receipts/{receipt_id}:reverse"
        await self.link.post(path, ACCEPTED, {"reason": reason}, key)

    async def correct_item(self, code: str, body: Mapping[str, Any], key: UUID) -> None:
        """Correct an item's names, or whether it takes a prescription."""
        await self.link.post(f"/v1/items/{code}:correct", ACCEPTED, body, key)

    async def correct_lot(self, lot_id: UUID, body: Mapping[str, Any], key: UUID) -> None:
        """Correct the terms of a lot."""
        await self.link.post(f"/v1/lots/{lot_id}:correct", ACCEPTED, body, key)

    async def move_lot(self, lot_id: UUID, body: Mapping[str, Any], key: UUID) -> None:
        """Move free pieces of a lot to another site."""
        await self.link.post(f"/v1/lots/{lot_id}:move", ACCEPTED, body, key)

    async def adjust(self, adjustment: Mapping[str, Any], key: UUID) -> None:
        """Make the book say what is there."""
        await self.link.post("/v1/adjustments", ACCEPTED, adjustment, key)
