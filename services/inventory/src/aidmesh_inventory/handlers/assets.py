"""Things with serial numbers stay ours when they go to a center: each gets a row."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_contracts.ids import derive_id
from aidmesh_inventory.store import assets, sites
from aidmesh_inventory.store.assets import NewAsset
from aidmesh_inventory.store.reservations import Allocated


@dataclass(frozen=True, slots=True)
class Handed:
    """Goods of one reservation that went out.

    Attributes:
        issue_no: how often it was issued; 0 for aid that was entered after it was given.
        to_site_id: the center that they went to; None for the site that gave them.
        serials: their serial numbers, as far as they are known.
    """

    reservation_id: UUID
    issue_no: int
    on: date
    to_site_id: UUID | None
    parts: Sequence[Allocated]
    serials: tuple[str, ...] = ()


async def register(tx: Tx, handed: Sequence[Handed]) -> None:
    """Enter what has a serial number into the register of assets."""
    items = await sites.items_by_code(
        tx.conn, [part.item for each in handed for part in each.parts]
    )
    rows: list[NewAsset] = []
    for each in handed:
        serials = iter(each.serials)
        for part in each.parts:
            if items[part.item].tracking != "serial":
                continue
            rows.extend(
                NewAsset(
                    derive_id("asset", each.reservation_id, each.issue_no, part.lot_id, number),
                    part.item,
                    next(serials, None),
                    part.grant_id,
                    part.unit_value_minor,
                    part.currency,
                    each.to_site_id or part.site_id,
                    each.reservation_id,
                    part.lot_id,
                    each.on,
                )
                for number in range(part.quantity)
            )
    await assets.insert(tx.conn, rows)
