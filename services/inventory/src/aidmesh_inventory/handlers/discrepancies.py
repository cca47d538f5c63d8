"""Facts that do not fit the books: kept for a person to settle."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple
from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_chassis.logs import counted
from aidmesh_contracts.ids import NeedId, SiteId
from aidmesh_contracts.inventory import DiscrepancyOpenedV1
from aidmesh_inventory.store import discrepancies

About = Literal["stock", "bed", "slot"]
Why = Literal[
    "not_in_books",
    "unknown_site",
    "site_closed",
    "expired_lot",
    "outside_period",
    "count_below_held",
    "double_booked",
    "short",
    "damaged",
    "surplus",
    "manifest_differs",
]


class Found(NamedTuple):
    """One discrepancy; `quantity` is what does not fit."""

    discrepancy_id: UUID
    need_id: UUID | None
    site_id: UUID | None
    about: About
    code: str
    quantity: int
    why: Why
    shipment_id: UUID | None = None


async def open_discrepancies(tx: Tx, found: Sequence[Found]) -> None:
    """Record discrepancies, each once, and tell of those that are new."""
    if not found:
        return
    new = await discrepancies.insert(tx.conn, found)
    if new:
        opened = [each for each in found if each.discrepancy_id in new]
        tx.log.info(
            "discrepancy.opened",
            discrepancies=len(new),
            **counted("need", {each.need_id for each in opened if each.need_id is not None}),
            whys=Counter(each.why for each in opened),
        )
    for each in found:
        if each.discrepancy_id in new:
            tx.emit(
                DiscrepancyOpenedV1(
                    discrepancy_id=each.discrepancy_id,
                    need_id=None if each.need_id is None else NeedId(each.need_id),
                    site_id=None if each.site_id is None else SiteId(each.site_id),
                    about=each.about,
                    code=each.code,
                    quantity=each.quantity,
                )
            )
