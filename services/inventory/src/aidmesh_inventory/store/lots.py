"""Lots as they are shown, and their terms: until when, and for what, pieces may be given."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from uuid import UUID

import asyncpg

_DETAIL = """
    id AS lot_id, receipt_id, item, site_id, batch, expiry, grant_id, restriction,
    unit_value_minor, currency, status, on_hand, held, version,
    EXISTS (SELECT FROM receipt r WHERE r.id = receipt_id AND r.purchase_id IS NOT NULL)
        AS is_bought
"""


@dataclass(frozen=True, slots=True)
class LotTerms:
    """A lot with its terms; `restriction` is JSON, None for none."""

    lot_id: UUID
    site_id: UUID
    item: str
    status: str
    on_hand: int
    held: int
    expiry: date | None
    restriction: str | None
    unit_value_minor: int
    currency: str
    is_bought: bool
    version: int

    @property
    def free(self) -> int:
        """Pieces that nobody was promised."""
        return self.on_hand - self.held


async def of_lot(conn: asyncpg.Connection, lot_id: UUID) -> LotTerms | None:
    """The terms of a lot; hold its mutex for those that stay."""
    row = await conn.fetchrow(
        """
        SELECT l.id, l.site_id, l.item, l.status, l.on_hand, l.held, l.expiry, l.restriction,
               l.unit_value_minor, l.currency, r.purchase_id IS NOT NULL, l.version
        FROM lot l JOIN receipt r ON r.id = l.receipt_id WHERE l.id = $1
        """,
        lot_id,
    )
    return None if row is None else LotTerms(*row)


async def correct(
    conn: asyncpg.Connection,
    lot_id: UUID,
    *,
    expiry: date | None,
    restriction: str | None,
    unit_value_minor: int,
    currency: str,
    status: str,
    reason: str,
    by: UUID,
) -> None:
    """Give a lot other terms; what they were is kept with who changed them and why."""
    await conn.execute(
        """
        INSERT INTO lot_correction (lot_id, version, expiry, restriction, unit_value_minor,
                                    currency, reason, corrected_by)
        SELECT id, version, expiry, restriction, unit_value_minor, currency, $2, $3
        FROM lot WHERE id = $1
        """,
        lot_id,
        reason,
        by,
    )
    await conn.execute(
        """
        UPDATE lot SET expiry = $2, restriction = $3, unit_value_minor = $4, currency = $5,
               status = $6, version = version + 1
        WHERE id = $1
        """,
        lot_id,
        expiry,
        restriction,
        unit_value_minor,
        currency,
        status,
    )


async def holders_after(conn: asyncpg.Connection, lot_id: UUID, day: date | None) -> list[UUID]:
    """Unissued reservations on a lot that are planned after a day; None for all of them."""
    rows = await conn.fetch(
        """
        SELECT r.id FROM allocation a JOIN reservation r ON r.id = a.reservation_id
        WHERE a.lot_id = $1 AND r.state IN ('held', 'confirmed')
          AND ($2::date IS NULL OR r.planned_on > $2) ORDER BY r.id
        """,
        lot_id,
        day,
    )
    return [row["id"] for row in rows]


async def holders(conn: asyncpg.Connection, lot_ids: Collection[UUID], limit: int) -> list[UUID]:
    """Unissued reservations on lots."""
    rows = await conn.fetch(
        """
        SELECT DISTINCT r.id FROM allocation a JOIN reservation r ON r.id = a.reservation_id
        WHERE a.lot_id = ANY($1::uuid[]) AND r.state IN ('held', 'confirmed')
        ORDER BY r.id LIMIT $2
        """,
        list(lot_ids),
        limit,
    )
    return [row["id"] for row in rows]


async def begun(conn: asyncpg.Connection, today: date, limit: int) -> list[tuple[UUID, str, UUID]]:
    """Lots whose grant's period has begun since this was asked last, once: id, item and site."""
    await conn.execute(
        """
        INSERT INTO lot_to_come (lot_id)
        SELECT id FROM lot
        WHERE on_hand > 0 AND restriction ->> 'valid_from' > $1
        ORDER BY id ON CONFLICT DO NOTHING
        """,
        today.isoformat(),  # as it is in the JSON, so that an index finds them
    )
    rows = await conn.fetch(
        """
        WITH begun AS (
            SELECT c.lot_id, l.item, l.site_id FROM lot_to_come c JOIN lot l ON l.id = c.lot_id
            WHERE COALESCE((l.restriction ->> 'valid_from')::date <= $1, true)
            ORDER BY c.lot_id LIMIT $2 FOR UPDATE OF c)
        DELETE FROM lot_to_come c USING begun b WHERE c.lot_id = b.lot_id
        RETURNING b.lot_id, b.item, b.site_id
        """,
        today,
        limit,
    )
    return [(row["lot_id"], row["item"], row["site_id"]) for row in rows]


async def page(
    conn: asyncpg.Connection,
    *,
    site_id: UUID | None,
    item: str | None,
    after: UUID | None,
    limit: int,
) -> list[asyncpg.Record]:
    """Lots that have something on hand, by id."""
    return await conn.fetch(
        f"""
        SELECT {_DETAIL} FROM lot
        WHERE on_hand > 0 AND ($1::uuid IS NULL OR site_id = $1)
          AND ($2::text IS NULL OR item = $2) AND ($3::uuid IS NULL OR id > $3)
        ORDER BY id LIMIT $4
        """,  # noqa: S608 - a constant
        site_id,
        item,
        after,
        limit,
    )


async def detail(conn: asyncpg.Connection, lot_id: UUID) -> asyncpg.Record | None:
    """One lot as it is shown."""
    return await conn.fetchrow(f"SELECT {_DETAIL} FROM lot WHERE id = $1", lot_id)  # noqa: S608
