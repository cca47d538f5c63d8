"""What this region owes since it was held for lost, and what it gave back in vain until then."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import asyncpg

from aidmesh_contracts.ids import AllotmentId, TransferId
from aidmesh_payments.domain.fencing import Return
from aidmesh_payments.store.lost import SHOWN_MAX


async def known_fences(conn: asyncpg.Connection, allotment_id: AllotmentId) -> tuple[int, ...]:
    """At the holder: the epochs of its own that it knows to be fenced for an allotment."""
    rows = await conn.fetch(
        "SELECT epoch FROM taken_back WHERE allotment_id = $1 AND epoch > 0 ORDER BY epoch",
        allotment_id,
    )
    return tuple(row["epoch"] for row in rows)


async def returns(conn: asyncpg.Connection, allotment_id: AllotmentId) -> list[Return]:
    """What went back of an allotment, and was told anew, as this end has it."""
    rows = await conn.fetch(
        """
        SELECT id, amount_minor, epoch, state = 'received' AS settled, fences FROM transfer
        WHERE allotment_id = $1 AND kind = 'return'
        UNION ALL
        SELECT id, amount_minor, epoch, settled, fences FROM told_return WHERE allotment_id = $1
        """,
        allotment_id,
    )
    return [Return(*row) for row in rows]


async def owe(
    conn: asyncpg.Connection,
    allotment_id: AllotmentId,
    epoch: int,
    amount_minor: int,
    owed_minor: int,
    untold_minor: int,
) -> bool:
    """Keep what is owed since a fence; False when it was heard before."""
    return bool(
        await conn.fetchval(
            """
            INSERT INTO taken_back (allotment_id, epoch, amount_minor, owed_minor, untold_minor)
            VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING true
            """,
            allotment_id,
            epoch,
            amount_minor,
            owed_minor,
            untold_minor,
        )
    )


async def owe_returned(
    conn: asyncpg.Connection, allotment_id: AllotmentId, amount_minor: int
) -> None:
    """Keep what its grantor has back by its own word, and what this region has not given back."""
    await conn.execute(
        """
        INSERT INTO taken_back AS t (allotment_id, epoch, amount_minor, owed_minor)
        VALUES ($1, 0, $2, $2)
        ON CONFLICT (allotment_id, epoch) DO UPDATE
        SET amount_minor = t.amount_minor + excluded.amount_minor,
            owed_minor = t.owed_minor + excluded.owed_minor
        """,
        allotment_id,
        amount_minor,
    )


async def settle_returns(conn: asyncpg.Connection, ids: Collection[object]) -> None:
    """These are accounted for by what was taken back; nobody will credit them."""
    for statement in (
        "UPDATE transfer SET state = 'received' WHERE id = ANY($1::uuid[])",
        "UPDATE told_return SET settled = true WHERE id = ANY($1::uuid[])",
    ):
        await conn.execute(statement, list(ids))


async def tell_return(
    conn: asyncpg.Connection,
    transfer_id: TransferId,
    allotment_id: AllotmentId,
    amount_minor: int,
    epoch: int,
    fences: Sequence[int],
) -> None:
    """Remember what is told anew, and with which fences in mind."""
    await conn.execute(
        """
        INSERT INTO told_return (id, allotment_id, amount_minor, epoch, fences)
        VALUES ($1, $2, $3, $4, $5)
        """,
        transfer_id,
        allotment_id,
        amount_minor,
        epoch,
        fences,
    )


async def pay_off(conn: asyncpg.Connection, allotment_id: AllotmentId, amount_minor: int) -> int:
    """Use up to so much for what is owed, the oldest first; returns how much that was."""
    paid: int = await conn.fetchval(
        """
        WITH owed AS (
            SELECT epoch, owed_minor FROM taken_back WHERE allotment_id = $1 AND owed_minor > 0
            ORDER BY epoch FOR NO KEY UPDATE),
        part AS (
            SELECT epoch, least(owed_minor, $2::bigint - COALESCE(sum(owed_minor) OVER (
                ORDER BY epoch ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)) AS minor
            FROM owed),
        paid AS (
            UPDATE taken_back t SET owed_minor = t.owed_minor - p.minor FROM part p
            WHERE t.allotment_id = $1 AND t.epoch = p.epoch AND p.minor > 0
            RETURNING p.minor)
        SELECT COALESCE(sum(minor), 0)::bigint FROM paid
        """,
        allotment_id,
        amount_minor,
    )
    return paid


async def keep_untold(
    conn: asyncpg.Connection, allotment_id: AllotmentId, epoch: int, amount_minor: int
) -> bool:
    """Money given back in an epoch that counts no more is told later; False if it counts."""
    return bool(
        await conn.fetchval(
            """
            UPDATE taken_back SET untold_minor = untold_minor + $3
            WHERE allotment_id = $1
              AND epoch = (SELECT max(epoch) FROM taken_back
                           WHERE allotment_id = $1 AND epoch >= $2)
            RETURNING true
            """,
            allotment_id,
            epoch,
            amount_minor,
        )
    )


async def pay_off_untold(
    conn: asyncpg.Connection, allotment_id: AllotmentId, epoch: int, untold_minor: int
) -> None:
    """Set what was given back in vain by this fence against what is owed since earlier ones."""
    paid_minor = await pay_off(conn, allotment_id, untold_minor)
    await conn.execute(
        """
        UPDATE taken_back SET untold_minor = untold_minor - $3
        WHERE allotment_id = $1 AND epoch = $2
        """,
        allotment_id,
        epoch,
        paid_minor,
    )


async def untold_of(conn: asyncpg.Connection, allotment_id: AllotmentId) -> list[tuple[int, int]]:
    """What of an allotment was given back in vain and is still to be told, by fence."""
    rows = await conn.fetch(
        """
        SELECT epoch, untold_minor FROM taken_back
        WHERE allotment_id = $1 AND untold_minor > 0 ORDER BY epoch FOR NO KEY UPDATE
        """,
        allotment_id,
    )
    return [(row["epoch"], row["untold_minor"]) for row in rows]


async def told_is_booked(conn: asyncpg.Connection, transfer_id: TransferId) -> bool:
    """The grantor has credited what was told anew; False when nothing was told so."""
    return bool(
        await conn.fetchval(
            "UPDATE told_return SET settled = true WHERE id = $1 RETURNING true", transfer_id
        )
    )


class Untold(NamedTuple):
    """Money that was given back in vain."""

    allotment_id: AllotmentId
    epoch: int
    amount_minor: int
    currency: str
    grantor: str


async def take_untold(conn: asyncpg.Connection, epoch: int, limit: int) -> Sequence[Untold]:
    """What was given back in vain before this epoch; now told."""
    rows = await conn.fetch(
        """
        WITH due AS (
            SELECT allotment_id, epoch, untold_minor FROM taken_back
            WHERE untold_minor > 0 AND epoch < $1 ORDER BY 1, 2 LIMIT $2 FOR NO KEY UPDATE)
        UPDATE taken_back t SET untold_minor = 0 FROM due d, allotment a
        WHERE t.allotment_id = d.allotment_id AND t.epoch = d.epoch AND a.id = d.allotment_id
        RETURNING t.allotment_id, t.epoch, d.untold_minor, a.currency, a.grantor
        """,
        epoch,
        limit,
    )
    return [Untold(*row) for row in rows]


async def owed(conn: asyncpg.Connection) -> list[asyncpg.Record]:
    """What this region owes since it was held for lost, by allotment; the most first."""
    rows: list[asyncpg.Record] = await conn.fetch(
        """
        SELECT t.allotment_id, a.grantor, a.currency, sum(t.owed_minor)::bigint AS owed_minor
        FROM taken_back t JOIN allotment a ON a.id = t.allotment_id
        WHERE t.owed_minor > 0 GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1 LIMIT $1
        """,
        SHOWN_MAX + 1,
    )
    return rows
