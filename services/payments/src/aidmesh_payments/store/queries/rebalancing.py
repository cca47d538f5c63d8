"""What the API shows of money that is to move between holders."""

from datetime import datetime
from uuid import UUID

import asyncpg

from aidmesh_payments.store.queries.rows import Row, rows_of


async def proposals(
    conn: asyncpg.Connection, after: tuple[datetime, UUID] | None, limit: int
) -> list[Row]:
    """Proposals that this region made, the newest first.

    `as_of`: when the holder was last heard of it. `is_overdue`: the time is over and the holder has
    not been heard. `arrived`: what went on is there.
    """
    return rows_of(
        await conn.fetch(
            """
            SELECT r.id, r.grant_id, t.code AS grant_code, a.budget_line, r.allotment_id, r.holder,
                   r.to_region, r.amount_minor, r.currency, r.reason, r.state, r.proposed_by,
                   r.signed_by, r.prepared_minor, r.answer_reason, r.returned_minor, r.hindrance,
                   r.lapses_at, r.proposed_at, r.changed_at,
                   GREATEST(r.answered_at, b.recorded_at) AS as_of,
                   r.state = 'proposed' AND r.lapses_at < clock_timestamp() AS is_overdue,
                   COALESCE(x.state = 'received', false) AS arrived
            FROM rebalancing r
            JOIN grant_allotment a ON a.id = r.allotment_id
            JOIN grant_terms t ON t.grant_id = r.grant_id
            LEFT JOIN transfer b ON b.id = r.return_id
            LEFT JOIN transfer x ON x.id = r.sending_id
            WHERE $1::timestamptz IS NULL OR (r.proposed_at, r.id) < ($1, $2::uuid)
            ORDER BY r.proposed_at DESC, r.id DESC LIMIT $3
            """,
            *(after or (None, None)),
            limit,
        )
    )


async def asks(
    conn: asyncpg.Connection, after: tuple[datetime, UUID] | None, limit: int
) -> list[Row]:
    """What grantors ask of this region's allotments, and would send here; the newest first.

    `as_of`: when the grantor told of it last. `state` is None of what another region decides;
    `booked`: the grantor has what went back.
    """
    return rows_of(
        await conn.fetch(
            """
            SELECT r.id, r.grant_id, t.code AS grant_code, a.budget_line, r.allotment_id,
                   r.grantor, r.holder, r.to_region, r.amount_minor, r.currency, r.reason,
                   r.told_state, r.state, r.prepared_minor, r.prepared_by, r.decided_by,
                   r.answer_reason, r.lapses_at, r.heard_at, r.changed_at,
                   r.told_at AS as_of,
                   a.received_minor - a.returned_minor - a.held_minor - a.committed_minor
                       - a.spent_minor AS free_minor,
                   COALESCE(x.state = 'received', false) AS booked
            FROM return_ask r
            LEFT JOIN grant_terms t ON t.grant_id = r.grant_id
            LEFT JOIN allotment a ON a.id = r.allotment_id
            LEFT JOIN transfer x ON x.id = r.return_id
            WHERE $1::timestamptz IS NULL OR (r.heard_at, r.id) < ($1, $2::uuid)
            ORDER BY r.heard_at DESC, r.id DESC LIMIT $3
            """,
            *(after or (None, None)),
            limit,
        )
    )
