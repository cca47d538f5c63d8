"""Households in the database, and who belongs to them."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

import asyncpg


async def by_codes(
    conn: asyncpg.Connection,
    wanted: Mapping[bytes, UUID],
    area: Mapping[bytes, str | None],
    also: Collection[UUID] = (),
) -> dict[bytes, UUID]:
    """Find households by code, making those that are not there.

    They are kept from being erased meanwhile; one that just was is left out.

    Args:
        wanted: lookup → the id that a new one gets.
        area: lookup → where a new one lives.
        also: other households to be kept from it, whether or not they are still there.
    """
    if not wanted and not also:
        return {}
    lookups = sorted(wanted)
    await conn.execute(
        """
        INSERT INTO household (id, code_lookup, area)
        SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::text[])
        ON CONFLICT (code_lookup) DO NOTHING
        """,
        [wanted[each] for each in lookups],
        lookups,
        [area.get(each) for each in lookups],
    )
    rows = await conn.fetch(
        """
        SELECT id, code_lookup FROM household
        WHERE code_lookup = ANY($1::bytea[]) OR id = ANY($2::uuid[])
        ORDER BY id FOR KEY SHARE
        """,
        lookups,
        list(also),
    )
    return {row["code_lookup"]: row["id"] for row in rows if row["code_lookup"] in wanted}


async def members(
    conn: asyncpg.Connection, household_ids: Sequence[UUID]
) -> dict[UUID, list[UUID]]:
    """Who belongs to households, each by the record that stands for them; nobody who is erased."""
    if not household_ids:
        return {}
    rows = await conn.fetch(
        """
        SELECT p.household_id, array_agg(DISTINCT root.id ORDER BY root.id) AS ids
        FROM person p JOIN person root ON root.id = coalesce(p.merged_into, p.id)
        WHERE p.household_id = ANY($1::uuid[]) AND root.erased_at IS NULL
        GROUP BY 1
        """,
        list(set(household_ids)),
    )
    return {row["household_id"]: row["ids"] for row in rows}


async def behind(conn: asyncpg.Connection, person_ids: Collection[UUID]) -> dict[UUID, list[UUID]]:
    """The households of records that were merged into persons; persons without any are left out."""
    if not person_ids:
        return {}
    rows = await conn.fetch(
        """
        SELECT merged_into, array_agg(DISTINCT household_id) AS ids FROM person
        WHERE merged_into = ANY($1::uuid[]) AND household_id IS NOT NULL GROUP BY 1
        """,
        list(person_ids),
    )
    return {row["merged_into"]: row["ids"] for row in rows}


async def lock(
    conn: asyncpg.Connection, household_ids: Sequence[UUID], person_ids: Sequence[UUID]
) -> None:
    """Lock households, and those that any record of persons belongs to, in the order of their ids.

    All records of a person count for the limits of their households, so these are locked too.
    """
    await conn.execute(
        """
        WITH root AS (
            SELECT DISTINCT coalesce(merged_into, id) AS id FROM person WHERE id = ANY($2::uuid[]))
        SELECT FROM household WHERE id = ANY($1::uuid[] || ARRAY(
            SELECT p.household_id FROM root JOIN person p ON p.id = root.id
            WHERE p.household_id IS NOT NULL
            UNION ALL
            SELECT p.household_id FROM root JOIN person p ON p.merged_into = root.id
            WHERE p.household_id IS NOT NULL))
        ORDER BY id FOR NO KEY UPDATE
        """,
        list(household_ids),
        list(person_ids),
    )


async def join(conn: asyncpg.Connection, household_of: Mapping[UUID, UUID]) -> None:
    """Put persons who belong to no household into one."""
    if household_of:
        await conn.execute(
            """
            UPDATE person SET household_id = u.household_id
            FROM unnest($1::uuid[], $2::uuid[]) AS u (id, household_id)
            WHERE person.id = u.id AND person.household_id IS NULL
            """,
            list(household_of),
            list(household_of.values()),
        )


async def add(
    conn: asyncpg.Connection, household_id: UUID, code_lookup: bytes | None, area: str | None
) -> bool:
    """Write a new household; False if the code is taken."""
    result = await conn.execute(
        "INSERT INTO household (id, code_lookup, area) VALUES ($1, $2, $3)"
        " ON CONFLICT (code_lookup) DO NOTHING",
        household_id,
        code_lookup,
        area,
    )
    return bool(result.endswith("1"))


async def has(conn: asyncpg.Connection, household_id: UUID) -> bool:
    """Whether there is a household of this id; it is kept from being erased meanwhile."""
    return bool(
        await conn.fetchval(
            "SELECT true FROM household WHERE id = $1 AND erased_at IS NULL FOR KEY SHARE",
            household_id,
        )
    )


async def move(
    conn: asyncpg.Connection,
    person_ids: Sequence[UUID],
    *,
    out_of: UUID | None = None,
    into: UUID | None = None,
) -> int:
    """Move persons between households, with records merged into them; returns how many.

    What is open of their own goes with them, so that it counts for the old household no more; what
    was served, or asked for a household, stays as it was.

    Args:
        out_of: only whoever belongs to this one; None for anybody, wherever they belong.
        into: None for none.
    """
    moved = await conn.fetch(
        """
        UPDATE person SET household_id = $3, version = version + 1
        WHERE ($2::uuid IS NULL OR household_id = $2) AND erased_at IS NULL
            AND (merged_into = ANY($1::uuid[]) OR (id = ANY($1::uuid[]) AND merged_into IS NULL))
        RETURNING id, merged_into
        """,
        list(person_ids),
        out_of,
        into,
    )
    await conn.execute(
        """
        UPDATE need SET household_id = $3
        WHERE person_id = ANY($1::uuid[]) AND ($2::uuid IS NULL OR household_id = $2)
            AND for_whom = 'person'
            AND state IN ('requested', 'approved', 'held', 'ready', 'waitlisted')
        """,
        [row["id"] for row in moved],
        out_of,
        into,
    )
    return len({row["merged_into"] or row["id"] for row in moved})


async def keys(conn: asyncpg.Connection, household_ids: Sequence[UUID]) -> dict[UUID, bytes | None]:
    """Lock households that are not erased; returns their keys, None where there is none yet."""
    rows = await conn.fetch(
        """
        SELECT id, wrapped_key FROM household WHERE id = ANY($1::uuid[]) AND erased_at IS NULL
        ORDER BY id FOR NO KEY UPDATE
        """,
        list(set(household_ids)),
    )
    return {row["id"]: row["wrapped_key"] for row in rows}


async def set_keys(conn: asyncpg.Connection, keys: Mapping[UUID, bytes]) -> None:
    """Give locked households their keys."""
    await conn.execute(
        """
        UPDATE household SET wrapped_key = u.wrapped_key
        FROM unnest($1::uuid[], $2::bytea[]) AS u (id, wrapped_key) WHERE household.id = u.id
        """,
        list(keys),
        list(keys.values()),
    )
