"""Alerts over areas, and the pick-up clocks that stand still for them or for a closed site."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg


@dataclass(frozen=True, slots=True)
class AlertRow:
    """An alert; `ended_at` is None while it lasts."""

    alert_id: UUID
    area: str
    reason: str
    began_at: datetime
    ended_at: datetime | None


_COLUMNS = "id AS alert_id, area, reason, began_at, ended_at"


async def begin(
    conn: asyncpg.Connection, alert_id: UUID, area: str, reason: str, staff_id: UUID
) -> AlertRow | None:
    """Begin an alert; None if there is one over exactly this area."""
    row = await conn.fetchrow(
        f"""
        INSERT INTO alert (id, area, reason, began_by) VALUES ($1, $2, $3, $4)
        ON CONFLICT (area) WHERE ended_at IS NULL DO NOTHING RETURNING {_COLUMNS}
        """,  # noqa: S608 - a constant
        alert_id,
        area,
        reason,
        staff_id,
    )
    return None if row is None else AlertRow(**row)


async def end(conn: asyncpg.Connection, alert_id: UUID, staff_id: UUID) -> AlertRow | None:
    """End an alert; None if there is none that lasts."""
    row = await conn.fetchrow(
        f"""
        UPDATE alert SET ended_at = clock_timestamp(), ended_by = $2
        WHERE id = $1 AND ended_at IS NULL RETURNING {_COLUMNS}
        """,  # noqa: S608 - a constant
        alert_id,
        staff_id,
    )
    return None if row is None else AlertRow(**row)


async def get(conn: asyncpg.Connection, alert_id: UUID) -> AlertRow | None:
    """One alert."""
    row = await conn.fetchrow(
        f"SELECT {_COLUMNS} FROM alert WHERE id = $1",  # noqa: S608 - a constant
        alert_id,
    )
    return None if row is None else AlertRow(**row)


async def lasting(conn: asyncpg.Connection, area: str | None = None) -> list[AlertRow]:
    """The alerts that last, over exactly this area or over any."""
    rows = await conn.fetch(
        f"""
        SELECT {_COLUMNS} FROM alert
        WHERE ended_at IS NULL AND ($1::text IS NULL OR area = $1) ORDER BY began_at, id
        """,  # noqa: S608 - a constant
        area,
    )
    return [AlertRow(**row) for row in rows]


async def lock_sites(conn: asyncpg.Connection, area: str) -> None:
    """Lock the sites inside an area: alerts and closings of a site are decided one by one."""
    await conn.execute(
        "SELECT FROM site WHERE starts_with(area, $1) ORDER BY id FOR NO KEY UPDATE", area
    )


async def lock_alerts(conn: asyncpg.Connection) -> None:
    """Keep alerts from beginning and ending until this transaction is over."""
    await conn.execute("LOCK TABLE alert IN SHARE ROW EXCLUSIVE MODE")


async def stand_still(conn: asyncpg.Connection, area: str) -> None:
    """Stop the pick-up clocks of the sites inside an area, unless they stand still already."""
    await conn.execute(
        """
        UPDATE site SET still_since = clock_timestamp()
        WHERE starts_with(area, $1) AND still_since IS NULL
        """,
        area,
    )


async def go_on(
    conn: asyncpg.Connection, *, site_id: UUID | None = None, area: str | None = None
) -> None:
    """Have pick-up clocks run again, and give people the time back for which they stood still.

    Only at open sites over which no alert lasts: of those, one site, or all inside an area.
    """
    freed = await conn.fetch(
        """
        WITH old AS (
            SELECT id, still_since FROM site s
            WHERE (id = $1 OR starts_with(area, $2)) AND status = 'open'
              AND still_since IS NOT NULL
              AND NOT EXISTS (
                  SELECT FROM alert a WHERE a.ended_at IS NULL AND starts_with(s.area, a.area))
            ORDER BY id FOR NO KEY UPDATE)
        UPDATE site s SET still_since = NULL FROM old WHERE s.id = old.id
        RETURNING s.id, old.still_since
        """,
        site_id,
        area,
    )
    if not freed:
        return
    await conn.execute(
        """
        WITH mine AS (
            SELECT r.id, f.still_since FROM reservation r
            JOIN unnest($1::uuid[], $2::timestamptz[]) AS f (site_id, still_since)
              ON f.site_id = r.site_id
            WHERE r.state = 'confirmed' AND r.collect_by > f.still_since
            ORDER BY r.id FOR NO KEY UPDATE OF r)
        UPDATE reservation r SET collect_by = r.collect_by
               + (clock_timestamp() - greatest(mine.still_since, r.told_at, r.state_at))
        FROM mine WHERE r.id = mine.id
        """,
        [row["id"] for row in freed],
        [row["still_since"] for row in freed],
    )
