"""Lots as they are shown, and their terms: until when, and for what, pieces may be given."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple
from uuid import UUID

import asyncpg

_DETAIL = """
    id AS lot_id, receipt_id, item, site_id, batch, expiry, grant_id, restriction,
    unit_value_minor, currency, status, on_hand, held, version,
    terms_version IS NOT NULL AS is_bought,
    (SELECT r.purchase_id FROM receipt r WHERE r.id = lot.receipt_id) AS purchase_id
"""


@dataclass(frozen=True, slots=True)
class LotTerms:
    """A lot with its terms; `restriction` is JSON, None for none.

    Attributes:
        is_bought: here or in another region: the restriction is that of its grant, not one that a
            person entered.
    """

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
               l.unit_value_minor, l.currency, l.terms_version IS NOT NULL, l.version
        FROM lot l WHERE l.id = $1
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


async def same_at(conn: asyncpg.Connection, lot_id: UUID, site_id: UUID) -> UUID | None:
    """The lot at a site that has the receipt, the terms and the status of another; hold its mutex.

    Pieces of the two can't be told apart.
    """
    found: UUID | None = await conn.fetchval(
        """
        SELECT o.id FROM lot l JOIN lot o ON o.receipt_id = l.receipt_id AND o.item = l.item
        WHERE l.id = $1 AND o.site_id = $2
          AND (o.batch, o.expiry, o.grant_id, o.restriction, o.unit_value_minor, o.currency,
               o.status)
              IS NOT DISTINCT FROM
              (l.batch, l.expiry, l.grant_id, l.restriction, l.unit_value_minor, l.currency,
               l.status)
        ORDER BY o.id LIMIT 1
        """,
        lot_id,
        site_id,
    )
    return found


async def insert_like(
    conn: asyncpg.Connection, lot_id: UUID, new_lot_id: UUID, site_id: UUID
) -> None:
    """Add an empty lot at a site, of the receipt and with the terms and the status of another."""
    await conn.execute(
        """
        INSERT INTO lot (id, receipt_id, item, site_id, batch, expiry, grant_id, restriction,
                         unit_value_minor, currency, status, terms_version)
        SELECT $2, receipt_id, item, $3, batch, expiry, grant_id, restriction,
               unit_value_minor, currency, status, terms_version
        FROM lot WHERE id = $1
        """,
        lot_id,
        new_lot_id,
        site_id,
    )


class Planned(NamedTuple):
    """An unissued reservation on a lot, and the day that it is planned for."""

    reservation_id: UUID
    lot_id: UUID
    planned_on: date


async def planned(conn: asyncpg.Connection, lot_ids: Collection[UUID]) -> list[Planned]:
    """Unissued reservations on lots."""
    rows = await conn.fetch(
        """
        SELECT r.id, a.lot_id, r.planned_on
        FROM allocation a JOIN reservation r ON r.id = a.reservation_id
        WHERE a.lot_id = ANY($1::uuid[]) AND r.state IN ('held', 'confirmed') ORDER BY r.id
        """,
        list(lot_ids),
    )
    return [Planned(*row) for row in rows]


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


async def note_to_come(conn: asyncpg.Connection, lot_ids: Collection[UUID], today: date) -> None:
    """Note of lots that may be given later than today only, so that `begin` finds them then."""
    await conn.execute(
        """
        INSERT INTO lot_to_come (lot_id)
        SELECT id FROM lot
        WHERE id = ANY($1::uuid[]) AND (restriction ->> 'valid_from')::date > $2
        ORDER BY id ON CONFLICT DO NOTHING
        """,
        list(lot_ids),
        today,
    )


_BEGUN = """l.id = c.lot_id AND COALESCE((l.restriction ->> 'valid_from')::date <= $1, true)"""


async def due_to_begin(
    conn: asyncpg.Connection, today: date, limit: int
) -> list[tuple[UUID, str, UUID]]:
    """Lots whose grant's period has begun, and of which nobody was told: id, item and site."""
    rows = await conn.fetch(
        f"""
        SELECT l.id, l.item, l.site_id FROM lot_to_come c JOIN lot l ON {_BEGUN}
        ORDER BY l.id LIMIT $2
        """,  # noqa: S608 - our condition
        today,
        limit,
    )
    return [(row["id"], row["item"], row["site_id"]) for row in rows]


async def begin(conn: asyncpg.Connection, lot_ids: Collection[UUID], today: date) -> list[UUID]:
    """Note that lots have begun; returns those of which that is so, and is news.

    Hold their mutexes.
    """
    rows = await conn.fetch(
        f"""
        WITH begun AS (
            SELECT c.lot_id FROM lot_to_come c JOIN lot l ON {_BEGUN}
            WHERE c.lot_id = ANY($2::uuid[]) ORDER BY c.lot_id FOR UPDATE OF c)
        DELETE FROM lot_to_come c USING begun b WHERE c.lot_id = b.lot_id
        RETURNING c.lot_id
        """,  # noqa: S608 - our condition
        today,
        list(lot_ids),
    )
    return sorted(row["lot_id"] for row in rows)


async def still_expired(
    conn: asyncpg.Connection, lot_ids: Collection[UUID], today: date
) -> list[UUID]:
    """Of these lots those past their expiry; hold their mutexes for that to stay."""
    rows = await conn.fetch(
        "SELECT id FROM lot WHERE id = ANY($1::uuid[]) AND expiry < $2 ORDER BY id",
        list(lot_ids),
        today,
    )
    return [row["id"] for row in rows]


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


async def of_purchase(
    conn: asyncpg.Connection, purchase_id: UUID, *, after: UUID | None, limit: int
) -> list[asyncpg.Record]:
    """Lots that came from a purchase, by id, empty ones too; but for those entered by mistake."""
    return await conn.fetch(
        f"""
        SELECT {_DETAIL} FROM lot
        WHERE receipt_id IN (SELECT r.id FROM receipt r WHERE r.purchase_id = $1)
          AND reversed_at IS NULL AND ($2::uuid IS NULL OR id > $2)
        ORDER BY id LIMIT $3
        """,  # noqa: S608 - a constant
        purchase_id,
        after,
        limit,
    )


async def detail(conn: asyncpg.Connection, lot_id: UUID) -> asyncpg.Record | None:
    """One lot as it is shown."""
    return await conn.fetchrow(f"SELECT {_DETAIL} FROM lot WHERE id = $1", lot_id)  # noqa: S608
