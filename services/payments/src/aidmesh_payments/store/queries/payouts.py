"""What the API shows of payouts and their batches."""

from datetime import datetime
from uuid import UUID

import asyncpg

from aidmesh_payments.store.queries.rows import Row, rows_of


async def payouts(
    conn: asyncpg.Connection, state: str, after: tuple[datetime, UUID] | None, limit: int
) -> list[Row]:
    """The queue of one state, oldest first."""
    return rows_of(
        await conn.fetch(
            """
            SELECT id, need_id, amount_minor, currency, mechanism, state, reason, maker, sealed_by,
                   approver, settler, review_due_at, batch_id, bank_reference, settled_on,
                   assigned_to, withdrawal, recorded_at
            FROM payout
            WHERE state = $1 AND ($2::timestamptz IS NULL OR (recorded_at, id) > ($2, $3::uuid))
            ORDER BY recorded_at, id LIMIT $4
            """,
            state,
            *(after or (None, None)),
            limit,
        )
    )


async def reviews(
    conn: asyncpg.Connection, after: tuple[datetime, UUID] | None, limit: int
) -> list[Row]:
    """What one person paid alone and nobody has reviewed, most urgent first."""
    return rows_of(
        await conn.fetch(
            """
            SELECT id, need_id, amount_minor, currency, settler, settled_on, review_due_at,
                   review_overdue
            FROM payout WHERE review_due_at IS NOT NULL AND reviewer IS NULL
              AND ($1::timestamptz IS NULL OR (review_due_at, id) > ($1, $2::uuid))
            ORDER BY review_due_at, id LIMIT $3
            """,
            *(after or (None, None)),
            limit,
        )
    )


async def batches(
    conn: asyncpg.Connection, after: tuple[datetime, UUID] | None, limit: int
) -> list[Row]:
    """Payment lists, the newest first."""
    return rows_of(
        await conn.fetch(
            """
            SELECT id, currency, mechanism, payouts, total_minor, exported_at FROM payout_batch
            WHERE $1::timestamptz IS NULL OR (exported_at, id) < ($1, $2::uuid)
            ORDER BY exported_at DESC, id DESC LIMIT $3
            """,
            *(after or (None, None)),
            limit,
        )
    )
