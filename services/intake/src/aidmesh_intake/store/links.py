"""Links between a person here and one in another region."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from aidmesh_contracts.ids import LinkId
from aidmesh_intake.domain.link import Link
from aidmesh_intake.store.needs import columns

_READ: Final = "SELECT id, region, person_id, by, mine, theirs, was_linked FROM person_link"


async def add(
    conn: asyncpg.Connection,
    links: Sequence[Link],
    lookup_of: dict[UUID, UUID],
    now: datetime,
) -> None:
    """Write links that are new; those known already stay as they are."""
    if links:
        await conn.execute(
            """
            INSERT INTO person_link (id, region, person_id, lookup_id, by, mine, theirs, found_at,
                changed_at)
            SELECT id, region, person_id, lookup_id, string_to_array(by, ' '), mine, theirs, $8, $8
            FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::text[],
                $7::text[]) AS u (id, region, person_id, lookup_id, by, mine, theirs)
            ORDER BY id ON CONFLICT (id) DO NOTHING
            """,
            *columns(
                [
                    (
                        each.id,
                        each.region,
                        each.person_id,
                        lookup_of.get(each.id),
                        " ".join(each.by),
                        each.mine,
                        each.theirs,
                    )
                    for each in links
                ]
            ),
            now,
        )


async def lock(conn: asyncpg.Connection, link_ids: Collection[UUID]) -> dict[UUID, Link]:
    """Load links and lock them, in the order of their ids."""
    rows = await conn.fetch(
        _READ + " WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE", list(link_ids)
    )
    return {row["id"]: link_of(row) for row in rows}


async def lock_of(conn: asyncpg.Connection, person_ids: Collection[UUID]) -> list[Link]:
    """The same for those of some records."""
    rows = await conn.fetch(
        _READ + " WHERE person_id = ANY($1::uuid[]) ORDER BY id FOR UPDATE", list(person_ids)
    )
    return [link_of(row) for row in rows]


async def save(
    conn: asyncpg.Connection, changed: Sequence[Link], now: datetime, staff_id: UUID | None = None
) -> None:
    """Write where links stand.

    Args:
        staff_id: who decided; None where nobody did.
    """
    if changed:
        await conn.execute(
            """
            UPDATE person_link l SET person_id = u.person_id, by = string_to_array(u.by, ' '),
                mine = u.mine, theirs = u.theirs, was_linked = u.was_linked, changed_at = $7,
                staff_id = coalesce($8, staff_id)
            FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::bool[])
                AS u (id, person_id, by, mine, theirs, was_linked)
            WHERE l.id = u.id
            """,
            *columns(
                [
                    (
                        each.id,
                        each.person_id,
                        " ".join(each.by),
                        each.mine,
                        each.theirs,
                        each.was_linked,
                    )
                    for each in changed
                ]
            ),
            now,
            staff_id,
        )


async def before(conn: asyncpg.Connection, person_id: UUID, region: str, limit: int) -> list[UUID]:
    """What was found of a person in a region and stands, or was refused; the latest first.

    Those that were parted are left out: they may be found anew.
    """
    rows = await conn.fetch(
        """
        SELECT l.id FROM person_link l JOIN person p ON p.id = l.person_id
        WHERE l.region = $2 AND NOT ('no' IN (l.mine, l.theirs) AND l.was_linked)
          AND coalesce(p.merged_into, p.id) = (
            SELECT coalesce(merged_into, id) FROM person WHERE id = $1)
        ORDER BY l.found_at DESC LIMIT $3
        """,
        person_id,
        region,
        limit,
    )
    return [row["id"] for row in rows]


async def known(conn: asyncpg.Connection, link_ids: Collection[UUID], region: str) -> set[UUID]:
    """For whom there is one of these links with a region."""
    rows = await conn.fetch(
        "SELECT person_id FROM person_link WHERE id = ANY($1::uuid[]) AND region = $2"
        " AND person_id IS NOT NULL",
        list(link_ids),
        region,
    )
    return {row["person_id"] for row in rows}


async def found(
    conn: asyncpg.Connection,
    person_id: UUID | None,
    after: tuple[datetime, UUID] | None,
    limit: int,
    *,
    undecided: bool,
) -> list[asyncpg.Record]:
    """Links, the latest first.

    Args:
        person_id: of whom; None for anybody.
        undecided: only those about which nobody here has decided.
    """
    return await conn.fetch(
        """
        SELECT l.id, l.region, l.person_id, l.by, l.mine, l.theirs, l.was_linked, l.found_at,
            l.changed_at
        FROM person_link l JOIN person p ON p.id = l.person_id
        WHERE ($1::uuid IS NULL OR p.id = $1 OR p.merged_into = $1)
          AND (NOT $2 OR (l.mine = 'open' AND l.theirs IN ('open', 'yes')))
          AND ($3::timestamptz IS NULL OR (l.found_at, l.id) < ($3, $4::uuid))
        ORDER BY l.found_at DESC, l.id DESC LIMIT $5
        """,
        person_id,
        undecided,
        *(after or (None, None)),
        limit,
    )


def link_of(row: asyncpg.Record) -> Link:
    """A row as a link."""
    return Link(
        id=LinkId(row["id"]),
        region=row["region"],
        person_id=row["person_id"],
        by=tuple(row["by"]),
        mine=row["mine"],
        theirs=row["theirs"],
        was_linked=row["was_linked"],
    )
