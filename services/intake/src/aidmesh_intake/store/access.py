"""Who looked at what is known about people: each reading is on record."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg


async def note_access(
    conn: asyncpg.Connection, staff_id: UUID, person_ids: Sequence[UUID], why: str
) -> None:
    """Remember who saw whose details."""
    await conn.execute(
        "INSERT INTO person_access (staff_id, person_id, why)"
        " SELECT $1, id, $3 FROM unnest($2::uuid[]) AS id",
        staff_id,
        list(person_ids),
        why,
    )


async def note_reading(
    conn: asyncpg.Connection, staff_id: UUID, request_id: UUID, person_id: UUID | None, why: str
) -> None:
    """Remember who saw what was said with a request, by the person's record where it is for one."""
    await conn.execute(
        "INSERT INTO person_access (staff_id, person_id, request_id, why) VALUES ($1, $2, $3, $4)",
        staff_id,
        person_id,
        request_id,
        why,
    )


After = tuple[datetime, int]
"""When somebody looked, and the number of the record of it."""


async def access_of(
    conn: asyncpg.Connection, person_id: UUID, after: After | None, limit: int
) -> list[asyncpg.Record]:
    """Who saw details of a person, or of a record merged into theirs, latest first."""
    return await conn.fetch(
        """
        SELECT at, id, staff_id, why, request_id FROM person_access
        WHERE person_id = ANY(
            $1::uuid || ARRAY(SELECT id FROM person WHERE merged_into = $1::uuid))
          AND ($2::timestamptz IS NULL OR (at, id) < ($2, $3::bigint))
        ORDER BY at DESC, id DESC LIMIT $4
        """,
        person_id,
        *(after or (None, None)),
        limit,
    )


async def readings_of(
    conn: asyncpg.Connection, request_id: UUID, after: After | None, limit: int
) -> list[asyncpg.Record]:
    """Who saw what was said with a request, latest first."""
    return await conn.fetch(
        "SELECT at, id, staff_id, why, request_id FROM person_access WHERE request_id = $1"
        " AND ($2::timestamptz IS NULL OR (at, id) < ($2, $3::bigint))"
        " ORDER BY at DESC, id DESC LIMIT $4",
        request_id,
        *(after or (None, None)),
        limit,
    )
