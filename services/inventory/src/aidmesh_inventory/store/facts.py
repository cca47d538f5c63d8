"""Aid that was given before it was entered, and its reversal: attempt 0 of a need."""

from collections.abc import Collection
from datetime import date
from uuid import UUID

import asyncpg


async def begin(conn: asyncpg.Connection, need_ids: Collection[UUID]) -> set[UUID]:
    """Make the reversals of these facts wait; returns the needs whose fact was reversed already.

    A row of `attempt_ended` is what both lock; -1 says that nothing of the need is over.
    """
    rows = await conn.fetch(
        """
        INSERT INTO attempt_ended AS old (need_id, attempt_no)
        SELECT need_id, -1 FROM unnest($1::uuid[]) AS need_id
        ON CONFLICT (need_id) DO UPDATE SET attempt_no = old.attempt_no
        RETURNING need_id, attempt_no
        """,
        sorted(need_ids),
    )
    return {row["need_id"] for row in rows if row["attempt_no"] >= 0}


async def reverse(
    conn: asyncpg.Connection, need_ids: Collection[UUID]
) -> dict[UUID, tuple[UUID, date]]:
    """End what facts booked; returns need and day by reservation, of those that this call ended."""
    rows = await conn.fetch(
        """
        UPDATE reservation SET state = 'released', cause = 'reversed', state_at = clock_timestamp()
        WHERE need_id = ANY($1::uuid[]) AND attempt_no = 0 AND state = 'issued'
        RETURNING id, need_id, served_on
        """,
        list(need_ids),
    )
    return {row["id"]: (row["need_id"], row["served_on"]) for row in rows}


async def settle(conn: asyncpg.Connection, need_ids: Collection[UUID], reason: str) -> None:
    """Settle what did not fit of facts of these needs; nobody has to look at it any more."""
    await conn.execute(
        """
        UPDATE discrepancy SET status = 'settled', settled_at = clock_timestamp(),
               settled_reason = $2
        WHERE need_id = ANY($1::uuid[]) AND status = 'open'
          AND why IN ('not_in_books', 'unknown_site', 'site_closed')
        """,
        list(need_ids),
        reason,
    )
