"""Who is the same person as whom, and when they were served."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from aidmesh_reporting.store.rows import columns

Edge = tuple[UUID, UUID, int]
"""A record, the one it went behind, and which merge of the two it was."""


async def add_merges(conn: asyncpg.Connection, merges: Sequence[Edge]) -> None:
    """Keep merges; one that is known, or was taken back, stays as it is."""
    await conn.execute(
        """
        INSERT INTO merge_edge (person_id, into_id, merge_no)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[]) ON CONFLICT DO NOTHING
        """,
        *columns(merges),
    )


async def undo_merges(conn: asyncpg.Connection, merges: Sequence[Edge]) -> None:
    """Note that merges were taken back, whether or not they are known yet."""
    await conn.execute(
        """
        INSERT INTO merge_edge (person_id, into_id, merge_no, undone)
        SELECT DISTINCT person_id, into_id, merge_no, true
        FROM unnest($1::uuid[], $2::uuid[], $3::int[]) AS u (person_id, into_id, merge_no)
        ON CONFLICT (person_id, into_id, merge_no) DO UPDATE SET undone = true
        """,
        *columns(merges),
    )


async def merges_among(
    conn: asyncpg.Connection, persons: Sequence[UUID]
) -> list[tuple[UUID, UUID]]:
    """Return the merges in force that these persons have a part in."""
    rows = await conn.fetch(
        """
        SELECT person_id, into_id FROM merge_edge
        WHERE NOT undone AND (person_id = ANY($1::uuid[]) OR into_id = ANY($1::uuid[]))
        """,
        list(persons),
    )
    return [(row["person_id"], row["into_id"]) for row in rows]


async def roots_of(conn: asyncpg.Connection, persons: Sequence[UUID]) -> dict[UUID, UUID]:
    """Return who stands for whom, in all classes that these persons belong to."""
    rows = await conn.fetch(
        """
        SELECT person_id, root_id FROM same_person
        WHERE root_id IN (SELECT root_id FROM same_person WHERE person_id = ANY($1::uuid[]))
        """,
        list(persons),
    )
    return {row["person_id"]: row["root_id"] for row in rows}


async def put_roots(conn: asyncpg.Connection, roots: dict[UUID, UUID]) -> None:
    """Store who stands for whom."""
    await conn.execute(
        """
        INSERT INTO same_person (person_id, root_id)
        SELECT * FROM unnest($1::uuid[], $2::uuid[])
        ON CONFLICT (person_id) DO UPDATE SET root_id = excluded.root_id
        """,
        list(roots),
        list(roots.values()),
    )


async def drop_roots(conn: asyncpg.Connection, persons: Sequence[UUID]) -> None:
    """Forget that these persons were anybody else's record, or anybody theirs."""
    await conn.execute("DELETE FROM same_person WHERE person_id = ANY($1::uuid[])", list(persons))


async def months_of_people(conn: asyncpg.Connection, persons: Sequence[UUID]) -> list[str]:
    """Return the months in which these persons had a service."""
    rows = await conn.fetch(
        """
        SELECT DISTINCT s.month FROM service s JOIN service_person p USING (need_id, service_no)
        WHERE p.person_id = ANY($1::uuid[])
        """,
        list(persons),
    )
    return [row["month"] for row in rows]
