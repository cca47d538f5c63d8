"""Terms of lots that were entered wrong: until when, for what, and what a piece is worth."""

from dataclasses import dataclass
from datetime import date
from typing import Literal
from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_contracts.days import day_of
from aidmesh_contracts.restriction import UNRESTRICTED, Restriction
from aidmesh_inventory.domain.days import keeps
from aidmesh_inventory.domain.terms import still_allowed
from aidmesh_inventory.handlers.changes import StockChanges
from aidmesh_inventory.handlers.release import emit_grew, lock_for, release
from aidmesh_inventory.store import lots, purchases, reservations, sites
from aidmesh_inventory.store.stock import restriction_of

Fault = Literal["unknown-lot", "already-reversed", "version-changed", "terms-of-purchase"]


@dataclass(frozen=True, slots=True)
class Correction:
    """What a lot's terms should have been.

    Attributes:
        version: that somebody looked at when they decided.
        reason: a code, such as `entry_error`.
    """

    lot_id: UUID
    version: int
    expiry: date | None
    restriction: Restriction | None
    unit_value_minor: int
    currency: str
    reason: str


async def correct(tx: Tx, wanted: Correction, by: UUID) -> Fault | None:
    """Correct the terms of a lot; returns why not, if not.

    Holds that the new terms may not allow are given up, and intake asks for those needs anew.
    What may be given now and could not be before is told to those who wait for it. Goods are told
    of with their new value from now on. The donor's terms of goods that were bought are those of
    their purchase, as is the currency; what a piece cost is known when the bill has come. What
    comes of the same purchase from now on cost that as well.
    """
    before = await lots.of_lot(tx.conn, wanted.lot_id)
    if before is None:
        return "unknown-lot"
    key = (before.site_id, before.item)
    holders = [each.reservation_id for each in await lots.planned(tx.conn, [wanted.lot_id])]
    allocated = await reservations.allocated(tx.conn, holders)
    _, at = await lock_for(tx, holders, {key, *((each.site_id, each.item) for each in allocated)})
    before = await lots.of_lot(tx.conn, wanted.lot_id)
    assert before is not None  # noqa: S101 - lots are never deleted
    if before.status == "blocked":
        return "already-reversed"
    if before.version != wanted.version:
        return "version-changed"
    was, is_now = restriction_of(before.restriction), wanted.restriction or UNRESTRICTED
    restricted = was != is_now
    value = (wanted.unit_value_minor, wanted.currency)
    revalued = (before.unit_value_minor, before.currency) != value
    if before.is_bought and (restricted or before.currency != wanted.currency):
        return "terms-of-purchase"
    is_other = restricted or before.expiry != wanted.expiry
    if not is_other and not revalued:
        return None
    is_good = keeps(wanted.expiry, day_of(tx.now))
    if is_other:
        ended = [
            each.reservation_id
            for each in await lots.planned(tx.conn, [wanted.lot_id])
            if not is_good
            or not keeps(wanted.expiry, each.planned_on)
            or not still_allowed(was, is_now, each.planned_on)
        ]
        await release(tx, ended, "lot_unfit", lost=() if is_good else [wanted.lot_id])
    now = await lots.of_lot(tx.conn, wanted.lot_id)
    assert now is not None  # noqa: S101 - it was there a moment ago
    was_good = before.status == "available"
    await lots.correct(
        tx.conn,
        wanted.lot_id,
        expiry=wanted.expiry,
        restriction=_text(wanted.restriction),
        unit_value_minor=wanted.unit_value_minor,
        currency=wanted.currency,
        status="available" if is_good else "expired",
        reason=wanted.reason,
        by=by,
    )
    if revalued and before.is_bought:
        await purchases.set_price_of(tx.conn, wanted.lot_id)
    await lots.note_to_come(tx.conn, [wanted.lot_id], day_of(tx.now))
    changes = StockChanges()
    changes.state(key, free=now.free * (is_good - was_good))
    await changes.save(tx)
    if is_good and is_other:
        # What was given up just now was told of by its release.
        grown = before.free if was_good else now.free
        places = await sites.areas_of(tx.conn, [before.site_id])
        emit_grew(tx, "stock", before.item, places[before.site_id], grown, at)
    return None


def _text(restriction: Restriction | None) -> str | None:
    if restriction is None or restriction == UNRESTRICTED:
        return None
    return restriction.model_dump_json(exclude_none=True)
