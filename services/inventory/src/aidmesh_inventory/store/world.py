"""What other regions say they have; the highest (epoch, version) wins."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg


class WorldSite(NamedTuple):
    """A site of another region."""

    region: str
    site_id: UUID
    area: str
    site_type: str
    status: str
    epoch: int
    version: int
    as_of: datetime


class WorldStock(NamedTuple):
    """An item at a site of another region."""

    region: str
    site_id: UUID
    item: str
    area: str
    on_hand: int
    free: int
    epoch: int
    version: int
    as_of: datetime


class WorldCapacity(NamedTuple):
    """A kind of place at a site of another region; `free_by_day` has blanks between numbers."""

    region: str
    site_id: UUID
    resource: str
    code: str
    area: str
    first_on: date
    free_by_day: str
    total: int
    epoch: int
    version: int
    as_of: datetime


async def put_sites(conn: asyncpg.Connection, rows: Sequence[WorldSite]) -> None:
    """Keep the newer state of each site."""
    await conn.execute(
        """
        INSERT INTO world_site AS w (region, site_id, area, site_type, status, epoch, version,
                                     as_of)
        SELECT * FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::int[],
            $7::int[], $8::timestamptz[])
        ON CONFLICT (region, site_id) DO UPDATE
        SET area = EXCLUDED.area, site_type = EXCLUDED.site_type, status = EXCLUDED.status,
            epoch = EXCLUDED.epoch, version = EXCLUDED.version, as_of = EXCLUDED.as_of
        WHERE (EXCLUDED.epoch, EXCLUDED.version) > (w.epoch, w.version)
        """,
        *(list(column) for column in zip(*rows, strict=True)),
    )


async def put_stock(conn: asyncpg.Connection, rows: Sequence[WorldStock]) -> None:
    """Keep the newer state of each item at each site."""
    await conn.execute(
        """
        INSERT INTO world_stock AS w (region, site_id, item, area, on_hand, free, epoch, version,
                                      as_of)
        SELECT * FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::int[], $6::int[],
            $7::int[], $8::int[], $9::timestamptz[])
        ON CONFLICT (region, site_id, item) DO UPDATE
        SET area = EXCLUDED.area, on_hand = EXCLUDED.on_hand, free = EXCLUDED.free,
            epoch = EXCLUDED.epoch, version = EXCLUDED.version, as_of = EXCLUDED.as_of
        WHERE (EXCLUDED.epoch, EXCLUDED.version) > (w.epoch, w.version)
        """,
        *(list(column) for column in zip(*rows, strict=True)),
    )


async def put_capacity(conn: asyncpg.Connection, rows: Sequence[WorldCapacity]) -> None:
    """Keep the newer state of each kind of place at each site."""
    await conn.execute(
        """
        INSERT INTO world_capacity AS w (region, site_id, resource, code, area, first_on,
                                         free_by_day, total, epoch, version, as_of)
        SELECT n.region, n.site_id, n.resource, n.code, n.area, n.first_on,
               string_to_array(n.free_by_day, ' ')::int[], n.total, n.epoch, n.version, n.as_of
        FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::date[],
                    $7::text[], $8::int[], $9::int[], $10::int[], $11::timestamptz[])
             AS n (region, site_id, resource, code, area, first_on, free_by_day, total, epoch,
                   version, as_of)
        ON CONFLICT (region, site_id, resource, code) DO UPDATE
        SET area = EXCLUDED.area, first_on = EXCLUDED.first_on,
            free_by_day = EXCLUDED.free_by_day, total = EXCLUDED.total,
            epoch = EXCLUDED.epoch, version = EXCLUDED.version, as_of = EXCLUDED.as_of
        WHERE (EXCLUDED.epoch, EXCLUDED.version) > (w.epoch, w.version)
        """,
        *(list(column) for column in zip(*rows, strict=True)),
    )


async def own_stock(
    conn: asyncpg.Connection,
    *,
    site_id: UUID | None,
    items: Sequence[str] | None,
    sensitive_too: bool,
    after: tuple[str, UUID] | None = None,
    limit: int | None = None,
) -> list[asyncpg.Record]:
    """This region's stock by item and site, with the soonest expiry of what is left.

    Nothing can be had at a closed site, nor of what expired today, before the sweep. `left` are
    the pieces that are not held, wherever they are, `sensitive` those held for what only some may
    see.

    Args:
        items: only these; None for all.
        sensitive_too: the reader may see it all: `sensitive` is not needed and is 0.
    """
    return await conn.fetch(
        """
        WITH secret AS MATERIALIZED (
            SELECT r.site_id, lot.item, sum(a.quantity)::int AS held
            FROM reservation r JOIN allocation a ON a.reservation_id = r.id
            JOIN lot ON lot.id = a.lot_id
            WHERE NOT $3 AND r.sensitive AND r.state IN ('held', 'confirmed')
              AND ($1::uuid IS NULL OR r.site_id = $1)
              AND ($2::text[] IS NULL OR lot.item = ANY($2))
            GROUP BY 1, 2
        )
        SELECT s.site_id, s.item, site.area, s.on_hand, s.free - COALESCE(l.gone, 0) AS left,
               CASE site.status WHEN 'open' THEN s.free - COALESCE(l.gone, 0) ELSE 0 END AS free,
               COALESCE(l.held, 0)::int AS held, COALESCE(secret.held, 0) AS sensitive, l.expiry,
               s.changed_at AS as_of
        FROM stock_state s JOIN site ON site.id = s.site_id
        LEFT JOIN LATERAL (
            SELECT sum(held) AS held,
                   min(expiry) FILTER (WHERE status = 'available' AND expiry >= today) AS expiry,
                   sum(on_hand - held) FILTER (WHERE status = 'available' AND expiry < today)::int
                       AS gone
            FROM lot, (SELECT (now() AT TIME ZONE 'Europe/Kyiv')::date AS today) AS d
            WHERE lot.site_id = s.site_id AND lot.item = s.item AND lot.on_hand > 0
        ) l ON true
        LEFT JOIN secret ON secret.site_id = s.site_id AND secret.item = s.item
        WHERE s.version > 0 AND ($1::uuid IS NULL OR s.site_id = $1)
          AND ($2::text[] IS NULL OR s.item = ANY($2))
          AND ($4::text IS NULL OR (s.item, s.site_id) > ($4, $5::uuid))
        ORDER BY s.item, s.site_id LIMIT $6
        """,
        site_id,
        items,
        sensitive_too,
        *(after or (None, None)),
        limit,
    )


async def others_stock(
    conn: asyncpg.Connection,
    *,
    items: Sequence[str] | None,
    after: tuple[str, str, UUID] | None = None,
    limit: int | None = None,
) -> list[asyncpg.Record]:
    """Other regions' stock by item, region and site, as they told it; none at a closed site."""
    return await conn.fetch(
        """
        SELECT region, site_id, s.area, item, on_hand,
               CASE w.status WHEN 'closed' THEN 0 ELSE free END AS free, s.as_of
        FROM world_stock s LEFT JOIN world_site w USING (region, site_id)
        WHERE ($1::text[] IS NULL OR item = ANY($1))
          AND ($2::text IS NULL OR (item, region, site_id) > ($2, $3::text, $4::uuid))
        ORDER BY item, region, site_id LIMIT $5
        """,
        items,
        *(after or (None, None, None)),
        limit,
    )


async def stocked_items(conn: asyncpg.Connection, after: str | None, limit: int) -> list[str]:
    """Items that this region has or had in stock, by code."""
    rows = await conn.fetch(
        """
        SELECT DISTINCT item FROM stock_state
        WHERE version > 0 AND ($1::text IS NULL OR item > $1) ORDER BY item LIMIT $2
        """,
        after,
        limit,
    )
    return [row["item"] for row in rows]


async def own_capacity(
    conn: asyncpg.Connection,
    *,
    resource: str | None,
    codes: Sequence[str] | None = None,
    after: tuple[UUID, str, str] | None = None,
    limit: int | None = None,
) -> list[asyncpg.Record]:
    """This region's free places as last counted, of some kinds or all; none at a closed site."""
    return await conn.fetch(
        """
        SELECT c.site_id, site.area, c.resource, c.code, c.first_on, c.total, now() AS as_of,
               CASE site.status WHEN 'open' THEN c.free_by_day
                    ELSE array_fill(0, ARRAY[cardinality(c.free_by_day)]) END AS free_by_day
        FROM capacity_state c JOIN site ON site.id = c.site_id
        WHERE c.first_on IS NOT NULL AND ($1::text IS NULL OR c.resource = $1)
          AND ($2::text[] IS NULL OR c.code = ANY($2))
          AND ($3::uuid IS NULL OR (c.site_id, c.resource, c.code) > ($3, $4::text, $5::text))
        ORDER BY c.site_id, c.resource, c.code LIMIT $6
        """,
        resource,
        codes,
        *(after or (None, None, None)),
        limit,
    )


async def others_capacity(
    conn: asyncpg.Connection,
    *,
    resource: str | None,
    codes: Sequence[str] | None = None,
    after: tuple[str, UUID, str, str] | None = None,
    limit: int | None = None,
) -> list[asyncpg.Record]:
    """Other regions' free places, of some kinds or all, as they told them; see `own_capacity`."""
    return await conn.fetch(
        """
        SELECT region, site_id, c.area, resource, code, first_on, total, c.as_of,
               CASE w.status WHEN 'closed'
                    THEN array_fill(0, ARRAY[cardinality(free_by_day)])
                    ELSE free_by_day END AS free_by_day
        FROM world_capacity c LEFT JOIN world_site w USING (region, site_id)
        WHERE ($1::text IS NULL OR resource = $1)
          AND ($2::text[] IS NULL OR code = ANY($2))
          AND ($3::text IS NULL
               OR (region, site_id, resource, code) > ($3, $4::uuid, $5::text, $6::text))
        ORDER BY region, site_id, resource, code LIMIT $7
        """,
        resource,
        codes,
        *(after or (None, None, None, None)),
        limit,
    )


async def others_sites(
    conn: asyncpg.Connection, *, after: tuple[str, UUID] | None, limit: int
) -> list[asyncpg.Record]:
    """Other regions' sites by region: area and kind, never an address."""
    return await conn.fetch(
        """
        SELECT region, site_id, area, site_type, status, as_of FROM world_site
        WHERE $1::text IS NULL OR (region, site_id) > ($1, $2::uuid)
        ORDER BY region, site_id LIMIT $3
        """,
        *(after or (None, None)),
        limit,
    )
