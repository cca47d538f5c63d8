"""What receipts became: their lots, and what is left of them."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

import asyncpg


@dataclass(frozen=True, slots=True)
class Arrived:
    """A lot of a receipt.

    Attributes:
        received: how many pieces came in; none into a lot that was moved from another.
        gone: how many of its pieces were handed out and not taken back, or left for another region.
    """

    lot_id: UUID
    site_id: UUID
    item: str
    status: str
    on_hand: int
    received: int
    gone: int
    is_reversed: bool


async def lock(conn: asyncpg.Connection, receipt_id: UUID) -> tuple[date, UUID | None] | None:
    """Keep a receipt's goods from becoming further lots; returns its day and its purchase.

    None if there is no such receipt. Take it before all mutexes.
    """
    row = await conn.fetchrow(
        "SELECT received_on, purchase_id FROM receipt WHERE id = $1 FOR NO KEY UPDATE", receipt_id
    )
    return None if row is None else (row["received_on"], row["purchase_id"])


async def lock_of_lot(conn: asyncpg.Connection, lot_id: UUID) -> None:
    """The same of the receipt that a lot came by."""
    await conn.execute(
        """
        SELECT FROM receipt WHERE id = (SELECT receipt_id FROM lot WHERE id = $1)
        FOR NO KEY UPDATE
        """,
        lot_id,
    )


async def is_of_shipment(conn: asyncpg.Connection, receipt_id: UUID) -> bool:
    """Whether a receipt is what was counted of a line of a shipment."""
    return bool(
        await conn.fetchval("SELECT shipment_id IS NOT NULL FROM receipt WHERE id = $1", receipt_id)
    )


async def arrived(conn: asyncpg.Connection, receipt_id: UUID) -> list[Arrived]:
    """The lots of a receipt; hold their mutexes for numbers that stay."""
    rows = await conn.fetch(
        """
        SELECT l.id, l.site_id, l.item, l.status, l.on_hand,
               COALESCE(sum(m.quantity) FILTER (WHERE m.kind = 'receipt'), 0)::int,
               COALESCE(-sum(m.quantity) FILTER (
                   WHERE m.reservation_id IS NOT NULL OR m.kind = 'dispatch'), 0)::int,
               l.reversed_at IS NOT NULL
        FROM lot l LEFT JOIN movement m ON m.lot_id = l.id
        WHERE l.receipt_id = $1 GROUP BY l.id ORDER BY l.id
        """,
        receipt_id,
    )
    return [Arrived(*row) for row in rows]


async def set_reversed(conn: asyncpg.Connection, lot_ids: list[UUID]) -> None:
    """Mark empty lots as entered by mistake: nothing will be in them again."""
    await conn.execute(
        """
        UPDATE lot SET status = 'blocked', reversed_at = clock_timestamp()
        WHERE id = ANY($1::uuid[])
        """,
        lot_ids,
    )
