"""Free beds and slots: counted by whatever changes them; other regions are told by a sweep."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Literal, cast

from aidmesh_chassis.db import Tx
from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import SiteId
from aidmesh_contracts.inventory import CapacityChangedV1
from aidmesh_inventory.domain.shown import free_shown
from aidmesh_inventory.store import capacity, slots
from aidmesh_inventory.store.capacity import Key, State

REFRESHED_MAX = 200
TOLD_MAX = 500


async def count_places(tx: Tx, keys: Collection[Key]) -> None:
    """Count the free places of these kinds in the coming days.

    The caller holds their mutexes.
    """
    await capacity.refresh(tx.conn, keys, day_of(tx.now))


async def tell_capacity(tx: Tx) -> int:
    """Publish free places where they differ from the last word. A sweep.

    Nobody elsewhere acts on a single place. Others are told what those are shown here who may not
    see what is sensitive: how many more came for it tells of each of them.
    """
    states = await capacity.take_untold(tx.conn, TOLD_MAX)
    for state, version in await capacity.tell(tx.conn, await _as_shown(tx, states)):
        tx.emit(
            CapacityChangedV1(
                capacity_key=f"{state.site_id}/{state.resource}/{state.code}",
                site_id=SiteId(state.site_id),
                area=state.area,
                resource=cast("Literal['bed', 'slot']", state.resource),
                code=state.code,
                first_on=state.first_on,
                free_by_day=tuple(state.free_by_day),
                total=state.total,
                version=version,
                as_of=tx.now,
            ),
            version=version,
        )
    return len(states)


async def _as_shown(tx: Tx, states: Sequence[State]) -> list[State]:
    """The same with the seats that are to look taken taken."""
    found = [each for each in states if each.resource == "slot"]
    if not found:
        return list(states)
    seated = await slots.with_sensitive(
        tx.conn,
        {each.site_id for each in found},
        min(each.first_on for each in found),
        max(each.first_on for each in found) + timedelta(days=capacity.DAYS),
    )
    return [
        replace(each, free_by_day=free_shown(each.first_on, each.free_by_day, seated_at))
        if each.resource == "slot" and (seated_at := seated.get((each.site_id, each.code)))
        else each
        for each in states
    ]


async def new_day(tx: Tx) -> int:
    """Move the window of what is counted to today."""
    keys = await capacity.stale(tx.conn, day_of(tx.now), REFRESHED_MAX)
    await capacity.lock(tx.conn, keys)
    await count_places(tx, keys)
    return len(keys)
