"""Receipts, counts and losses, and what there is: here and in the other regions."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Annotated
from uuid import UUID, uuid4

import asyncpg
from fastapi import Query, Response
from pydantic import BaseModel, Field, TypeAdapter

from aidmesh_chassis.db import Database
from aidmesh_chassis.http import Body, Page, PageQuery, Routes, take
from aidmesh_chassis.idempotency import Once
from aidmesh_chassis.peers import LinkOf, LinkState
from aidmesh_chassis.routing import BulkRoute
from aidmesh_contracts.days import EnteredDay, day_of
from aidmesh_contracts.ids import derive_id
from aidmesh_contracts.restriction import EnteredRestriction
from aidmesh_contracts.values import Code, Currency
from aidmesh_inventory.api.bulk import Bulk, BulkIn, BulkOut, SiteRow, resolve_sites
from aidmesh_inventory.api.callers import ANYONE, Quantity, Staff, Storekeeper
from aidmesh_inventory.api.problems import problem
from aidmesh_inventory.domain.days import keeps
from aidmesh_inventory.domain.shown import surplus
from aidmesh_inventory.handlers import receipts, reversals
from aidmesh_inventory.store import purchases, world

_STOCK_KEY: TypeAdapter[tuple[bool, str, str, UUID]] = TypeAdapter(tuple[bool, str, str, UUID])
"""Whether it is another region's, the item, that region (none for this one) and the site."""
_ITEM_KEY: TypeAdapter[str] = TypeAdapter(str)
_LINE_KEY: TypeAdapter[tuple[UUID, str]] = TypeAdapter(tuple[UUID, str])
Minor = Annotated[int, Field(ge=0, le=10**15)]
Batch = Annotated[str, Field(min_length=1, max_length=64)]


class LineIn(Body):
    """Counted pieces of one item.

    Attributes:
        grant_id, restriction, unit_value_minor, currency: of donated goods. Goods of a purchase
            carry its terms, whatever is given here.
    """

    item: Code
    quantity: Quantity
    batch: Batch | None = None
    expiry: EnteredDay | None = None
    grant_id: UUID | None = None
    restriction: EnteredRestriction | None = None
    unit_value_minor: Minor = 0
    currency: Currency = "UAH"


class ReceiptIn(Body):
    """Goods that came in at once; `received_on` is today (Kyiv) by default."""

    site_id: UUID
    purchase_id: UUID | None = None
    received_on: EnteredDay | None = None
    lines: Annotated[list[LineIn], Field(min_length=1, max_length=500)]


class ReceiptRow(SiteRow):
    """One line of goods that came in, as a row of a bulk form."""

    item: Code
    quantity: Quantity
    purchase_id: UUID | None = None
    received_on: EnteredDay | None = None
    batch: Batch | None = None
    expiry: EnteredDay | None = None
    grant_id: UUID | None = None
    restriction: EnteredRestriction | None = None
    unit_value_minor: Minor = 0
    currency: Currency = "UAH"


class ReceiptOut(BaseModel):
    """A receipt and the lots it became, in the order of its lines.

    Attributes:
        expired_lot_ids: those that had expired when they were entered: they are there, and nobody
            gets them.
    """

    receipt_id: UUID
    lot_ids: list[UUID]
    expired_lot_ids: list[UUID] = []


class ReverseIn(Body):
    """Why a receipt is taken back: a code, such as `wrong_item`."""

    reason: Code


class OwnStock(BaseModel):
    """An item at a site of this region; `expiry` is the soonest of what may be given out.

    Pieces held for what is sensitive are shown in steps to those who may not see it.
    """

    site_id: UUID
    area: str
    item: str
    on_hand: int
    held: int
    free: int
    expiry: date | None
    as_of: datetime


class OtherStock(BaseModel):
    """An item at a site of another region, as of when that region said so; `link`: is it heard?

    What is on hand less what is free is held: only who may see what is sensitive is told both.
    """

    region: str
    site_id: UUID
    area: str
    item: str
    on_hand: int | None
    free: int
    as_of: datetime
    link: LinkState | None


class StockOut(BaseModel):
    """Stock here, and what the others last told of theirs."""

    region: str
    own: list[OwnStock]
    others: list[OtherStock]
    next: str | None


class FreeRow(BaseModel):
    """Where an item can be had; `link` says whether that region is heard, None for the own."""

    region: str
    site_id: UUID
    area: str
    free: int
    as_of: datetime
    link: LinkState | None


class FreeOut(BaseModel):
    """Where an item can be had: this region first."""

    item: str
    rows: list[FreeRow]
    next: str | None


class ExpectedLine(BaseModel):
    """A line of a purchase, and how much of it came in."""

    purchase_id: UUID
    grant_id: UUID
    item: str
    ordered: int
    received: int
    unit_value_minor: int
    currency: str


class ExpectedPage(BaseModel):
    """Lines of purchases by purchase and item."""

    rows: list[ExpectedLine]
    next: str | None


async def _supply(
    conn: asyncpg.Connection,
    page: Page,
    site_id: UUID | None,
    item: str | None,
    *,
    sensitive_too: bool,
) -> tuple[list[asyncpg.Record], list[asyncpg.Record], str | None]:
    """A page of stock, this region's first, then the others'; and the cursor of the next."""
    after = page.after(_STOCK_KEY)
    items = [item] if item else None
    own, others = [], []
    if after is None or not after[0]:
        last = None if after is None else (after[1], after[3])
        own = await world.own_stock(
            conn,
            site_id=site_id,
            items=items,
            sensitive_too=sensitive_too,
            after=last,
            limit=page.limit + 1,
        )
    room = page.limit + 1 - len(own)
    if site_id is None and room > 0:
        seen = after[1:] if after is not None and after[0] else None
        others = await world.others_stock(conn, items=items, after=seen, limit=room)
    rows = [(False, "", row) for row in own] + [(True, row["region"], row) for row in others]
    kept, cursor = page.cut(
        rows, lambda each: (each[0], each[2]["item"], each[1], each[2]["site_id"])
    )
    return (
        [row for is_other, _, row in kept if not is_other],
        [row for is_other, _, row in kept if is_other],
        cursor,
    )


def _line(row: LineIn | ReceiptRow) -> receipts.Line:
    return receipts.Line(
        row.item,
        row.quantity,
        row.batch,
        row.expiry,
        row.grant_id,
        row.restriction,
        row.unit_value_minor,
        row.currency,
    )


def own_shown(rows: Iterable[asyncpg.Record], *, sensitive_too: bool) -> list[OwnStock]:
    """This region's stock as the caller may see it."""
    shown: list[OwnStock] = []
    for row in rows:
        out = OwnStock(**{name: row[name] for name in OwnStock.model_fields})
        if not sensitive_too:
            more = surplus(row["sensitive"], row["left"])
            out.held += more
            out.free = max(0, out.free - more)
        shown.append(out)
    return shown


def router(database: Database, region: str, link: LinkOf) -> Routes:
    """Return the routes."""
    routes = Routes(prefix="/v1", tags=["stock"])
    bulk_routes = Routes(prefix="/v1", tags=["stock"], route_class=BulkRoute)

    @routes.post("/receipts", status_code=201, response_model=ReceiptOut)
    async def receive(body: ReceiptIn, caller: Storekeeper, once: Once) -> Response:
        """Take goods in: they can be held at once, and whoever waits for them is woken.

        What has expired by now is entered as that.
        """
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            receipt = receipts.Receipt(
                uuid4(),
                body.site_id,
                body.received_on or day_of(tx.now),
                tuple(_line(line) for line in body.lines),
                body.purchase_id,
            )
            faults = await receipts.receive(tx, [receipt], caller.staff_id)
            if faults:
                raise problem(faults[receipt.receipt_id])
            lot_ids = [
                derive_id("lot", receipt.receipt_id, number) for number in range(len(body.lines))
            ]
            out = ReceiptOut(
                receipt_id=receipt.receipt_id,
                lot_ids=lot_ids,
                expired_lot_ids=[
                    lot_id
                    for lot_id, line in zip(lot_ids, body.lines, strict=True)
                    if not keeps(line.expiry, day_of(tx.now))
                ],
            )
            return await once.answer(tx, 201, out.model_dump(mode="json"))

    @bulk_routes.post("/receipts:bulk", response_model=BulkOut)
    async def receive_rows(body: BulkIn, caller: Storekeeper, once: Once) -> Response:
        """Take in many lines of goods; rows have the fields of a receipt with one line."""
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            bulk = await Bulk.begin(tx, "receipts", body, ReceiptRow)
            site_ids = await resolve_sites(tx, bulk)
            made = {
                number: receipts.Receipt(
                    derive_id("receipt", region, bulk.key(number)),
                    site_ids[number],
                    row.received_on or day_of(tx.now),
                    (_line(row),),
                    row.purchase_id,
                )
                for number, row in bulk.fresh.items()
            }
            faults = await receipts.receive(tx, list(made.values()), caller.staff_id)
            bulk.settle({number: each.receipt_id for number, each in made.items()}, faults)
            return await once.answer(tx, 200, await bulk.finish())

    @routes.post("/receipts/{receipt_id}:reverse", response_model=ReceiptOut)
    async def reverse(
        receipt_id: UUID, body: ReverseIn, caller: Storekeeper, once: Once
    ) -> Response:
        """Take a receipt back that was entered by mistake, as long as nothing of it went out."""
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            lots = await reversals.reverse_receipt(tx, receipt_id, body.reason, caller.staff_id)
            if isinstance(lots, str):
                raise problem(lots)
            out = ReceiptOut(receipt_id=receipt_id, lot_ids=lots)
            return await once.answer(tx, 200, out.model_dump(mode="json"))

    @routes.get("/stock")
    async def see_stock(
        caller: Staff, page: PageQuery, site_id: UUID | None = None, item: str | None = None
    ) -> StockOut:
        """What there is, what of it is held, what is free; here, then in the other regions."""
        async with database.read() as conn:
            own, others, after = await _supply(
                conn, page, site_id, item, sensitive_too=caller.sees_sensitive
            )
        return StockOut(
            region=region,
            own=own_shown(own, sensitive_too=caller.sees_sensitive),
            others=[
                OtherStock(
                    **{
                        **row,
                        "on_hand": row["on_hand"] if caller.sees_sensitive else None,
                        "link": link(row["region"]),
                    }
                )
                for row in others
            ],
            next=after,
        )

    @routes.get("/stock/free")
    async def see_free(
        caller: Staff, page: PageQuery, item: Annotated[str, Query(max_length=64)]
    ) -> FreeOut:
        """Where an item can be had: a page may hold fewer rows than there are sites looked at."""
        async with database.read() as conn:
            own, others, after = await _supply(
                conn, page, None, item, sensitive_too=caller.sees_sensitive
            )
        shown = own_shown(own, sensitive_too=caller.sees_sensitive)
        rows = [{"region": region, **row.model_dump()} for row in shown]
        rows += [dict(row) for row in others]
        return FreeOut(
            item=item,
            rows=[
                FreeRow.model_validate({**row, "link": link(row["region"])})
                for row in rows
                if row["free"] > 0
            ],
            next=after,
        )

    @routes.get("/purchases/expected", dependencies=[ANYONE])
    async def expected(page: PageQuery, item: str | None = None) -> ExpectedPage:
        """What was ordered and has not come in."""
        async with database.read() as conn:
            rows = await purchases.expected(
                conn, item=item, after=page.after(_LINE_KEY), limit=page.limit + 1
            )
        kept, after = page.cut(rows, lambda row: (row["purchase_id"], row["item"]))
        return ExpectedPage(rows=[ExpectedLine(**row) for row in kept], next=after)

    @routes.get("/purchases/{purchase_id}/lines", dependencies=[ANYONE])
    async def lines_of(purchase_id: UUID, page: PageQuery) -> ExpectedPage:
        """What was ordered with one purchase: it is received also when nothing more is expected."""
        async with database.read() as conn:
            rows = await purchases.lines_of(
                conn, purchase_id, after=page.after(_ITEM_KEY), limit=page.limit + 1
            )
        kept, after = page.cut(rows, lambda row: row["item"])
        return ExpectedPage(rows=[ExpectedLine(**row) for row in kept], next=after)

    take(routes, bulk_routes)
    return routes
