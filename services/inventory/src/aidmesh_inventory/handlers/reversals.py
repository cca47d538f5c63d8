"""Goods that were entered by mistake: a wrong item, a wrong purchase, twice."""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import PurchaseId, derive_id
from aidmesh_contracts.inventory import GoodsReceivedV1, GoodsReversedV1
from aidmesh_inventory.handlers.changes import StockChanges
from aidmesh_inventory.handlers.release import lock_for, release
from aidmesh_inventory.store import purchases, receipts, reservations
from aidmesh_inventory.store.receipts import Arrived
from aidmesh_inventory.store.stock import MovementRow

Fault = Literal["unknown-receipt", "already-reversed", "goods-gone", "came-by-shipment"]


async def reverse_receipt(
    tx: Tx, receipt_id: UUID, reason: str, recorded_by: UUID | None
) -> list[UUID] | Fault:
    """Take a receipt back, wherever its goods are; returns its lots, empty now, or why it can't be.

    Holds on its goods are given up, and intake asks for those needs anew. Goods that were handed
    out must be taken back first: then they were there. So were those that left for another region,
    which nobody can take back. What was lost, counted away or moved to another site is no reason
    against it.
    """
    found = await receipts.lock(tx.conn, receipt_id)
    if found is None:
        return "unknown-receipt"
    if await receipts.is_of_shipment(tx.conn, receipt_id):
        return "came-by-shipment"
    received_on, purchase_id = found
    lots = await receipts.arrived(tx.conn, receipt_id)
    holders = [
        each
        for lot in lots
        for each, _ in await reservations.latest_holders_of(tx.conn, lot.lot_id)
    ]
    allocated = await reservations.allocated(tx.conn, holders)
    keys = {(lot.site_id, lot.item) for lot in lots}
    keys |= {(each.site_id, each.item) for each in allocated}
    await lock_for(tx, holders, keys)
    lots = await receipts.arrived(tx.conn, receipt_id)
    if any(lot.is_reversed for lot in lots):
        return "already-reversed"
    if any(lot.gone for lot in lots):
        return "goods-gone"
    emptied = [lot.lot_id for lot in lots]
    for lot_id in emptied:
        held = await reservations.latest_holders_of(tx.conn, lot_id)
        await release(tx, [each for each, _ in held], "relocated", lost=emptied)
    await _empty(tx, receipt_id, lots, reason, recorded_by)
    if purchase_id is not None:
        await purchases.add_received(tx.conn, _counted(purchase_id, lots))
        tx.emit(
            GoodsReversedV1(
                receipt_id=receipt_id,
                purchase_id=PurchaseId(purchase_id),
                received_on=received_on,
                lines=tuple(
                    GoodsReceivedV1.Line(item=lot.item, quantity=lot.received)
                    for lot in lots
                    if lot.received
                ),
                reason=reason,
            )
        )
    return emptied


async def _empty(
    tx: Tx, receipt_id: UUID, lots: Sequence[Arrived], reason: str, recorded_by: UUID | None
) -> None:
    changes = StockChanges()
    for lot in lots:
        if lot.on_hand == 0:
            continue  # a count said so already
        counts = lot.status == "available"
        changes.lot(lot.lot_id, (lot.site_id, lot.item), on_hand=-lot.on_hand, counts=counts)
        changes.movement(
            MovementRow(
                derive_id("movement", "receipt_reversal", lot.lot_id),
                lot.lot_id,
                -lot.on_hand,
                "reversal",
                None,
                receipt_id,
                reason,
                day_of(tx.now),
                recorded_by,
            )
        )
    await changes.save(tx)
    await receipts.set_reversed(tx.conn, [lot.lot_id for lot in lots])


def _counted(purchase_id: UUID, lots: Sequence[Arrived]) -> dict[tuple[UUID, str], int]:
    counted: dict[tuple[UUID, str], int] = {}
    for lot in lots:
        key = (purchase_id, lot.item)
        counted[key] = counted.get(key, 0) - lot.received
    return counted
