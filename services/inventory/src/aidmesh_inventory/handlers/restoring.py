"""Shipments that left after the backup that a region was restored from."""

from typing import Final
from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_contracts.ids import derive_id
from aidmesh_contracts.inventory_shipments import ShipmentChangedV1
from aidmesh_inventory.handlers import arrivals, shipping
from aidmesh_inventory.handlers.discrepancies import Found, Why, open_discrepancies
from aidmesh_inventory.store import shipments
from aidmesh_inventory.store.shipments import Book

LEFT: Final[Why] = "not_in_books"


async def redo(tx: Tx, region: str, said: ShipmentChangedV1) -> bool:
    """Have a shipment again that this region told others of; its receiver's count finds it then.

    One that was being prepared leaves its lots. Of another one nobody knows which lots it took: a
    discrepancy says how many pieces are gone that the books still have.

    Returns:
        whether it is in the books; False for what did not leave.

    Raises:
        Poison: it can't be.
    """
    if said.state != "dispatched" or said.dispatched_on is None:
        return False
    book = (await shipments.lock(tx.conn, [said.shipment_id])).get(said.shipment_id)
    if book is not None and book.shipment.sent == "dispatched":
        return True
    if book is not None and _pieces(book) == {(each.line_id, each.quantity) for each in said.lines}:
        left = await shipping.dispatch(tx, region, said.shipment_id, said.dispatched_on, None)
        if isinstance(left, Book):
            return True
    await arrivals.take_in(tx, book, said)
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


def _pieces(book: Book) -> set[tuple[UUID, int]]:
    return {(each.line_id, each.quantity) for each in book.shipment.lines}
