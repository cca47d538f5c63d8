"""Donors, grants and budget lines."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import NamedTuple
from uuid import UUID

import asyncpg

from aidmesh_contracts.ids import GrantId
from aidmesh_contracts.payments_grants import GrantTerms
from aidmesh_contracts.restriction import Restriction
from aidmesh_payments.domain.grants import Grant, Line


def _grant(row: asyncpg.Record) -> Grant:
    return Grant(
        id=GrantId(row["id"]),
        currency=row["currency"],
        amount_minor=row["amount_minor"],
        status=row["status"],
        received_minor=row["received_minor"],
        unallotted_minor=row["unallotted_minor"],
        allotted_minor=row["allotted_minor"],
        exchange_difference_minor=row["exchange_difference_minor"],
        refund_due_minor=row["refund_due_minor"],
        refunded_minor=row["refunded_minor"],
        version=row["version"],
    )


def _line(row: asyncpg.Record) -> Line:
    return Line(
        code=row["code"],
        amount_minor=row["amount_minor"],
        flexibility_percent=row["flexibility_percent"],
        allotted_minor=row["allotted_minor"],
        cost_categories=None if row["cost_categories"] is None else tuple(row["cost_categories"]),
    )


async def insert_donor(conn: asyncpg.Connection, donor_id: UUID, name: str) -> bool:
    """Write a donor; False when there is one of that name."""
    return bool(
        await conn.fetchval(
            "INSERT INTO donor (id, name) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING true",
            donor_id,
            name,
        )
    )


async def donor_name(conn: asyncpg.Connection, donor_id: UUID) -> str | None:
    """Return a donor's name."""
    name: str | None = await conn.fetchval("SELECT name FROM donor WHERE id = $1", donor_id)
    return name


async def insert_grant(
    conn: asyncpg.Connection,
    grant: Grant,
    donor_id: UUID,
    code: str,
    period: tuple[date, date],
    allowed_to: date | None,
    overhead_bp: int,
    lines: Sequence[Line],
    by: UUID,
) -> bool:
    """Write a new grant whose terms are there; False when the code is taken.

    Args:
        allowed_to: the last day that the donor named apart from the period.
    """
    new = await conn.fetchval(
        """
        INSERT INTO donor_grant (id, donor_id, code, currency, amount_minor, period_from,
                                 period_to, allowed_to, overhead_bp, status, recorded_by)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        ON CONFLICT (code) DO NOTHING RETURNING true
        """,
        grant.id,
        donor_id,
        code,
        grant.currency,
        grant.amount_minor,
        *period,
        allowed_to,
        overhead_bp,
        grant.status,
        by,
    )
    if not new:
        return False
    await conn.executemany(
        """
        INSERT INTO budget_line (grant_id, code, amount_minor, flexibility_percent, cost_categories)
        VALUES ($1, $2, $3, $4, $5)
        """,
        [
            (
                grant.id,
                line.code,
                line.amount_minor,
                line.flexibility_percent,
                None if line.cost_categories is None else list(line.cost_categories),
            )
            for line in lines
        ],
    )
    return True


async def lock(conn: asyncpg.Connection, ids: Iterable[GrantId]) -> dict[GrantId, Grant]:
    """Lock grants in order of id; with a grant goes all that hangs on it here.

    New rows that refer to a grant, such as instalments that are expected, wait for nobody.
    """
    rows = await conn.fetch(
        "SELECT * FROM donor_grant WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE",
        list(set(ids)),
    )
    return {GrantId(row["id"]): _grant(row) for row in rows}


async def save(conn: asyncpg.Connection, grants: Sequence[Grant]) -> None:
    """Write balances and status of locked grants, and the status in their terms."""
    await conn.execute(
        """
        UPDATE donor_grant g SET status = n.status, received_minor = n.received,
               unallotted_minor = n.unallotted, allotted_minor = n.allotted,
               exchange_difference_minor = n.difference, refund_due_minor = n.due,
               refunded_minor = n.refunded, version = n.version
        FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[],
                    $6::bigint[], $7::bigint[], $8::bigint[], $9::int[])
             AS n (id, status, received, unallotted, allotted, difference, due, refunded, version)
        WHERE g.id = n.id
        """,
        [each.id for each in grants],
        [each.status for each in grants],
        [each.received_minor for each in grants],
        [each.unallotted_minor for each in grants],
        [each.allotted_minor for each in grants],
        [each.exchange_difference_minor for each in grants],
        [each.refund_due_minor for each in grants],
        [each.refunded_minor for each in grants],
        [each.version for each in grants],
    )
    await conn.execute(
        """
        UPDATE grant_terms t SET status = g.status, state_version = g.version,
               received_minor = g.received_minor
        FROM donor_grant g WHERE g.id = t.grant_id AND g.id = ANY($1::uuid[])
        """,
        [each.id for each in grants],
    )


async def terms(conn: asyncpg.Connection, grant_id: GrantId) -> GrantTerms | None:
    """Return what holders must know of a grant."""
    row = await conn.fetchrow("SELECT * FROM grant_terms WHERE grant_id = $1", grant_id)
    if row is None:
        return None
    return GrantTerms(
        grant_id=GrantId(row["grant_id"]),
        code=row["code"],
        donor=row["donor"],
        currency=row["currency"],
        restriction=Restriction.model_validate_json(row["restriction"]),
        paying_office=row["paying_office"],
        terms_version=row["terms_version"],
    )


async def line(conn: asyncpg.Connection, grant_id: GrantId, code: str) -> Line | None:
    """Return a budget line; its grant is locked."""
    row = await conn.fetchrow(
        "SELECT * FROM budget_line WHERE grant_id = $1 AND code = $2", grant_id, code
    )
    return None if row is None else _line(row)


async def lines(conn: asyncpg.Connection, grant_id: GrantId) -> list[Line]:
    """Return all budget lines of a grant that is locked."""
    rows = await conn.fetch("SELECT * FROM budget_line WHERE grant_id = $1 ORDER BY code", grant_id)
    return [_line(row) for row in rows]


class Promise(NamedTuple):
    """What a donor promised: until when, how much of it indirect costs."""

    amount_minor: int
    period_from: date
    period_to: date
    allowed_to: date | None
    overhead_bp: int


async def promise(conn: asyncpg.Connection, grant_id: GrantId) -> Promise:
    """Return what a donor promised; the grant is locked."""
    row = await conn.fetchrow(
        "SELECT amount_minor, period_from, period_to, allowed_to, overhead_bp FROM donor_grant"
        " WHERE id = $1",
        grant_id,
    )
    assert row is not None  # noqa: S101 - it is locked
    return Promise(*row)


async def amend(
    conn: asyncpg.Connection,
    grant: Grant,
    before: Promise,
    period_to: date,
    changed: Sequence[Line],
    terms: GrantTerms,
    reason: str,
    by: UUID,
) -> None:
    """Write the new promise of a locked grant, and how it was before."""
    await conn.execute(
        """
        INSERT INTO grant_amendment (grant_id, terms_version, amount_minor, period_to, reason,
                                     amended_by)
        VALUES ($1, $2, $3, $4, $5, $6)
        """,
        grant.id,
        terms.terms_version,
        before.amount_minor,
        before.period_to,
        reason,
        by,
    )
    await conn.execute(
        """
        INSERT INTO amended_line (grant_id, terms_version, code, amount_minor)
        SELECT grant_id, $2, code, amount_minor FROM budget_line WHERE grant_id = $1
        """,
        grant.id,
        terms.terms_version,
    )
    await conn.execute(
        "UPDATE donor_grant SET amount_minor = $2, period_to = $3 WHERE id = $1",
        grant.id,
        grant.amount_minor,
        period_to,
    )
    await conn.execute(
        """
        UPDATE budget_line l SET amount_minor = n.amount_minor
        FROM unnest($2::text[], $3::bigint[]) AS n (code, amount_minor)
        WHERE l.grant_id = $1 AND l.code = n.code
        """,
        grant.id,
        [line.code for line in changed],
        [line.amount_minor for line in changed],
    )


async def save_line(conn: asyncpg.Connection, grant_id: GrantId, changed: Line) -> None:
    """Write what is allotted from a line."""
    await conn.execute(
        "UPDATE budget_line SET allotted_minor = $3 WHERE grant_id = $1 AND code = $2",
        grant_id,
        changed.code,
        changed.allotted_minor,
    )


async def grants_by_code(conn: asyncpg.Connection, codes: Iterable[str]) -> dict[str, GrantId]:
    """Return the ids of our own grants by code."""
    rows = await conn.fetch(
        "SELECT code, id FROM donor_grant WHERE code = ANY($1::text[])", list(set(codes))
    )
    return {row["code"]: GrantId(row["id"]) for row in rows}
