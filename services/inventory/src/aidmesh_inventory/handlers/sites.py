"""Opening and closing sites."""

from typing import Literal, cast
from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_contracts.ids import SiteId
from aidmesh_contracts.inventory import SiteChangedV1
from aidmesh_inventory.domain.days import day_of
from aidmesh_inventory.domain.picking import Place
from aidmesh_inventory.handlers.release import emit_grew, release
from aidmesh_inventory.store import beds, reservations, sites, slots, stock
from aidmesh_inventory.store.sites import SiteRow


async def add(tx: Tx, row: SiteRow) -> bool:
    """Add an open site and tell of it; False if its code is taken."""
    added = await sites.insert(tx.conn, row)
    if added:
        _tell(tx, row)
    return added


async def close(tx: Tx, site_id: UUID, reason: str, *, keeps: bool) -> SiteRow | None:
    """Close a site; None if it is not open.

    Args:
        keeps: for a closing that will not last (an alert, a power cut): reservations stay and
            their pick-up clocks stand still. Else they are released, for intake to place anew.
    """
    row = await sites.close(tx.conn, site_id, reason)
    if row is None:
        return None
    if not keeps:
        await release(tx, await reservations.live_at_site(tx.conn, site_id), "relocated")
    _tell(tx, row)
    return row


async def reopen(tx: Tx, site_id: UUID, reason: str) -> SiteRow | None:
    """Open a closed site again, and wake who waits for what it has; None if it is not closed."""
    found = await sites.reopen(tx.conn, site_id, reason)
    if found is None:
        return None
    row, closed_at = found
    await reservations.extend_at_site(tx.conn, site_id, closed_at)
    _tell(tx, row)
    at = await stock.lock(tx.conn, ())
    place = Place(row.site_id, row.area, is_open=True)
    for item, free in await stock.free_at(tx.conn, site_id):
        emit_grew(tx, "stock", item, place, free, at)
    for code, free in await beds.free_tonight(tx.conn, site_id, day_of(at)):
        emit_grew(tx, "bed", code, place, free, at)
    for code, free in await slots.free_at(tx.conn, site_id, at):
        emit_grew(tx, "slot", code, place, free, at)
    return row


def _tell(tx: Tx, row: SiteRow) -> None:
    tx.emit(
        SiteChangedV1(
            site_id=SiteId(row.site_id),
            area=row.area,
            site_type=row.site_type,
            status=cast("Literal['open', 'closed']", row.status),
            version=row.version,
        ),
        version=row.version,
    )
