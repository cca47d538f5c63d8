"""Who is known in another region, too, and in which months either side had a service."""

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from aidmesh_reporting.store.rows import columns

# Everything goes by records, which services are indexed by: the planner takes those who are linked
# for very few, and would compare each of them with each service of all.
# Names of regions are compared by their letters, the same in every database.
# $1: months. $2: the own region. $3: whether the other one comes before it. $4: which, or any.
# $5: only these, `region/month`, or any.
_BOTH: Final = """
    WITH linked AS (
        SELECT coalesce(a.root_id, l.person_id) AS root_id, array_agg(DISTINCT m.month) AS months
        FROM person_link l JOIN link_heard h ON h.link_id = l.link_id AND h.region = l.region
        CROSS JOIN unnest(h.months) AS m (month)
        LEFT JOIN same_person a ON a.person_id = l.person_id
        WHERE m.month = ANY($1::text[])
          AND (h.region COLLATE "C" < $2) = $3 AND ($4::text IS NULL OR h.region = $4)
          AND ($5::text[] IS NULL OR h.region || '/' || m.month = ANY($5))
        GROUP BY 1),
    record AS (
        SELECT root_id AS person_id, root_id, months FROM linked
        UNION ALL
        SELECT a.person_id, k.root_id, k.months FROM linked k JOIN same_person a USING (root_id)
        WHERE a.person_id <> k.root_id),
    both_had AS (
        SELECT DISTINCT r.root_id, s.month, s.month = ANY(r.months) AS at_once
        FROM record r
        JOIN service_person p USING (person_id)
        JOIN service s USING (need_id, service_no)
        WHERE s.month = ANY($1) AND NOT EXISTS (
            SELECT 1 FROM reversal v
            WHERE v.need_id = s.need_id AND v.service_no = s.service_no))
    SELECT NULL AS month, count(DISTINCT root_id) AS people FROM both_had
    UNION ALL
    SELECT month, count(*) FROM both_had WHERE at_once GROUP BY month
"""

_ORPHANS: Final = """
    link_heard h WHERE heard_at < now() - make_interval(days => $1)
    AND NOT EXISTS (SELECT FROM person_link l WHERE l.link_id = h.link_id)
"""


class Heard(NamedTuple):
    """What the other side of a link says."""

    link_id: UUID
    region: str
    version: int
    months: list[str]


async def add(conn: asyncpg.Connection, links: Sequence[tuple[UUID, UUID, str]]) -> None:
    """Keep links: id, person and the other region; one that is over stays so."""
    await conn.execute(
        """
        INSERT INTO person_link (link_id, person_id, region)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[]) ON CONFLICT DO NOTHING
        """,
        *columns(links),
    )


async def end(conn: asyncpg.Connection, link_ids: Sequence[UUID]) -> list[UUID]:
    """Forget links, whether or not they are known yet; returns of whom they were."""
    persons: list[UUID] = [
        row["person_id"]
        for row in await conn.fetch(
            "SELECT person_id FROM person_link"
            " WHERE link_id = ANY($1::uuid[]) AND person_id IS NOT NULL",
            list(link_ids),
        )
    ]
    await conn.execute(
        """
        INSERT INTO person_link (link_id) SELECT DISTINCT unnest($1::uuid[])
        ON CONFLICT (link_id) DO UPDATE SET person_id = NULL, region = NULL
        """,
        list(link_ids),
    )
    for table in ("link_heard", "link_told", "dirty_link"):
        await conn.execute(
            f"DELETE FROM {table} WHERE link_id = ANY($1::uuid[])",  # noqa: S608 - constants
            list(link_ids),
        )
    return persons


async def any_heard(conn: asyncpg.Connection) -> bool:
    """Whether somebody is known to have had services in two regions."""
    return bool(await conn.fetchval("SELECT EXISTS (SELECT FROM link_heard WHERE months <> '{}')"))


async def regions_of(
    conn: asyncpg.Connection, link_ids: Collection[UUID]
) -> dict[UUID, str | None]:
    """With which region links are; None for one that is over; unknown ones are left out."""
    rows = await conn.fetch(
        "SELECT link_id, region FROM person_link WHERE link_id = ANY($1::uuid[])", list(link_ids)
    )
    return {row["link_id"]: row["region"] for row in rows}


async def heard(conn: asyncpg.Connection, link_ids: Collection[UUID]) -> dict[UUID, Heard]:
    """What the other sides said of links so far."""
    rows = await conn.fetch(
        "SELECT link_id, region, version, months FROM link_heard WHERE link_id = ANY($1::uuid[])",
        list(link_ids),
    )
    return {row["link_id"]: Heard(*row) for row in rows}


async def put_heard(conn: asyncpg.Connection, said: Collection[Heard]) -> None:
    """Keep what the other sides of links say now."""
    await conn.execute(
        """
        INSERT INTO link_heard (link_id, region, version, months)
        SELECT link_id, region, version, string_to_array(months, ',')
        FROM unnest($1::uuid[], $2::text[], $3::int[], $4::text[])
            AS said (link_id, region, version, months)
        ORDER BY link_id
        ON CONFLICT (link_id) DO UPDATE
        SET version = excluded.version, months = excluded.months, heard_at = now()
        """,
        [each.link_id for each in said],
        [each.region for each in said],
        [each.version for each in said],
        [",".join(each.months) for each in said],
    )


async def mark_dirty(conn: asyncpg.Connection, persons: Collection[UUID]) -> None:
    """Have links of these persons looked at again, by whichever of their records they are."""
    await conn.execute(
        """
        WITH root AS (SELECT root_id FROM same_person WHERE person_id = ANY($1::uuid[])),
        record AS (
            SELECT unnest($1::uuid[]) AS person_id UNION SELECT root_id FROM root
            UNION SELECT a.person_id FROM same_person a JOIN root USING (root_id))
        INSERT INTO dirty_link (link_id)
        SELECT l.link_id FROM person_link l JOIN record USING (person_id)
        ORDER BY l.link_id ON CONFLICT DO NOTHING
        """,
        list(persons),
    )


async def any_dirty(conn: asyncpg.Connection) -> bool:
    """Whether there are links to look at again."""
    return bool(await conn.fetchval("SELECT EXISTS (SELECT FROM dirty_link)"))


async def take_dirty(conn: asyncpg.Connection, limit: int) -> list[UUID]:
    """Take links to look at again."""
    rows = await conn.fetch(
        """
        DELETE FROM dirty_link
        WHERE link_id IN (SELECT link_id FROM dirty_link ORDER BY link_id LIMIT $1)
        RETURNING link_id
        """,
        limit,
    )
    return [row["link_id"] for row in rows]


async def untold(conn: asyncpg.Connection, link_ids: Sequence[UUID]) -> list[asyncpg.Record]:
    """Of these links those whose months changed since the other side was told, as they are now."""
    return await conn.fetch(
        """
        WITH now_is AS (
            SELECT l.link_id, l.region, ARRAY(
                SELECT DISTINCT s.month
                FROM (SELECT coalesce(a.root_id, l.person_id) AS root_id
                      FROM (SELECT 1) one LEFT JOIN same_person a ON a.person_id = l.person_id) k
                JOIN LATERAL (
                    SELECT k.root_id AS person_id
                    UNION SELECT b.person_id FROM same_person b WHERE b.root_id = k.root_id) r
                    ON true
                JOIN service_person p ON p.person_id = r.person_id
                JOIN service s USING (need_id, service_no)
                WHERE NOT EXISTS (
                    SELECT 1 FROM reversal v
                    WHERE v.need_id = s.need_id AND v.service_no = s.service_no)
                ORDER BY s.month) AS months
            FROM person_link l WHERE l.link_id = ANY($1::uuid[]) AND l.person_id IS NOT NULL)
        SELECT n.link_id, n.region, n.months, coalesce(t.version, 0) + 1 AS version
        FROM now_is n LEFT JOIN link_told t USING (link_id)
        WHERE n.months <> coalesce(t.months, '{}')
        ORDER BY n.link_id
        """,
        list(link_ids),
    )


async def put_told(conn: asyncpg.Connection, told: Sequence[tuple[UUID, int, list[str]]]) -> None:
    """Note what the other sides of links are told."""
    await conn.execute(
        """
        INSERT INTO link_told (link_id, version, months)
        SELECT link_id, version, string_to_array(months, ',')
        FROM unnest($1::uuid[], $2::int[], $3::text[]) AS told (link_id, version, months)
        ON CONFLICT (link_id) DO UPDATE
        SET version = excluded.version, months = excluded.months
        """,
        [link_id for link_id, _, _ in told],
        [version for _, version, _ in told],
        [",".join(months) for _, _, months in told],
    )


async def any_orphans(conn: asyncpg.Connection, days: int) -> bool:
    """Whether there is anything that `forget_orphans` would forget."""
    return bool(
        await conn.fetchval(f"SELECT EXISTS (SELECT FROM {_ORPHANS})", days)  # noqa: S608
    )


async def forget_orphans(conn: asyncpg.Connection, days: int) -> None:
    """Forget what was said so many days ago of links that never came about here."""
    await conn.execute(f"DELETE FROM {_ORPHANS}", days)  # noqa: S608


async def elsewhere(
    conn: asyncpg.Connection,
    months: Sequence[str],
    region: str,
    told: Collection[tuple[str, str]] | None = None,
) -> tuple[int, dict[str, int]]:
    """Of the people of some months those whom another region counts: in all, and by month.

    It is the region with the first name of those in which somebody had a service.

    Args:
        region: the own one.
        told: regions and months that are in the sum; None for all.
    """
    return await _counted(conn, months, region, before=True, told=told)


async def shared(
    conn: asyncpg.Connection, months: Sequence[str], region: str, other: str
) -> tuple[int, dict[str, int]]:
    """Of the people of some months those whom this region counts and another one had, too.

    Args:
        region: the own one; it comes before `other`.
    """
    return await _counted(conn, months, region, before=False, other=other)


async def _counted(
    conn: asyncpg.Connection,
    months: Sequence[str],
    region: str,
    *,
    before: bool,
    other: str | None = None,
    told: Collection[tuple[str, str]] | None = None,
) -> tuple[int, dict[str, int]]:
    rows = await conn.fetch(
        _BOTH,
        list(months),
        region,
        before,
        other,
        None if told is None else ["/".join(each) for each in told],
    )
    by_month = {row["month"]: row["people"] for row in rows}
    return by_month.pop(None, 0), by_month
