"""Needs whose time has come."""

from datetime import datetime
from uuid import UUID

import asyncpg

from aidmesh_contracts.days import day_of


async def overdue(conn: asyncpg.Connection, limit: int) -> list[UUID]:
    """Attempts past their deadline, longest overdue first."""
    rows = await conn.fetch(
        "SELECT id FROM need WHERE deadline_at <= now() ORDER BY deadline_at LIMIT $1", limit
    )
    return [row["id"] for row in rows]


async def to_retry(conn: asyncpg.Connection, limit: int) -> list[UUID]:
    """Waiting needs that are to be asked for again without any growth."""
    rows = await conn.fetch(
        "SELECT id FROM need WHERE retry_at <= now() ORDER BY retry_at LIMIT $1", limit
    )
    return [row["id"] for row in rows]


async def past_last_day(conn: asyncpg.Connection, now: datetime, limit: int) -> list[UUID]:
    """Needs that came too late for themselves; see `Need.last_day` and `needed_until`."""
    rows = await conn.fetch(
        """
        (SELECT id FROM need WHERE needed_by < $1 AND (state IN ('requested', 'waitlisted')
             OR (state = 'ready' AND supply = 0 AND money = 0 AND attended IS NULL))
         ORDER BY needed_by LIMIT $2)
        UNION
        (SELECT id FROM need WHERE needed_until <= $3 AND (state IN ('requested', 'waitlisted')
             OR (state = 'ready' AND supply = 0 AND money = 0 AND attended IS NULL))
         ORDER BY needed_until LIMIT $2)
        UNION
        (SELECT id FROM need WHERE last_on <= $1 AND state IN ('requested', 'waitlisted')
             AND (last_on < $1 OR ask -> 'capacity' ->> 'resource' = 'bed')
             AND NOT ask ? 'days' AND NOT ask -> 'capacity' ? 'as_written'
         ORDER BY last_on LIMIT $2)
        """,
        day_of(now),
        limit,
        now,
    )
    return [row["id"] for row in rows]


async def open_of_erased(conn: asyncpg.Connection, limit: int) -> dict[UUID, bool]:
    """Open needs of persons who were erased, and of erased households.

    Each with whether it goes on: it is a household's that others belong to, and is not paid.
    """
    rows = await conn.fetch(
        """
        SELECT n.id, n.for_whom = 'household' AND n.ask #>> '{money,by}' IS DISTINCT FROM 'payout'
            AND EXISTS (SELECT FROM person p WHERE p.household_id = n.household_id) AS goes_on
        FROM erased_person e JOIN need n ON n.person_id = e.person_id
        WHERE n.state IN ('requested', 'approved', 'held', 'ready', 'waitlisted')
        UNION ALL
        SELECT n.id, false FROM erased_household e
        JOIN need n ON n.household_id = e.household_id AND n.person_id IS NULL
        WHERE n.state IN ('requested', 'approved', 'held', 'ready', 'waitlisted')
        LIMIT $1
        """,
        limit,
    )
    return {row["id"]: row["goes_on"] for row in rows}
