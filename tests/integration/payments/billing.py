"""Bills of providers, as somebody enters them."""

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
