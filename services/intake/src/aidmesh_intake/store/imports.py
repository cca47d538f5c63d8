"""Imports: jobs and the rows that were taken in before."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

PROBLEMS_MAX = 1000


@dataclass(frozen=True, slots=True)
class RowKnown:
    """A row that was taken in before."""

    content_hash: bytes
    need_id: UUID


async def rows_by_key(conn: asyncpg.Connection, keys: Sequence[bytes]) -> dict[bytes, RowKnown]:
    """Rows that were taken in before, by their keyed hashes."""
    rows = await conn.fetch(
        "SELECT row_key, content_hash, need_id FROM import_row WHERE row_key = ANY($1::bytea[])",
        list(keys),
    )
    return {row["row_key"]: RowKnown(row["content_hash"], row["need_id"]) for row in rows}


async def add_rows(
    conn: asyncpg.Connection, job_id: UUID, rows: Sequence[tuple[bytes, bytes, UUID]]
) -> None:
    """Remember rows: key, hash of the content, need."""
    if rows:
        await conn.copy_records_to_table(
            "import_row",
            records=[(*row, job_id) for row in sorted(rows)],
            columns=("row_key", "content_hash", "need_id", "job_id"),
        )


async def open_job(
    conn: asyncpg.Connection,
    job_id: UUID,
    source: str,
    file_hash: bytes,
    rows_total: int,
    staff_id: UUID,
) -> UUID:
    """Start a job, or find the one that this file began; returns its id."""
    await conn.execute(
        """
        INSERT INTO import_job (id, source, file_hash, state, rows_total, staff_id)
        VALUES ($1, $2, $3, 'running', $4, $5) ON CONFLICT (source, file_hash) DO NOTHING
        """,
        job_id,
        source,
        file_hash,
        rows_total,
        staff_id,
    )
    found: UUID = await conn.fetchval(
        "SELECT id FROM import_job WHERE source = $1 AND file_hash = $2", source, file_hash
    )
    return found


async def claim_job(conn: asyncpg.Connection, job_id: UUID) -> bool:
    """Claim a job until the end of this transaction; False while somebody else has it."""
    claimed: bool = await conn.fetchval(
        "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))", f"import {job_id}"
    )
    return claimed


async def lock_job(conn: asyncpg.Connection, job_id: UUID) -> asyncpg.Record | None:
    """Lock a job for one chunk; None while somebody else is at it.

    Only whoever has claimed the job comes here, but a claim ends with its connection.
    """
    return await conn.fetchrow(
        "SELECT * FROM import_job WHERE id = $1 FOR UPDATE SKIP LOCKED", job_id
    )


async def begin_again(
    conn: asyncpg.Connection, job_id: UUID, rows_total: int, staff_id: UUID
) -> None:
    """Have a locked job that was done begin from its first row, with nothing counted yet."""
    await conn.execute(
        """
        UPDATE import_job SET state = 'running', rows_total = $2, staff_id = $3, next_row = 0,
            accepted = 0, skipped = 0, rejected = 0, problems = '[]', started_at = now()
        WHERE id = $1
        """,
        job_id,
        rows_total,
        staff_id,
    )


async def read_job(conn: asyncpg.Connection, job_id: UUID) -> asyncpg.Record | None:
    """A job as it stands."""
    return await conn.fetchrow("SELECT * FROM import_job WHERE id = $1", job_id)


async def save_chunk(
    conn: asyncpg.Connection,
    job_id: UUID,
    next_row: int,
    counts: tuple[int, int, int],
    problems: Sequence[dict[str, object]],
) -> None:
    """Write how far a job has come.

    Args:
        counts: accepted, skipped and rejected rows of this chunk.
        problems: line, column and rule of what was rejected; the first thousand are kept.
    """
    await conn.execute(
        """
        UPDATE import_job SET next_row = $2, accepted = accepted + $3, skipped = skipped + $4,
            rejected = rejected + $5, changed_at = now(),
            state = CASE WHEN $2 >= rows_total THEN 'done' ELSE 'running' END,
            problems = CASE WHEN jsonb_array_length(problems) < $7
                THEN problems || $6::jsonb ELSE problems END
        WHERE id = $1
        """,
        job_id,
        next_row,
        *counts,
        json.dumps(list(problems)[:PROBLEMS_MAX]),
        PROBLEMS_MAX,
    )
