"""People who are known in two regions: each tells the other in which months it had them."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from aidmesh_chassis.consuming import Received
from aidmesh_chassis.db import Tx
from aidmesh_chassis.errors import Poison
from aidmesh_contracts.ids import LinkId
from aidmesh_contracts.reporting import LinkServedV1
from aidmesh_reporting.store import kept, links, months
from aidmesh_reporting.store.links import Heard

TOLD_MAX: Final = 200
ORPHAN_DAYS: Final = 30


async def hear(tx: Tx, batch: Sequence[Received[LinkServedV1]]) -> None:
    """Keep what the other sides of links say; the highest version holds. A handler.

    Raises:
        Poison: the link is with another region.
    """
    await kept.alone(tx.conn)
    ids = [each.event.link_id for each in batch]
    regions = await links.regions_of(tx.conn, ids)
    known = await links.heard(tx.conn, ids)
    dirty: set[str] = set()
    fresh: dict[UUID, Heard] = {}
    for each in batch:
        said = each.event
        before = known.get(said.link_id)
        if said.link_id in regions and regions[said.link_id] is None:
            continue  # it is over, and nothing of it is kept
        expected = regions.get(said.link_id) or (None if before is None else before.region)
        if expected not in (None, each.region):
            raise Poison("unknown_link")
        if before is not None and before.version >= said.version:
            continue
        after = Heard(said.link_id, each.region, said.version, sorted(set(said.months)))
        known[said.link_id] = fresh[said.link_id] = after
        dirty |= set(after.months) ^ set(() if before is None else before.months)
    await links.put_heard(tx.conn, fresh.values())
    await months.mark_dirty(tx.conn, dirty)


async def tell(tx: Tx) -> int:
    """Tell the other sides of links what has changed. A sweep.

    Returns:
        how many links were looked at.
    """
    # Nobody has to wait for nothing.
    if not await links.any_dirty(tx.conn) and not await links.any_orphans(tx.conn, ORPHAN_DAYS):
        return 0
    await kept.alone(tx.conn)
    dirty = await links.take_dirty(tx.conn, TOLD_MAX)
    rows = await links.untold(tx.conn, dirty)
    for row in rows:
        tx.hand_over(
            LinkServedV1(
                link_id=LinkId(row["link_id"]), months=row["months"], version=row["version"]
            ),
            row["region"],
        )
    await links.put_told(tx.conn, [(row["link_id"], row["version"], row["months"]) for row in rows])
    await links.forget_orphans(tx.conn, ORPHAN_DAYS)
    return len(dirty)
