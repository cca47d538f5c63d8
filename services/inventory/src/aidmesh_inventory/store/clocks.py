"""The clocks of reservations: until when they are held, and may be collected or attended."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg


async def expired_holds(conn: asyncpg.Connection, limit: int) -> list[UUID]:
    """Holds that have run out, the longest first."""
    rows = await conn.fetch(
        """
        SELECT id FROM reservation WHERE state = 'held' AND hold_until <= clock_timestamp()
        ORDER BY hold_until LIMIT $1
        """,
        limit,
    )
    return [row["id"] for row in rows]


async def withdrawn_holds(conn: asyncpg.Connection, limit: int) -> list[UUID]:
    """Holds of attempts that are over."""
    rows = await conn.fetch(
        """
        SELECT r.id FROM reservation r JOIN attempt_ended e ON e.need_id = r.need_id
        WHERE r.state = 'held' AND e.attempt_no >= r.attempt_no
        ORDER BY r.id LIMIT $1
        """,
        limit,
    )
    return [row["id"] for row in rows]


async def not_collected(conn: asyncpg.Connection, limit: int, *, bookings: bool) -> list[UUID]:
    """Goods nobody came for, or bookings nobody turned up for; not while the clock stands still."""
    rows = await conn.fetch(
        """
        SELECT r.id FROM reservation r JOIN site s ON s.id = r.site_id
        WHERE r.state = 'confirmed' AND r.collect_by <= clock_timestamp()
          AND s.still_since IS NULL
          AND (r.way <> 'handover') = $2
        ORDER BY r.collect_by LIMIT $1
        """,
        limit,
        bookings,
    )
    return [row["id"] for row in rows]


async def set_deadlines(
    conn: asyncpg.Connection, deadlines: Sequence[tuple[UUID, datetime]]
) -> None:
    """Set until when bookings are kept."""
    if deadlines:
        await conn.execute(
            """
            UPDATE reservation r SET collect_by = d.collect_by
            FROM unnest($1::uuid[], $2::timestamptz[]) AS d (id, collect_by) WHERE r.id = d.id
            """,
            *(list(column) for column in zip(*deadlines, strict=True)),
        )


async def start_clocks(
    conn: asyncpg.Connection, told: Sequence[tuple[UUID, int, datetime, datetime, datetime]]
) -> None:
    """Start pick-up clocks: need, attempt, told_at, collect_by of goods, least of a booking.

    The last word to the person counts: a message that came back is followed by another. What
    runs already is only ever extended.
    """
    await conn.execute(
        """
        WITH mine AS (
            SELECT r.id, t.told_at, greatest(r.collect_by, CASE r.way
                   WHEN 'handover' THEN t.collect_by ELSE t.booking_until END) AS collect_by
            FROM reservation r
            JOIN unnest($1::uuid[], $2::int[], $3::timestamptz[], $4::timestamptz[],
                        $5::timestamptz[])
                 AS t (need_id, attempt_no, told_at, collect_by, booking_until)
              ON r.need_id = t.need_id AND r.attempt_no = t.attempt_no
            WHERE r.state = 'confirmed' AND (r.told_at IS NULL OR r.told_at < t.told_at)
            ORDER BY r.id FOR NO KEY UPDATE OF r
        )
        UPDATE reservation r SET told_at = mine.told_at, collect_by = mine.collect_by
        FROM mine WHERE r.id = mine.id
        """,
        *(list(column) for column in zip(*told, strict=True)),
    )


async def extend_all(conn: asyncpg.Connection, since: datetime, by: timedelta) -> None:
    """Extend every pick-up clock that was running at `since`.

    One that stands still anyway gets this time back when its site goes on.
    """
    await conn.execute(
        """
        WITH mine AS (
            SELECT r.id FROM reservation r JOIN site s ON s.id = r.site_id
            WHERE r.state = 'confirmed' AND r.collect_by > $1 AND s.still_since IS NULL
            ORDER BY r.id FOR NO KEY UPDATE OF r
        )
        UPDATE reservation r SET collect_by = r.collect_by + $2 FROM mine WHERE r.id = mine.id
        """,
        since,
        by,
    )


async def last_seen(conn: asyncpg.Connection) -> tuple[datetime, datetime]:
    """When the pick-up clocks were last looked at, and now; now is remembered."""
    before: datetime | None = await conn.fetchval(
        "SELECT seen_at FROM pickup_clock FOR NO KEY UPDATE"
    )
    now: datetime = await conn.fetchval(
        """
        INSERT INTO pickup_clock (seen_at) VALUES (clock_timestamp())
        ON CONFLICT (only_row) DO UPDATE SET seen_at = EXCLUDED.seen_at RETURNING seen_at
        """
    )
    return before or now, now


async def look(conn: asyncpg.Connection) -> tuple[datetime, datetime]:
    """The same two, without keeping anybody waiting and without remembering."""
    (row,) = await conn.fetch(
        "SELECT clock_timestamp() AS now, (SELECT seen_at FROM pickup_clock) AS seen_at"
    )
    return row["seen_at"] or row["now"], row["now"]
