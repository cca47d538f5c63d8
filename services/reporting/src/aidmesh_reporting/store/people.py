"""Who is the same person as whom, and when they were served."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg


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
