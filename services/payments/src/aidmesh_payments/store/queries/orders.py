"""What the API shows of orders of other regions; never who is paid."""

from datetime import datetime
from uuid import UUID

import asyncpg

from aidmesh_payments.store.queries.rows import Row, rows_of


async def orders(
    conn: asyncpg.Connection,
    state: str,
    after: tuple[datetime, UUID] | None,
    limit: int,
    *,
    sensitive_too: bool,
) -> list[Row]:
    """The queue of one state, oldest first; without a sum while the box waits for the key.

    Nobody says of an order what need it is for, so it is taken to be a sensitive one: for those who
    may not see such needs it has no grant.
    """
    return rows_of(
        await conn.fetch(
            """
            SELECT o.id, o.region, CASE WHEN $5 THEN t.code END AS grant_code, o.amount_minor,
                   o.currency, o.mechanism, o.state, o.reason, o.approver, o.settler,
                   o.review_due_at, o.batch_id, o.bank_reference, o.settled_on, o.recorded_at
            FROM paying_order o LEFT JOIN grant_terms t ON t.grant_id = o.grant_id
            WHERE o.state = $1
              AND ($2::timestamptz IS NULL OR (o.recorded_at, o.id) > ($2, $3::uuid))
            ORDER BY o.recorded_at, o.id LIMIT $4
            """,
            state,
            *(after or (None, None)),
            limit,
            sensitive_too,
        )
    )


async def reviews(
    conn: asyncpg.Connection, after: tuple[datetime, UUID] | None, limit: int
) -> list[Row]:
    """What one person paid alone and nobody has reviewed, most urgent first."""
    return rows_of(
        await conn.fetch(
            """
            SELECT id, region, amount_minor, currency, settler, settled_on, review_due_at,
                   review_due_at < clock_timestamp() AS review_overdue
            FROM paying_order WHERE review_due_at IS NOT NULL AND reviewer IS NULL
              AND ($1::timestamptz IS NULL OR (review_due_at, id) > ($1, $2::uuid))
            ORDER BY review_due_at, id LIMIT $3
            """,
            *(after or (None, None)),
            limit,
        )
    )
