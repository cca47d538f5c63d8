"""Goods that go from one site of the region to another. No I/O.

Both sites belong to the region, so the goods are never in transit: what leaves the one is at the
other by the same entry. Where the goods come from may be closed, or be about to: then it has to be
emptied. Moving back is another move.
"""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from aidmesh_inventory.domain.picking import Place

Fault = Literal["same-site", "site-closed", "already-reversed", "fewer-free"]


@dataclass(frozen=True, slots=True)
class Pieces:
    """What a lot has where it lies.

    Attributes:
        status: `available`; `expired` goods are moved as well, to be destroyed elsewhere; `blocked`
            is a lot that was entered by mistake.
        held: pieces of `on_hand` that somebody was promised, to be fetched here.
    """

    site_id: UUID
    status: str
    on_hand: int
    held: int


def unmovable(lot: Pieces, quantity: int, to: Place) -> Fault | None:
    """Why so many pieces of a lot can't go to a site of the same region; None if they can.

    What somebody was promised stays: they were told where it is.
    """
    if to.site_id == lot.site_id:
        return "same-site"
    if not to.is_open:
        return "site-closed"
    if lot.status == "blocked":
        return "already-reversed"
    return "fewer-free" if quantity > lot.on_hand - lot.held else None
