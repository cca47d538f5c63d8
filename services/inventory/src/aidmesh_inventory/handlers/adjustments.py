"""Counts and losses: the books follow what is really there."""

from dataclasses import dataclass
from datetime import date
from typing import Literal
from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_contracts.days import is_future
from aidmesh_contracts.ids import derive_id
from aidmesh_inventory.handlers.changes import StockChanges
from aidmesh_inventory.handlers.discrepancies import Found, open_discrepancies
from aidmesh_inventory.handlers.release import emit_grew, lock_for, release
from aidmesh_inventory.store import reservations, sites, stock
from aidmesh_inventory.store.stock import LotState, MovementRow

Fault = Literal["unknown-lot", "more-than-on-hand", "already-reversed", "day-in-future"]


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A correction of one lot.

    Attributes:
        kind: `count` sets what is on hand to `quantity`; `loss` takes `quantity` away.
        reason: a code, such as `stolen`, `damaged` or `miscounted`.
    """

    adjustment_id: UUID
    lot_id: UUID
    kind: Literal["count", "loss"]
    quantity: int
    reason: str
    happened_on: date


async def adjust(tx: Tx, wanted: Adjustment, recorded_by: UUID | None) -> LotState | Fault:
    """Correct a lot; returns how it is now, or why it can't be.

    Where fewer pieces are left than are held, holds are given up: the lowest priority first,
    of equal ones the latest. Intake asks for those needs anew.
    """
    if is_future(wanted.happened_on, tx.now):
        return "day-in-future"
    lot = (await stock.lot_states(tx.conn, [wanted.lot_id])).get(wanted.lot_id)
    if lot is None:
        return "unknown-lot"
    key = (lot.site_id, lot.item)
    holders = [each for each, _ in await reservations.latest_holders_of(tx.conn, lot.lot_id)]
    allocated = await reservations.allocated(tx.conn, holders)
    _, at = await lock_for(tx, holders, {key, *((each.site_id, each.item) for each in allocated)})
    lot = (await stock.lot_states(tx.conn, [wanted.lot_id]))[wanted.lot_id]
    if lot.status == "blocked":
        return "already-reversed"
    left = wanted.quantity if wanted.kind == "count" else lot.on_hand - wanted.quantity
    if left < 0:
        return "more-than-on-hand"
    change = left - lot.on_hand
    if change == 0:
        return lot
    over, freed_by = lot.held - left, None
    if over > 0:
        freed_by = await _give_up(tx, lot, over)
        await open_discrepancies(tx, [_below_held(wanted, lot, over)])
    changes = StockChanges()
    changes.lot(lot.lot_id, key, on_hand=change, counts=lot.status == "available")
    changes.movement(_movement(wanted, change, recorded_by))
    await changes.save(tx)
    now = (await stock.lot_states(tx.conn, [wanted.lot_id]))[wanted.lot_id]
    if lot.status == "available":
        # Of what was given up only that is free which is not missing.
        places = await sites.areas_of(tx.conn, [lot.site_id])
        emit_grew(
            tx, "stock", lot.item, places[lot.site_id], now.free - lot.free, at, freed_by=freed_by
        )
    return now


def _below_held(wanted: Adjustment, lot: LotState, over: int) -> Found:
    return Found(
        derive_id("discrepancy", "count", wanted.adjustment_id),
        None,
        lot.site_id,
        "stock",
        lot.item,
        over,
        "count_below_held",
    )


def _movement(wanted: Adjustment, change: int, recorded_by: UUID | None) -> MovementRow:
    return MovementRow(
        derive_id("movement", "adjustment", wanted.adjustment_id),
        wanted.lot_id,
        change,
        wanted.kind,
        None,
        None,
        wanted.reason,
        wanted.happened_on,
        recorded_by,
    )


async def _give_up(tx: Tx, lot: LotState, pieces: int) -> UUID | None:
    """Give up holds on a lot until so many pieces are free; returns the last need that had one."""
    chosen: list[UUID] = []
    for reservation_id, quantity in await reservations.latest_holders_of(tx.conn, lot.lot_id):
        if pieces <= 0:
            break
        chosen.append(reservation_id)
        pieces -= quantity
    released = await release(tx, chosen, "relocated", lost=[lot.lot_id])
    needs = {each.reservation_id: each.need_id for each in released}
    return needs.get(chosen[-1])
