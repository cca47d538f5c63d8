"""Cash that was cancelled, and was paid all the same."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime

import asyncpg

from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import CommitmentId, NeedId, PayoutId
from aidmesh_payments.domain.allotments import Allotment
from aidmesh_payments.domain.payout import LIVE
from aidmesh_payments.domain.settling import Candidate
from aidmesh_payments.store import payouts
from aidmesh_payments.store.payouts import PayoutRow


async def candidates_of_needs(
    conn: asyncpg.Connection, need_ids: Iterable[NeedId]
) -> Mapping[NeedId, Sequence[Candidate]]:
    """Return each need's payouts that are not over, and cash that was cancelled."""
    rows = await conn.fetch(
        """
        SELECT p.need_id, p.id, LEAST(c.collect_from, b.exported_at) AS offered_at,
               p.settled_on, p.given_up_at
        FROM payout p
        JOIN commitment c ON c.id = p.commitment_id
        LEFT JOIN payout_batch b ON b.id = p.batch_id
        WHERE p.need_id = ANY($1::uuid[])
          AND (p.state = ANY($2::text[]) OR (p.state = 'cancelled' AND p.mechanism = 'cash'))
        """,
        list(set(need_ids)),
        sorted(LIVE),
    )
    found: dict[NeedId, list[Candidate]] = defaultdict(list)
    for row in rows:
        settled_on = row["settled_on"]
        candidate = Candidate(
            PayoutId(row["id"]),
            offered_on=_day(row["offered_at"]) or settled_on,
            ended_on=settled_on or _day(row["given_up_at"]),
        )
        found[NeedId(row["need_id"])].append(candidate)
    return found


def _day(at: datetime | None) -> date | None:
    return None if at is None else day_of(at)


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
