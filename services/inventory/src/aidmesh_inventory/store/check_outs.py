"""Guests whose last night is over: whom nobody checked out, and whom only the clock did."""

from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg


class Staying(NamedTuple):
    """A guest who is checked in and by the booking should have left.

    Attributes:
        attempt_no: 0 for aid that was entered after it was given.
        since: when the check-in was entered.
    """

    reservation_id: UUID
    attempt_no: int
    to_on: date
    since: datetime


async def staying(
    conn: asyncpg.Connection, left_by: date, entered_by: datetime, limit: int
) -> list[Staying]:
    """Guests who should have left by a day, the longest overdue first.

    Only of check-ins that were entered by an instant, and nobody of whom a person said that they
    are still here: others would fill the limit for as long as nothing may be done about them.
    """
    rows = await conn.fetch(
        """
        SELECT r.id, r.attempt_no, max(upper(g.stay)) AS to_on, r.state_at
        FROM bed_booking g JOIN reservation r ON r.id = g.reservation_id
        WHERE g.live AND g.left_on IS NULL AND upper(g.stay) <= $1
          AND r.state = 'issued' AND r.state_at <= $2
        GROUP BY r.id
        HAVING NOT EXISTS (
            SELECT FROM bed_booking o WHERE o.reservation_id = r.id AND o.live
               AND (o.left_on IS NOT NULL OR o.still_here OR COALESCE(upper(o.stay) > $1, true)))
        ORDER BY to_on, r.id LIMIT $3
        """,
        left_by,
        entered_by,
        limit,
    )
    return [Staying(*row) for row in rows]


async def tell_again(conn: asyncpg.Connection, ids: list[UUID]) -> dict[UUID, int]:
    """Count that the nights of these reservations are told of; returns for the how manieth time."""
    rows = await conn.fetch(
        """
        UPDATE reservation SET settle_no = settle_no + 1 WHERE id = ANY($1::uuid[])
        RETURNING id, settle_no
        """,
        ids,
    )
    return {row["id"]: row["settle_no"] for row in rows}


_SEEN = """
    SELECT r.id AS reservation_id, r.need_id, b.site_id, min(b.code) AS code,
           array_agg(b.label ORDER BY b.label) AS beds,
           min(COALESCE(lower(COALESCE(g.booked, g.stay)), g.left_on)) AS from_on,
           max(COALESCE(g.left_on, upper(g.stay))) AS to_on,
           bool_or(g.left_by_clock) AS by_clock
    FROM bed_booking g JOIN bed b ON b.id = g.bed_id
    JOIN reservation r ON r.id = g.reservation_id
    WHERE g.live AND r.state = 'issued'
      AND ($1::uuid IS NULL OR b.site_id = $1) AND ($3 OR NOT r.sensitive)
      AND ($4::uuid IS NULL OR r.id > $4)
"""


async def overdue(
    conn: asyncpg.Connection,
    *,
    site_id: UUID | None,
    today: date,
    sensitive_too: bool,
    after: UUID | None,
    limit: int,
) -> list[asyncpg.Record]:
    """Guests who should have left by today and of whom nobody said so, by reservation."""
    return await conn.fetch(
        f"""
        {_SEEN} AND (g.left_by_clock OR g.left_on IS NULL AND upper(g.stay) <= $2)
        GROUP BY r.id, r.need_id, b.site_id ORDER BY r.id LIMIT $5
        """,
        site_id,
        today,
        sensitive_too,
        after,
        limit,
    )


async def left_since(
    conn: asyncpg.Connection,
    *,
    site_id: UUID | None,
    since: date,
    sensitive_too: bool,
    after: UUID | None,
    limit: int,
) -> list[asyncpg.Record]:
    """Guests of whom somebody said that they left, on a day since then, by reservation."""
    return await conn.fetch(
        f"""
        {_SEEN} AND NOT g.left_by_clock AND g.left_on >= $2
        GROUP BY r.id, r.need_id, b.site_id ORDER BY r.id LIMIT $5
        """,
        site_id,
        since,
        sensitive_too,
        after,
        limit,
    )
