"""What time brings about."""

from aidmesh_chassis.db import Tx
from aidmesh_contracts.days import day_of
from aidmesh_inventory.domain.days import check_outs_due
from aidmesh_inventory.handlers import downtime
from aidmesh_inventory.handlers.changes import StockChanges
from aidmesh_inventory.handlers.release import Grown, emit_grew, lock_for, release
from aidmesh_inventory.handlers.stays import check_out
from aidmesh_inventory.store import (
    capacity,
    check_outs,
    clocks,
    lots,
    reservations,
    sites,
    slots,
    stock,
)

LIMIT = 500


async def expire_holds(tx: Tx) -> int:
    """Release holds that were not confirmed in time."""
    found = await clocks.expired_holds(tx.conn, LIMIT)
    await release(tx, found, "hold_expired")
    return len(found)


async def release_withdrawn(tx: Tx) -> int:
    """Release what was held while the end of its attempt came in elsewhere: neither saw the other.

    That is rare, so nobody who holds or withdraws waits for a lock of the need.
    """
    found = await clocks.withdrawn_holds(tx.conn, LIMIT)
    await release(tx, found, "withdrawn")
    return len(found)


async def take_back_uncollected(tx: Tx) -> int:
    """Release goods that nobody came for."""
    await downtime.watch(tx)
    found = await clocks.not_collected(tx.conn, LIMIT, bookings=False)
    await release(tx, found, "not_collected", only_due=True)
    return len(found)


async def release_no_shows(tx: Tx) -> int:
    """Release beds and seats of those who did not turn up."""
    await downtime.watch(tx)
    found = await clocks.not_collected(tx.conn, LIMIT, bookings=True)
    await release(tx, found, "no_show", only_due=True)
    return len(found)


async def check_out_overdue(tx: Tx) -> int:
    """Check out guests whose booked nights are over and of whom nobody said that they left.

    Their bed is free by its dates, so whoever waits is woken; a person may correct it.
    """
    due = await check_outs.staying(tx.conn, *check_outs_due(tx.now), LIMIT)
    # Nights that were over before they were entered kept nobody waiting.
    late = {
        each.reservation_id
        for each in due
        if each.attempt_no == 0 and day_of(each.since) >= each.to_on
    }
    leaving = {each.reservation_id: each.to_on for each in due}
    await check_out(tx, leaving, by_clock=True, quietly=late)
    return len(due)


async def tell_slots(tx: Tx) -> int:
    """Tell anew, once a day, which slots have free seats, for those who wait.

    Waiting needs look some days ahead, and these days move on with every day. A slot that comes
    into them grew long ago, when nobody could use it.
    """
    today = day_of(tx.now)
    keys = await capacity.slots_to_tell(tx.conn, today, LIMIT)
    if not keys:
        return 0
    await capacity.lock(tx.conn, keys)
    at = await stock.lock(tx.conn, ())
    site_ids = {site_id for site_id, _, _ in keys}
    places = await sites.areas_of(tx.conn, list(site_ids))
    for site_id, code, day, free in await slots.free_by_day(tx.conn, site_ids, at):
        if (site_id, "slot", code) in keys:
            emit_grew(tx, "slot", code, places[site_id], free, at, on=day, is_total=True)
    await capacity.set_told(tx.conn, keys, today)
    return len(keys)


async def begin_periods(tx: Tx) -> int:
    """Wake who waits for goods that may be given from today on: they came in before, for nobody."""
    today = day_of(tx.now)
    found = await lots.due_to_begin(tx.conn, today, LIMIT)
    if not found:
        return 0
    at = await stock.lock(tx.conn, {(site_id, item) for _, item, site_id in found})
    begun = await lots.begin(tx.conn, [lot_id for lot_id, _, _ in found], today)
    states = await stock.lot_states(tx.conn, begun)
    grown = Grown(await sites.areas_of(tx.conn, [site_id for _, _, site_id in found]), at)
    for lot in states.values():
        if lot.status == "available" and lot.free:
            grown.add("stock", lot.item, lot.site_id, lot.free, None)
    grown.emit(tx)
    return len(found)


async def expire_lots(tx: Tx) -> int:
    """Count lots past their expiry no longer as free, and give up what is set aside of them.

    Intake asks for those needs anew, so that they are served by what is still good.
    """
    today = day_of(tx.now)
    found = await stock.expired_lots(tx.conn, today, LIMIT)
    if not found:
        return 0
    ids = [lot.lot_id for lot in found]
    holders = await lots.holders(tx.conn, ids, LIMIT)
    allocated = await reservations.allocated(tx.conn, holders)
    keys = {(lot.site_id, lot.item) for lot in found}
    await lock_for(tx, holders, keys | {(each.site_id, each.item) for each in allocated})
    # Somebody may have corrected until when they are good, before the locks.
    expired = await lots.still_expired(tx.conn, ids, today)
    changed = await stock.set_status(tx.conn, expired, "expired", was="available")
    changes = StockChanges()
    for lot in changed:
        changes.state((lot.site_id, lot.item), free=-(lot.on_hand - lot.held))
    await changes.save(tx)
    # Whoever was promised some of it meanwhile is found the next time.
    hold_some = set(await lots.holders(tx.conn, expired, LIMIT))
    await release(tx, [each for each in holders if each in hold_some], "lot_unfit")
    return max(len(found), len(holders))
