"""Persons in the database; what is secret comes in encrypted."""

import json
from collections.abc import Collection, Sequence
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


async def of_code(conn: asyncpg.Connection, lookup: bytes) -> PersonRow | None:
    """The record that has a code itself, also one that was merged into another."""
    row = await conn.fetchrow("SELECT * FROM person WHERE code_lookup = $1", lookup)
    return None if row is None else _person(row)


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
