"""What the API shows of money spent: commitments, purchases, and the books."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

import asyncpg

from aidmesh_contracts.ids import GrantId, NeedId
from aidmesh_payments.store.queries.rows import Row, rows_of


async def commitments_of(conn: asyncpg.Connection, need_id: NeedId) -> list[Row]:
    """What was committed for a need, attempt by attempt."""
    return rows_of(
        await conn.fetch(
            """
            SELECT c.id, c.attempt_no, c.allotment_id, t.code AS grant_code, c.amount_minor,
                   c.currency, c.purpose, c.state, c.hold_until, c.collect_by, c.spent_on, c.cause,
                   b.amount_minor AS billed_minor, b.state AS bill_state, b.biller,
                   COALESCE(n.sensitive, true) AS sensitive
            FROM commitment c JOIN grant_terms t ON t.grant_id = c.grant_id
            LEFT JOIN need_attempt n ON n.need_id = c.need_id
            LEFT JOIN LATERAL (
                SELECT amount_minor, state, biller FROM provider_bill
                WHERE commitment_id = c.id AND state <> 'withdrawn'
                ORDER BY recorded_at DESC LIMIT 1) AS b ON true
            WHERE c.need_id = $1 ORDER BY c.attempt_no
            """,
            need_id,
        )
    )


async def bills(
    conn: asyncpg.Connection, after: tuple[datetime, UUID] | None, limit: int
) -> list[Row]:
    """Bills of providers that wait for a second person, oldest first.

    Those of needs that are over are left out: nobody is paid for them, unless they are served
    after all.
    """
    return rows_of(
        await conn.fetch(
            """
            SELECT b.id, b.commitment_id, c.need_id, b.amount_minor,
                   c.amount_minor AS committed_minor, c.currency, c.state, t.code AS grant_code,
                   b.reason, b.biller, b.recorded_at, COALESCE(n.sensitive, true) AS sensitive
            FROM provider_bill b JOIN commitment c ON c.id = b.commitment_id
            JOIN grant_terms t ON t.grant_id = c.grant_id
            LEFT JOIN need_attempt n ON n.need_id = c.need_id
            WHERE b.state = 'waiting' AND c.state IN ('committed', 'spent')
              AND ($1::timestamptz IS NULL OR (b.recorded_at, b.id) > ($1, $2::uuid))
            ORDER BY b.recorded_at, b.id LIMIT $3
            """,
            *(after or (None, None)),
            limit,
        )
    )


async def refusal_of(conn: asyncpg.Connection, need_id: NeedId) -> Row | None:
    """Why money was refused last."""
    row = await conn.fetchrow(
        """
        SELECT r.attempt_no, r.reason, r.code, r.amount_minor, r.decided_at,
               COALESCE(n.sensitive, true) AS sensitive
        FROM refusal r LEFT JOIN need_attempt n ON n.need_id = r.need_id WHERE r.need_id = $1
        """,
        need_id,
    )
    return None if row is None else dict(row)


async def discrepancies(
    conn: asyncpg.Connection, after: tuple[datetime, UUID] | None, limit: int
) -> list[Row]:
    """Facts that do not fit the books, oldest first."""
    return rows_of(
        await conn.fetch(
            """
            SELECT d.id, d.about, d.need_id, d.programme, d.amount_minor, d.currency,
                   d.occurred_on, d.cost_category, d.commitment_id, d.opened_at,
                   COALESCE(n.sensitive, true) AS sensitive
            FROM discrepancy d LEFT JOIN need_attempt n ON n.need_id = d.need_id
            WHERE d.settled_at IS NULL
              AND ($1::timestamptz IS NULL OR (d.opened_at, d.id) > ($1, $2::uuid))
            ORDER BY d.opened_at, d.id LIMIT $3
            """,
            *(after or (None, None)),
            limit,
        )
    )


async def purchases(
    conn: asyncpg.Connection,
    states: Sequence[str] | None,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Row]:
    """Purchases in some states or in all, oldest first."""
    return rows_of(
        await conn.fetch(
            """
            SELECT id, allotment_id, supplier, cost_category, programme, currency, amount_minor,
                   state, planned_on, paid_on, recorded_at
            FROM purchase
            WHERE ($1::text[] IS NULL OR state = ANY($1))
              AND ($2::timestamptz IS NULL OR (recorded_at, id) > ($2, $3::uuid))
            ORDER BY recorded_at, id LIMIT $4
            """,
            states,
            *(after or (None, None)),
            limit,
        )
    )


async def purchase(conn: asyncpg.Connection, purchase_id: UUID) -> Row | None:
    """One purchase with its lines, and what was put right in it, oldest first."""
    row = await conn.fetchrow(
        """
        SELECT id, allotment_id, commitment_id, supplier, cost_category, programme, area, currency,
               amount_minor, state, planned_on, invoice_reference, bank_reference, paid_on, maker,
               approver, payer, biller, version, recorded_at
        FROM purchase WHERE id = $1
        """,
        purchase_id,
    )
    if row is None:
        return None
    lines_of = await conn.fetch(
        """
        SELECT line, item, description, quantity, unit_value_minor, billed_unit_minor, received
        FROM purchase_line WHERE purchase_id = $1 ORDER BY line
        """,
        purchase_id,
    )
    corrections = await conn.fetch(
        """
        SELECT what, amount_minor, reference, paid_on, reason, corrected_by, recorded_at
        FROM purchase_correction WHERE purchase_id = $1 ORDER BY id
        """,
        purchase_id,
    )
    return {**dict(row), "lines": rows_of(lines_of), "corrections": rows_of(corrections)}


async def accounts(
    conn: asyncpg.Connection,
    grant_id: GrantId | None,
    after: tuple[str, UUID] | None,
    limit: int,
) -> list[Row]:
    """Accounts with their balances by code, of one grant or all."""
    return rows_of(
        await conn.fetch(
            """
            SELECT id, code, currency, grant_id, allotment_id, balance_minor FROM account
            WHERE ($1::uuid IS NULL OR grant_id = $1)
              AND ($2::text IS NULL OR (code, id) > ($2, $3::uuid))
            ORDER BY code, id LIMIT $4
            """,
            grant_id,
            *(after or (None, None)),
            limit,
        )
    )


async def journals(
    conn: asyncpg.Connection,
    grant_id: GrantId | None,
    days: tuple[date, date],
    after: tuple[datetime, UUID] | None,
    limit: int,
    *,
    sensitive_too: bool,
) -> list[Row]:
    """Journals by when they were recorded, with their postings.

    Of spending for sensitive needs, for those who may not see them, neither grant nor allotment;
    asked for one grant, it is not there.
    """
    return rows_of(
        await conn.fetch(
            """
            SELECT j.id, j.kind, j.occurred_on, j.recorded_at, j.reference, j.reason,
                   p.line, a.code AS account,
                   CASE WHEN NOT j.hidden THEN a.grant_id END AS grant_id,
                   CASE WHEN NOT j.hidden THEN a.allotment_id END AS allotment_id, p.currency,
                   p.amount_minor
            FROM (
                SELECT j.*, h.hidden
                FROM journal j
                LEFT JOIN commitment c ON c.id = j.commitment_id
                LEFT JOIN need_attempt n ON n.need_id = c.need_id
                CROSS JOIN LATERAL (
                    SELECT NOT $7 AND j.kind IN ('spending', 'spending_reversed')
                           AND (c.id IS NULL OR c.need_id IS NOT NULL)
                           AND COALESCE(n.sensitive, true) AS hidden
                ) h
                WHERE j.occurred_on BETWEEN $2 AND $3 AND ($1::uuid IS NULL OR NOT h.hidden)
                  AND ($4::timestamptz IS NULL OR (j.recorded_at, j.id) > ($4, $5::uuid))
                  AND ($1::uuid IS NULL OR EXISTS (
                      SELECT FROM posting p JOIN account a ON a.id = p.account_id
                      WHERE p.journal_id = j.id AND a.grant_id = $1))
                ORDER BY j.recorded_at, j.id LIMIT $6
            ) j
            JOIN posting p ON p.journal_id = j.id JOIN account a ON a.id = p.account_id
            ORDER BY j.recorded_at, j.id, p.line
            """,
            grant_id,
            days[0],
            days[1],
            *(after or (None, None)),
            limit,
            sensitive_too,
        )
    )
