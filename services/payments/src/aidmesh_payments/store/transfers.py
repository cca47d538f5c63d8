"""Money on its way between the two ends of an allotment, and what may overtake it: recalls."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from aidmesh_contracts.ids import AllotmentId, TransferId


async def insert_transfer(
    conn: asyncpg.Connection,
    transfer_id: TransferId,
    kind: str,
    allotment_id: AllotmentId,
    from_region: str,
    to_region: str,
    amount_minor: int,
    currency: str,
    state: str,
    granted_minor: int | None = None,
    epoch: int = 1,
    fences: Sequence[int] | None = None,
) -> bool:
    """Record a transfer; False when it is known already.

    Args:
        epoch: of the sender.
        fences: that the sender of a return had heard of; None where it does not matter.
    """
    return bool(
        await conn.fetchval(
            """
            INSERT INTO transfer (id, kind, allotment_id, from_region, to_region, amount_minor,
                                  currency, state, granted_minor, epoch, fences)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
            ON CONFLICT (id) DO NOTHING RETURNING true
            """,
            transfer_id,
            kind,
            allotment_id,
            from_region,
            to_region,
            amount_minor,
            currency,
            state,
            granted_minor,
            epoch,
            fences,
        )
    )


async def amount_of(conn: asyncpg.Connection, transfer_id: TransferId) -> int | None:
    """What a transfer moved, in minor units of its currency; None for one that is not known."""
    amount_minor: int | None = await conn.fetchval(
        "SELECT amount_minor FROM transfer WHERE id = $1", transfer_id
    )
    return amount_minor


async def known(conn: asyncpg.Connection, transfer_ids: Sequence[TransferId]) -> set[UUID]:
    """Those of these transfers that were recorded before."""
    rows = await conn.fetch("SELECT id FROM transfer WHERE id = ANY($1::uuid[])", transfer_ids)
    return {row["id"] for row in rows}


async def arrive(conn: asyncpg.Connection, transfer_id: TransferId, region: str) -> bool | None:
    """Take a transfer that was sent to a region out of transit.

    Returns:
        False when it is out already, None when nothing was sent there so.
    """
    row = await conn.fetchrow(
        "SELECT state FROM transfer WHERE id = $1 AND to_region = $2 FOR NO KEY UPDATE",
        transfer_id,
        region,
    )
    if row is None:
        return None
    if row["state"] == "received":
        return False
    await conn.execute(
        "UPDATE transfer SET state = 'received', arrived_at = clock_timestamp() WHERE id = $1",
        transfer_id,
    )
    return True


async def count_returns(conn: asyncpg.Connection, allotment_id: AllotmentId) -> int:
    """Return how often money of an allotment went back."""
    count: int = await conn.fetchval(
        "SELECT count(*) FROM transfer WHERE allotment_id = $1 AND kind = 'return'", allotment_id
    )
    return count


async def remember_recall(
    conn: asyncpg.Connection, allotment_id: AllotmentId, grantor: str, reason: str
) -> None:
    """Keep a recall, which may have overtaken the money."""
    await conn.execute(
        """
        INSERT INTO recall (allotment_id, grantor, reason) VALUES ($1, $2, $3)
        ON CONFLICT (allotment_id) DO NOTHING
        """,
        allotment_id,
        grantor,
        reason,
    )


async def is_recalled(conn: asyncpg.Connection, allotment_id: AllotmentId) -> bool:
    """Whether its grantor asked for this allotment back."""
    return bool(
        await conn.fetchval(
            "SELECT EXISTS (SELECT FROM recall WHERE allotment_id = $1)", allotment_id
        )
    )
