"""Sites and items."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from aidmesh_contracts.days import day_of
from aidmesh_inventory.domain.picking import Place


@dataclass(frozen=True, slots=True)
class SiteRow:
    """A site; `address` is encrypted."""

    site_id: UUID
    code: str
    name: str
    area: str
    iso_code: str
    site_type: str
    status: str
    status_reason: str | None
    address: bytes | None
    version: int


@dataclass(frozen=True, slots=True)
class ItemRow:
    """An item of the catalogue of goods."""

    code: str
    names: dict[str, str]
    unit: str
    pack: int
    tracking: str
    prescription: bool
    version: int = 1


_ITEM = "code, names, unit, pack, tracking, prescription, version"
_COLUMNS = (
    "id AS site_id, code, name, area, iso_code, site_type, status, status_reason, address, version"
)


async def insert(conn: asyncpg.Connection, row: SiteRow) -> bool:
    """Add a site; False if its id or code is taken."""
    added = await conn.fetchval(
        """
        INSERT INTO site (id, code, name, area, iso_code, site_type, status, address)
        VALUES ($1, $2, $3, $4, $5, $6, 'open', $7)
        ON CONFLICT DO NOTHING RETURNING id
        """,
        row.site_id,
        row.code,
        row.name,
        row.area,
        row.iso_code,
        row.site_type,
        row.address,
    )
    return added is not None


async def get(conn: asyncpg.Connection, site_id: UUID) -> SiteRow | None:
    """One site."""
    row = await conn.fetchrow(f"SELECT {_COLUMNS} FROM site WHERE id = $1", site_id)  # noqa: S608
    return None if row is None else SiteRow(**row)


async def get_by_code(conn: asyncpg.Connection, code: str) -> SiteRow | None:
    """One site by its code."""
    row = await conn.fetchrow(f"SELECT {_COLUMNS} FROM site WHERE code = $1", code)  # noqa: S608
    return None if row is None else SiteRow(**row)


async def list_all(
    conn: asyncpg.Connection, *, area: str | None, after: str | None, limit: int
) -> list[SiteRow]:
    """Sites by code."""
    rows = await conn.fetch(
        f"""
        SELECT {_COLUMNS} FROM site
        WHERE ($1::text IS NULL OR starts_with(area, $1)) AND ($2::text IS NULL OR code > $2)
        ORDER BY code LIMIT $3
        """,  # noqa: S608 - a constant
        area,
        after,
        limit,
    )
    return [SiteRow(**row) for row in rows]


async def places(
    conn: asyncpg.Connection, areas: Sequence[str], site_ids: Sequence[UUID]
) -> list[Place]:
    """The sites in these areas or with these ids, kept from being opened or closed meanwhile."""
    rows = await conn.fetch(
        """
        SELECT id, area, status, closed_at FROM site
        WHERE id = ANY($2::uuid[])
           OR EXISTS (SELECT FROM unnest($1::text[]) AS a WHERE starts_with(site.area, a))
        ORDER BY id FOR SHARE
        """,
        areas,
        site_ids,
    )
    return [_place(row) for row in rows]


async def correct(
    conn: asyncpg.Connection,
    site_id: UUID,
    version: int,
    *,
    name: str,
    address: bytes | None,
) -> SiteRow | None:
    """Give a site another name and address; None if it has another version by now."""
    row = await conn.fetchrow(
        f"""
        UPDATE site SET name = $3, address = $4, version = version + 1
        WHERE id = $1 AND version = $2 RETURNING {_COLUMNS}
        """,  # noqa: S608 - a constant
        site_id,
        version,
        name,
        address,
    )
    return None if row is None else SiteRow(**row)


async def close(
    conn: asyncpg.Connection, site_id: UUID, reason: str
) -> tuple[SiteRow, datetime] | None:
    """Close an open site; returns it and when that was, None if there is none."""
    row = await conn.fetchrow(
        f"""
        UPDATE site SET status = 'closed', status_reason = $2, closed_at = clock_timestamp(),
               still_since = COALESCE(still_since, clock_timestamp()), version = version + 1
        WHERE id = $1 AND status = 'open' RETURNING {_COLUMNS}, closed_at
        """,  # noqa: S608 - a constant
        site_id,
        reason,
    )
    if row is None:
        return None
    fields = dict(row)
    closed_at: datetime = fields.pop("closed_at")
    return SiteRow(**fields), closed_at


async def reopen(
    conn: asyncpg.Connection, site_id: UUID, reason: str
) -> tuple[SiteRow, datetime, datetime] | None:
    """Open a closed site; returns it, when it was closed and when that ended; None if it isn't."""
    row = await conn.fetchrow(
        f"""
        WITH old AS (SELECT id AS old_id, closed_at AS was_closed_at FROM site
                     WHERE id = $1 AND status = 'closed' FOR NO KEY UPDATE)
        UPDATE site SET status = 'open', status_reason = $2, closed_at = NULL,
               version = version + 1
        FROM old WHERE id = old_id
        RETURNING {_COLUMNS}, was_closed_at, clock_timestamp() AS ended_at
        """,  # noqa: S608 - a constant
        site_id,
        reason,
    )
    if row is None:
        return None
    fields = dict(row)
    closed_at: datetime = fields.pop("was_closed_at")
    ended_at: datetime = fields.pop("ended_at")
    return SiteRow(**fields), closed_at, ended_at


async def areas_of(conn: asyncpg.Connection, site_ids: Sequence[UUID]) -> dict[UUID, Place]:
    """These sites, without keeping anyone from changing them."""
    rows = await conn.fetch(
        "SELECT id, area, status, closed_at FROM site WHERE id = ANY($1::uuid[])",
        list(set(site_ids)),
    )
    return {row["id"]: _place(row) for row in rows}


def _place(row: asyncpg.Record) -> Place:
    closed_at = row["closed_at"]
    closed_on = None if closed_at is None else day_of(closed_at)
    return Place(row["id"], row["area"], row["status"] == "open", closed_on)


async def ids_by_code(conn: asyncpg.Connection, codes: Sequence[str]) -> dict[str, UUID]:
    """Site ids by their codes."""
    rows = await conn.fetch("SELECT code, id FROM site WHERE code = ANY($1::text[])", codes)
    return {row["code"]: row["id"] for row in rows}


async def put_item(conn: asyncpg.Connection, row: ItemRow) -> bool:
    """Add an item; False if the code is taken."""
    added = await conn.fetchval(
        """
        INSERT INTO item (code, names, unit, pack, tracking, prescription)
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING code
        """,
        row.code,
        json.dumps(row.names, ensure_ascii=False),
        row.unit,
        row.pack,
        row.tracking,
        row.prescription,
    )
    return added is not None


async def correct_item(
    conn: asyncpg.Connection,
    code: str,
    version: int,
    *,
    names: dict[str, str],
    prescription: bool,
) -> ItemRow | None:
    """Give an item other names and terms; None if it has another version by now."""
    row = await conn.fetchrow(
        f"""
        UPDATE item SET names = $3, prescription = $4, version = version + 1
        WHERE code = $1 AND version = $2 RETURNING {_ITEM}
        """,  # noqa: S608 - a constant
        code,
        version,
        json.dumps(names, ensure_ascii=False),
        prescription,
    )
    return None if row is None else _item(row)


async def items(conn: asyncpg.Connection, *, after: str | None, limit: int) -> list[ItemRow]:
    """Items by code."""
    rows = await conn.fetch(
        f"""
        SELECT {_ITEM} FROM item
        WHERE $1::text IS NULL OR code > $1 ORDER BY code LIMIT $2
        """,  # noqa: S608 - a constant
        after,
        limit,
    )
    return [_item(row) for row in rows]


async def items_by_code(conn: asyncpg.Connection, codes: Sequence[str]) -> dict[str, ItemRow]:
    """The items there are among these codes."""
    rows = await conn.fetch(
        f"SELECT {_ITEM} FROM item WHERE code = ANY($1::text[])",  # noqa: S608 - a constant
        list(set(codes)),
    )
    return {row["code"]: _item(row) for row in rows}


def _item(row: asyncpg.Record) -> ItemRow:
    return ItemRow(**{**row, "names": json.loads(row["names"])})
