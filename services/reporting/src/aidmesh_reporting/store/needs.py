"""Needs that no service was for: those that wait and those that closed."""

from collections.abc import Sequence

import asyncpg

from aidmesh_contracts.intake import NeedClosedV1, NeedWaitlistedV1
from aidmesh_reporting.store.rows import columns


async def put_waiting(conn: asyncpg.Connection, events: Sequence[NeedWaitlistedV1]) -> None:
    """Record what needs wait for; the latest attempt holds."""
    newest = {event.need_id: event for event in sorted(events, key=lambda each: each.attempt_no)}
    await conn.execute(
        """
        INSERT INTO waiting (need_id, attempt_no, kind, area, asked_on, resource, code, quantity,
                             sensitive)
        SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::date[],
                             $6::text[], $7::text[], $8::bigint[], $9::boolean[]) AS n (need_id)
        ORDER BY need_id
        ON CONFLICT (need_id) DO UPDATE
        SET attempt_no = excluded.attempt_no, resource = excluded.resource,
            code = excluded.code, quantity = excluded.quantity, sensitive = excluded.sensitive
        WHERE waiting.attempt_no < excluded.attempt_no
        """,
        *columns(
            (
                event.need_id,
                event.attempt_no,
                event.kind,
                event.area,
                event.asked_on,
                event.blocked_by.resource,
                event.blocked_by.code,
                event.blocked_by.quantity,
                event.sensitive,
            )
            for event in newest.values()
        ),
    )


async def add_closed(conn: asyncpg.Connection, events: Sequence[NeedClosedV1]) -> None:
    """Record needs that ended without a service."""
    await conn.execute(
        """
        INSERT INTO closed_need (need_id, state, reason)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[]) AS n (need_id)
        ORDER BY need_id ON CONFLICT DO NOTHING
        """,
        *columns((event.need_id, event.state, event.reason) for event in events),
    )
