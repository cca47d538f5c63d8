"""The state of each kind of place at each site: mutex, what is free, and what was last told."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

import asyncpg

from aidmesh_inventory.store.beds import TAKEN

Key = tuple[UUID, str, str]
"""A site, `bed` or `slot`, and the kind of place."""

DAYS = 14
"""How many days ahead other regions are told of."""


@dataclass(frozen=True, slots=True)
class State:
    """Free places of one kind at one site, by day from `first_on`."""

    site_id: UUID
    resource: str
    code: str
    area: str
    first_on: date
    free_by_day: Sequence[int]
    total: int


async def lock(conn: asyncpg.Connection, keys: Collection[Key]) -> None:
    """Take the mutex of each kind of place; rows that are not there yet are made."""
    wanted = sorted(set(keys))
    if not wanted:
        return
    columns = [list(column) for column in zip(*wanted, strict=True)]
    if await _lock_existing(conn, columns) < len(wanted):
        await conn.execute(
            """
            INSERT INTO capacity_state (site_id, resource, code)
            SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[]) AS k (site_id, resource, code)
            ORDER BY 1, 2, 3 ON CONFLICT DO NOTHING
            """,
            *columns,
        )
        await _lock_existing(conn, columns)


async def lock_site(conn: asyncpg.Connection, site_id: UUID) -> None:
    """Take the mutexes of all kinds of places of a site whose row is locked."""
    await conn.execute(
        """
        SELECT FROM capacity_state WHERE site_id = $1
        ORDER BY site_id, resource, code FOR NO KEY UPDATE
        """,
        site_id,
    )


async def _lock_existing(conn: asyncpg.Connection, columns: list[list[object]]) -> int:
    return len(
        await conn.fetch(
            """
            SELECT 1 FROM capacity_state s
            JOIN unnest($1::uuid[], $2::text[], $3::text[]) AS k (site_id, resource, code)
              ON s.site_id = k.site_id AND s.resource = k.resource AND s.code = k.code
            ORDER BY s.site_id, s.resource, s.code FOR NO KEY UPDATE OF s
            """,
            *columns,
        )
    )


async def refresh(conn: asyncpg.Connection, keys: Collection[Key], today: date) -> None:
    """Count anew what is free, and note that others were not told.

    Of slots always: what they are told depends on whom the seats are for as well.
    """
    wanted = sorted(set(keys))
    if not wanted:
        return
    await conn.execute(
        f"""
        WITH k AS (
            SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[]) AS k (site_id, resource, code)
        ), day AS (
            SELECT $4::date + n AS day, n FROM generate_series(0, $5::int - 1) AS n
        ), beds AS (
            SELECT k.site_id, k.resource, k.code, d.n,
                   count(b.id) AS total,
                   count(b.id) FILTER (WHERE NOT EXISTS (
                       SELECT FROM {TAKEN} t WHERE t.bed_id = b.id AND t.stay @> d.day)) AS free
            FROM k CROSS JOIN day d
            LEFT JOIN bed b ON b.site_id = k.site_id AND b.code = k.code AND b.status = 'active'
            WHERE k.resource = 'bed'
            GROUP BY 1, 2, 3, 4
        ), seats AS (
            SELECT s.site_id, s.code, (s.starts_at AT TIME ZONE 'Europe/Kyiv')::date AS day,
                   sum(s.seats) AS total, sum(s.seats - s.taken) AS free
            FROM slot s
            WHERE (s.site_id, s.code) IN (SELECT site_id, code FROM k WHERE resource = 'slot')
              AND s.status = 'open'
              AND s.starts_at >= $4::date::timestamp AT TIME ZONE 'Europe/Kyiv'
              AND s.starts_at < ($4::date + $5::int)::timestamp AT TIME ZONE 'Europe/Kyiv'
            GROUP BY 1, 2, 3
        ), slots AS (
            SELECT k.site_id, k.resource, k.code, d.n,
                   COALESCE(s.total, 0) AS total, COALESCE(s.free, 0) AS free
            FROM k CROSS JOIN day d
            LEFT JOIN seats s ON s.site_id = k.site_id AND s.code = k.code AND s.day = d.day
            WHERE k.resource = 'slot'
        ), counted AS (
            SELECT site_id, resource, code, array_agg(free::int ORDER BY n) AS free_by_day,
                   CASE resource WHEN 'bed' THEN max(total) ELSE sum(total) END::int AS total
            FROM (SELECT * FROM beds UNION ALL SELECT * FROM slots) AS both_kinds
            GROUP BY 1, 2, 3
        )
        UPDATE capacity_state c
        SET first_on = $4, free_by_day = n.free_by_day, total = n.total, untold = true
        FROM counted n
        WHERE c.site_id = n.site_id AND c.resource = n.resource AND c.code = n.code
          AND (c.resource = 'slot' OR (c.first_on, c.free_by_day, c.total)
              IS DISTINCT FROM ($4::date, n.free_by_day, n.total))
        """,  # noqa: S608 - a constant
        *(list(column) for column in zip(*wanted, strict=True)),
        today,
        DAYS,
    )


async def take_untold(conn: asyncpg.Connection, limit: int) -> list[State]:
    """Kinds of places that others were not told of since they were counted, as they are now."""
    rows = await conn.fetch(
        """
        WITH untold AS (
            SELECT site_id, resource, code FROM capacity_state WHERE untold
            ORDER BY site_id, resource, code LIMIT $1 FOR NO KEY UPDATE)
        UPDATE capacity_state c SET untold = false FROM untold u, site
        WHERE c.site_id = u.site_id AND c.resource = u.resource AND c.code = u.code
          AND site.id = c.site_id
        RETURNING c.site_id, c.resource, c.code, site.area, c.first_on, c.free_by_day, c.total
        """,
        limit,
    )
    return [State(*row) for row in rows]


async def tell(conn: asyncpg.Connection, states: Sequence[State]) -> list[tuple[State, int]]:
    """Note what others are told; returns what differs from the last word, and its version."""
    rows = await conn.fetch(
        """
        UPDATE capacity_state c
        SET version = c.version + 1, told_on = n.first_on, told_by_day = n.free_by_day,
            told_total = n.total
        FROM (SELECT site_id, resource, code, first_on,
                     string_to_array(free_by_day, ' ')::int[] AS free_by_day, total
              FROM unnest($1::uuid[], $2::text[], $3::text[], $4::date[], $5::text[], $6::int[])
                   AS t (site_id, resource, code, first_on, free_by_day, total)) AS n
        WHERE c.site_id = n.site_id AND c.resource = n.resource AND c.code = n.code
          AND (c.told_on, c.told_by_day, c.told_total)
              IS DISTINCT FROM (n.first_on, n.free_by_day, n.total)
        RETURNING c.site_id, c.resource, c.code, c.version
        """,
        [each.site_id for each in states],
        [each.resource for each in states],
        [each.code for each in states],
        [each.first_on for each in states],
        [" ".join(str(free) for free in each.free_by_day) for each in states],
        [each.total for each in states],
    )
    versions = {(row["site_id"], row["resource"], row["code"]): row["version"] for row in rows}
    found = ((each, versions.get((each.site_id, each.resource, each.code))) for each in states)
    return [(each, version) for each, version in found if version is not None]


async def stale(conn: asyncpg.Connection, today: date, limit: int) -> list[Key]:
    """Kinds of places that were counted from an earlier day on."""
    rows = await conn.fetch(
        """
        SELECT site_id, resource, code FROM capacity_state
        WHERE first_on < $1 AND total > 0 ORDER BY site_id, resource, code LIMIT $2
        """,
        today,
        limit,
    )
    return [(row["site_id"], row["resource"], row["code"]) for row in rows]


async def slots_to_tell(conn: asyncpg.Connection, today: date, limit: int) -> list[Key]:
    """Kinds of slots whose free seats were last told on an earlier day."""
    rows = await conn.fetch(
        """
        SELECT site_id, resource, code FROM capacity_state
        WHERE resource = 'slot' AND grown_on < $1 ORDER BY site_id, resource, code LIMIT $2
        """,
        today,
        limit,
    )
    return [(row["site_id"], row["resource"], row["code"]) for row in rows]


async def set_told(conn: asyncpg.Connection, keys: Collection[Key], today: date) -> None:
    """Note that all free seats of these kinds of slots were told today."""
    await conn.execute(
        """
        UPDATE capacity_state s SET grown_on = $4
        FROM unnest($1::uuid[], $2::text[], $3::text[]) AS k (site_id, resource, code)
        WHERE s.site_id = k.site_id AND s.resource = k.resource AND s.code = k.code
        """,
        *(list(column) for column in zip(*keys, strict=True)),
        today,
    )
