"""Proposals of grantors as the holder has them, and whoever would get the money."""

from datetime import datetime

import asyncpg

from aidmesh_contracts.ids import AllotmentId, GrantId, RebalancingId
from aidmesh_contracts.payments_rebalancing import RebalancingChangedV1
from aidmesh_payments.domain.rebalancing import Ask, return_id


def _ask(row: asyncpg.Record) -> Ask:
    return Ask(
        id=RebalancingId(row["id"]),
        grant_id=GrantId(row["grant_id"]),
        allotment_id=AllotmentId(row["allotment_id"]),
        grantor=row["grantor"],
        to_region=row["to_region"],
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        reason=row["reason"],
        lapses_at=row["lapses_at"],
        state=row["state"],
        prepared_minor=row["prepared_minor"],
        preparer=row["prepared_by"],
        decider=row["decided_by"],
        answer_reason=row["answer_reason"],
        version=row["version"],
    )


async def put(
    conn: asyncpg.Connection, told: RebalancingChangedV1, told_at: datetime, *, is_holder: bool
) -> bool:
    """Keep what a grantor tells of a proposal; the highest version wins.

    Args:
        told_at: when it said so.
        is_holder: the own region decides.

    Returns:
        whether it is the grantor's proposal; nothing is kept of what others say of it.
    """
    kept = await conn.fetchval(
        """
        INSERT INTO return_ask AS old (id, grant_id, allotment_id, grantor, holder, to_region,
            amount_minor, currency, reason, lapses_at, told_state, told_version, state,
            told_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
        ON CONFLICT (id) DO UPDATE SET
            told_state = CASE WHEN excluded.told_version > old.told_version
                              THEN excluded.told_state ELSE old.told_state END,
            told_at = CASE WHEN excluded.told_version > old.told_version
                           THEN excluded.told_at ELSE old.told_at END,
            told_version = greatest(excluded.told_version, old.told_version),
            changed_at = clock_timestamp()
        WHERE (old.grantor, old.holder, old.allotment_id)
              = (excluded.grantor, excluded.holder, excluded.allotment_id)
        RETURNING true
        """,
        told.rebalancing_id,
        told.grant_id,
        told.allotment_id,
        told.grantor,
        told.holder,
        told.to_region,
        told.amount_minor,
        told.currency,
        told.reason,
        told.lapses_at,
        told.state,
        told.version,
        "asked" if is_holder else None,
        told_at,
    )
    return kept is not None


async def allotment_of(
    conn: asyncpg.Connection, rebalancing_id: RebalancingId
) -> AllotmentId | None:
    """The allotment that is asked for, without locking anything; None if this region has none."""
    found = await conn.fetchval(
        "SELECT allotment_id FROM return_ask WHERE id = $1 AND state IS NOT NULL", rebalancing_id
    )
    return None if found is None else AllotmentId(found)


async def lock(conn: asyncpg.Connection, rebalancing_id: RebalancingId) -> Ask | None:
    """Lock what this region is asked for; its allotment is locked before."""
    row = await conn.fetchrow(
        "SELECT * FROM return_ask WHERE id = $1 AND state IS NOT NULL FOR NO KEY UPDATE",
        rebalancing_id,
    )
    return None if row is None else _ask(row)


async def save(conn: asyncpg.Connection, ask: Ask) -> None:
    """Write what was decided about a locked ask."""
    await conn.execute(
        """
        UPDATE return_ask SET state = $2, prepared_minor = $3, prepared_by = $4, decided_by = $5,
               answer_reason = $6, version = $7, return_id = $8, changed_at = clock_timestamp()
        WHERE id = $1
        """,
        ask.id,
        ask.state,
        ask.prepared_minor,
        ask.preparer,
        ask.decider,
        ask.answer_reason,
        ask.version,
        return_id(ask.id) if ask.state == "returned" else None,
    )


async def lapsed(conn: asyncpg.Connection, limit: int) -> list[tuple[RebalancingId, AllotmentId]]:
    """Find asks that nobody consented to in time."""
    rows = await conn.fetch(
        """
        SELECT id, allotment_id FROM return_ask
        WHERE state IN ('asked', 'prepared') AND lapses_at <= clock_timestamp()
        ORDER BY id LIMIT $1
        """,
        limit,
    )
    return [(RebalancingId(row["id"]), AllotmentId(row["allotment_id"])) for row in rows]
