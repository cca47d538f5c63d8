"""Opening and closing sites, and alerts over areas."""

from datetime import datetime
from typing import Final, Literal, cast
from uuid import UUID, uuid4

from aidmesh_chassis.db import Tx
from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import SiteId
from aidmesh_contracts.inventory import AlertChangedV1, SiteChangedV1
from aidmesh_inventory.domain.picking import Place
from aidmesh_inventory.handlers import downtime
from aidmesh_inventory.handlers.release import emit_grew, release
from aidmesh_inventory.store import alerts, beds, capacity, reservations, sites, slots, stock
from aidmesh_inventory.store.alerts import AlertRow
from aidmesh_inventory.store.sites import SiteRow

NIGHTS: Final = 366
"""So many nights ahead are told of a bed: each may be that of another guest."""


async def add(tx: Tx, row: SiteRow) -> bool:
    """Add an open site and tell of it; False if its code is taken."""
    await alerts.lock_alerts(tx.conn)
    added = await sites.insert(tx.conn, row)
    if added:
        for alert in await alerts.lasting(tx.conn):
            if row.area.startswith(alert.area):
                await alerts.stand_still(tx.conn, alert.area)
        _tell(tx, row)
    return added


async def close(tx: Tx, site_id: UUID, reason: str, *, keeps: bool) -> SiteRow | None:
    """Close a site; None if it is not open.

    Args:
        keeps: for a closing that will not last (an alert, a power cut): reservations stay and
            their pick-up clocks stand still. Else they are released, for intake to place anew.
    """
    await downtime.notice(tx)
    found = await sites.close(tx.conn, site_id, reason)
    if found is None:
        return None
    row, closed_at = found
    if not keeps:
        await release(tx, await reservations.live_at_site(tx.conn, site_id), "relocated")
    _tell(tx, row, closed_at)
    return row


async def reopen(tx: Tx, site_id: UUID, reason: str) -> SiteRow | None:
    """Open a closed site again, and wake who waits for what it has; None if it is not closed."""
    await downtime.notice(tx)
    await alerts.lock_alerts(tx.conn)
    found = await sites.reopen(tx.conn, site_id, reason)
    if found is None:
        return None
    row, closed_at, reopened_at = found
    # Whoever frees something there meanwhile tells of it, or has done so for us to see.
    await capacity.lock_site(tx.conn, site_id)
    at = await stock.lock_site(tx.conn, site_id)
    await alerts.go_on(tx.conn, site_id=site_id)
    _tell(tx, row, closed_at, reopened_at)
    place = Place(row.site_id, row.area, is_open=True)
    for item, free in await stock.free_at(tx.conn, site_id):
        emit_grew(tx, "stock", item, place, free, at)
    # Also of beds that somebody has tonight: who waits may want a later night, and each another.
    for code, count in await beds.to_be_had(tx.conn, site_id, day_of(at)):
        emit_grew(tx, "bed", code, place, count * NIGHTS, at)
    for _, code, day, free in await slots.free_by_day(tx.conn, [site_id], at):
        emit_grew(tx, "slot", code, place, free, at, on=day, is_total=True)
    return row


async def begin_alert(tx: Tx, area: str, reason: str, by: UUID) -> tuple[AlertRow, bool]:
    """Begin an alert: at the sites inside the area pick-up clocks stand still.

    Returns:
        the alert, and whether it is new: an area has one at a time.
    """
    await downtime.notice(tx)
    await alerts.lock_alerts(tx.conn)
    row = await alerts.begin(tx.conn, uuid4(), area, reason, by)
    if row is None:
        return (await alerts.lasting(tx.conn, area))[0], False
    await alerts.lock_sites(tx.conn, area)
    await alerts.stand_still(tx.conn, area)
    _tell_alert(tx, row)
    return row, True


async def end_alert(tx: Tx, alert_id: UUID, by: UUID) -> AlertRow | None:
    """End an alert; None if it does not last. Clocks go on where nothing else stands in the way."""
    await downtime.notice(tx)
    await alerts.lock_alerts(tx.conn)
    row = await alerts.end(tx.conn, alert_id, by)
    if row is None:
        return None
    await alerts.go_on(tx.conn, area=row.area)
    _tell_alert(tx, row)
    return row


def _tell(
    tx: Tx, row: SiteRow, closed_at: datetime | None = None, reopened_at: datetime | None = None
) -> None:
    tx.emit(
        SiteChangedV1(
            site_id=SiteId(row.site_id),
            area=row.area,
            site_type=row.site_type,
            status=cast("Literal['open', 'closed']", row.status),
            version=row.version,
            closed_at=closed_at,
            reopened_at=reopened_at,
        ),
        version=row.version,
    )


def _tell_alert(tx: Tx, row: AlertRow) -> None:
    version = 1 if row.ended_at is None else 2
    tx.emit(
        AlertChangedV1(
            alert_id=row.alert_id,
            area=row.area,
            began_at=row.began_at,
            ended_at=row.ended_at,
            version=version,
        ),
        version=version,
    )
