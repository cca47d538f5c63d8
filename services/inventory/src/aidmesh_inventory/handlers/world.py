"""What other regions tell of their sites, stock and capacity: read copies, each with its age."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received
from aidmesh_contracts.base import Event
from aidmesh_contracts.inventory import CapacityChangedV1, SiteChangedV1, StockChangedV1
from aidmesh_inventory.store import world
from aidmesh_inventory.store.world import WorldCapacity, WorldSite, WorldStock

E = TypeVar("E", bound=Event)


async def copy_sites(tx: Tx, batch: Sequence[Received[SiteChangedV1]]) -> None:
    """Keep the newest state of other regions' sites."""
    newest = _newest(batch, lambda event: event.version)
    await world.put_sites(
        tx.conn,
        [
            WorldSite(
                each.region,
                each.event.site_id,
                each.event.area,
                each.event.site_type,
                each.event.status,
                each.epoch,
                each.event.version,
                each.occurred_at,
            )
            for each in newest
        ],
    )


async def copy_stock(tx: Tx, batch: Sequence[Received[StockChangedV1]]) -> None:
    """Keep the newest state of other regions' stock."""
    newest = _newest(batch, lambda event: event.version)
    await world.put_stock(
        tx.conn,
        [
            WorldStock(
                each.region,
                each.event.site_id,
                each.event.item,
                each.event.area,
                each.event.on_hand,
                each.event.free,
                each.epoch,
                each.event.version,
                each.event.as_of,
            )
            for each in newest
        ],
    )


async def copy_capacity(tx: Tx, batch: Sequence[Received[CapacityChangedV1]]) -> None:
    """Keep the newest state of other regions' capacity."""
    newest = _newest(batch, lambda event: event.version)
    await world.put_capacity(
        tx.conn,
        [
            WorldCapacity(
                each.region,
                each.event.site_id,
                each.event.resource,
                each.event.code,
                each.event.area,
                each.event.first_on,
                " ".join(str(free) for free in each.event.free_by_day),
                each.event.total,
                each.epoch,
                each.event.version,
                each.event.as_of,
            )
            for each in newest
        ],
    )


def _newest(batch: Sequence[Received[E]], version: Callable[[E], int]) -> list[Received[E]]:
    """Of each aggregate of each region the newest state, in one order for all."""
    found: dict[tuple[str, str], Received[E]] = {}
    for each in batch:
        key = (each.region, str(each.event.aggregate_id))
        known = found.get(key)
        if known is None or (each.epoch, version(each.event)) > (
            known.epoch,
            version(known.event),
        ):
            found[key] = each
    return [found[key] for key in sorted(found)]
