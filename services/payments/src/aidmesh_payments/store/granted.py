"""Allotments as their grantor remembers them, and those that wait for a second person."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple
from uuid import UUID

import asyncpg

from aidmesh_contracts.ids import AllotmentId, GrantId
from aidmesh_payments.domain.grants import Granted


@dataclass(frozen=True, slots=True)
class GrantAllotment:
    """What the grantor remembers of an allotment."""

    id: AllotmentId
    grant_id: GrantId
    budget_line: str
    holder: str
    currency: str
    granted: Granted
    rate: str
    valid_until: date | None
    recall_reason: str | None


async def put_allotment(
    conn: asyncpg.Connection, allotment: GrantAllotment, rate_on: date, rate_source: str
) -> None:
    """Write an allotment that was made or raised."""
    await conn.execute(
        """
        INSERT INTO grant_allotment (id, grant_id, budget_line, holder, currency, amount_minor,
                                     granted_minor, rate, rate_on, rate_source, valid_until)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        ON CONFLICT (id) DO UPDATE SET amount_minor = excluded.amount_minor,
            granted_minor = excluded.granted_minor, rate = excluded.rate,
            rate_on = excluded.rate_on, rate_source = excluded.rate_source
        """,
        allotment.id,
        allotment.grant_id,
        allotment.budget_line,
        allotment.holder,
        allotment.currency,
        allotment.granted.amount_minor,
        allotment.granted.granted_minor,
        allotment.rate,
        rate_on,
        rate_source,
        allotment.valid_until,
    )


async def allotment(conn: asyncpg.Connection, allotment_id: AllotmentId) -> GrantAllotment | None:
    """Return what we remember of an allotment we made; lock its grant before changing it."""
    return (await allotments(conn, [allotment_id])).get(allotment_id)


async def allotments(
    conn: asyncpg.Connection, ids: Iterable[AllotmentId]
) -> dict[AllotmentId, GrantAllotment]:
    """Return what we remember of those of these allotments that we made."""
    rows = await conn.fetch(
        "SELECT * FROM grant_allotment WHERE id = ANY($1::uuid[])", list(set(ids))
    )
    return {AllotmentId(row["id"]): _allotment(row) for row in rows}


def _allotment(row: asyncpg.Record) -> GrantAllotment:
    return GrantAllotment(
        id=AllotmentId(row["id"]),
        grant_id=GrantId(row["grant_id"]),
        budget_line=row["budget_line"],
        holder=row["holder"],
        currency=row["currency"],
        granted=Granted(
            amount_minor=row["amount_minor"],
            granted_minor=row["granted_minor"],
            returned_minor=row["returned_minor"],
            returned_granted_minor=row["returned_granted_minor"],
        ),
        rate=row["rate"],
        valid_until=row["valid_until"],
        recall_reason=row["recall_reason"],
    )


async def save_returned(
    conn: asyncpg.Connection, allotment_id: AllotmentId, granted: Granted
) -> None:
    """Write what of an allotment came back."""
    await conn.execute(
        """
        UPDATE grant_allotment SET returned_minor = $2, returned_granted_minor = $3 WHERE id = $1
        """,
        allotment_id,
        granted.returned_minor,
        granted.returned_granted_minor,
    )


async def note_recall(conn: asyncpg.Connection, allotment_id: AllotmentId, reason: str) -> None:
    """Note that an allotment was asked back."""
    await conn.execute(
        "UPDATE grant_allotment SET recall_reason = $2 WHERE id = $1", allotment_id, reason
    )


async def ask_override(
    conn: asyncpg.Connection,
    request_id: UUID,
    grant_id: GrantId,
    order_json: str,
    reason: str,
    maker: UUID,
) -> None:
    """Keep an allotment beyond its budget line for a second person."""
    await conn.execute(
        """
        INSERT INTO allotment_request (id, grant_id, order_json, reason, maker)
        VALUES ($1, $2, $3, $4, $5)
        """,
        request_id,
        grant_id,
        order_json,
        reason,
        maker,
    )


class OverrideRequest(NamedTuple):
    """An allotment beyond its budget line."""

    order_json: str
    reason: str
    maker: UUID
    state: str


async def lock_request(conn: asyncpg.Connection, request_id: UUID) -> OverrideRequest | None:
    """Lock a request for an override."""
    row = await conn.fetchrow(
        "SELECT order_json, reason, maker, state FROM allotment_request WHERE id = $1"
        " FOR NO KEY UPDATE",
        request_id,
    )
    return None if row is None else OverrideRequest(*row)


async def decide_request(
    conn: asyncpg.Connection,
    request_id: UUID,
    state: str,
    by: UUID,
    allotment_id: AllotmentId | None,
) -> None:
    """Close a request for an override."""
    await conn.execute(
        """
        UPDATE allotment_request SET state = $2, decided_by = $3, decided_at = now(),
               allotment_id = $4
        WHERE id = $1
        """,
        request_id,
        state,
        by,
        allotment_id,
    )
