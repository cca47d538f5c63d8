"""One order of locks, so that nobody waits for whoever waits for them; see decision 30.

Sites, the mutexes of places, then those of stock, then reservations, each by id. A batch of several
kinds of events is handled kind by kind, so it locks all of that at its start: the second kind would
come to what stands before the first.
"""

from collections.abc import Sequence
from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received
from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import derive_id
from aidmesh_contracts.intake import AidGivenV1, NeedApprovedV1, NeedReversedV1
from aidmesh_inventory.handlers.hold import places_for
from aidmesh_inventory.store import beds, capacity, reservations, slots, stock


async def lock_local(tx: Tx, batch: Sequence[Received[Event]]) -> None:
    """Lock what a batch about needs will touch, unless it is of one kind, which locks by itself."""
    events = [each.event for each in batch]
    if len({type(event) for event in events}) < 2:
        return
    need_ids = {each for event in events if (each := getattr(event, "need_id", None)) is not None}
    ids = {each.reservation_id for each in await reservations.attempts(tx.conn, need_ids)}
    ids |= {
        derive_id("fact", event.need_id) for event in events if isinstance(event, NeedReversedV1)
    }
    asked = [
        event
        for event in events
        if isinstance(event, NeedApprovedV1 | AidGivenV1)
        and (event.stock or event.capacity is not None)
    ]
    site_ids = [place.site_id for place in await places_for(tx, asked)] if asked else []
    await capacity.lock(tx.conn, await _places(tx, ids, asked, site_ids))
    items = {line.item for event in asked for line in event.stock}
    held = {(each.site_id, each.item) for each in await reservations.allocated(tx.conn, ids)}
    await stock.lock(tx.conn, held | {(site, item) for site in site_ids for item in items})
    await reservations.lock(tx.conn, ids)


async def _places(
    tx: Tx,
    ids: set[UUID],
    asked: Sequence[NeedApprovedV1 | AidGivenV1],
    site_ids: Sequence[UUID],
) -> set[capacity.Key]:
    """The places that reservations have, and those that could serve what is asked for."""
    kinds = {
        (event.capacity.resource, event.capacity.code)
        for event in asked
        if event.capacity is not None
    }
    return {
        *((each.site_id, "bed", each.code) for each in await beds.booked(tx.conn, ids)),
        *((each.site_id, "slot", each.code) for each in await slots.seated(tx.conn, ids)),
        *((site_id, resource, code) for site_id in site_ids for resource, code in kinds),
    }
