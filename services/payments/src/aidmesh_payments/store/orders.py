"""Orders of other regions to pay somebody."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

import asyncpg

from aidmesh_contracts.ids import AllotmentId, GrantId, PayoutId
from aidmesh_payments.domain.orders import Order


@dataclass(frozen=True, slots=True)
class OrderRow:
    """An order and where it comes from.

    Attributes:
        region: whose payout it is.
        sealed: the box as it came; None of one that is not to be paid.
        is_vouched: the region is known to hold money of the grant, which names this office.
        asked_back: its region wants it back; once it is known that it was not paid, it has it.
    """

    id: PayoutId
    region: str
    order: Order
    sealed: bytes | None = None
    bank_reference: str | None = None
    settled_on: date | None = None
    batch_id: UUID | None = None
    is_vouched: bool = False
    asked_back: bool = False


_VOUCHED = """EXISTS (
    SELECT FROM grant_terms t
    JOIN allotment_elsewhere e ON e.grant_id = t.grant_id
    WHERE t.grant_id = o.grant_id AND t.paying_office = $1
      AND e.allotment_id = o.allotment_id AND e.holder = o.region)"""


def _order(row: asyncpg.Record) -> OrderRow:
    return OrderRow(
        id=PayoutId(row["id"]),
        region=row["region"],
        order=Order(
            amount_minor=row["amount_minor"],
            currency=row["currency"],
            approver=row["approver"],
            sealed_by=row["sealed_by"],
            state=row["state"],
            reason=row["reason"],
            settler=row["settler"],
            reviewer=row["reviewer"],
            review_due_at=row["review_due_at"],
            version=row["version"],
        ),
        sealed=row["sealed"],
        bank_reference=row["bank_reference"],
        settled_on=row["settled_on"],
        batch_id=row["batch_id"],
        is_vouched=row["is_vouched"],
        asked_back=row["asked_back"],
    )


async def insert(conn: asyncpg.Connection, rows: Sequence[OrderRow]) -> set[PayoutId]:
    """Write new orders, or the graves of some that were asked back first; returns which are new."""
    ordered = sorted(rows, key=lambda row: row.id)
    found = await conn.fetch(
        """
        INSERT INTO paying_order (id, region, sealed, state, version)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::text[], $5::int[])
        ON CONFLICT (id) DO NOTHING RETURNING id
        """,
        [row.id for row in ordered],
        [row.region for row in ordered],
        [row.sealed for row in ordered],
        [row.order.state for row in ordered],
        [row.order.version for row in ordered],
    )
    return {PayoutId(row["id"]) for row in found}


async def lock(
    conn: asyncpg.Connection, region: str, ids: Iterable[PayoutId]
) -> dict[PayoutId, OrderRow]:
    """Lock orders by id; nothing is locked after them.

    Args:
        region: the own one.
    """
    rows = await conn.fetch(
        f"""
        SELECT o.*, {_VOUCHED} AS is_vouched FROM paying_order o
        WHERE o.id = ANY($2::uuid[]) ORDER BY o.id FOR NO KEY UPDATE OF o
        """,  # noqa: S608 - our condition
        region,
        list(set(ids)),
    )
    return {PayoutId(row["id"]): _order(row) for row in rows}


async def save(conn: asyncpg.Connection, rows: Sequence[OrderRow]) -> None:
    """Write the state of locked orders; what is not to be paid loses its box."""
    await conn.execute(
        """
        UPDATE paying_order o SET state = n.state, reason = n.reason, settler = n.settler,
               reviewer = n.reviewer, review_due_at = n.review_due_at, version = n.version,
               bank_reference = n.bank_reference, settled_on = n.settled_on,
               batch_id = n.batch_id, asked_back = n.asked_back,
               sealed = CASE WHEN n.state IN ('rejected', 'cancelled') THEN NULL
                             ELSE o.sealed END
        FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::uuid[],
                    $6::timestamptz[], $7::int[], $8::text[], $9::date[], $10::uuid[],
                    $11::boolean[])
             AS n (id, state, reason, settler, reviewer, review_due_at, version, bank_reference,
                   settled_on, batch_id, asked_back)
        WHERE o.id = n.id
        """,
        [row.id for row in rows],
        [row.order.state for row in rows],
        [row.order.reason for row in rows],
        [row.order.settler for row in rows],
        [row.order.reviewer for row in rows],
        [row.order.review_due_at for row in rows],
        [row.order.version for row in rows],
        [row.bank_reference for row in rows],
        [row.settled_on for row in rows],
        [row.batch_id for row in rows],
        [row.asked_back for row in rows],
    )


async def lock_unread(conn: asyncpg.Connection, region: str, limit: int) -> list[OrderRow]:
    """Lock orders whose box was not opened yet."""
    rows = await conn.fetch(
        """
        SELECT id FROM paying_order WHERE state = 'received' AND amount_minor IS NULL
        ORDER BY id LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED
        """,
        limit,
    )
    return list((await lock(conn, region, (PayoutId(row["id"]) for row in rows))).values())


async def note_content(
    conn: asyncpg.Connection,
    rows: Sequence[tuple[PayoutId, GrantId, AllotmentId, str, str, Order]],
) -> None:
    """Copy out of opened boxes what is no payee's: what is paid from what, how, and by whom."""
    await conn.execute(
        """
        UPDATE paying_order o SET grant_id = n.grant_id, allotment_id = n.allotment_id,
               mechanism = n.mechanism, currency = n.currency, amount_minor = n.amount,
               approver = n.approver, sealed_by = n.sealed_by
        FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::bigint[],
                    $7::uuid[], $8::uuid[])
             AS n (id, grant_id, allotment_id, mechanism, currency, amount, approver, sealed_by)
        WHERE o.id = n.id
        """,
        [row[0] for row in rows],
        [row[1] for row in rows],
        [row[2] for row in rows],
        [row[3] for row in rows],
        [row[4] for row in rows],
        [row[5].amount_minor for row in rows],
        [row[5].approver for row in rows],
        [row[5].sealed_by for row in rows],
    )


async def exportable(
    conn: asyncpg.Connection, region: str, currency: str, mechanism: str, limit: int
) -> list[PayoutId]:
    """Return received orders for one payment list; those nobody vouches for wait."""
    rows = await conn.fetch(
        f"""
        SELECT o.id FROM paying_order o
        WHERE o.state = 'received' AND o.currency = $2 AND o.mechanism = $3 AND {_VOUCHED}
          AND NOT EXISTS (SELECT FROM unproven u WHERE u.id = o.id AND u.cleared_at IS NULL)
        ORDER BY o.recorded_at, o.id LIMIT $4
        """,  # noqa: S608 - our condition
        region,
        currency,
        mechanism,
        limit,
    )
    return [PayoutId(row["id"]) for row in rows]


async def forget(conn: asyncpg.Connection, kept_from: date, limit: int) -> int:
    """Delete boxes of what was paid before `kept_from`; returns how many."""
    result = await conn.execute(
        """
        UPDATE paying_order SET sealed = NULL WHERE id IN (
            SELECT id FROM paying_order WHERE sealed IS NOT NULL AND settled_on < $1
            ORDER BY id LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED)
        """,
        kept_from,
        limit,
    )
    return int(result.split()[-1])
