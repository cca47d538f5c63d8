"""Persons and households in the database; what is secret comes in encrypted."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from uuid import UUID

import asyncpg

from aidmesh_intake.domain.persons import Consents
from aidmesh_intake.store.needs import columns

_READ: Final = "SELECT * FROM person WHERE id = ANY($1::uuid[])"
_LOCK: Final = _READ + " ORDER BY id FOR NO KEY UPDATE"


@dataclass(frozen=True, slots=True)
class PersonRow:
    """A person as stored."""

    id: UUID
    code_lookup: bytes | None
    details: bytes | None
    wrapped_key: bytes | None
    languages: tuple[str, ...]
    area: str | None
    origin_area: str | None
    household_id: UUID | None
    consents: Consents
    card_version: int = 0
    version: int = 1
    merged_into: UUID | None = None
    erased_at: datetime | None = None


async def by_ids(
    conn: asyncpg.Connection, person_ids: Sequence[UUID], *, lock: bool = False
) -> dict[UUID, PersonRow]:
    """Load persons, locked in the order of their ids if asked; unknown ids are left out."""
    rows = await conn.fetch(_LOCK if lock else _READ, list(set(person_ids)))
    return {row["id"]: _person(row) for row in rows}


async def lock_free(conn: asyncpg.Connection, person_ids: Sequence[UUID]) -> dict[UUID, PersonRow]:
    """Load and lock persons without waiting.

    Raises:
        asyncpg.LockNotAvailableError: somebody holds one of them; the transaction is to be run
            again.
    """
    rows = await conn.fetch(_LOCK + " NOWAIT", list(set(person_ids)))
    return {row["id"]: _person(row) for row in rows}


async def by_codes(conn: asyncpg.Connection, lookups: Sequence[bytes]) -> dict[bytes, PersonRow]:
    """Find persons by what their codes are found by; a merged one gives whom it was merged into."""
    if not lookups:
        return {}
    rows = await conn.fetch(
        """
        SELECT c.code_lookup AS asked, p.* FROM person c
        JOIN person p ON p.id = coalesce(c.merged_into, c.id)
        WHERE c.code_lookup = ANY($1::bytea[])
        """,
        list(set(lookups)),
    )
    return {row["asked"]: _person(row) for row in rows}


async def insert(conn: asyncpg.Connection, persons: Sequence[PersonRow]) -> set[UUID]:
    """Write new persons; returns the ids of those whose code nobody else had meanwhile."""
    if not persons:
        return set()
    rows = await conn.fetch(
        """
        INSERT INTO person (id, code_lookup, details, wrapped_key, languages, area, origin_area,
            household_id, consents, card_version)
        SELECT u.id, u.code_lookup, u.details, u.wrapped_key,
            string_to_array(u.languages, ' '), u.area, u.origin_area, u.household_id, u.consents,
            u.card_version
        FROM unnest($1::uuid[], $2::bytea[], $3::bytea[], $4::bytea[], $5::text[], $6::text[],
            $7::text[], $8::uuid[], $9::jsonb[], $10::int[])
        AS u (id, code_lookup, details, wrapped_key, languages, area, origin_area, household_id,
            consents, card_version)
        ORDER BY u.code_lookup, u.id
        ON CONFLICT (code_lookup) DO NOTHING RETURNING id
        """,
        *columns(
            [
                (
                    each.id,
                    each.code_lookup,
                    each.details,
                    each.wrapped_key,
                    " ".join(each.languages),
                    each.area,
                    each.origin_area,
                    each.household_id,
                    _consents_json(each.consents),
                    each.card_version,
                )
                for each in persons
            ]
        ),
    )
    return {row["id"] for row in rows}


async def update(conn: asyncpg.Connection, person: PersonRow) -> None:
    """Write a person anew."""
    await conn.execute(
        """
        UPDATE person SET code_lookup = $2, details = $3, wrapped_key = $4, languages = $5,
            area = $6, origin_area = $7, household_id = $8, consents = $9::jsonb,
            card_version = $10, version = $11, merged_into = $12, erased_at = $13
        WHERE id = $1
        """,
        person.id,
        person.code_lookup,
        person.details,
        person.wrapped_key,
        list(person.languages),
        person.area,
        person.origin_area,
        person.household_id,
        _consents_json(person.consents),
        person.card_version,
        person.version,
        person.merged_into,
        person.erased_at,
    )


async def repoint(conn: asyncpg.Connection, person_id: UUID, into_id: UUID) -> None:
    """Have a person, and all who were merged into them before, stand for another."""
    await conn.execute(
        """
        UPDATE person SET merged_into = $2, version = version + 1
        WHERE id = $1 OR merged_into = $1
        """,
        person_id,
        into_id,
    )


async def part(conn: asyncpg.Connection, person_id: UUID, behind: Sequence[UUID]) -> None:
    """Have a record stand for itself again, and for those that went behind it."""
    await conn.execute(
        """
        UPDATE person SET merged_into = CASE WHEN id = $1 THEN NULL ELSE $1 END,
            version = version + 1
        WHERE id = $1 OR id = ANY($2::uuid[])
        """,
        person_id,
        list(behind),
    )


async def follow_merges(conn: asyncpg.Connection, person_ids: Collection[UUID]) -> None:
    """Have these records, and all that stood for the same person, stand as merges now say."""
    await conn.execute(
        """
        WITH RECURSIVE root AS (
            SELECT DISTINCT coalesce(merged_into, id) AS id FROM person WHERE id = ANY($1::uuid[])),
        up AS (
            SELECT p.id, p.id AS into_id FROM person p JOIN root
                ON root.id = coalesce(p.merged_into, p.id)
            UNION ALL
            SELECT up.id, m.into_id FROM up JOIN person_merge m
                ON m.person_id = up.into_id AND m.state = 'merged'),
        top AS (
            SELECT id, nullif(into_id, id) AS into_id FROM up WHERE NOT EXISTS (
                SELECT FROM person_merge m
                WHERE m.person_id = up.into_id AND m.state = 'merged'))
        UPDATE person p SET merged_into = top.into_id, version = version + 1
        FROM top WHERE p.id = top.id AND p.merged_into IS DISTINCT FROM top.into_id
        """,
        list(person_ids),
    )


async def set_card_version(conn: asyncpg.Connection, person_id: UUID, version: int) -> None:
    """Note which contact card of a person was sealed last."""
    await conn.execute("UPDATE person SET card_version = $2 WHERE id = $1", person_id, version)


async def merged_into(conn: asyncpg.Connection, person_ids: Sequence[UUID]) -> list[UUID]:
    """The records that were merged into persons."""
    rows = await conn.fetch(
        "SELECT id FROM person WHERE merged_into = ANY($1::uuid[]) ORDER BY id", list(person_ids)
    )
    return [row["id"] for row in rows]


async def stands_for(conn: asyncpg.Connection, person_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """Of these records those that were merged, each with the one that stands for it."""
    rows = await conn.fetch(
        "SELECT id, merged_into FROM person WHERE id = ANY($1::uuid[]) AND merged_into IS NOT NULL",
        list(set(person_ids)),
    )
    return {row["id"]: row["merged_into"] for row in rows}


async def known_as(
    conn: asyncpg.Connection, person_ids: Collection[UUID]
) -> dict[UUID, tuple[UUID, UUID | None]]:
    """Of these records each one's person (the record that stands for it), and the household."""
    rows = await conn.fetch(
        """
        SELECT id, coalesce(merged_into, id) AS person_id, household_id FROM person
        WHERE id = ANY($1::uuid[])
        """,
        list(set(person_ids)),
    )
    return {row["id"]: (row["person_id"], row["household_id"]) for row in rows}


async def households_by_codes(
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


async def lock_households(
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


async def join_household(conn: asyncpg.Connection, household_of: Mapping[UUID, UUID]) -> None:
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


async def add_household(
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


async def has_household(conn: asyncpg.Connection, household_id: UUID) -> bool:
    """Whether there is a household of this id; it is kept from being erased meanwhile."""
    return bool(
        await conn.fetchval(
            "SELECT true FROM household WHERE id = $1 AND erased_at IS NULL FOR KEY SHARE",
            household_id,
        )
    )


async def move_household(
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


async def household_keys(
    conn: asyncpg.Connection, household_ids: Sequence[UUID]
) -> dict[UUID, bytes | None]:
    """Lock households that are not erased; returns their keys, None where there is none yet."""
    rows = await conn.fetch(
        """
        SELECT id, wrapped_key FROM household WHERE id = ANY($1::uuid[]) AND erased_at IS NULL
        ORDER BY id FOR NO KEY UPDATE
        """,
        list(set(household_ids)),
    )
    return {row["id"]: row["wrapped_key"] for row in rows}


async def set_household_keys(conn: asyncpg.Connection, keys: Mapping[UUID, bytes]) -> None:
    """Give locked households their keys."""
    await conn.execute(
        """
        UPDATE household SET wrapped_key = u.wrapped_key
        FROM unnest($1::uuid[], $2::bytea[]) AS u (id, wrapped_key) WHERE household.id = u.id
        """,
        list(keys),
        list(keys.values()),
    )


def _consents_json(consents: Consents) -> str:
    return json.dumps({name: day.isoformat() for name, day in consents.items()})


def _person(row: asyncpg.Record) -> PersonRow:
    consents: Consents = {
        name: date.fromisoformat(day) for name, day in json.loads(row["consents"]).items()
    }
    return PersonRow(
        id=row["id"],
        code_lookup=row["code_lookup"],
        details=row["details"],
        wrapped_key=row["wrapped_key"],
        languages=tuple(row["languages"]),
        area=row["area"],
        origin_area=row["origin_area"],
        household_id=row["household_id"],
        consents=consents,
        card_version=row["card_version"],
        version=row["version"],
        merged_into=row["merged_into"],
        erased_at=row["erased_at"],
    )
