"""The region's other services are told how much is waited for: totals, never single needs."""

from aidmesh_chassis.db import Tx
from aidmesh_contracts.intake import WaitingChangedV1
from aidmesh_intake.store import totals


async def tell_waiting(tx: Tx) -> int:
    """Tell of goods and money of which more or less is waited for than was told. A sweep."""
    rows = await totals.take_untold(tx.conn)
    for row in rows:
        tx.emit(
            WaitingChangedV1(
                waiting_key=row["key"],
                resource=row["resource"],
                code=row["code"],
                site_id=row["site_id"],
                area=row["area"],
                sensitive=row["sensitive"],
                needs=row["needs"],
                quantity=row["quantity"],
                version=row["version"],
                as_of=tx.now,
                chosen=row["chosen"],
            ),
            version=row["version"],
        )
    return len(rows)
