"""Instalments, shortfalls and exchange rates."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple
from uuid import UUID

import asyncpg

from aidmesh_contracts.ids import GrantId


class Shortfall(NamedTuple):
    """What a donor still waits for, or a part of it."""

    id: UUID
    amount_minor: int


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
    conn: asyncpg.Connection,
    shortfalls: Sequence[Shortfall],
    minor: int,
    *,
    journal_id: UUID | None = None,
    withdrawal_id: UUID | None = None,
) -> list[Shortfall]:
    """Work off shortfalls in this order; returns them as they are then.

    Args:
        journal_id, withdrawal_id: one of them, by what. It may be written later than this.
    """
    covered: list[Shortfall] = []
    left: list[Shortfall] = []
    for each in shortfalls:
        part_minor = min(each.amount_minor, minor)
        minor -= part_minor
        covered.append(Shortfall(each.id, part_minor))
        left.append(Shortfall(each.id, each.amount_minor - part_minor))
    await _lower(conn, covered, journal_id, withdrawal_id)
    return left


async def _lower(
    conn: asyncpg.Connection,
    parts: Sequence[Shortfall],
    journal_id: UUID | None,
    withdrawal_id: UUID | None,
) -> None:
    parts = [each for each in parts if each.amount_minor]
    await conn.execute(
        """
        WITH n AS (SELECT * FROM unnest($1::uuid[], $2::bigint[]) AS n (id, minor)),
        noted AS (
            INSERT INTO shortfall_entry (shortfall_id, journal_id, withdrawal_id, amount_minor)
            SELECT id, $3, $4, minor FROM n
        )
        UPDATE shortfall s SET open_minor = s.open_minor - n.minor FROM n WHERE s.id = n.id
        """,
        [each.id for each in parts],
        [each.amount_minor for each in parts],
        journal_id,
        withdrawal_id,
    )


async def covered_by(conn: asyncpg.Connection, journal_id: UUID) -> list[Shortfall]:
    """Return how much of which shortfalls a journal worked off, the newest first."""
    rows = await conn.fetch(
        """
        SELECT s.id, e.amount_minor FROM shortfall_entry e
        JOIN shortfall s ON s.id = e.shortfall_id
        WHERE e.journal_id = $1 ORDER BY s.opened_on DESC, s.id DESC
        """,
        journal_id,
    )
    return [Shortfall(row["id"], row["amount_minor"]) for row in rows]


async def reopen_shortfalls(
    conn: asyncpg.Connection, covered: Sequence[Shortfall], minor: int, journal_id: UUID
) -> None:
    """Have a donor wait again for so much of what was covered, in this order.

    Args:
        journal_id: by what.
    """
    again: list[Shortfall] = []
    for each in covered:
        part_minor = min(each.amount_minor, minor)
        minor -= part_minor
        again.append(Shortfall(each.id, -part_minor))
    await _lower(conn, again, journal_id, None)


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What a donor does not want back after all.

    Attributes:
        journal_id: books what of it had been set aside; None when nothing had.
    """

    id: UUID
    grant_id: GrantId
    amount_minor: int
    journal_id: UUID | None
    reason: str
    on: date
    by: UUID


async def insert_withdrawal(conn: asyncpg.Connection, withdrawal: Withdrawal) -> None:
    """Record that a donor wants less back."""
    await conn.execute(
        """
        INSERT INTO demand_withdrawal (id, grant_id, amount_minor, journal_id, reason,
                                       withdrawn_on, withdrawn_by)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        """,
        withdrawal.id,
        withdrawal.grant_id,
        withdrawal.amount_minor,
        withdrawal.journal_id,
        withdrawal.reason,
        withdrawal.on,
        withdrawal.by,
    )


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


class BankLine(NamedTuple):
    """What tells one payment to a grant from another: a line of the bank's statement."""

    grant_id: GrantId
    bank_reference: str
    received_on: date
    amount_minor: int


async def received_lines(conn: asyncpg.Connection, lines: Sequence[BankLine]) -> set[BankLine]:
    """Return what stands as received of the days and amounts of these lines, whichever reference.

    Their grants are locked.
    """
    if not lines:
        return set()
    rows = await conn.fetch(
        """
        SELECT i.grant_id, i.bank_reference, i.received_on, i.received_minor
        FROM (SELECT DISTINCT * FROM unnest($1::uuid[], $2::date[], $3::bigint[])) AS n
                 (grant_id, received_on, minor)
        JOIN instalment i ON i.grant_id = n.grant_id
             AND i.received_on = n.received_on AND i.received_minor = n.minor
        WHERE i.state = 'received'
        """,
        [line.grant_id for line in lines],
        [line.received_on for line in lines],
        [line.amount_minor for line in lines],
    )
    return {BankLine(*row) for row in rows}


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
    return (await latest_rates(conn, [(base, spending)], on)).get((base, spending))


async def latest_rates(
    conn: asyncpg.Connection, pairs: Collection[tuple[str, str]], on: date
) -> dict[tuple[str, str], tuple[str, date, str]]:
    """Return the newest rates of pairs of currencies, each of a day not after `on`.

    Args:
        pairs: base and spending currency; those that have no rate are left out.

    Returns:
        by pair: rate, day, source.
    """
    if not pairs:
        return {}
    rows = await conn.fetch(
        """
        SELECT p.base, p.spending, r.rate, r.rate_on, r.source
        FROM unnest($1::bpchar[], $2::bpchar[]) AS p (base, spending) CROSS JOIN LATERAL (
            SELECT rate, rate_on, source FROM exchange_rate e
            WHERE e.base = p.base AND e.spending = p.spending AND e.rate_on <= $3
            ORDER BY e.rate_on DESC, e.recorded_at DESC LIMIT 1) r
        """,
        [base for base, _ in pairs],
        [spending for _, spending in pairs],
        on,
    )
    return {
        (row["base"], row["spending"]): (row["rate"], row["rate_on"], row["source"]) for row in rows
    }
