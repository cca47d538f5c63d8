"""Proposals to move money, at their grantor. Whoever changes one has locked its grant."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import asyncpg

from aidmesh_contracts.ids import AllotmentId, GrantId, RebalancingId
from aidmesh_payments.domain.rebalancing import Proposal, return_id, sending_id


def _proposal(row: asyncpg.Record) -> Proposal:
    return Proposal(
        id=RebalancingId(row["id"]),
        grant_id=GrantId(row["grant_id"]),
        allotment_id=AllotmentId(row["allotment_id"]),
        holder=row["holder"],
        to_region=row["to_region"],
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        reason=row["reason"],
        lapses_at=row["lapses_at"],
        proposer=row["proposed_by"],
        signer=row["signed_by"],
        state=row["state"],
        answer_version=row["answer_version"],
        prepared_minor=row["prepared_minor"],
        answer_reason=row["answer_reason"],
        returned_minor=row["returned_minor"],
        credited_minor=row["credited_minor"],
        hindrance=row["hindrance"],
        version=row["version"],
    )


async def insert(conn: asyncpg.Connection, proposal: Proposal) -> None:
    """Write a new proposal."""
    await conn.execute(
        """
        INSERT INTO rebalancing (id, grant_id, allotment_id, holder, to_region, amount_minor,
                                 currency, reason, lapses_at, proposed_by)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        """,
        proposal.id,
        proposal.grant_id,
        proposal.allotment_id,
        proposal.holder,
        proposal.to_region,
        proposal.amount_minor,
        proposal.currency,
        proposal.reason,
        proposal.lapses_at,
        proposal.proposer,
    )


async def read(conn: asyncpg.Connection, ids: Iterable[UUID]) -> dict[RebalancingId, Proposal]:
    """Return proposals, in order of id; lock their grants and read them again to change them."""
    rows = await conn.fetch(
        "SELECT * FROM rebalancing WHERE id = ANY($1::uuid[]) ORDER BY id", list(set(ids))
    )
    return {RebalancingId(row["id"]): _proposal(row) for row in rows}


async def save(conn: asyncpg.Connection, proposal: Proposal) -> None:
    """Write the state of a proposal, with the transfers that its money has made."""
    await conn.execute(
        """
        UPDATE rebalancing SET state = $2, signed_by = $3, answer_version = $4,
               prepared_minor = $5, answer_reason = $6, returned_minor = $7, credited_minor = $8,
               hindrance = $9, return_id = $10, sending_id = $11, version = $12,
               changed_at = clock_timestamp()
        WHERE id = $1
        """,
        proposal.id,
        proposal.state,
        proposal.signer,
        proposal.answer_version,
        proposal.prepared_minor,
        proposal.answer_reason,
        proposal.returned_minor,
        proposal.credited_minor,
        proposal.hindrance,
        None if proposal.returned_minor is None else return_id(proposal.id),
        sending_id(proposal.id) if proposal.state == "moved" else None,
        proposal.version,
    )


async def note_answered(
    conn: asyncpg.Connection, rebalancing_id: RebalancingId, said_at: datetime
) -> None:
    """Note when the holder said what is known of it."""
    await conn.execute(
        "UPDATE rebalancing SET answered_at = $2 WHERE id = $1", rebalancing_id, said_at
    )


async def due(conn: asyncpg.Connection, limit: int) -> list[RebalancingId]:
    """Find proposals whose money is back and may go on."""
    rows = await conn.fetch(
        """
        SELECT id FROM rebalancing
        WHERE state = 'returned' AND signed_by IS NOT NULL AND hindrance IS NULL
        ORDER BY id LIMIT $1
        """,
        limit,
    )
    return [RebalancingId(row["id"]) for row in rows]
