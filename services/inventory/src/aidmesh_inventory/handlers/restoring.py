"""Shipments that left after the backup that a region was restored from."""

from typing import Final
from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_chassis.restoring import VERSION_GAP
from aidmesh_contracts.ids import derive_id
from aidmesh_contracts.inventory_shipments import ShipmentChangedV1
from aidmesh_inventory.handlers import arrivals, shipping
from aidmesh_inventory.handlers.discrepancies import Found, Why, open_discrepancies
from aidmesh_inventory.store import restoring as store
from aidmesh_inventory.store import shipments
from aidmesh_inventory.store.shipments import Book

LEFT: Final[Why] = "not_in_books"


async def redo(tx: Tx, region: str, said: ShipmentChangedV1) -> bool:
    """Have a shipment again that this region told others of; its receiver's count finds it then.

    One that was being prepared leaves its lots. Of another one nobody knows which lots it took: a
    discrepancy says how many pieces are gone that the books still have.

    One that was given up is so again. One that was only begun since, of which nobody knows the lots
    either, is given up now, or its receiver would wait for ever.

    Returns:
        whether it is in the books as it was told.

    Raises:
        Poison: it can't be.
    """
    if said.state == "cancelled":
        return isinstance(await shipping.cancel(tx, region, said.shipment_id), Book)
    book = (await shipments.lock(tx.conn, [said.shipment_id])).get(said.shipment_id)
    if said.state == "preparing" and book is None:
        await _give_up(tx, said)
    if said.state != "dispatched" or said.dispatched_on is None:
        return False
    if book is not None and book.shipment.sent == "dispatched":
        return True
    if book is not None and _pieces(book) == {(each.line_id, each.quantity) for each in said.lines}:
        left = await shipping.dispatch(tx, region, said.shipment_id, said.dispatched_on, None)
        if isinstance(left, Book):
            return True
    await arrivals.take_in(tx, book, said)
    # Nothing left the lots that its lines were to be of.
    await shipments.put_lines(tx.conn, said.shipment_id, said.lines)
    found = [
        Found(
            derive_id("discrepancy", "restore", said.shipment_id, line.line_id),
            None,
            None,
            "stock",
            line.item,
            line.quantity,
            LEFT,
            said.shipment_id,
        )
        for line in said.lines
    ]
    await open_discrepancies(tx, found)
    return True


async def tell_preparing(tx: Tx, region: str) -> None:
    """Tell of what is being prepared above all that others have heard of it; `redo` comes before.

    A receiver that knows it from later would take in neither that it leaves nor that it is given
    up.
    """
    raised = await store.raise_preparing(tx.conn, region)
    for book in (await shipments.books(tx.conn, raised)).values():
        _tell(tx, book)


async def _give_up(tx: Tx, said: ShipmentChangedV1) -> None:
    over = said.model_copy(update={"state": "cancelled", "version": said.version + VERSION_GAP})
    _tell(tx, await arrivals.take_in(tx, None, over))


def _tell(tx: Tx, book: Book) -> None:
    tx.emit(shipping.as_event(book), version=book.shipment.version)


def _pieces(book: Book) -> set[tuple[UUID, int]]:
    return {(each.line_id, each.quantity) for each in book.shipment.lines}
