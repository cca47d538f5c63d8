"""What a restore has to know of inventory's tables."""

from typing import Final
from uuid import UUID

import asyncpg

from aidmesh_chassis.restoring import VERSION_GAP

VERSIONED: Final = ("stock_state", "capacity_state", "site")
"""Tables whose states other regions hear of, by version. (Shipments follow once those that were
dispatched since are so again, by the same id and lines.)"""

TOLD: Final = (
    "inventory.capacity.changed.v1",
    "inventory.site.changed.v1",
)
"""States that no sweep tells by itself."""


async def raise_preparing(conn: asyncpg.Connection, region: str) -> list[UUID]:
    """Raise the versions of a region's shipments that are being prepared; returns their ids."""
    rows = await conn.fetch(
        """
        UPDATE shipment SET version = version + $1
        WHERE from_region = $2 AND sent = 'preparing' RETURNING id
        """,
        VERSION_GAP,
        region,
    )
    return sorted(row["id"] for row in rows)
