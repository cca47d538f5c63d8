"""Cash that was given up as not collected, and was paid all the same."""

from collections.abc import Iterable

import asyncpg

from aidmesh_contracts.ids import CommitmentId, NeedId, PayoutId
from aidmesh_payments.domain.allotments import Allotment
from aidmesh_payments.domain.payout import NOT_COLLECTED
from aidmesh_payments.store import payouts
from aidmesh_payments.store.payouts import PayoutRow


async def uncollected_of_needs(
    conn: asyncpg.Connection, need_ids: Iterable[NeedId]
) -> dict[NeedId, PayoutId]:
    """Return each need's newest cash that was given up because nobody fetched it."""
    rows = await conn.fetch(
        """
        SELECT need_id, id FROM payout
        WHERE need_id = ANY($1::uuid[]) AND state = 'cancelled' AND reason = $2
        ORDER BY recorded_at, id
        """,
        list(set(need_ids)),
        NOT_COLLECTED,
    )
    return {NeedId(row["need_id"]): PayoutId(row["id"]) for row in rows}


async def lock_settled_of(
    conn: asyncpg.Connection, commitment_id: CommitmentId
) -> PayoutRow | None:
    """Lock the payout by which a commitment was paid; None when there is none."""
    found = await conn.fetchval(
        "SELECT id FROM payout WHERE commitment_id = $1 AND state = 'settled'", commitment_id
    )
    return None if found is None else (await payouts.lock(conn, [found]))[found]


async def move(conn: asyncpg.Connection, payout_id: PayoutId, to: Allotment) -> None:
    """Have a locked payout borne by another allotment, as its commitment is."""
    await conn.execute("UPDATE payout SET allotment_id = $2 WHERE id = $1", payout_id, to.id)


async def close_unpaid(conn: asyncpg.Connection, commitment_id: CommitmentId, note: str) -> None:
    """Close what was paid without money and came back."""
    await conn.execute(
        """
        UPDATE discrepancy SET settled_at = now(), note = $2
        WHERE commitment_id = $1 AND about IN ('no_money', 'paid_twice') AND settled_at IS NULL
        """,
        commitment_id,
        note,
    )
