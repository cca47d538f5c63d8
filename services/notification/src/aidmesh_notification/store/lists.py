"""What staff see of messages: lists, and how many there are."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from aidmesh_notification.store.outbound import TO_TELL_STATES


async def count_to_tell(conn: asyncpg.Connection) -> int:
    """Return how many people wait to be told in person."""
    count: int = await conn.fetchval(
        "SELECT count(*) FROM message WHERE settled_at IS NULL AND state = ANY($1::text[])",
        list(TO_TELL_STATES),
    )
    return count


async def list_messages(
    conn: asyncpg.Connection,
    *,
    states: Sequence[str] | None,
    need_id: UUID | None,
    sensitive_too: bool,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[asyncpg.Record]:
    """Return a page of messages about needs, oldest first."""
    return await conn.fetch(
        """
        SELECT message_id, need_id, attempt_no, template, sensitive, state, reason, channel,
               tries, queued_at, due_at, expires_at, sent_at, settled_at, report_code
        FROM message
        WHERE need_id IS NOT NULL
          AND ($1::text[] IS NULL OR state = ANY($1::text[]))
          AND ($2::uuid IS NULL OR need_id = $2) AND ($3 OR NOT sensitive)
          AND ($4::timestamptz IS NULL OR (queued_at, message_id) > ($4, $5::uuid))
        ORDER BY queued_at, message_id LIMIT $6
        """,
        None if states is None else list(states),
        need_id,
        sensitive_too,
        None if after is None else after[0],
        None if after is None else after[1],
        limit,
    )


async def list_to_tell(
    conn: asyncpg.Connection,
    *,
    sensitive_too: bool,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[asyncpg.Record]:
    """Return a page of messages that did not go out and whose people do not know yet."""
    return await conn.fetch(
        """
        SELECT message_id, need_id, attempt_no, template, sensitive, state, reason, channel,
               tries, queued_at, due_at, expires_at, sent_at, settled_at, report_code
        FROM message
        WHERE settled_at IS NULL AND need_id IS NOT NULL
          AND state IN ('suppressed', 'failed', 'expired', 'unknown') AND ($1 OR NOT sensitive)
          AND ($2::timestamptz IS NULL OR (queued_at, message_id) > ($2, $3::uuid))
        ORDER BY queued_at, message_id LIMIT $4
        """,
        sensitive_too,
        None if after is None else after[0],
        None if after is None else after[1],
        limit,
    )


async def count_by_state(conn: asyncpg.Connection, *, sensitive_too: bool) -> list[tuple[str, int]]:
    """Return how many messages about needs are in each state."""
    rows = await conn.fetch(
        """
        SELECT state, count(*) AS messages FROM message
        WHERE need_id IS NOT NULL AND ($1 OR NOT sensitive) GROUP BY state ORDER BY state
        """,
        sensitive_too,
    )
    return [(row["state"], row["messages"]) for row in rows]
