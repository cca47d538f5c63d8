"""Goods of other regions: what is on its way here, what was counted, and what came of own goods."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Literal
from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received
from aidmesh_chassis.errors import Poison
from aidmesh_contracts.days import day_of, is_future
from aidmesh_contracts.ids import ShipmentId, derive_id
from aidmesh_contracts.inventory_shipments import (
    ShipmentChangedV1,
    ShipmentCount,
    ShipmentCountedV1,
)
from aidmesh_inventory.domain.shipments import (
    Counted,
    CountFault,
    Shipment,
    hear_counts,
    hear_sender,
    is_sound,
    take_count,
)
from aidmesh_inventory.handlers import receipts
from aidmesh_inventory.handlers.discrepancies import Found, Why, open_discrepancies
from aidmesh_inventory.handlers.receipts import Line, Receipt
from aidmesh_inventory.store import shipments, sites
from aidmesh_inventory.store.shipments import Book

Fault = CountFault | receipts.Fault | Literal["unknown-shipment", "day-in-future"]


async def hear_shipments(region: str, tx: Tx, batch: Sequence[Received[ShipmentChangedV1]]) -> None:
    """Keep what is on its way here, as its sender says.

    Raises:
        Poison: somebody tells of another's shipment, or of one that can't be.
    """
    mine: list[ShipmentChangedV1] = []
    for each in batch:
        if each.region != each.event.from_region:
            raise Poison("not_the_sender")
        if each.event.to_region == region:
            mine.append(each.event)
    known = await shipments.lock(tx.conn, {each.shipment_id for each in mine})
    for event in sorted(mine, key=lambda event: (event.shipment_id, event.version)):
        known[event.shipment_id] = await take_in(tx, known.get(event.shipment_id), event)


async def take_in(
    tx: Tx, known: Book | None, said: ShipmentChangedV1, *, by_manifest: bool = False
) -> Book:
    """Take in the sender's word of a shipment, by event or by manifest; lock it before.

    Lines that contradict what came first open a discrepancy; what came first stays.

    Raises:
        Poison: the shipment is another region's, or can't be.
    """
    if known is not None and known.from_region != said.from_region:
        raise Poison("not_the_sender")
    if not is_sound(said):
        raise Poison("no_such_shipment")
    word = Shipment(said.state, said.version, said.lines)
    shipment, differs = hear_sender(None if known is None else known.shipment, word)
    is_new = known is None or shipment.lines != known.shipment.lines
    told = said.state == "dispatched" and not by_manifest
    if known is None or (known.shipment.sent != "dispatched" and shipment is not known.shipment):
        book = Book(
            said.shipment_id, said.from_region, said.to_region, said.from_site_id,
            said.to_site_id, said.transfer_id, said.dispatched_on, by_manifest,
            told or not by_manifest, shipment, {},
        )  # fmt: skip
    else:
        book = replace(known, shipment=shipment, matched=known.matched or told)
    await shipments.put(tx.conn, [book])
    if is_new:
        await shipments.put_lines(tx.conn, book.shipment_id, shipment.lines)
    if differs:
        line = shipment.lines[0]
        found = Found(
            derive_id("discrepancy", "manifest", book.shipment_id), None, None, "stock", line.item,
            line.quantity, "manifest_differs", book.shipment_id,
        )  # fmt: skip
        await open_discrepancies(tx, [found])
    return book


async def count(
    tx: Tx,
    region: str,
    shipment_id: UUID,
    counted: Mapping[UUID, Counted],
    *,
    site_id: UUID | None,
    on: date,
    by: UUID | None,
) -> Book | Fault:
    """Credit lines of a shipment by what was counted, each once; returns why not, if not.

    Args:
        site_id: where the goods were unloaded; None for where they were sent to.
    """
    if is_future(on, tx.now):
        return "day-in-future"
    book = (await shipments.lock(tx.conn, [shipment_id])).get(shipment_id)
    if book is None or book.to_region != region:
        return "unknown-shipment"
    taken = take_count(book.shipment, counted)
    if isinstance(taken, str):
        return taken
    shipment, new = taken
    place = site_id or book.to_site_id
    if not await sites.areas_of(tx.conn, [place]):
        return "unknown-site"
    fault = await _credit(tx, replace(book, to_site_id=place), new, on, by)
    if fault is not None:
        return fault
    book = replace(book, shipment=shipment)
    await shipments.put_counts(tx.conn, shipment_id, new, on, by)
    await shipments.put(tx.conn, [book])
    await _open_differences(tx, book, new, place)
    tx.emit(
        ShipmentCountedV1(
            shipment_id=ShipmentId(shipment_id),
            from_region=book.from_region,
            to_region=region,
            state="received" if shipment.state == "received" else "receiving",
            counts=tuple(shipment.counts[each] for each in sorted(shipment.counts)),
            version=len(shipment.counts),
        ),
        version=len(shipment.counts),
    )
    return (await shipments.books(tx.conn, [shipment_id]))[shipment_id]  # with its new lots


async def _credit(
    tx: Tx, book: Book, new: Sequence[ShipmentCount], on: date, by: UUID | None
) -> receipts.Fault | None:
    """Have the good pieces of each line become a lot with the line's terms."""
    lines = {each.line_id: each for each in book.shipment.lines}
    made = {}
    for each in new:
        line = lines[each.line_id]
        if each.good:
            made[each.line_id] = Receipt(
                receipt_id_of(book.shipment_id, each.line_id),
                book.to_site_id,
                on,
                (
                    Line(
                        line.item,
                        each.good,
                        line.batch,
                        line.expiry,
                        line.grant_id,
                        line.restriction,
                        line.unit_value_minor,
                        line.currency,
                        line.terms_version,
                    ),
                ),
            )
    if not made:
        return None
    faults = await receipts.receive(tx, list(made.values()), by)
    if faults:
        return next(iter(faults.values()))
    await shipments.mark_receipts(
        tx.conn,
        book.shipment_id,
        [(receipt.receipt_id, line_id) for line_id, receipt in made.items()],
    )
    return None


def receipt_id_of(shipment_id: UUID, line_id: UUID) -> UUID:
    """The receipt that a line of a shipment becomes: the same id, however often it is tried."""
    return derive_id("receipt", "shipment", shipment_id, line_id)


async def hear_counts_of(region: str, tx: Tx, batch: Sequence[Received[ShipmentCountedV1]]) -> None:
    """Keep what receivers counted of this region's shipments.

    Raises:
        Poison: it is not the receiver who says so, or it can't be of what was sent.
    """
    mine: list[ShipmentCountedV1] = []
    for each in batch:
        if each.region != each.event.to_region:
            raise Poison("not_the_receiver")
        if each.event.from_region == region:
            mine.append(each.event)
    known = await shipments.lock(tx.conn, {each.shipment_id for each in mine})
    for event in mine:
        book = known.get(event.shipment_id)
        if book is None or book.to_region != event.to_region:
            raise Poison("unknown_shipment")
        heard = hear_counts(book.shipment, event.counts)
        if heard is None:
            raise Poison("counts_do_not_fit")
        shipment, new = heard
        book = known[event.shipment_id] = replace(book, shipment=shipment)
        if new:
            await shipments.put_counts(tx.conn, event.shipment_id, new, day_of(tx.now), None)
            await shipments.put(tx.conn, [book])
            await _open_differences(tx, book, new, book.from_site_id)


async def _open_differences(
    tx: Tx, book: Book, new: Sequence[ShipmentCount], site_id: UUID
) -> None:
    """Have a person look at what did not come as it was sent: at either end."""
    items = {each.line_id: each.item for each in book.shipment.lines}
    odd: list[tuple[UUID, Why, int]] = []
    for each in new:
        odd.append((each.line_id, "short", each.short))
        odd.append((each.line_id, "damaged", each.damaged))
        odd.append((each.line_id, "surplus", each.surplus))
    found = [
        Found(
            derive_id("discrepancy", why, book.shipment_id, line_id),
            None,
            site_id,
            "stock",
            items[line_id],
            pieces,
            why,
            book.shipment_id,
        )
        for line_id, why, pieces in odd
        if pieces
    ]
    await open_discrepancies(tx, found)
