"""Places that other regions have free, who here could use them, and who is chosen for them.

The highest (epoch, version) of what a region tells wins.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final
from uuid import UUID

import asyncpg

from aidmesh_chassis.envelope import Received
from aidmesh_contracts.inventory import CapacityChangedV1, SiteChangedV1
from aidmesh_intake.domain.elsewhere import Place, Seeker, seeker_of
from aidmesh_intake.store import needs
from aidmesh_intake.store.needs import columns

SEEKERS_MAX: Final = 500
"""How many of those who wait are looked at; those behind them come after."""
_SEEKERS: Final = """
    FROM need n
    JOIN person own ON own.id = n.person_id
    JOIN person p ON p.id = COALESCE(own.merged_into, own.id)
    LEFT JOIN referral_out r ON r.need_id = n.id AND r.status = 'offered'
    WHERE n.state = 'waitlisted' AND n.for_whom = 'person'
      AND ((n.wait IN ('short', 'behind') AND n.blocked_resource IN ('bed', 'slot')
            AND NOT EXISTS (SELECT FROM referral_out past WHERE past.need_id = n.id
                AND past.changed_at > now() - interval '1 day'))
           OR r.id IS NOT NULL)
      AND p.consents ? 'referral' AND p.erased_at IS NULL
      AND n.attention IS DISTINCT FROM 'parted'
"""
_IN_LINE: Final = "r.id IS NULL, n.priority DESC, n.asked_on, n.queue_no, n.id"


async def put_places(conn: asyncpg.Connection, told: Sequence[Received[CapacityChangedV1]]) -> None:
    """Keep the newer state of each kind of place."""
    await conn.execute(
        """
        INSERT INTO place_elsewhere AS p (region, site_id, resource, code, area, first_on,
                                          free_by_day, epoch, version, as_of)
        SELECT n.region, n.site_id, n.resource, n.code, n.area, n.first_on,
               string_to_array(n.free_by_day, ' ')::int[], n.epoch, n.version, n.as_of
        FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::date[],
                    $7::text[], $8::int[], $9::int[], $10::timestamptz[])
             AS n (region, site_id, resource, code, area, first_on, free_by_day, epoch, version,
                   as_of)
        ORDER BY 1, 2, 3, 4
        ON CONFLICT (region, site_id, resource, code) DO UPDATE
        SET area = EXCLUDED.area, first_on = EXCLUDED.first_on,
            free_by_day = EXCLUDED.free_by_day, epoch = EXCLUDED.epoch,
            version = EXCLUDED.version, as_of = EXCLUDED.as_of
        WHERE (EXCLUDED.epoch, EXCLUDED.version) > (p.epoch, p.version)
        """,
        *columns(
            [
                (
                    each.region,
                    each.event.site_id,
                    each.event.resource,
                    each.event.code,
                    each.event.area,
                    each.event.first_on,
                    " ".join(str(free) for free in each.event.free_by_day),
                    each.epoch,
                    each.event.version,
                    each.event.as_of,
                )
                for each in told
            ]
        ),
    )


async def put_sites(conn: asyncpg.Connection, told: Sequence[Received[SiteChangedV1]]) -> None:
    """Keep the newer state of each site."""
    await conn.execute(
        """
        INSERT INTO site_elsewhere AS s (region, site_id, status, epoch, version)
        SELECT * FROM unnest($1::text[], $2::uuid[], $3::text[], $4::int[], $5::int[])
        ORDER BY 1, 2
        ON CONFLICT (region, site_id) DO UPDATE
        SET status = EXCLUDED.status, epoch = EXCLUDED.epoch, version = EXCLUDED.version
        WHERE (EXCLUDED.epoch, EXCLUDED.version) > (s.epoch, s.version)
        """,
        *columns(
            [
                (each.region, each.event.site_id, each.event.status, each.epoch, each.event.version)
                for each in told
            ]
        ),
    )


async def places(conn: asyncpg.Connection) -> list[Place]:
    """What other regions have free; those with the most first, none at closed sites.

    Only of regions to whom something can be sealed.
    """
    rows = await conn.fetch(
        """
        SELECT p.region, p.site_id, p.area, p.resource, p.code, p.first_on, p.free_by_day, p.as_of
        FROM place_elsewhere p LEFT JOIN site_elsewhere s USING (region, site_id)
        WHERE s.status IS DISTINCT FROM 'closed'
          AND EXISTS (SELECT FROM peer_key k WHERE k.region = p.region AND k.purpose = 'seal')
          AND (SELECT max(free) FROM unnest(p.free_by_day) AS free) > 0
        ORDER BY (SELECT sum(free) FROM unnest(p.free_by_day) AS free) DESC, p.region, p.site_id
        """
    )
    return [Place(*row) for row in rows]


async def seekers(conn: asyncpg.Connection, today: date) -> list[Seeker]:
    """Needs that wait for a place and whose person agreed to be referred, as they come in line.

    With those that are offered already: they take up what is free there. No need is among them
    that was refused or withdrawn within a day, nor one of which nobody knows whose it is, nor
    anybody erased.
    """
    rows = await conn.fetch(
        f"""
        SELECT n.id, r.to_region, EXISTS (
            SELECT FROM chosen_need c WHERE c.need_id = n.id) AS chosen
        {_SEEKERS}
        ORDER BY {_IN_LINE} LIMIT $1
        """,  # noqa: S608 - constants
        SEEKERS_MAX,
    )
    found = await needs.by_ids(conn, [row["id"] for row in rows])
    made = [
        seeker_of(found[row["id"]], today, row["to_region"], chosen=row["chosen"]) for row in rows
    ]
    return [each for each in made if each is not None]


async def seekers_left_out(conn: asyncpg.Connection, *, sensitive_too: bool) -> int:
    """How many such needs come after those that `seekers` gives."""
    count: int = await conn.fetchval(
        f"""
        SELECT count(*) FROM (
            SELECT n.sensitive {_SEEKERS} ORDER BY {_IN_LINE} OFFSET $1) rest
        WHERE $2 OR NOT sensitive
        """,  # noqa: S608 - constants
        SEEKERS_MAX,
        sensitive_too,
    )
    return count


async def waiting(conn: asyncpg.Connection) -> dict[tuple[str, str, bool], int]:
    """How many needs wait for a place of a kind, by resource, code and whether it is sensitive."""
    rows = await conn.fetch(
        """
        SELECT blocked_resource, blocked_code, sensitive, count(*)::int AS needs FROM need
        WHERE state = 'waitlisted' AND wait IN ('short', 'behind')
          AND blocked_resource IN ('bed', 'slot')
        GROUP BY 1, 2, 3
        """
    )
    return {
        (row["blocked_resource"], row["blocked_code"], row["sensitive"]): row["needs"]
        for row in rows
    }


async def choose(conn: asyncpg.Connection, need_id: UUID, by: UUID) -> bool:
    """Have a need that is not over served from elsewhere by rule; False if there is none.

    It may have been chosen before.
    """
    found = await conn.fetchval(
        """
        SELECT true FROM need WHERE id = $1
          AND state NOT IN ('fulfilled', 'declined', 'cancelled', 'expired', 'referred')
        """,
        need_id,
    )
    if found:
        await conn.execute(
            """
            INSERT INTO chosen_need (need_id, chosen_by, chosen_at)
            VALUES ($1, $2, clock_timestamp()) ON CONFLICT DO NOTHING
            """,
            need_id,
            by,
        )
    return bool(found)


async def unchoose(conn: asyncpg.Connection, need_id: UUID) -> None:
    """Leave it to people again."""
    await conn.execute("DELETE FROM chosen_need WHERE need_id = $1", need_id)


async def is_chosen(conn: asyncpg.Connection, need_id: UUID) -> bool:
    """Whether somebody chose it."""
    found: bool = await conn.fetchval(
        "SELECT EXISTS (SELECT FROM chosen_need WHERE need_id = $1)", need_id
    )
    return found
