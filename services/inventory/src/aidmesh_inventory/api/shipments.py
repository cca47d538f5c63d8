"""Shipments to and from other regions."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Final, Literal
from uuid import UUID, uuid4

from fastapi import Response
from pydantic import BaseModel, Field, TypeAdapter

from aidmesh_chassis.db import Database
from aidmesh_chassis.http import Body, PageQuery, Routes
from aidmesh_chassis.idempotency import Once
from aidmesh_chassis.peers import LinkOf, LinkState
from aidmesh_contracts.days import EnteredDay, day_of
from aidmesh_contracts.inventory_shipments import ShipmentLine
from aidmesh_contracts.values import Code, Region
from aidmesh_inventory.api.callers import ANYONE, UUID_KEY, Quantity, Storekeeper
from aidmesh_inventory.api.problems import problem
from aidmesh_inventory.domain.shipments import Counted
from aidmesh_inventory.handlers import arrivals, shipping
from aidmesh_inventory.store import shipments
from aidmesh_inventory.store.shipments import Book, NewLine

Pieces = Annotated[int, Field(ge=0, le=1_000_000)]
State = Literal["preparing", "dispatched", "receiving", "received", "cancelled"]
OPEN: Final = ("preparing", "dispatched", "receiving")


class LineIn(Body):
    """Pieces of a lot."""

    lot_id: UUID
    quantity: Quantity


class PrepareIn(Body):
    """Where goods are to go: to whoever asked (`transfer_id`), or to a region and its site."""

    transfer_id: UUID | None = None
    to_region: Region | None = None
    to_site_id: UUID | None = None
    lines: Annotated[list[LineIn], Field(min_length=1, max_length=200)]


class LinesIn(Body):
    """More lots for a shipment."""

    lines: Annotated[list[LineIn], Field(min_length=1, max_length=200)]


class DispatchIn(Body):
    """The day on which the goods left; today (Kyiv) by default."""

    dispatched_on: EnteredDay | None = None


class CancelIn(Body):
    """Nothing to say."""


class CountIn(Body):
    """What came of a line: `reason` is a code, needed where it is not all that was dispatched."""

    line_id: UUID
    good: Pieces
    damaged: Pieces = 0
    reason: Code | None = None


class CountsIn(Body):
    """What was counted, on which day (today in Kyiv by default), and where it was unloaded."""

    lines: Annotated[list[CountIn], Field(min_length=1, max_length=200)]
    counted_on: EnteredDay | None = None
    site_id: UUID | None = None


class LineOut(ShipmentLine):
    """A line, and what came of it once it was counted.

    Attributes:
        lot_id: in this region: what it was taken from, or what it became when it was counted.
    """

    lot_id: UUID | None
    good: int | None
    damaged: int | None
    short: int | None
    surplus: int | None
    reason: str | None


class ShipmentOut(BaseModel):
    """A shipment as this region has it.

    Attributes:
        matched: the event of a shipment that was taken in by its manifest has come, too.
        in_transit: pieces that left and were not counted yet.
        as_of: when this region last heard of it or did something with it; link: whether the other
            region is heard. Neither is in the answer to a step.
    """

    shipment_id: UUID
    from_region: str
    to_region: str
    from_site_id: UUID
    to_site_id: UUID
    transfer_id: UUID | None
    state: State
    dispatched_on: date | None
    by_manifest: bool
    matched: bool
    in_transit: int
    lines: list[LineOut]
    as_of: datetime | None = None
    link: LinkState | None = None


class ShipmentPage(BaseModel):
    """Shipments by id."""

    rows: list[ShipmentOut]
    next: str | None


class TransitRow(BaseModel):
    """Pieces of an item that left one region and were not counted in the other yet.

    `link` says whether the other region is heard: it may have counted them meanwhile.
    """

    from_region: str
    to_region: str
    item: str
    quantity: int
    since: date
    link: LinkState | None


class TransitOut(BaseModel):
    """What is on its way from and to this region, by item."""

    rows: list[TransitRow]
    next: str | None


_TRANSIT: TypeAdapter[tuple[str, str, str]] = TypeAdapter(tuple[str, str, str])


def router(database: Database, region: str, link: LinkOf) -> Routes:
    """Return the routes."""
    routes = Routes(prefix="/v1", tags=["shipments"])

    def link_to(from_region: str, to_region: str) -> LinkState | None:
        return link(to_region if from_region == region else from_region)

    def as_heard(book: Book) -> ShipmentOut:
        update = {"as_of": book.as_of, "link": link_to(book.from_region, book.to_region)}
        return shown(book).model_copy(update=update)

    @routes.get("/shipments", dependencies=[ANYONE])
    async def list_shipments(
        page: PageQuery, direction: Literal["in", "out"], state: State | None = None
    ) -> ShipmentPage:
        """Shipments out of this region or into it; those that are not over, or in one state."""
        async with database.read() as conn:
            ids = await shipments.page(
                conn,
                region=region,
                outgoing=direction == "out",
                states=OPEN if state is None else (state,),
                after=page.after(UUID_KEY),
                limit=page.limit + 1,
            )
            kept, after = page.cut(ids, lambda each: each)
            found = await shipments.books(conn, kept)
        return ShipmentPage(rows=[as_heard(found[each]) for each in kept], next=after)

    @routes.get("/shipments/{shipment_id}", dependencies=[ANYONE])
    async def show(shipment_id: UUID) -> ShipmentOut:
        """A shipment with its lines."""
        async with database.read() as conn:
            found = (await shipments.books(conn, [shipment_id])).get(shipment_id)
        if found is None:
            raise problem("unknown-shipment")
        return as_heard(found)

    @routes.get("/stock/in-transit", dependencies=[ANYONE])
    async def in_transit(page: PageQuery, item: str | None = None) -> TransitOut:
        """Goods that are in nobody's stock: dispatched, and not counted yet."""
        async with database.read() as conn:
            rows = await shipments.in_transit(
                conn, item, after=page.after(_TRANSIT), limit=page.limit + 1
            )
        kept, after = page.cut(
            rows, lambda row: (row["item"], row["from_region"], row["to_region"])
        )
        return TransitOut(
            rows=[
                TransitRow(**row, link=link_to(row["from_region"], row["to_region"]))
                for row in kept
            ],
            next=after,
        )

    @routes.post("/shipments", status_code=201, response_model=ShipmentOut)
    async def prepare(body: PrepareIn, caller: Storekeeper, once: Once) -> Response:
        """Begin a shipment; its goods stay in stock, and may be promised, until it leaves."""
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            order = shipping.Order(uuid4(), body.to_region, body.to_site_id, body.transfer_id)
            book = await shipping.prepare(tx, region, order, _new(body.lines))
            return await once.answer(tx, 201, _answer(book))

    @routes.post("/shipments/{shipment_id}:add-lines", response_model=ShipmentOut)
    async def add_lines(
        shipment_id: UUID, body: LinesIn, caller: Storekeeper, once: Once
    ) -> Response:
        """Add lots to a shipment that has not left."""
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            book = await shipping.add_lines(tx, region, shipment_id, _new(body.lines))
            return await once.answer(tx, 200, _answer(book))

    @routes.post("/shipments/{shipment_id}:cancel", response_model=ShipmentOut)
    async def cancel(
        shipment_id: UUID, body: CancelIn, caller: Storekeeper, once: Once
    ) -> Response:
        """Give up a shipment that has not left."""
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            book = await shipping.cancel(tx, region, shipment_id)
            return await once.answer(tx, 200, _answer(book))

    @routes.post("/shipments/{shipment_id}:dispatch", response_model=ShipmentOut)
    async def dispatch(
        shipment_id: UUID, body: DispatchIn, caller: Storekeeper, once: Once
    ) -> Response:
        """Have the goods leave: they go out of stock and are in transit. This is final."""
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            on = body.dispatched_on or day_of(tx.now)
            book = await shipping.dispatch(tx, region, shipment_id, on, caller.staff_id)
            return await once.answer(tx, 200, _answer(book))

    @routes.post("/shipments/{shipment_id}:count", response_model=ShipmentOut)
    async def count(shipment_id: UUID, body: CountsIn, caller: Storekeeper, once: Once) -> Response:
        """Take in lines of a shipment by what was counted; each line is counted once."""
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            if len({each.line_id for each in body.lines}) < len(body.lines):
                raise problem("already-counted")
            book = await arrivals.count(
                tx,
                region,
                shipment_id,
                {
                    each.line_id: Counted(each.good, each.damaged, each.reason)
                    for each in body.lines
                },
                site_id=body.site_id,
                on=body.counted_on or day_of(tx.now),
                by=caller.staff_id,
            )
            return await once.answer(tx, 200, _answer(book))

    return routes


def _new(lines: Sequence[LineIn]) -> list[NewLine]:
    return [NewLine(uuid4(), each.lot_id, each.quantity) for each in lines]


def _answer(book: Book | str) -> dict[str, object]:
    """A shipment as it is now. Raises the problem, if that is what it is."""
    if isinstance(book, str):
        raise problem(book)
    return shown(book).model_dump(mode="json")


def shown(book: Book) -> ShipmentOut:
    """A shipment as it is shown."""
    lines = []
    for line in book.shipment.lines:
        count = book.shipment.counts.get(line.line_id)
        lines.append(
            LineOut(
                **line.model_dump(),
                lot_id=book.lots.get(line.line_id),
                good=count and count.good,
                damaged=count and count.damaged,
                short=count and count.short,
                surplus=count and count.surplus,
                reason=count and count.reason,
            )
        )
    return ShipmentOut(
        shipment_id=book.shipment_id,
        from_region=book.from_region,
        to_region=book.to_region,
        from_site_id=book.from_site_id,
        to_site_id=book.to_site_id,
        transfer_id=book.transfer_id,
        state=book.shipment.state,
        dispatched_on=book.dispatched_on,
        by_manifest=book.by_manifest,
        matched=book.matched,
        in_transit=sum(book.shipment.in_transit.values()),
        lines=lines,
    )
