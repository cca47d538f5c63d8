"""Facts that do not fit the books, until a person settles them."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Literal, NamedTuple
from uuid import UUID

import asyncpg

from aidmesh_contracts.ids import CommitmentId, NeedId


class Discrepancy(NamedTuple):
    """A fact that does not fit the books."""

    id: UUID
    about: str
    need_id: NeedId
    programme: str
    amount_minor: int
    currency: str
    occurred_on: date
    cost_category: str | None
    commitment_id: CommitmentId | None


async def open_discrepancies(
    conn: asyncpg.Connection, discrepancies: Sequence[Discrepancy]
) -> None:
    """Open what a person has to settle; once by id."""
    if discrepancies:
        await conn.execute(
            """
            INSERT INTO discrepancy (id, about, need_id, programme, amount_minor, currency,
                                     occurred_on, cost_category, commitment_id)
            SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::bigint[],
                $6::text[], $7::date[], $8::text[], $9::uuid[])
            ON CONFLICT (id) DO NOTHING
            """,
            *(list(column) for column in zip(*discrepancies, strict=True)),
        )


async def asked_about(
    conn: asyncpg.Connection,
    about: Literal["withdrawn_after_export"],
    commitment_ids: Iterable[CommitmentId],
) -> set[CommitmentId]:
    """Of commitments whose needs are locked: those about which a person is being asked that."""
    rows = await conn.fetch(
        """
        SELECT commitment_id FROM discrepancy
        WHERE commitment_id = ANY($1::uuid[]) AND about = $2 AND settled_at IS NULL
        """,
        list(set(commitment_ids)),
        about,
    )
    return {CommitmentId(row["commitment_id"]) for row in rows}


async def need_of_discrepancy(conn: asyncpg.Connection, discrepancy_id: UUID) -> NeedId | None:
    """The need that a discrepancy is about, without locking it; None if there is no such."""
    found = await conn.fetchval("SELECT need_id FROM discrepancy WHERE id = $1", discrepancy_id)
    return None if found is None else NeedId(found)


async def lock_discrepancy(
    conn: asyncpg.Connection, discrepancy_id: UUID
) -> tuple[Discrepancy, bool] | None:
    """Lock one; returns it and whether it is still open."""
    row = await conn.fetchrow(
        "SELECT * FROM discrepancy WHERE id = $1 FOR NO KEY UPDATE", discrepancy_id
    )
    if row is None:
        return None
    fields = {name: row[name] for name in Discrepancy._fields}
    return Discrepancy(**fields), row["settled_at"] is None


async def settle_discrepancy(
    conn: asyncpg.Connection,
    discrepancy_id: UUID,
    by: UUID,
    note: str,
    booked_on: CommitmentId | None,
) -> None:
    """Close one.

    Args:
        booked_on: what bears it beside the commitment that it is about.
    """
    await conn.execute(
        """
        UPDATE discrepancy SET settled_at = now(), settled_by = $2, note = $3, booked_on = $4
        WHERE id = $1
        """,
        discrepancy_id,
        by,
        note,
        booked_on,
    )


async def booked_late(
    conn: asyncpg.Connection, commitment_ids: Iterable[CommitmentId]
) -> dict[CommitmentId, CommitmentId]:
    """Of commitments whose needs are locked: what bears the nights that they lacked."""
    rows = await conn.fetch(
        """
        SELECT late.* FROM (
            SELECT DISTINCT ON (booked_on) booked_on, commitment_id FROM discrepancy
            WHERE booked_on IN (SELECT booked_on FROM discrepancy
                                WHERE commitment_id = ANY($1::uuid[]))
            ORDER BY booked_on, settled_at DESC
        ) late WHERE late.commitment_id = ANY($1::uuid[])
        """,
        list(set(commitment_ids)),
    )
    return {CommitmentId(row["commitment_id"]): CommitmentId(row["booked_on"]) for row in rows}


async def close_settlements(
    conn: asyncpg.Connection, commitment_ids: Iterable[CommitmentId], note: str
) -> None:
    """Close what stays lacked whose check-in or settlement does not hold any more."""
    await conn.execute(
        """
        UPDATE discrepancy SET settled_at = now(), note = $2
        WHERE commitment_id = ANY($1::uuid[]) AND about IN ('longer_stay', 'late_service')
          AND settled_at IS NULL
        """,
        list(set(commitment_ids)),
        note,
    )


async def close_facts(conn: asyncpg.Connection, need_ids: Iterable[NeedId], note: str) -> None:
    """Close what no allotment could bear for facts of these needs; nobody settles it any more."""
    await conn.execute(
        """
        UPDATE discrepancy SET settled_at = now(), note = $2
        WHERE need_id = ANY($1::uuid[]) AND about IN ('no_money', 'longer_stay')
          AND settled_at IS NULL
        """,
        list(set(need_ids)),
        note,
    )


async def close_of_spendings(
    conn: asyncpg.Connection,
    about: Literal["outside_period", "withdrawn_after_export"],
    commitment_ids: Iterable[CommitmentId],
    note: str,
) -> None:
    """Close what was asked about commitments and is known now, or is no question any more."""
    await conn.execute(
        """
        UPDATE discrepancy SET settled_at = now(), note = $3
        WHERE commitment_id = ANY($1::uuid[]) AND about = $2 AND settled_at IS NULL
        """,
        list(set(commitment_ids)),
        about,
        note,
    )
