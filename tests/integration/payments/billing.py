"""Bills of providers, as somebody enters them, and what the ledger says was spent."""

from collections.abc import Mapping
from datetime import date
from uuid import UUID, uuid4

from aidmesh_chassis.db import Tx
from aidmesh_contracts.ids import CommitmentId
from aidmesh_payments.handlers import bills
from integration.payments.offices import MAKER, Desk


async def bill(
    desk: Desk, tx: Tx, commitment_id: CommitmentId, amount_minor: int, by: UUID = MAKER
) -> UUID:
    """Enter what a hotel charges; the bill's id. Raises `Problem`."""
    bill_id = uuid4()
    await bills.enter(desk.office, tx, bill_id, commitment_id, amount_minor, "hotel_bill", by)
    return bill_id


async def spent_by_day(desk: Desk) -> Mapping[date, int]:
    """What the ledger says was spent, by the day that it counts for."""
    async with desk.db.read() as conn:
        rows = await conn.fetch(
            """
            SELECT j.occurred_on, sum(p.amount_minor)::bigint AS spent
            FROM journal j JOIN posting p ON p.journal_id = j.id
            JOIN account a ON a.id = p.account_id
            WHERE a.code = 'spent' GROUP BY j.occurred_on
            """
        )
    return {row["occurred_on"]: row["spent"] for row in rows}
