"""Payee details of people who were erased."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date

import asyncpg

from aidmesh_contracts.ids import NeedId, PayeeRef
from aidmesh_payments.domain.payout import PAID


async def bury(conn: asyncpg.Connection, needs: Sequence[tuple[NeedId, PayeeRef | None]]) -> None:
    """Remember needs whose people were erased, each with its payee as intake names it."""
    ordered = sorted(needs)
    await conn.execute(
        """
        INSERT INTO erased_need (need_id, payee_ref) SELECT * FROM unnest($1::uuid[], $2::uuid[])
        ON CONFLICT (need_id) DO NOTHING
        """,
        [need_id for need_id, _ in ordered],
        [payee_ref for _, payee_ref in ordered],
    )


async def forget(
    conn: asyncpg.Connection, kept_from: date, need_ids: Collection[NeedId] | None = None
) -> int:
    """Delete sealed details of erased needs that are no payment record; returns how many.

    A record is what was paid on `kept_from` or later, or may be on its way to the payee: by a
    payout, or as aid that was entered when it had been given.

    Args:
        need_ids: only of these; None looks at all.
    """
    result = await conn.execute(
        """
        WITH gone AS (
            SELECT payee.payee_ref FROM payee JOIN erased_need e ON e.need_id = payee.need_id
            WHERE ($3::uuid[] IS NULL OR e.need_id = ANY($3))
              AND NOT EXISTS (
                  SELECT FROM payout p
                  WHERE p.payee_ref = payee.payee_ref AND p.state = ANY($2::text[])
                    AND COALESCE(p.settled_on >= $1, true))
              AND NOT EXISTS (
                  SELECT FROM commitment c
                  WHERE c.need_id = payee.need_id AND c.attempt_no = 0 AND c.spent_on >= $1)
            ORDER BY payee.payee_ref FOR UPDATE OF payee)
        DELETE FROM payee USING gone WHERE payee.payee_ref = gone.payee_ref
        """,
        kept_from,
        sorted(PAID),
        None if need_ids is None else list(need_ids),
    )
    return int(result.split()[-1])


async def is_erased(conn: asyncpg.Connection, need_id: NeedId) -> bool:
    """Whether whom a need was for was erased."""
    return bool(
        await conn.fetchval("SELECT EXISTS (SELECT FROM erased_need WHERE need_id = $1)", need_id)
    )


async def erased_among(conn: asyncpg.Connection, payees: Mapping[str, str | None]) -> list[str]:
    """Of these payees, each with its need as far as known, those who were erased.

    A need's tombstone names only the last of its payees.
    """
    rows = await conn.fetch(
        """
        SELECT n.payee_ref FROM unnest($1::text[], $2::text[]) AS n (payee_ref, need_id)
        WHERE n.need_id IN (SELECT need_id::text FROM erased_need)
           OR n.payee_ref IN (SELECT payee_ref::text FROM erased_need WHERE payee_ref IS NOT NULL)
        """,
        list(payees),
        list(payees.values()),
    )
    return [row["payee_ref"] for row in rows]
