"""Goods that change their site within the region: out of one lot and into another, at once."""

from dataclasses import dataclass
from datetime import date
from typing import Literal, NamedTuple
from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_contracts.days import day_of, is_future
from aidmesh_contracts.ids import derive_id
from aidmesh_inventory.domain.moving import Fault as MoveFault
from aidmesh_inventory.domain.moving import Pieces, unmovable
from aidmesh_inventory.handlers.changes import StockChanges
from aidmesh_inventory.handlers.release import emit_grew
from aidmesh_inventory.store import lots, receipts, sites, stock
from aidmesh_inventory.store.stock import LotState, MovementRow

Fault = MoveFault | Literal["unknown-lot", "unknown-site", "day-in-future"]


@dataclass(frozen=True, slots=True)
class Move:
    """Pieces of a lot that went to another site.

    Attributes:
        reason: a code, such as `evacuation`; None where nobody gave one.
    """

    move_id: UUID
    lot_id: UUID
    quantity: int
    to_site_id: UUID
    moved_on: date
    reason: str | None


class Moved(NamedTuple):
    """The two lots of a move, as they are now."""

    from_lot: LotState
    to_lot: LotState


async def move(tx: Tx, wanted: Move, recorded_by: UUID | None) -> Moved | Fault:
    """Move free pieces of a lot to another site; returns both lots, or why it can't be.

    Where they come to they have the terms that they had. They are put to those of the same receipt
    and terms that lie there, since nobody could tell them apart to count them; else they become a
    lot of their own. Whoever waits for them there is woken.
    """
    if is_future(wanted.moved_on, tx.now):
        return "day-in-future"
    lot = (await stock.lot_states(tx.conn, [wanted.lot_id])).get(wanted.lot_id)
    if lot is None:
        return "unknown-lot"
    # Whoever takes the receipt back must know of all its lots.
    await receipts.lock_of_lot(tx.conn, lot.lot_id)
    place = next(iter(await sites.places(tx.conn, (), [wanted.to_site_id])), None)
    if place is None:
        return "unknown-site"
    here, there = (lot.site_id, lot.item), (place.site_id, lot.item)
    at = await stock.lock(tx.conn, {here, there})
    lot = (await stock.lot_states(tx.conn, [lot.lot_id]))[lot.lot_id]
    pieces = Pieces(lot.site_id, lot.status, lot.on_hand, lot.held)
    fault = unmovable(pieces, wanted.quantity, place)
    if fault is not None:
        return fault
    to_lot_id = await _lot_at(tx, lot, wanted)
    changes = StockChanges()
    counts = lot.status == "available"
    for step, lot_id, key, quantity in (
        ("move_out", lot.lot_id, here, -wanted.quantity),
        ("move_in", to_lot_id, there, wanted.quantity),
    ):
        changes.lot(lot_id, key, on_hand=quantity, counts=counts)
        changes.movement(
            MovementRow(
                derive_id("movement", step, wanted.move_id),
                lot_id,
                quantity,
                "move",
                None,
                None,
                wanted.reason,
                wanted.moved_on,
                recorded_by,
                move_id=wanted.move_id,
            )
        )
    await changes.save(tx)
    if counts:
        emit_grew(tx, "stock", lot.item, place, wanted.quantity, at)
    now = await stock.lot_states(tx.conn, [lot.lot_id, to_lot_id])
    return Moved(now[lot.lot_id], now[to_lot_id])


async def _lot_at(tx: Tx, lot: LotState, wanted: Move) -> UUID:
    """The lot that the pieces come to, made if there is none."""
    found = await lots.same_at(tx.conn, lot.lot_id, wanted.to_site_id)
    if found is not None:
        return found
    made = derive_id("lot", "move", wanted.move_id)
    await lots.insert_like(tx.conn, lot.lot_id, made, wanted.to_site_id)
    await lots.note_to_come(tx.conn, [made], day_of(tx.now))
    return made
