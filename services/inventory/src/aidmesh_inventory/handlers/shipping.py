"""Goods that leave for another region: prepared, then dispatched, which is final."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal
from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_contracts.ids import ShipmentId, SiteId, TransferId, derive_id
from aidmesh_contracts.inventory import ShipmentChangedV1
from aidmesh_inventory.domain.days import is_future
from aidmesh_inventory.domain.shipments import Shipment
from aidmesh_inventory.handlers.changes import StockChanges
from aidmesh_inventory.store import shipments, stock, transfers
from aidmesh_inventory.store.shipments import Book, NewLine
from aidmesh_inventory.store.stock import MovementRow

Fault = Literal[
    "unknown-shipment",
    "unknown-lot",
    "unknown-transfer",
    "not-accepted",
    "own-region",
    "not-preparing",
    "not-one-site",
    "nothing-to-send",
    "not-free",
    "day-in-future",
]


@dataclass(frozen=True, slots=True)
class Order:
    """Where a shipment goes: to whoever asked, or to another region unasked."""

    shipment_id: UUID
    to_region: str | None
    to_site_id: UUID | None
    transfer_id: UUID | None


async def prepare(tx: Tx, region: str, wanted: Order, lines: Sequence[NewLine]) -> Book | Fault:
    """Begin a shipment with lots of one site; they stay in stock, for whoever comes first."""
    to_region, to_site_id = wanted.to_region, wanted.to_site_id
    if wanted.transfer_id is not None:
        asked = await transfers.lock(tx.conn, wanted.transfer_id)
        if asked is None or asked.from_region != region:
            return "unknown-transfer"
        if asked.state != "accepted":
            return "not-accepted"
        to_region, to_site_id = asked.to_region, asked.to_site_id
    if to_region is None or to_site_id is None or to_region == region:
        return "own-region"
    lots = await stock.lot_states(tx.conn, {each.lot_id for each in lines})
    if any(each.lot_id not in lots for each in lines):
        return "unknown-lot"
    from_sites = {lot.site_id for lot in lots.values()}
    if len(from_sites) != 1:
        return "not-one-site"
    book = Book(
        wanted.shipment_id, region, to_region, from_sites.pop(), to_site_id, wanted.transfer_id,
        None, False, True, Shipment("preparing", 1, ()), {},
    )  # fmt: skip
    await shipments.put(tx.conn, [book])
    await shipments.add_lines(tx.conn, wanted.shipment_id, lines)
    return await _tell(tx, wanted.shipment_id)


async def add_lines(
    tx: Tx, region: str, shipment_id: UUID, lines: Sequence[NewLine]
) -> Book | Fault:
    """Add lots to a shipment that is being prepared."""
    book = await _preparing(tx, region, shipment_id)
    if isinstance(book, str):
        return book
    lots = await stock.lot_states(tx.conn, {each.lot_id for each in lines})
    if any(each.lot_id not in lots for each in lines):
        return "unknown-lot"
    if {lot.site_id for lot in lots.values()} != {book.from_site_id}:
        return "not-one-site"
    await shipments.add_lines(tx.conn, shipment_id, lines)
    return await _save(tx, book, "preparing")


async def cancel(tx: Tx, region: str, shipment_id: UUID) -> Book | Fault:
    """Give a shipment up that did not leave."""
    book = await _preparing(tx, region, shipment_id)
    return book if isinstance(book, str) else await _save(tx, book, "cancelled")


async def dispatch(
    tx: Tx, region: str, shipment_id: UUID, on: date, by: UUID | None
) -> Book | Fault:
    """Have the goods leave: out of stock and in transit, with the terms that they have now."""
    if is_future(on, tx.now):
        return "day-in-future"
    book = await _preparing(tx, region, shipment_id)
    if isinstance(book, str):
        return book
    if not book.shipment.lines:
        return "nothing-to-send"
    await stock.lock(tx.conn, {(book.from_site_id, each.item) for each in book.shipment.lines})
    lots = await stock.lot_states(tx.conn, set(book.lots.values()))
    wanted: dict[UUID, int] = {}
    for line in book.shipment.lines:
        lot_id = book.lots[line.line_id]
        wanted[lot_id] = wanted.get(lot_id, 0) + line.quantity
    if any(
        lots[each].status != "available" or lots[each].free < pieces
        for each, pieces in wanted.items()
    ):
        return "not-free"
    changes = StockChanges()
    for line in book.shipment.lines:
        lot_id = book.lots[line.line_id]
        changes.lot(lot_id, (book.from_site_id, line.item), on_hand=-line.quantity)
        changes.movement(
            MovementRow(
                derive_id("movement", "dispatch", shipment_id, line.line_id),
                lot_id,
                -line.quantity,
                "dispatch",
                None,
                None,
                None,
                on,
                by,
                shipment_id,
                line.line_id,
            )
        )
    await changes.save(tx)
    await shipments.renew_terms(tx.conn, shipment_id)
    return await _save(tx, replace(book, dispatched_on=on), "dispatched")


async def _preparing(tx: Tx, region: str, shipment_id: UUID) -> Book | Fault:
    book = (await shipments.lock(tx.conn, [shipment_id])).get(shipment_id)
    if book is None or book.from_region != region:
        return "unknown-shipment"
    return book if book.shipment.sent == "preparing" else "not-preparing"


async def _save(tx: Tx, book: Book, sent: Literal["preparing", "dispatched", "cancelled"]) -> Book:
    now = replace(book.shipment, sent=sent, version=book.shipment.version + 1)
    await shipments.put(tx.conn, [replace(book, shipment=now)])
    return await _tell(tx, book.shipment_id)


async def _tell(tx: Tx, shipment_id: UUID) -> Book:
    """Tell the other regions how a shipment is now."""
    book = (await shipments.books(tx.conn, [shipment_id]))[shipment_id]
    tx.emit(as_event(book), version=book.shipment.version)
    return book


def as_event(book: Book) -> ShipmentChangedV1:
    """A shipment as its sender tells of it, by event and by manifest."""
    return ShipmentChangedV1(
        shipment_id=ShipmentId(book.shipment_id),
        from_region=book.from_region,
        to_region=book.to_region,
        from_site_id=SiteId(book.from_site_id),
        to_site_id=SiteId(book.to_site_id),
        transfer_id=None if book.transfer_id is None else TransferId(book.transfer_id),
        state=book.shipment.sent,
        lines=book.shipment.lines,
        dispatched_on=book.dispatched_on,
        version=book.shipment.version,
    )
