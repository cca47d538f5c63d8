"""Months to publish anew, and those that other regions published."""

from collections.abc import Iterable, Sequence

import asyncpg

from aidmesh_contracts.reporting import MonthlyResultsV1
from aidmesh_reporting.store.kept import payload_of
from aidmesh_reporting.store.rows import columns


async def put_world_months(
    conn: asyncpg.Connection, events: Sequence[tuple[str, MonthlyResultsV1]]
) -> None:
    """Keep other regions' results, the highest version of each month."""
    newest = {
        (region, event.month): event
        for region, event in sorted(events, key=lambda each: each[1].version)
    }
    await conn.execute(
        """
        INSERT INTO world_month (region, month, version, as_of, payload)
        SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::timestamptz[], $5::bytea[])
            AS n (region, month)
        ORDER BY region, month
        ON CONFLICT (region, month) DO UPDATE
        SET version = excluded.version, as_of = excluded.as_of, payload = excluded.payload
        WHERE world_month.version < excluded.version
        """,
        *columns(
            (region, month, event.version, event.as_of, payload_of(event))
            for (region, month), event in newest.items()
        ),
    )


async def mark_dirty(conn: asyncpg.Connection, months: Iterable[str]) -> None:
    """Have months published anew."""
    await conn.execute(
        """
        INSERT INTO dirty_month (month) SELECT * FROM unnest($1::text[])
        ON CONFLICT (month) DO UPDATE SET changed_at = now()
        """,
        sorted(set(months)),
    )
