"""Payment lists for the bank, called batches here."""

from typing import NamedTuple
from uuid import UUID

import asyncpg

from aidmesh_contracts.ids import PayeeRef, PayoutId


async def insert(
    conn: asyncpg.Connection,
    batch_id: UUID,
    currency: str,
    mechanism: str,
    payouts: int,
    total_minor: int,
    by: UUID,
) -> None:
    """Record a payment list."""
    await conn.execute(
        """
        INSERT INTO payout_batch (id, currency, mechanism, payouts, total_minor, exported_by)
        VALUES ($1, $2, $3, $4, $5, $6)
        """,
        batch_id,
        currency,
        mechanism,
        payouts,
        total_minor,
        by,
    )


class Line(NamedTuple):
    """One line of a payment list, its payee still sealed.

    Attributes:
        is_order: it is another region's, and the box holds the whole of its order.
    """

    payout_id: PayoutId
    payee_ref: PayeeRef | None
    amount_minor: int
    currency: str
    sealed: bytes | None
    is_order: bool


async def lines(conn: asyncpg.Connection, batch_id: UUID) -> list[Line]:
    """Return a payment list, less what is not to be paid any more."""
    rows = await conn.fetch(
        """
        SELECT p.id, p.payee_ref, p.amount_minor, p.currency, payee.sealed, false AS is_order
        FROM payout p LEFT JOIN payee ON payee.payee_ref = p.payee_ref
        WHERE p.batch_id = $1 AND p.state NOT IN ('rejected', 'cancelled')
        UNION ALL
        SELECT id, id, amount_minor, currency, sealed, true FROM paying_order
        WHERE batch_id = $1 AND state <> 'rejected'
        ORDER BY 1
        """,
        batch_id,
    )
    return [Line(*row) for row in rows]
