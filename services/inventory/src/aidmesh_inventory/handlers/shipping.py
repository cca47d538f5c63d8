"""Goods that leave for another region: prepared, then dispatched, which is final."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal
from uuid import UUID

from aidmesh_chassis import standings
from aidmesh_chassis.db import Tx
from aidmesh_contracts.days import day_of, is_future
from aidmesh_contracts.ids import ShipmentId, SiteId, TransferId, derive_id
from aidmesh_contracts.inventory_shipments import ShipmentChangedV1
from aidmesh_inventory.domain.shipments import Shipment
from aidmesh_inventory.domain.transfers import SendFault, unfit
from aidmesh_inventory.handlers.changes import StockChanges
from aidmesh_inventory.store import shipments, stock, transfers
from aidmesh_inventory.store.shipments import Book, NewLine
from aidmesh_inventory.store.stock import LotState, MovementRow

Fault = (
    SendFault
    | Literal[
        "unknown-shipment",
        "unknown-lot",
        "unknown-transfer",
        "own-region",
        "not-preparing",
        "not-one-site",
        "nothing-to-send",
        "not-free",
        "day-in-future",
    ]
)


@dataclass(frozen=True, slots=True)
class Order:
    """Where a shipment goes: to whoever asked, or to another region unasked."""

    shipment_id: UUID
    to_region: str | None
    to_site_id: UUID | None
    transfer_id: UUID | None


async def prepare(tx: Tx, region: str, wanted: Order, lines: Sequence[NewLine]) -> Book | Fault:
    """Begin a shipment with lots of one site; they stay in stock, for whoever comes first.

    Raises:
        Problem: that region is gone.
    """
    to_region, to_site_id = wanted.to_region, wanted.to_site_id
    if wanted.transfer_id is not None:
        asked = await transfers.lock(tx.conn, wanted.transfer_id)
        if asked is None or asked.from_region != region:
            return "unknown-transfer"
        to_region, to_site_id = asked.to_region, asked.to_site_id
    if to_region is None or to_site_id is None or to_region == region:
        return "own-region"
    await standings.check(tx.conn, to_region)
    wanted_of = _by_lot((each.lot_id, each.quantity) for each in lines)
    lots = await stock.lot_states(tx.conn, wanted_of)
    if lots.keys() != wanted_of.keys():
        return "unknown-lot"
    from_sites = {lot.site_id for lot in lots.values()}
    if len(from_sites) != 1:
        return "not-one-site"
    book = Book(
        wanted.shipment_id, region, to_region, from_sites.pop(), to_site_id, wanted.transfer_id,
        None, False, True, Shipment("preparing", 1, ()), {},
    )  # fmt: skip
    fault = await _refused(tx, book, lots, wanted_of)
    if fault is not None:
        return fault
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
    wanted = _by_lot((each.lot_id, each.quantity) for each in lines) + _lots_of(book)
    lots = await stock.lot_states(tx.conn, wanted)
    if lots.keys() != wanted.keys():
        return "unknown-lot"
    if {lot.site_id for lot in lots.values()} != {book.from_site_id}:
        return "not-one-site"
    fault = await _refused(tx, book, lots, wanted)
    if fault is not None:
        return fault
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
    wanted = _lots_of(book)
    fault = await _refused(tx, book, await stock.lot_states(tx.conn, wanted), wanted)
    if fault is not None:
        return fault
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


def _by_lot(pieces: Iterable[tuple[UUID, int]]) -> Counter[UUID]:
    found: Counter[UUID] = Counter()
    for lot_id, quantity in pieces:
        found[lot_id] += quantity
    return found


def _lots_of(book: Book) -> Counter[UUID]:
    return _by_lot((book.lots[each.line_id], each.quantity) for each in book.shipment.lines)


async def _refused(
    tx: Tx, book: Book, lots: Mapping[UUID, LotState], wanted: Counter[UUID]
) -> Fault | None:
    """Why a shipment can't have so many pieces of lots; None if it can. Locks what it answers."""
    if book.transfer_id is not None:
        asked = await transfers.lock(tx.conn, book.transfer_id)
        assert asked is not None  # noqa: S101 - a shipment is of an ask that there is
        items: Counter[str] = Counter()
        for lot_id, quantity in wanted.items():
            items[lots[lot_id].item] += quantity
        sent = await shipments.pieces_for(tx.conn, book.transfer_id, but=book.shipment_id)
        fault = unfit(asked.ask, items, sent)
        if fault is not None:
            return fault
    today = day_of(tx.now)
    return None if all(lots[each].can_give(wanted[each], today) for each in wanted) else "not-free"


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
