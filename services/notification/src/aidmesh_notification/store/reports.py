"""What gateways and staff report about messages that left."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from aidmesh_notification.domain.sending import State
from aidmesh_notification.store.outbound import Told, told_of


async def lock(
    conn: asyncpg.Connection, named: UUID, *, sensitive_too: bool
) -> tuple[UUID, State] | None:
    """Lock a message and return its id and state; None if there is none.

    Args:
        named: what it is called on its way, or its own id.
        sensitive_too: whether those about sensitive needs are found by their own id.
    """
    row = await conn.fetchrow(
        """
        SELECT message_id, state FROM message
        WHERE post_id = $1 OR (message_id = $1 AND ($2 OR NOT sensitive))
        ORDER BY post_id IS NOT DISTINCT FROM $1 DESC LIMIT 1 FOR UPDATE
        """,
        named,
        sensitive_too,
    )
    return None if row is None else (row["message_id"], row["state"])


async def mark_delivered(conn: asyncpg.Connection, message_id: UUID) -> None:
    """Record that a message arrived."""
    await conn.execute(
        """
        UPDATE message SET state = 'delivered', reported_at = now(), changed_at = now()
        WHERE message_id = $1
        """,
        message_id,
    )


async def mark_undelivered(
    conn: asyncpg.Connection, message_id: UUID, code: str | None
) -> list[Told]:
    """Record that a message that was sent did not arrive; returns it, if it is about a need."""
    rows = await conn.fetch(
        """
        UPDATE message m SET state = 'failed', reason = 'undelivered', report_code = $2,
               reported_at = now(), changed_at = now(),
               settled_at = CASE WHEN m.staff_id IS NOT NULL OR EXISTS (
                   SELECT 1 FROM attempt_over o
                   WHERE o.need_id = m.need_id AND o.attempt_no >= m.attempt_no) THEN now() END
        WHERE message_id = $1
        RETURNING m.message_id, m.need_id, m.attempt_no, m.reason, m.correlation_id, m.traceparent
        """,
        message_id,
        code,
    )
    return told_of(rows)


async def forget_posts_of(conn: asyncpg.Connection, persons: Sequence[UUID]) -> None:
    """Forget what messages to these erased persons were called: no mail leads to them any more.

    What is about to leave must be locked before, or have left: its name is made up only then.
    """
    await conn.execute(
        """
        WITH mine AS (
            SELECT message_id FROM message
            WHERE person_id = ANY($1::uuid[]) AND post_id IS NOT NULL
            ORDER BY message_id FOR UPDATE)
        UPDATE message m SET post_id = NULL FROM mine WHERE m.message_id = mine.message_id
        """,
        list(persons),
    )


async def forget_posts(conn: asyncpg.Connection, days: int, limit: int) -> int:
    """Do the same for messages with which nothing was for so many days; returns how many."""
    rows = await conn.fetch(
        """
        WITH old AS (
            SELECT message_id FROM message
            WHERE post_id IS NOT NULL AND changed_at < now() - make_interval(days => $1)
              AND state <> 'sending'
            ORDER BY changed_at LIMIT $2 FOR UPDATE SKIP LOCKED)
        UPDATE message m SET post_id = NULL FROM old WHERE m.message_id = old.message_id
        RETURNING 1
        """,
        days,
        limit,
    )
    return len(rows)
