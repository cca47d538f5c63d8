"""What the API shows of payments that may have been made, as nobody can prove."""

from datetime import datetime
from uuid import UUID

import asyncpg

from aidmesh_payments.store.queries.rows import Row, rows_of


async def unproven(
    conn: asyncpg.Connection, after: tuple[datetime, UUID] | None, limit: int
) -> list[Row]:
    """Payouts, paying orders and purchases, the oldest first, with what finds them in a statement.

    The region is the one that asked for an order, or was to pay a payout and is lost. Payouts that
    were drawn up since are among them where their need was open in the backup, also the last one of
    a need that was cancelled before anybody looked.
    """
    return rows_of(
        await conn.fetch(
            """
            WITH doubtful AS (
                SELECT id, about, since FROM unproven
                WHERE cleared_at IS NULL AND about <> 'need'
                UNION ALL
                SELECT p.id, 'payout', u.since
                FROM unproven u JOIN payout p ON p.need_id = u.id
                WHERE u.cleared_at IS NULL AND u.about = 'need'
                  AND (p.state IN ('draft', 'approved') OR (p.state = 'cancelled'
                       AND NOT EXISTS (SELECT FROM payout later WHERE later.need_id = p.need_id
                                       AND later.recorded_at > p.recorded_at)))
                  AND p.assigned_to IS NULL
                  AND NOT EXISTS (SELECT FROM unproven o WHERE o.id = p.id AND o.cleared_at IS NULL)
            )
            SELECT d.id, d.about, d.since, p.need_id, b.supplier,
                   COALESCE(o.region, p.taken_from[cardinality(p.taken_from)]) AS region,
                   COALESCE(p.amount_minor, o.amount_minor, b.amount_minor) AS amount_minor,
                   COALESCE(p.currency, o.currency, b.currency) AS currency,
                   COALESCE(p.mechanism, o.mechanism) AS mechanism,
                   COALESCE(p.state, o.state, b.state) AS state,
                   COALESCE(p.recorded_at, o.recorded_at, b.recorded_at) AS recorded_at
            FROM doubtful d
            LEFT JOIN payout p ON d.about = 'payout' AND p.id = d.id
            LEFT JOIN paying_order o ON d.about = 'order' AND o.id = d.id
            LEFT JOIN purchase b ON d.about = 'purchase' AND b.id = d.id
            WHERE $1::timestamptz IS NULL OR (d.since, d.id) > ($1, $2::uuid)
            ORDER BY d.since, d.id LIMIT $3
            """,
            *(after or (None, None)),
            limit,
        )
    )
