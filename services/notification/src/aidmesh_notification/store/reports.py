"""What gateways and staff report about messages that left."""

from uuid import UUID

import asyncpg

from aidmesh_notification.domain.sending import State
from aidmesh_notification.store.outbound import Told, told_of


async def lock_state(conn: asyncpg.Connection, message_id: UUID) -> State | None:
    """Lock a message and return its state; None if there is none."""
    state: State | None = await conn.fetchval(
        "SELECT state FROM message WHERE message_id = $1 FOR UPDATE", message_id
    )
    return state


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
