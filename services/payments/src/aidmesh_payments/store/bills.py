"""What providers charge."""

from dataclasses import dataclass
from uuid import UUID

import asyncpg

from aidmesh_contracts.ids import CommitmentId
from aidmesh_payments.domain.bill import Bill


@dataclass(frozen=True, slots=True)
class BillRow:
    """A bill and what it is for."""

    id: UUID
    commitment_id: CommitmentId
    bill: Bill


async def find(conn: asyncpg.Connection, bill_id: UUID) -> CommitmentId | None:
    """Return what a bill is for, which never changes; lock it first."""
    found: UUID | None = await conn.fetchval(
        "SELECT commitment_id FROM provider_bill WHERE id = $1", bill_id
    )
    return None if found is None else CommitmentId(found)


async def lock(conn: asyncpg.Connection, bill_id: UUID) -> BillRow | None:
    """Lock a bill; its commitment is locked before, if it is at all."""
    row = await conn.fetchrow(
        "SELECT * FROM provider_bill WHERE id = $1 FOR NO KEY UPDATE", bill_id
    )
    if row is None:
        return None
    bill = Bill(row["amount_minor"], row["reason"], row["biller"], row["state"], row["decided_by"])
    return BillRow(row["id"], CommitmentId(row["commitment_id"]), bill)


async def insert(conn: asyncpg.Connection, row: BillRow) -> None:
    """Write a new bill of a locked commitment; one that waited is withdrawn by whoever enters it.

    A commitment's last bill counts.
    """
    await conn.execute(
        """
        UPDATE provider_bill SET state = 'withdrawn', decided_by = $2,
               decided_at = clock_timestamp()
        WHERE commitment_id = $1 AND state = 'waiting'
        """,
        row.commitment_id,
        row.bill.biller,
    )
    await conn.execute(
        """
        INSERT INTO provider_bill (id, commitment_id, amount_minor, reason, state, biller,
                                   decided_by, decided_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7,
                CASE WHEN $5 <> 'waiting' THEN clock_timestamp() END)
        """,
        row.id,
        row.commitment_id,
        row.bill.amount_minor,
        row.bill.reason,
        row.bill.state,
        row.bill.biller,
        row.bill.decided_by,
    )


async def decide(conn: asyncpg.Connection, row: BillRow) -> None:
    """Write what became of a locked bill that waited."""
    await conn.execute(
        """
        UPDATE provider_bill SET state = $2, decided_by = $3, decided_at = clock_timestamp()
        WHERE id = $1
        """,
        row.id,
        row.bill.state,
        row.bill.decided_by,
    )
