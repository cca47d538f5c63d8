"""Who asked for households, as long as they belong to them."""

from collections.abc import Collection, Sequence
from uuid import UUID

import asyncpg

from aidmesh_intake.domain.need import Need
from aidmesh_intake.store.needs import columns


async def open_of(conn: asyncpg.Connection, person_ids: Collection[UUID]) -> list[UUID]:
    """What is not served or ended of persons, and of records merged into them."""
    rows = await conn.fetch(
        """
        SELECT id FROM need
        WHERE person_id = ANY($1::uuid[]
                || ARRAY(SELECT id FROM person WHERE merged_into = ANY($1::uuid[])))
            AND state IN ('requested', 'approved', 'held', 'ready', 'waitlisted')
        """,
        list(person_ids),
    )
    return [row["id"] for row in rows]


async def left(conn: asyncpg.Connection, need_ids: Collection[UUID]) -> set[UUID]:
    """Of these needs those for households to which whoever asked does not belong, but others do.

    Whoever was erased is left out: what becomes of their needs is for erasures to say.
    """
    rows = await conn.fetch(
        """
        SELECT n.id FROM need n JOIN person a ON a.id = n.person_id
        WHERE n.id = ANY($1::uuid[]) AND n.for_whom = 'household' AND a.erased_at IS NULL
            AND EXISTS (SELECT FROM person p WHERE p.household_id = n.household_id)
            AND NOT EXISTS (
                SELECT FROM person p WHERE p.household_id = n.household_id
                    AND coalesce(p.merged_into, p.id) = coalesce(a.merged_into, a.id))
        """,
        list(need_ids),
    )
    return {row["id"] for row in rows}


async def part(conn: asyncpg.Connection, needs: Sequence[Need]) -> None:
    """Write that needs are no one member's of their household any more."""
    if needs:
        await conn.execute(
            """
            UPDATE need SET person_id = NULL, needed_until = u.needed_until
            FROM unnest($1::uuid[], $2::timestamptz[]) AS u (id, needed_until)
            WHERE need.id = u.id
            """,
            *columns([(need.id, need.needed_until) for need in needs]),
        )
