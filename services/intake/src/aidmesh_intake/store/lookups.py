"""Blind queries in the database: those to other regions, and theirs."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg

from aidmesh_intake.store.needs import columns

_ANSWERING: Final = 0x6C6F6F6B7570
DAY: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Lookup:
    """A query of one's own."""

    id: UUID
    person_id: UUID | None
    to_region: str
    status: str
    secrets: bytes | None = None
    sealed: bytes | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A query of another region."""

    id: UUID
    from_region: str
    status: str
    sealed: bytes | None
    listed: bytes | None


@dataclass(frozen=True, slots=True)
class Listed:
    """Somebody who agreed to be looked for."""

    id: UUID
    wrapped_key: bytes
    details: bytes


async def add(conn: asyncpg.Connection, lookup: Lookup, now: datetime, staff_id: UUID) -> bool:
    """Write a new query; False where one to that region is open already."""
    result = await conn.execute(
        """
        INSERT INTO lookup_out (id, person_id, to_region, status, secrets, asked_at, changed_at,
            staff_id)
        VALUES ($1, $2, $3, $4, $5, $6, $6, $7)
        ON CONFLICT (person_id, to_region) WHERE status IN ('asked', 'answered') DO NOTHING
        """,
        lookup.id,
        lookup.person_id,
        lookup.to_region,
        lookup.status,
        lookup.secrets,
        now,
        staff_id,
    )
    return bool(result.endswith("1"))


async def asked_within_a_day(conn: asyncpg.Connection, region: str) -> int:
    """How many queries a region was sent in the last 24 hours."""
    count: int = await conn.fetchval(
        "SELECT count(*) FROM lookup_out WHERE to_region = $1 AND asked_at > now() - $2::interval",
        region,
        DAY,
    )
    return count


async def lock(conn: asyncpg.Connection, lookup_ids: Collection[UUID]) -> dict[UUID, Lookup]:
    """Load queries and lock them, in the order of their ids."""
    return await _lock(conn, "id = ANY($1::uuid[])", list(lookup_ids))


async def lock_of(conn: asyncpg.Connection, person_ids: Collection[UUID]) -> dict[UUID, Lookup]:
    """The same for all queries about some records."""
    return await _lock(conn, "person_id = ANY($1::uuid[])", list(person_ids))


async def lock_answered(conn: asyncpg.Connection, limit: int) -> dict[UUID, Lookup]:
    """Queries whose answers are to be compared, the oldest first."""
    rows = await conn.fetch(
        "SELECT id, person_id, to_region, status, secrets, sealed FROM lookup_out"
        " WHERE status = 'answered' ORDER BY changed_at LIMIT $1 FOR UPDATE SKIP LOCKED",
        limit,
    )
    return {row["id"]: Lookup(**row) for row in rows}


async def _lock(conn: asyncpg.Connection, which: str, ids: Sequence[UUID]) -> dict[UUID, Lookup]:
    rows = await conn.fetch(
        "SELECT id, person_id, to_region, status, secrets, sealed FROM lookup_out"  # noqa: S608
        f" WHERE {which} ORDER BY id FOR UPDATE",
        ids,
    )
    return {row["id"]: Lookup(**row) for row in rows}


async def save(conn: asyncpg.Connection, changed: Sequence[Lookup], now: datetime) -> None:
    """Write where queries stand."""
    if changed:
        await conn.execute(
            """
            UPDATE lookup_out l SET person_id = u.person_id, status = u.status,
                secrets = u.secrets, sealed = u.sealed, changed_at = $6
            FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bytea[], $5::bytea[])
                AS u (id, person_id, status, secrets, sealed)
            WHERE l.id = u.id
            """,
            *columns(
                [
                    (each.id, each.person_id, each.status, each.secrets, each.sealed)
                    for each in changed
                ]
            ),
            now,
        )


async def made(
    conn: asyncpg.Connection,
    person_id: UUID | None,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[asyncpg.Record]:
    """Queries to other regions, the latest first; of one person, or of all."""
    return await conn.fetch(
        """
        SELECT l.id AS lookup_id, l.person_id, l.to_region, l.status, l.asked_at, l.changed_at
        FROM lookup_out l JOIN person p ON p.id = l.person_id
        WHERE ($1::uuid IS NULL OR p.id = $1 OR p.merged_into = $1)
          AND ($2::timestamptz IS NULL OR (l.asked_at, l.id) < ($2, $3::uuid))
        ORDER BY l.asked_at DESC, l.id DESC LIMIT $4
        """,
        person_id,
        *(after or (None, None)),
        limit,
    )


async def regions(conn: asyncpg.Connection) -> list[str]:
    """The regions to whose intake something can be sealed."""
    rows = await conn.fetch("SELECT region FROM peer_key WHERE purpose = 'seal' ORDER BY region")
    return [row["region"] for row in rows]


async def keep(
    conn: asyncpg.Connection, asked: Sequence[tuple[UUID, str, bytes | None]], now: datetime
) -> None:
    """Write queries of other regions, or where they are withdrawn, that they were.

    One that is known stays as it is.
    """
    await conn.execute(
        """
        INSERT INTO lookup_in (id, from_region, sealed, status, received_at)
        SELECT id, from_region, sealed, CASE WHEN sealed IS NULL THEN 'done' ELSE 'waiting' END, $4
        FROM unnest($1::uuid[], $2::text[], $3::bytea[]) AS u (id, from_region, sealed)
        ORDER BY id ON CONFLICT (id) DO NOTHING
        """,
        *columns(asked),
        now,
    )


async def of_others(conn: asyncpg.Connection, lookup_ids: Collection[UUID]) -> dict[UUID, Asked]:
    """Queries of other regions by id, locked in their order."""
    rows = await conn.fetch(
        "SELECT id, from_region, status, sealed, listed FROM lookup_in WHERE id = ANY($1::uuid[])"
        " ORDER BY id FOR UPDATE",
        list(lookup_ids),
    )
    return {row["id"]: Asked(**row) for row in rows}


async def waiting(conn: asyncpg.Connection) -> Counter[str]:
    """How many queries of each region wait to be answered."""
    rows = await conn.fetch(
        "SELECT from_region, count(*) AS queries FROM lookup_in WHERE status = 'waiting' GROUP BY 1"
    )
    return Counter({row["from_region"]: row["queries"] for row in rows})


async def alone(conn: asyncpg.Connection) -> None:
    """Let one transaction at a time answer, so that nobody answers more than the limit."""
    await conn.execute("SELECT pg_advisory_xact_lock($1)", _ANSWERING)


async def within_limits(
    conn: asyncpg.Connection, day_max: int, all_day_max: int, limit: int
) -> list[Asked]:
    """Queries to be answered now, the oldest first; the others wait until a day has passed.

    Args:
        day_max: how many one region is answered within 24 hours.
        all_day_max: how many all regions together are.
    """
    rows = await conn.fetch(
        """
        WITH answered AS (
            SELECT from_region, count(*) AS queries FROM lookup_in
            WHERE answered_at > now() - $4::interval GROUP BY from_region),
        waiting AS (
            SELECT id, from_region, status, sealed, listed, received_at,
                row_number() OVER (PARTITION BY from_region ORDER BY received_at, id) AS place
            FROM lookup_in l WHERE status = 'waiting'
              AND EXISTS (SELECT FROM peer_key k
                          WHERE k.region = l.from_region AND k.purpose = 'seal'))
        SELECT w.id, w.from_region, w.status, w.sealed, w.listed
        FROM waiting w LEFT JOIN answered a USING (from_region)
        WHERE w.place <= $1 - coalesce(a.queries, 0)
        ORDER BY w.received_at, w.id
        LIMIT least($3, greatest(0, $2 - coalesce((SELECT sum(queries) FROM answered), 0)))
        """,
        day_max,
        all_day_max,
        limit,
        DAY,
    )
    return [Asked(**row) for row in rows]


async def save_asked(conn: asyncpg.Connection, changed: Sequence[Asked]) -> None:
    """Write where queries of other regions stand."""
    if changed:
        await conn.execute(
            """
            UPDATE lookup_in l SET status = u.status, sealed = u.sealed, listed = u.listed
            FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::bytea[])
                AS u (id, status, sealed, listed)
            WHERE l.id = u.id
            """,
            *columns([(each.id, each.status, each.sealed, each.listed) for each in changed]),
        )


async def set_answered(conn: asyncpg.Connection, lookup_ids: Collection[UUID]) -> None:
    """Queries were answered: they count for the limit."""
    await conn.execute(
        "UPDATE lookup_in SET answered_at = now() WHERE id = ANY($1::uuid[])", list(lookup_ids)
    )


async def lock_closed(conn: asyncpg.Connection, limit: int) -> list[Asked]:
    """Queries that were compared there, the oldest first."""
    rows = await conn.fetch(
        "SELECT id, from_region, status, sealed, listed FROM lookup_in WHERE status = 'closed'"
        " ORDER BY answered_at LIMIT $1 FOR UPDATE SKIP LOCKED",
        limit,
    )
    return [Asked(**row) for row in rows]


async def forget_listed(conn: asyncpg.Connection, days: int) -> int:
    """Queries that nobody closed: whose the values of their answers were is forgotten."""
    result = await conn.execute(
        """
        UPDATE lookup_in SET status = 'done', listed = NULL
        WHERE status = 'answered' AND answered_at < now() - make_interval(days => $1)
        """,
        days,
    )
    return int(result.split()[-1])


async def listed(conn: asyncpg.Connection, after: UUID | None, limit: int) -> list[Listed]:
    """Who agreed to be looked for and stands for themselves, by id.

    Args:
        after: the last one of whoever was seen before; None for the first.
    """
    rows = await conn.fetch(
        """
        SELECT id, wrapped_key, details FROM person
        WHERE consents ? 'same_person' AND merged_into IS NULL AND erased_at IS NULL
            AND details IS NOT NULL AND wrapped_key IS NOT NULL
            AND ($1::uuid IS NULL OR id > $1)
        ORDER BY id LIMIT $2
        """,
        after,
        limit,
    )
    return [Listed(**row) for row in rows]
