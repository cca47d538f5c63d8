"""What the API shows of grants, their holders and requests for more, and rates."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

import asyncpg

from aidmesh_contracts.ids import GrantId
from aidmesh_payments.store.queries.rows import Row, rows_of


async def donors(conn: asyncpg.Connection, after: UUID | None, limit: int) -> list[Row]:
    """Donors by name; `after` is the last one of the page before."""
    return rows_of(
        await conn.fetch(
            """
            SELECT id, name FROM donor
            WHERE $1::uuid IS NULL OR (name, id) > (SELECT name, id FROM donor WHERE id = $1)
            ORDER BY name, id LIMIT $2
            """,
            after,
            limit,
        )
    )


_GRANT = """
    SELECT g.id, g.code, t.donor, g.currency, g.amount_minor, g.period_from, g.period_to,
           g.overhead_bp, g.status, t.paying_office, g.received_minor, g.unallotted_minor,
           g.allotted_minor, g.exchange_difference_minor, g.refund_due_minor,
           g.refunded_minor, g.version, t.terms_version,
           (SELECT COALESCE(sum(open_minor), 0)::bigint FROM shortfall s
            WHERE s.grant_id = g.id) AS shortfall_minor,
           (SELECT COALESCE(sum(x.granted_minor), 0)::bigint
            FROM transfer x JOIN grant_allotment a ON a.id = x.allotment_id
            WHERE a.grant_id = g.id AND x.kind = 'allotment' AND x.state = 'in_transit')
               AS in_transit_minor
    FROM donor_grant g JOIN grant_terms t ON t.grant_id = g.id
"""


async def grants(conn: asyncpg.Connection, after: str | None, limit: int) -> list[Row]:
    """Our grants with their balances, by code."""
    return rows_of(
        await conn.fetch(
            f"{_GRANT} WHERE $1::text IS NULL OR g.code > $1 ORDER BY g.code LIMIT $2",
            after,
            limit,
        )
    )


async def grants_of(conn: asyncpg.Connection, grant_ids: Sequence[UUID]) -> list[Row]:
    """These of our grants with their balances, by code."""
    return rows_of(
        await conn.fetch(f"{_GRANT} WHERE g.id = ANY($1::uuid[]) ORDER BY g.code", grant_ids)
    )


async def known_grants(
    conn: asyncpg.Connection, after: tuple[str, UUID] | None, limit: int
) -> list[tuple[str, UUID]]:
    """Code and id of every grant whose terms are known here, our own and others', by code."""
    rows = await conn.fetch(
        """
        SELECT code, grant_id FROM grant_terms
        WHERE $1::text IS NULL OR (code, grant_id) > ($1, $2::uuid)
        ORDER BY code, grant_id LIMIT $3
        """,
        *(after or (None, None)),
        limit,
    )
    return [(row["code"], row["grant_id"]) for row in rows]


async def lines(conn: asyncpg.Connection, grant_id: GrantId) -> list[Row]:
    """The budget lines of a grant."""
    return rows_of(
        await conn.fetch(
            """
            SELECT code, amount_minor, flexibility_percent, cost_categories, allotted_minor
            FROM budget_line WHERE grant_id = $1 ORDER BY code
            """,
            grant_id,
        )
    )


async def instalments(conn: asyncpg.Connection, grant_id: GrantId) -> list[Row]:
    """The instalments of a grant."""
    return rows_of(
        await conn.fetch(
            """
            SELECT id, expected_minor, expected_on, state, received_minor, paid_minor,
                   paid_currency, received_on, bank_reference, reason
            FROM instalment WHERE grant_id = $1 ORDER BY expected_on, id
            """,
            grant_id,
        )
    )


async def amendments(conn: asyncpg.Connection, grant_id: GrantId) -> list[Row]:
    """What each amendment of a grant found before it, the newest first.

    There are no lines of amendments from before those were on record.
    """
    rows = rows_of(
        await conn.fetch(
            """
            SELECT terms_version, amount_minor, period_to, reason, amended_by, recorded_at
            FROM grant_amendment WHERE grant_id = $1 ORDER BY terms_version DESC LIMIT 50
            """,
            grant_id,
        )
    )
    lines = await conn.fetch(
        """
        SELECT terms_version, code, amount_minor FROM amended_line
        WHERE grant_id = $1 AND terms_version = ANY($2::int[]) ORDER BY code
        """,
        grant_id,
        [row["terms_version"] for row in rows],
    )
    before: dict[object, list[Row]] = defaultdict(list)
    for line in lines:
        kept = {"code": line["code"], "amount_minor": line["amount_minor"]}
        before[line["terms_version"]].append(kept)
    return [{**row, "budget_lines": before[row["terms_version"]]} for row in rows]


async def withdrawals(conn: asyncpg.Connection, grant_id: GrantId) -> list[Row]:
    """What the donor of a grant does not want back after all, the newest first."""
    return rows_of(
        await conn.fetch(
            """
            SELECT id, amount_minor, reason, withdrawn_on, withdrawn_by, recorded_at
            FROM demand_withdrawal WHERE grant_id = $1
            ORDER BY recorded_at DESC, id LIMIT 50
            """,
            grant_id,
        )
    )


_HOLDING = """
    WITH known AS (
        SELECT a.id AS allotment_id, a.grant_id, a.grantor, $1::text AS holder,
               a.budget_line, a.currency, a.received_minor, a.returned_minor,
               a.held_minor, a.committed_minor, a.spent_minor, a.status, a.valid_until,
               now() AS as_of
        FROM allotment a
        UNION ALL
        SELECT e.allotment_id, e.grant_id, e.grantor, e.holder, m.budget_line, e.currency,
               e.received_minor, e.returned_minor, e.held_minor, e.committed_minor,
               e.spent_minor, e.status, m.valid_until, e.as_of
        FROM allotment_elsewhere e LEFT JOIN grant_allotment m ON m.id = e.allotment_id
        UNION ALL
        SELECT m.id, m.grant_id, $1, m.holder, m.budget_line, m.currency, 0, 0, 0, 0, 0,
               'active', m.valid_until, NULL
        FROM grant_allotment m
        WHERE NOT EXISTS (SELECT FROM allotment a WHERE a.id = m.id)
          AND NOT EXISTS (SELECT FROM allotment_elsewhere e WHERE e.allotment_id = m.id)
    )
    SELECT k.*, t.code AS grant_code, t.status AS grant_status, g.granted_minor,
           g.returned_granted_minor AS granted_back_minor,
           k.received_minor - k.returned_minor - k.held_minor - k.committed_minor
               - k.spent_minor AS free_minor,
           (SELECT COALESCE(sum(x.amount_minor), 0)::bigint FROM transfer x
            WHERE x.allotment_id = k.allotment_id AND x.kind = 'allotment'
              AND x.state = 'in_transit') AS in_transit_minor
    FROM known k LEFT JOIN grant_terms t ON t.grant_id = k.grant_id
    LEFT JOIN grant_allotment g ON g.id = k.allotment_id
"""


async def holdings(
    conn: asyncpg.Connection, region: str, holder: str | None, after: UUID | None, limit: int
) -> list[Row]:
    """Allotments known here, by id, of one holder or all.

    Our own are as of now, others' as they last told; `in_transit_minor` is on its way as far as
    this region knows. Of our own grants also what was sent and came back, in the grant's currency.
    """
    return rows_of(
        await conn.fetch(
            f"""{_HOLDING}
            WHERE ($2::text IS NULL OR k.holder = $2)
              AND ($3::uuid IS NULL OR k.allotment_id > $3)
            ORDER BY k.allotment_id LIMIT $4
            """,
            region,
            holder,
            after,
            limit,
        )
    )


async def holdings_of(
    conn: asyncpg.Connection, region: str, grant_ids: Sequence[UUID]
) -> list[Row]:
    """What is known of these grants' allotments, by holder."""
    return rows_of(
        await conn.fetch(
            f"""{_HOLDING}
            WHERE k.grant_id = ANY($2::uuid[]) ORDER BY t.code, k.holder, k.allotment_id
            """,
            region,
            grant_ids,
        )
    )


async def requests(
    conn: asyncpg.Connection, after: tuple[datetime, UUID] | None, limit: int
) -> list[Row]:
    """Allotments beyond their budget line that wait for a second person, oldest first."""
    return rows_of(
        await conn.fetch(
            """
            SELECT id, grant_id, reason, maker, asked_at,
                   order_json->>'budget_line' AS budget_line,
                   order_json->>'to_region' AS to_region,
                   (order_json->>'amount_minor')::bigint AS amount_minor,
                   order_json->>'currency' AS currency
            FROM allotment_request
            WHERE state = 'asked'
              AND ($1::timestamptz IS NULL OR (asked_at, id) > ($1, $2::uuid))
            ORDER BY asked_at, id LIMIT $3
            """,
            *(after or (None, None)),
            limit,
        )
    )


async def rates(
    conn: asyncpg.Connection, after: tuple[date, str, str, str] | None, limit: int
) -> list[Row]:
    """Rates kept, the newest first; `after` names the last one of the page before."""
    return rows_of(
        await conn.fetch(
            """
            SELECT base, spending, rate, rate_on, source FROM exchange_rate
            WHERE $1::date IS NULL OR (rate_on, base, spending, source) < ($1, $2, $3, $4::text)
            ORDER BY rate_on DESC, base DESC, spending DESC, source DESC LIMIT $5
            """,
            *(after or (None, None, None, None)),
            limit,
        )
    )
