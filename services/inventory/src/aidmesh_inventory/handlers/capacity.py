"""What other regions are told of free beds and slots."""

from collections.abc import Collection
from typing import Literal, cast

from aidmesh_chassis.db import Tx
from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import SiteId
from aidmesh_contracts.inventory import CapacityChangedV1
from aidmesh_inventory.store import capacity
from aidmesh_inventory.store.capacity import Key

REFRESHED_MAX = 200


async def publish_capacity(tx: Tx, keys: Collection[Key]) -> None:
    """Publish the coming days of these kinds of places, where they differ from the last word.

    The caller holds their mutexes.
    """
    for state in await capacity.refresh(tx.conn, keys, day_of(tx.now)):
        tx.emit(
            CapacityChangedV1(
                capacity_key=f"{state.site_id}/{state.resource}/{state.code}",
                site_id=SiteId(state.site_id),
                area=state.area,
                resource=cast("Literal['bed', 'slot']", state.resource),
                code=state.code,
                first_on=state.first_on,
                free_by_day=state.free_by_day,
                total=state.total,
                version=state.version,
                as_of=tx.now,
            ),
            version=state.version,
        )


async def new_day(tx: Tx) -> int:
    """Move the window of what was told to today."""
    keys = await capacity.stale(tx.conn, day_of(tx.now), REFRESHED_MAX)
    await capacity.lock(tx.conn, keys)
    await publish_capacity(tx, keys)
    return len(keys)
