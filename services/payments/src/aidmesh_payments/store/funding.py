"""Instalments, shortfalls and exchange rates."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import NamedTuple
from uuid import UUID

import asyncpg

from aidmesh_contracts.ids import GrantId


class Shortfall(NamedTuple):
    """What a donor still waits for."""

    id: UUID
    open_minor: int


async def open_shortfalls(conn: asyncpg.Connection, grant_id: GrantId) -> list[Shortfall]:
    """Return what a donor still waits for, oldest first; the grant is locked."""
    rows = await conn.fetch(
        """
        SELECT id, open_minor FROM shortfall WHERE grant_id = $1 AND open_minor > 0
        ORDER BY opened_on, id
        """,
        grant_id,
    )
    return [Shortfall(row["id"], row["open_minor"]) for row in rows]


async def insert_shortfall(
    conn: asyncpg.Connection,
    shortfall_id: UUID,
    grant_id: GrantId,
    minor: int,
    reason: str,
    on: date,
    by: UUID,
) -> None:
    """Record what is missing for a donor who wants money back."""
    await conn.execute(
        """
        INSERT INTO shortfall (id, grant_id, demanded_minor, open_minor, reason, opened_on,
                               recorded_by)
        VALUES ($1, $2, $3, $3, $4, $5, $6)
        """,
        shortfall_id,
        grant_id,
        minor,
        reason,
        on,
        by,
    )


async def cover_shortfalls(
    conn: asyncpg.Connection, shortfalls: Sequence[Shortfall], minor: int
) -> list[Shortfall]:
    """Work off shortfalls in this order; returns them as they are then."""
    left: list[Shortfall] = []
    for each in shortfalls:
        covered = min(each.open_minor, minor)
        if covered:
            await conn.execute(
                "UPDATE shortfall SET open_minor = open_minor - $2 WHERE id = $1", each.id, covered
            )
        minor -= covered
        left.append(Shortfall(each.id, each.open_minor - covered))
    return left


async def add_expected(
    conn: asyncpg.Connection,
    rows: Sequence[tuple[UUID, GrantId, int, date]],
    by: UUID,
) -> None:
    """Write instalments that are expected."""
    if rows:
        await conn.execute(
            """
            INSERT INTO instalment (id, grant_id, expected_minor, expected_on, state, recorded_by)
            SELECT n.*, 'expected', $5
            FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::date[]) AS n
            """,
            *(list(column) for column in zip(*rows, strict=True)),
            by,
        )


class Receipt(NamedTuple):
    """Money of an instalment that came in."""

    instalment_id: UUID
    received_minor: int
    paid_minor: int
    paid_currency: str
    received_on: date
    bank_reference: str


async def lock_instalments(
    conn: asyncpg.Connection, ids: Iterable[UUID]
) -> dict[UUID, tuple[GrantId, str, int]]:
    """Return grant, state and expected amount of instalments; their grants are locked."""
    rows = await conn.fetch(
        "SELECT id, grant_id, state, expected_minor FROM instalment WHERE id = ANY($1::uuid[])",
        list(set(ids)),
    )
    return {
        row["id"]: (GrantId(row["grant_id"]), row["state"], row["expected_minor"]) for row in rows
    }


async def receive(conn: asyncpg.Connection, receipts: Sequence[Receipt]) -> None:
    """Mark instalments as received."""
    if receipts:
        await conn.execute(
            """
            UPDATE instalment i SET state = 'received', received_minor = n.received,
                   paid_minor = n.paid, paid_currency = n.currency, received_on = n.received_on,
                   bank_reference = n.reference
            FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::date[],
                        $6::text[]) AS n (id, received, paid, currency, received_on, reference)
            WHERE i.id = n.id
            """,
            *(list(column) for column in zip(*receipts, strict=True)),
        )


class Instalment(NamedTuple):
    """An instalment as it stands; the amounts are None while it is expected."""

    id: UUID
    grant_id: GrantId
    state: str
    received_minor: int | None
    paid_minor: int | None
    paid_currency: str | None


async def instalment(conn: asyncpg.Connection, instalment_id: UUID) -> Instalment | None:
    """Return an instalment; lock its grant before changing it, and read it again."""
    row = await conn.fetchrow(
        """
        SELECT id, grant_id, state, received_minor, paid_minor, paid_currency
        FROM instalment WHERE id = $1
        """,
        instalment_id,
    )
    return None if row is None else Instalment(*row)


async def correct_instalment(
    conn: asyncpg.Connection, instalment_id: UUID, state: str, reason: str, by: UUID
) -> None:
    """Mark an instalment as `reversed` or `withdrawn`; its grant is locked."""
    await conn.execute(
        "UPDATE instalment SET state = $2, reason = $3, corrected_by = $4 WHERE id = $1",
        instalment_id,
        state,
        reason,
        by,
    )


async def put_rate(
    conn: asyncpg.Connection,
    base: str,
    spending: str,
    on: date,
    source: str,
    rate: str,
    by: UUID,
) -> bool:
    """Keep a published rate; False when that source already gave one for the day."""
    return bool(
        await conn.fetchval(
            """
            INSERT INTO exchange_rate (base, spending, rate_on, source, rate, recorded_by)
            VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING true
            """,
            base,
            spending,
            on,
            source,
            rate,
            by,
        )
    )


async def latest_rate(
    conn: asyncpg.Connection, base: str, spending: str, on: date
) -> tuple[str, date, str] | None:
    """Return the newest rate of a day not after `on`: rate, day, source."""
    row = await conn.fetchrow(
        """
        SELECT rate, rate_on, source FROM exchange_rate
        WHERE base = $1 AND spending = $2 AND rate_on <= $3
        ORDER BY rate_on DESC, recorded_at DESC LIMIT 1
        """,
        base,
        spending,
        on,
    )
    return None if row is None else (row["rate"], row["rate_on"], row["source"])
