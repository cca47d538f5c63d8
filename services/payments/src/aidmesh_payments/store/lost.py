"""Regions declared lost, and what was taken back from them."""

from collections.abc import Collection
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from aidmesh_contracts.ids import AllotmentId, GrantId, TransferId
from aidmesh_payments.domain.fencing import Known

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
