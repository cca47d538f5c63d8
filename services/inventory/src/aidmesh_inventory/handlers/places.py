"""New beds and slots, and those that are taken out of use."""

from collections.abc import Sequence
from datetime import date
from typing import Literal
from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_contracts.days import day_of
from aidmesh_inventory.handlers.capacity import count_places
from aidmesh_inventory.handlers.release import emit_grew, release
from aidmesh_inventory.store import beds, capacity, sites, slots, stock
from aidmesh_inventory.store.beds import NewBed
from aidmesh_inventory.store.slots import NewSlot


async def add_beds(
    tx: Tx, new: Sequence[tuple[NewBed, Sequence[str]]]
) -> dict[UUID, Literal["unknown-site", "code-taken"]]:
    """Add beds with their features; returns those that can't be, and why."""
    known = {
        place.site_id: place
        for place in await sites.places(tx.conn, (), [bed.site_id for bed, _ in new])
    }
    faults: dict[UUID, Literal["unknown-site", "code-taken"]] = {
        bed.bed_id: "unknown-site" for bed, _ in new if bed.site_id not in known
    }
    good = [(bed, features) for bed, features in new if bed.bed_id not in faults]
    if not good:
        return faults
    keys = {(bed.site_id, "bed", bed.code) for bed, _ in good}
    await capacity.lock(tx.conn, keys)
    at = await stock.lock(tx.conn, ())
    added = await beds.insert(tx.conn, good)
    grown: dict[tuple[UUID, str], int] = {}
    for bed, _ in good:
        if bed.bed_id in added:
            grown[bed.site_id, bed.code] = grown.get((bed.site_id, bed.code), 0) + 1
        else:
            faults[bed.bed_id] = "code-taken"
    await count_places(tx, keys)
    for (site_id, code), quantity in sorted(grown.items()):
        emit_grew(tx, "bed", code, known[site_id], quantity, at)
    return faults


async def retire_bed(tx: Tx, bed_id: UUID) -> Literal["not-found", "in-use"] | None:
    """Take a bed out of use; returns why not, if not."""
    found = await beds.bed_key(tx.conn, bed_id)
    if found is None:
        return "not-found"
    key = (found[0], "bed", found[1])
    await capacity.lock(tx.conn, [key])
    if await beds.retire(tx.conn, bed_id, day_of(tx.now)) is None:
        return "in-use"
    await count_places(tx, [key])
    return None


async def restore_bed(
    tx: Tx, bed_id: UUID
) -> Literal["not-found", "still-in-use", "code-taken"] | None:
    """Take a bed into use again that was retired by mistake; returns why not, if not."""
    found = await beds.bed_key(tx.conn, bed_id)
    if found is None:
        return "not-found"
    site_id, code = found
    key = (site_id, "bed", code)
    (place,) = await sites.places(tx.conn, (), [site_id])
    await capacity.lock(tx.conn, [key])
    at = await stock.lock(tx.conn, ())
    fault = await beds.restore(tx.conn, bed_id)
    if fault is not None:
        return fault
    await count_places(tx, [key])
    emit_grew(tx, "bed", code, place, 1, at)
    return None


async def add_slots(
    tx: Tx, new: Sequence[NewSlot]
) -> dict[UUID, Literal["unknown-site", "professional-busy"]]:
    """Add slots; returns those that can't be, and why."""
    known = {
        place.site_id: place
        for place in await sites.places(tx.conn, (), [slot.site_id for slot in new])
    }
    faults: dict[UUID, Literal["unknown-site", "professional-busy"]] = {
        slot.slot_id: "unknown-site" for slot in new if slot.site_id not in known
    }
    good = [slot for slot in new if slot.slot_id not in faults]
    if not good:
        return faults
    keys = {(slot.site_id, "slot", slot.code) for slot in good}
    await capacity.lock(tx.conn, keys)
    at = await stock.lock(tx.conn, ())
    added = await slots.insert(tx.conn, good)
    grown: dict[tuple[UUID, str, date], int] = {}
    for slot in good:
        if slot.slot_id in added:
            key = (slot.site_id, slot.code, day_of(slot.starts_at))
            grown[key] = grown.get(key, 0) + slot.seats
        else:
            faults[slot.slot_id] = "professional-busy"
    await count_places(tx, keys)
    for (site_id, code, day), quantity in sorted(grown.items()):
        emit_grew(tx, "slot", code, known[site_id], quantity, at, on=day)
    return faults


async def cancel_slot(tx: Tx, slot_id: UUID) -> Literal["not-found", "not-open"] | None:
    """Cancel a slot and release its seats; returns why not, if not."""
    found = await slots.key_of(tx.conn, slot_id)
    if found is None:
        return "not-found"
    key = (found[0], "slot", found[1])
    await capacity.lock(tx.conn, [key])
    seated = await slots.cancel(tx.conn, slot_id)
    if seated is None:
        return "not-open"
    await release(tx, seated, "relocated")
    await count_places(tx, [key])
    return None
