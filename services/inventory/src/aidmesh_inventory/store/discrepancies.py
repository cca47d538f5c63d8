"""Facts that do not fit the books."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg


async def insert(
    conn: asyncpg.Connection,
    found: Sequence[tuple[UUID, UUID | None, UUID | None, str, str, int, str, UUID | None]],
) -> set[UUID]:
    """Add discrepancies; returns the ids of those that were not there yet."""
    rows = await conn.fetch(
        """
        INSERT INTO discrepancy (id, need_id, site_id, about, code, quantity, why, shipment_id)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::int[],
            $7::text[], $8::uuid[])
        ON CONFLICT DO NOTHING RETURNING id
        """,
        *(list(column) for column in zip(*found, strict=True)),
    )
    return {row["id"] for row in rows}


_SEEN = """
    ({} OR d.need_id IS NULL OR EXISTS (
        SELECT FROM reservation r WHERE r.need_id = d.need_id AND NOT r.sensitive))
"""


async def page(
    conn: asyncpg.Connection,
    *,
    status: str,
    sensitive_too: bool,
    after: UUID | None,
    limit: int,
) -> list[asyncpg.Record]:
    """Discrepancies by id."""
    return await conn.fetch(
        f"""
        SELECT id AS discrepancy_id, need_id, site_id, about, code, quantity, why, status,
               shipment_id, opened_at, settled_at, settled_reason
        FROM discrepancy d WHERE status = $1 AND {_SEEN.format("$2")}
          AND ($3::uuid IS NULL OR id > $3) ORDER BY id LIMIT $4
        """,  # noqa: S608 - a constant
        status,
        sensitive_too,
        after,
        limit,
    )


async def settle(
    conn: asyncpg.Connection, discrepancy_id: UUID, by: UUID, reason: str, *, sensitive_too: bool
) -> bool:
    """Settle an open discrepancy; False if there is none."""
    found = await conn.fetchval(
        f"""
        UPDATE discrepancy d SET status = 'settled', settled_at = clock_timestamp(),
               settled_by = $2, settled_reason = $3
        WHERE id = $1 AND status = 'open' AND {_SEEN.format("$4")} RETURNING id
        """,  # noqa: S608 - a constant
        discrepancy_id,
        by,
        reason,
        sensitive_too,
    )
    return found is not None
