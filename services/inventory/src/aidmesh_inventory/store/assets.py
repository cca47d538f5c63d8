"""The register of things handed to centers."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple
from uuid import UUID

import asyncpg


class NewAsset(NamedTuple):
    """A thing that was handed to a center."""

    asset_id: UUID
    item: str
    serial: str | None
    grant_id: UUID | None
    unit_value_minor: int
    currency: str
    site_id: UUID
    reservation_id: UUID
    lot_id: UUID
    since: date


async def insert(conn: asyncpg.Connection, rows: Sequence[NewAsset]) -> None:
    """Add things to the register."""
    if rows:
        await conn.execute(
            """
            INSERT INTO asset (id, item, serial, grant_id, unit_value_minor, currency, site_id,
                               reservation_id, lot_id, since, status)
            SELECT n.*, 'in_use' FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[],
                $5::bigint[], $6::text[], $7::uuid[], $8::uuid[], $9::uuid[], $10::date[]) AS n
            """,
            *(list(column) for column in zip(*rows, strict=True)),
        )


async def take_back(conn: asyncpg.Connection, reasons: Mapping[UUID, str]) -> None:
    """Mark what these reservations handed out as taken back, each for its reason."""
    await conn.execute(
        """
        UPDATE asset a SET status = 'taken_back', status_reason = n.reason
        FROM unnest($1::uuid[], $2::text[]) AS n (reservation_id, reason)
        WHERE a.reservation_id = n.reservation_id AND a.status = 'in_use'
        """,
        list(reasons),
        list(reasons.values()),
    )


async def end(
    conn: asyncpg.Connection, asset_id: UUID, status: str, reason: str, since: date
) -> bool:
    """Write an asset off or report it lost; False if it is not in use."""
    found = await conn.fetchval(
        """
        UPDATE asset SET status = $2, status_reason = $3, since = $4
        WHERE id = $1 AND status = 'in_use' RETURNING id
        """,
        asset_id,
        status,
        reason,
        since,
    )
    return found is not None


async def restore(conn: asyncpg.Connection, asset_id: UUID, reason: str, since: date) -> bool:
    """Take a thing into use again that was written off or lost; False if it can't be.

    Of what was handed over no more is in use than that: what was taken back and handed over
    again is another entry of the register.
    """
    await conn.execute(
        """
        SELECT FROM reservation WHERE id = (SELECT reservation_id FROM asset WHERE id = $1)
        FOR NO KEY UPDATE
        """,
        asset_id,
    )
    found = await conn.fetchval(
        """
        UPDATE asset a SET status = 'in_use', status_reason = $2, since = $3
        FROM allocation g JOIN reservation r ON r.id = g.reservation_id
        WHERE a.id = $1 AND a.status IN ('written_off', 'lost')
          AND g.reservation_id = a.reservation_id AND g.lot_id = a.lot_id AND r.state = 'issued'
          AND g.quantity > (
              SELECT count(*) FROM asset o WHERE o.reservation_id = a.reservation_id
                 AND o.lot_id = a.lot_id AND o.status = 'in_use')
        RETURNING a.id
        """,
        asset_id,
        reason,
        since,
    )
    return found is not None


async def move(
    conn: asyncpg.Connection, asset_id: UUID, site_id: UUID, reason: str, since: date
) -> bool:
    """Move an asset to another center; False if it is not in use."""
    found = await conn.fetchval(
        """
        UPDATE asset SET site_id = $2, status_reason = $3, since = $4
        WHERE id = $1 AND status = 'in_use' RETURNING id
        """,
        asset_id,
        site_id,
        reason,
        since,
    )
    return found is not None


async def page(
    conn: asyncpg.Connection,
    *,
    site_id: UUID | None,
    grant_id: UUID | None,
    after: UUID | None,
    limit: int,
) -> list[asyncpg.Record]:
    """Assets by id, of a center or bought by a grant."""
    return await conn.fetch(
        """
        SELECT id AS asset_id, item, serial, grant_id, unit_value_minor, currency, site_id,
               reservation_id, status, status_reason, since
        FROM asset
        WHERE ($1::uuid IS NULL OR site_id = $1) AND ($2::uuid IS NULL OR grant_id = $2)
          AND ($3::uuid IS NULL OR id > $3) ORDER BY id LIMIT $4
        """,
        site_id,
        grant_id,
        after,
        limit,
    )
