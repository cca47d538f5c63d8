"""Which records were said to be one person, by whom, and what became of that."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg


@dataclass(frozen=True, slots=True)
class Merge:
    """One record behind another; `merge_no` counts the merges of this pair that came about."""

    id: UUID
    person_id: UUID
    into_id: UUID
    state: str
    merge_no: int | None
    proposed_by: UUID | None
    proposed_at: datetime


async def propose(
    conn: asyncpg.Connection,
    merge_id: UUID,
    person_id: UUID,
    into_id: UUID,
    staff_id: UUID,
    now: datetime,
) -> UUID:
    """Write a proposal; returns the id of the one that is open for this pair."""
    await conn.execute(
        """
        INSERT INTO person_merge (id, person_id, into_id, state, proposed_by, proposed_at)
        VALUES ($1, $2, $3, 'proposed', $4, $5)
        ON CONFLICT (person_id, into_id) WHERE state = 'proposed' DO NOTHING
        """,
        merge_id,
        person_id,
        into_id,
        staff_id,
        now,
    )
    found: UUID = await conn.fetchval(
        "SELECT id FROM person_merge WHERE person_id = $1 AND into_id = $2 AND state = 'proposed'",
        person_id,
        into_id,
    )
    return found


async def read(conn: asyncpg.Connection, merge_id: UUID, *, lock: bool = False) -> Merge | None:
    """One merge."""
    if lock:
        await conn.execute("SELECT FROM person_merge WHERE id = $1 FOR UPDATE", merge_id)
    row = await conn.fetchrow(
        "SELECT id, person_id, into_id, state, merge_no, proposed_by, proposed_at"
        " FROM person_merge WHERE id = $1",
        merge_id,
    )
    return None if row is None else Merge(**row)


async def in_force(conn: asyncpg.Connection, person_id: UUID) -> Merge | None:
    """The merge that put a record behind another."""
    row = await conn.fetchrow(
        "SELECT id, person_id, into_id, state, merge_no, proposed_by, proposed_at"
        " FROM person_merge WHERE person_id = $1 AND state = 'merged'",
        person_id,
    )
    return None if row is None else Merge(**row)


async def behind(conn: asyncpg.Connection, person_id: UUID) -> list[UUID]:
    """The records that went behind this one, and those behind them."""
    rows = await conn.fetch(
        """
        WITH RECURSIVE behind AS (
            SELECT person_id FROM person_merge WHERE into_id = $1 AND state = 'merged'
            UNION
            SELECT m.person_id FROM person_merge m JOIN behind b ON m.into_id = b.person_id
            WHERE m.state = 'merged')
        SELECT person_id FROM behind ORDER BY person_id
        """,
        person_id,
    )
    return [row["person_id"] for row in rows]


async def asked_since(conn: asyncpg.Connection, merge_ids: Collection[UUID]) -> list[UUID]:
    """What is not served or ended of those who stood for records, asked for since they did.

    Whoever asked by the code of a record that went behind them was taken for them.
    """
    rows = await conn.fetch(
        """
        WITH RECURSIVE up AS (
            SELECT into_id AS id, coalesce(decided_at, proposed_at) AS since
            FROM person_merge WHERE id = ANY($1::uuid[])
            UNION ALL
            SELECT m.into_id, greatest(up.since, coalesce(m.decided_at, m.proposed_at))
            FROM up JOIN person_merge m ON m.person_id = up.id AND m.state = 'merged')
        SELECT DISTINCT n.id FROM up JOIN need n ON n.person_id = up.id
        JOIN request r ON r.id = n.request_id
        WHERE r.recorded_at >= up.since
            AND n.state IN ('requested', 'approved', 'held', 'ready', 'waitlisted')
        """,
        list(merge_ids),
    )
    return [row["id"] for row in rows]


async def confirm(conn: asyncpg.Connection, merge_id: UUID, staff_id: UUID, now: datetime) -> int:
    """Note that a proposal came about; returns which merge of its pair it is."""
    merge_no: int = await conn.fetchval(
        """
        UPDATE person_merge m SET state = 'merged', decided_by = $2, decided_at = $3, merge_no = (
            SELECT 1 + count(o.merge_no) FROM person_merge o
            WHERE o.person_id = m.person_id AND o.into_id = m.into_id)
        WHERE m.id = $1 RETURNING m.merge_no
        """,
        merge_id,
        staff_id,
        now,
    )
    return merge_no


async def withdraw(conn: asyncpg.Connection, merge_id: UUID, staff_id: UUID, now: datetime) -> None:
    """Note that a proposal did not come about."""
    await conn.execute(
        "UPDATE person_merge SET state = 'withdrawn', decided_by = $2, decided_at = $3"
        " WHERE id = $1",
        merge_id,
        staff_id,
        now,
    )


async def undo(conn: asyncpg.Connection, merge_id: UUID, staff_id: UUID, now: datetime) -> None:
    """Note that a merge was taken back."""
    await conn.execute(
        "UPDATE person_merge SET state = 'undone', undone_by = $2, undone_at = $3 WHERE id = $1",
        merge_id,
        staff_id,
        now,
    )


async def undo_between(
    conn: asyncpg.Connection,
    some: Collection[UUID],
    together: Collection[UUID],
    staff_id: UUID,
    now: datetime,
) -> list[Merge]:
    """Take back merges of some records with any that these do not go together with."""
    rows = await conn.fetch(
        """
        UPDATE person_merge SET state = 'undone', undone_by = $3, undone_at = $4
        WHERE state = 'merged' AND (
            (person_id = ANY($1::uuid[]) AND into_id <> ALL($2::uuid[]))
            OR (into_id = ANY($1::uuid[]) AND person_id <> ALL($2::uuid[])))
        RETURNING id, person_id, into_id, state, merge_no, proposed_by, proposed_at
        """,
        list(some),
        list(together),
        staff_id,
        now,
    )
    return [Merge(**row) for row in rows]


async def merges(
    conn: asyncpg.Connection,
    person_id: UUID | None,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[asyncpg.Record]:
    """What is proposed, oldest first; of one person also what was merged into them."""
    return await conn.fetch(
        """
        SELECT m.id, m.person_id, m.into_id, m.state, m.proposed_by, m.proposed_at, m.decided_by,
            m.state = 'proposed' AND ARRAY(
                SELECT DISTINCT r.household_id FROM person r
                WHERE (r.id = p.id OR r.merged_into = p.id) AND r.household_id IS NOT NULL
                ORDER BY 1
            ) <> ARRAY(
                SELECT DISTINCT r.household_id FROM person r
                WHERE (r.id = i.id OR r.merged_into = i.id) AND r.household_id IS NOT NULL
                ORDER BY 1
            ) AS households_differ
        FROM person_merge m
        JOIN person p ON p.id = m.person_id JOIN person i ON i.id = m.into_id
        WHERE p.erased_at IS NULL AND i.erased_at IS NULL
            AND CASE WHEN $1::uuid IS NULL THEN m.state = 'proposed'
                ELSE (m.state = 'merged' AND p.merged_into = $1)
                    OR (m.state = 'proposed' AND $1 IN (m.person_id, m.into_id)) END
            AND ($2::timestamptz IS NULL OR (m.proposed_at, m.id) > ($2, $3::uuid))
        ORDER BY m.proposed_at, m.id LIMIT $4
        """,
        person_id,
        *(after or (None, None)),
        limit,
    )
