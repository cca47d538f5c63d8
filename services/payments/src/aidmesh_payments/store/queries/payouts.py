"""What the API shows of payouts and their batches."""

from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from aidmesh_contracts.ids import NeedId
from aidmesh_payments.store.queries.rows import Row, rows_of

_WHAT_FOR: Final = """c.programme, t.code AS grant_code, a.budget_line,
                   COALESCE(n.sensitive, true) AS sensitive
            FROM payout p JOIN commitment c ON c.id = p.commitment_id
            JOIN allotment a ON a.id = p.allotment_id
            JOIN grant_terms t ON t.grant_id = a.grant_id
            LEFT JOIN need_attempt n ON n.need_id = p.need_id"""
"""What a payout is for, and whether some may not see it: the end of a list of columns."""


async def payouts(
    conn: asyncpg.Connection, state: str, after: tuple[datetime, UUID] | None, limit: int
) -> list[Row]:
    """The queue of one state, oldest first, with what each is for."""
    return rows_of(
        await conn.fetch(
            f"""
            SELECT p.id, p.need_id, p.amount_minor, p.currency, p.mechanism, p.state, p.reason,
                   p.maker, p.sealed_by, p.approver, p.settler, p.review_due_at, p.batch_id,
                   p.bank_reference, p.settled_on, p.assigned_to, p.withdrawal, p.recorded_at,
                   {_WHAT_FOR}
            WHERE p.state = $1
              AND ($2::timestamptz IS NULL OR (p.recorded_at, p.id) > ($2, $3::uuid))
            ORDER BY p.recorded_at, p.id LIMIT $4
            """,
            state,
            *(after or (None, None)),
            limit,
        )
    )


async def of_need(conn: asyncpg.Connection, need_id: NeedId) -> list[Row]:
    """The payouts of a need, the first one first."""
    return rows_of(
        await conn.fetch(
            """
            SELECT id, amount_minor, currency, mechanism, state, settled_on FROM payout
            WHERE need_id = $1 ORDER BY recorded_at, id
            """,
            need_id,
        )
    )


async def reviews(
    conn: asyncpg.Connection, after: tuple[datetime, UUID] | None, limit: int
) -> list[Row]:
    """What one person paid alone, or entered as given, and nobody has reviewed, by urgency."""
    return rows_of(
        await conn.fetch(
            f"""
            (SELECT p.id, p.need_id, p.amount_minor, p.currency, p.mechanism, false AS given,
                    p.settler, p.settled_on, p.review_due_at, p.review_overdue, {_WHAT_FOR}
             WHERE p.review_due_at IS NOT NULL AND p.reviewer IS NULL
               AND ($1::timestamptz IS NULL OR (p.review_due_at, p.id) > ($1, $2::uuid))
             ORDER BY p.review_due_at, p.id LIMIT $3)
            UNION ALL
            (SELECT g.need_id, g.need_id, g.amount_minor, g.currency, NULL, true, g.entered_by,
                    g.given_on, g.review_due_at, g.review_due_at < clock_timestamp(),
                    c.programme, t.code, a.budget_line, COALESCE(n.sensitive, true)
             FROM given_review g
             LEFT JOIN commitment c ON c.need_id = g.need_id AND c.attempt_no = 0
             LEFT JOIN allotment a ON a.id = c.allotment_id
             LEFT JOIN grant_terms t ON t.grant_id = a.grant_id
             LEFT JOIN need_attempt n ON n.need_id = g.need_id
             WHERE g.reviewer IS NULL
               AND ($1::timestamptz IS NULL OR (g.review_due_at, g.need_id) > ($1, $2::uuid))
             ORDER BY g.review_due_at, g.need_id LIMIT $3)
            ORDER BY review_due_at, id LIMIT $3
            """,  # noqa: S608 - a constant
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
