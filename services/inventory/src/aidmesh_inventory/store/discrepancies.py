"""Discrepancies, and the rows of bulk forms that were taken in."""

from collections.abc import Collection, Sequence
from typing import NamedTuple
from uuid import UUID

import asyncpg


class BulkRow(NamedTuple):
    """A row of a bulk form, with the hash of its content and what it became."""

    source: str
    row_id: str
    content_hash: bytes
    result_id: UUID | None


async def insert(
    conn: asyncpg.Connection,
    found: Sequence[tuple[UUID, UUID | None, UUID | None, str, str, int, str]],
) -> set[UUID]:
    """Add discrepancies; returns the ids of those that were not there yet."""
    rows = await conn.fetch(
        """
        INSERT INTO discrepancy (id, need_id, site_id, about, code, quantity, why)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::int[],
            $7::text[])
        ON CONFLICT DO NOTHING RETURNING id
        """,
        *(list(column) for column in zip(*found, strict=True)),
    )
    return {row["id"] for row in rows}


async def page(
    conn: asyncpg.Connection, *, status: str, after: UUID | None, limit: int
) -> list[asyncpg.Record]:
    """Discrepancies by id."""
    return await conn.fetch(
        """
        SELECT id AS discrepancy_id, need_id, site_id, about, code, quantity, why, status,
               opened_at, settled_at, settled_reason
        FROM discrepancy WHERE status = $1 AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3
        """,
        status,
        after,
        limit,
    )


async def settle(conn: asyncpg.Connection, discrepancy_id: UUID, by: UUID, reason: str) -> bool:
    """Settle an open discrepancy; False if there is none."""
    found = await conn.fetchval(
        """
        UPDATE discrepancy SET status = 'settled', settled_at = clock_timestamp(),
               settled_by = $2, settled_reason = $3
        WHERE id = $1 AND status = 'open' RETURNING id
        """,
        discrepancy_id,
        by,
        reason,
    )
    return found is not None


async def lock_sources(conn: asyncpg.Connection, form: str, sources: Sequence[str]) -> None:
    """Wait for other transactions that take in rows of these sources, until this one ends."""
    for source in sources:
        await conn.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"bulk {form} {source}"
        )


async def known_rows(
    conn: asyncpg.Connection, form: str, keys: Collection[tuple[str, str]]
) -> dict[tuple[str, str], tuple[bytes, UUID | None]]:
    """Hash and result of the rows of a form that were taken in before."""
    rows = await conn.fetch(
        """
        SELECT b.source, b.row_id, b.content_hash, b.result_id FROM bulk_row b
        JOIN unnest($2::text[], $3::text[]) AS k (source, row_id)
          ON b.source = k.source AND b.row_id = k.row_id
        WHERE b.form = $1
        """,
        form,
        [source for source, _ in keys],
        [row_id for _, row_id in keys],
    )
    return {(row["source"], row["row_id"]): (row["content_hash"], row["result_id"]) for row in rows}


async def remember_rows(conn: asyncpg.Connection, form: str, rows: Sequence[BulkRow]) -> None:
    """Remember rows that were taken in.

    Raises:
        asyncpg.UniqueViolationError: somebody else took one of them in at the same time.
    """
    if rows:
        await conn.execute(
            """
            INSERT INTO bulk_row (form, source, row_id, content_hash, result_id)
            SELECT $1, * FROM unnest($2::text[], $3::text[], $4::bytea[], $5::uuid[])
            """,
            form,
            *(list(column) for column in zip(*rows, strict=True)),
        )
