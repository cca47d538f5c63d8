"""Regions declared lost, what was taken back from them, and what this region owes since."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from aidmesh_contracts.ids import AllotmentId, GrantId, TransferId
from aidmesh_payments.domain.fencing import Known, Return

SHOWN_MAX: Final = 500
"""How much of each list is shown; one more is read, so that what is left out is known."""


class Declaration(NamedTuple):
    """What a lead asks another one to confirm."""

    id: UUID
    region: str
    reason: str
    asked_by: UUID


async def ask(conn: asyncpg.Connection, declared: Declaration) -> bool:
    """Keep a declaration until another lead decides; False when there is an open one."""
    return bool(
        await conn.fetchval(
            """
            INSERT INTO lost_declaration (id, region, reason, asked_by) VALUES ($1, $2, $3, $4)
            ON CONFLICT (region) WHERE state = 'asked' DO NOTHING RETURNING true
            """,
            *declared,
        )
    )


async def lock_asked(conn: asyncpg.Connection, region: str) -> Declaration | None:
    """Lock the open declaration about a region."""
    row = await conn.fetchrow(
        """
        SELECT id, region, reason, asked_by FROM lost_declaration
        WHERE region = $1 AND state = 'asked' FOR NO KEY UPDATE
        """,
        region,
    )
    return None if row is None else Declaration(*row)


async def decide(conn: asyncpg.Connection, declared_id: UUID, state: str, by: UUID) -> None:
    """Close a declaration."""
    await conn.execute(
        """
        UPDATE lost_declaration SET state = $2, decided_by = $3, decided_at = now() WHERE id = $1
        """,
        declared_id,
        state,
        by,
    )


async def asked(conn: asyncpg.Connection) -> list[asyncpg.Record]:
    """Declarations that wait for a second lead."""
    rows: list[asyncpg.Record] = await conn.fetch(
        """
        SELECT region, reason, asked_by, asked_at FROM lost_declaration
        WHERE state = 'asked' ORDER BY asked_at, region LIMIT $1
        """,
        SHOWN_MAX + 1,
    )
    return rows


class Held(NamedTuple):
    """An allotment that a lost region holds of us, and what it last told of it.

    Attributes:
        taken_minor: what was taken back already by these figures, or by earlier ones.
    """

    id: AllotmentId
    grant_id: GrantId
    holder: str
    currency: str
    outstanding_minor: int
    known: Known | None
    as_of: datetime | None
    taken_minor: int


async def held_by(
    conn: asyncpg.Connection, region: str, ids: Collection[AllotmentId] | None = None
) -> list[Held]:
    """Our allotments that a region holds, or these of them.

    What has come back whole by its own word is not among them.
    """
    rows = await conn.fetch(
        """
        SELECT m.id, m.grant_id, m.holder, m.currency,
               m.amount_minor - m.returned_minor AS outstanding_minor,
               e.received_minor, e.returned_minor, e.held_minor, e.committed_minor, e.spent_minor,
               e.as_of, COALESCE(r.taken_minor, 0)::bigint AS taken_minor
        FROM grant_allotment m
        LEFT JOIN allotment_elsewhere e ON e.allotment_id = m.id AND e.holder = m.holder
        LEFT JOIN LATERAL (
            SELECT count(*) AS fences, sum(r.amount_minor) FILTER (
                       WHERE COALESCE(r.figures_as_of, r.booked_at) >= e.as_of) AS taken_minor
            FROM reissue r WHERE r.allotment_id = m.id) r ON true
        WHERE m.holder = $1 AND (m.amount_minor > m.returned_minor OR r.fences > 0)
          AND ($2::uuid[] IS NULL OR m.id = ANY($2))
        ORDER BY m.id
        """,
        region,
        None if ids is None else list(ids),
    )
    return [
        Held(
            AllotmentId(row["id"]),
            GrantId(row["grant_id"]),
            row["holder"],
            row["currency"],
            row["outstanding_minor"],
            None
            if row["as_of"] is None
            else Known(
                row["received_minor"],
                row["returned_minor"],
                row["held_minor"],
                row["committed_minor"],
                row["spent_minor"],
            ),
            row["as_of"],
            row["taken_minor"],
        )
        for row in rows
    ]


async def note_reissue(
    conn: asyncpg.Connection,
    allotment_id: AllotmentId,
    holder: str,
    epoch: int,
    amount_minor: int,
    figures_as_of: datetime | None,
) -> bool:
    """Remember what was taken back for an epoch; False when that was done already.

    Args:
        figures_as_of: when the holder told them; None where it told none, or that is forgotten.
    """
    return bool(
        await conn.fetchval(
            """
            INSERT INTO reissue (allotment_id, epoch, holder, amount_minor, figures_as_of)
            VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING true
            """,
            allotment_id,
            epoch,
            holder,
            amount_minor,
            figures_as_of,
        )
    )


async def reissued_for(
    conn: asyncpg.Connection, ids: Collection[AllotmentId]
) -> dict[UUID, set[int]]:
    """At the grantor: for which epochs of its holder each of these was fenced."""
    rows = await conn.fetch(
        """
        SELECT allotment_id, array_agg(epoch) AS epochs FROM reissue
        WHERE allotment_id = ANY($1::uuid[]) GROUP BY 1
        """,
        list(ids),
    )
    return {row["allotment_id"]: set(row["epochs"]) for row in rows}


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


async def reissues(conn: asyncpg.Connection) -> list[asyncpg.Record]:
    """What was taken back from lost regions, the newest first."""
    rows: list[asyncpg.Record] = await conn.fetch(
        """
        SELECT r.allotment_id, r.epoch, r.holder, r.amount_minor, m.currency, r.figures_as_of,
               r.booked_at
        FROM reissue r JOIN grant_allotment m ON m.id = r.allotment_id
        ORDER BY r.booked_at DESC, r.allotment_id LIMIT $1
        """,
        SHOWN_MAX + 1,
    )
    return rows


async def told_transfers(
    conn: asyncpg.Connection, allotment_id: AllotmentId
) -> tuple[TransferId, ...]:
    """The returns of an allotment that were credited."""
    rows = await conn.fetch(
        "SELECT id FROM transfer WHERE allotment_id = $1 AND kind = 'return' ORDER BY id",
        allotment_id,
    )
    return tuple(TransferId(row["id"]) for row in rows)
