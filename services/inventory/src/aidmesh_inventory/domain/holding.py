"""Who gets what: a batch of approved needs against one picture of all that is free.

Needs are served by priority, then by who asked first, then by whose need was recorded first.
A need that wants goods and a place gets both at one site or nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from aidmesh_contracts.ids import SiteId
from aidmesh_contracts.values import Area, BlockedBy
from aidmesh_inventory.domain.beds import BedsPicked, BedsWanted, House, NoBeds
from aidmesh_inventory.domain.picking import Missing, Picked, Reason, Shelves, Wanted
from aidmesh_inventory.domain.slots import Diary, NoSlot, Slot, SlotWanted


@dataclass(frozen=True, slots=True)
class Request:
    """What one approved need wants of inventory; at most one of `beds` and `slot`."""

    need_id: UUID
    attempt_no: int
    priority: int
    asked_on: date
    queue_no: int
    stock: Wanted | None = None
    beds: BedsWanted | None = None
    slot: SlotWanted | None = None


@dataclass(frozen=True, slots=True)
class Granted:
    """What is set aside for it, all at one site."""

    site_id: UUID
    stock: Picked | None = None
    beds: BedsPicked | None = None
    slot: Slot | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing is, and what would have to grow.

    Attributes:
        free: how much of that a part of the need could have, site by site, the most first.
    """

    reason: Reason
    blocked_by: BlockedBy | None
    free: tuple[int, ...] = ()


@dataclass(slots=True)
class Picture:
    """All that is free, in memory; serving a request takes from it."""

    shelves: Shelves
    house: House
    diary: Diary

    def serve(self, request: Request, now: datetime) -> Granted | Refusal:
        """Grant a request and take what it was granted, or say what it waits for."""
        found = self._choose(request, now)
        if isinstance(found, Granted):
            if found.stock is not None:
                self.shelves.take(found.stock.taken)
            if found.beds is not None and request.beds is not None:
                self.house.book(found.beds, request.beds.stay)
            if found.slot is not None and request.slot is not None:
                self.diary.take(found.slot, request.slot.seats)
        return found

    def _choose(self, request: Request, now: datetime) -> Granted | Refusal:
        if request.beds is None and request.slot is None:
            assert request.stock is not None, "a request wants something"
            picked = self.shelves.pick(request.stock)
            if isinstance(picked, Missing):
                return replace(_lacks(picked, request.stock), free=picked.free)
            return Granted(picked.site_id, stock=picked)
        place = self._place(request, now)
        if isinstance(place, Refusal) or request.stock is None:
            return place
        # Goods and a place: first where the place alone would be, then at the other sites.
        refusals: list[Refusal] = []
        others = sorted(self.shelves.places.keys() - {place.site_id})
        for site_id in (place.site_id, *others):
            here = self._place(_at(request, site_id), now)
            if isinstance(here, Refusal):
                continue
            picked = self.shelves.pick(replace(request.stock, site_id=site_id))
            if isinstance(picked, Picked):
                return replace(here, stock=picked)
            refusals.append(_lacks(picked, request.stock))
        return refusals[0]

    def _place(self, request: Request, now: datetime) -> Granted | Refusal:
        if request.beds is not None:
            beds = self.house.pick(request.beds)
            if isinstance(beds, NoBeds):
                wanted = request.beds
                return Refusal(
                    beds.reason,
                    blocked_by("bed", wanted.code, wanted.site_id, wanted.area, wanted.places),
                )
            return Granted(beds.site_id, beds=beds)
        assert request.slot is not None, "a request wants one kind of place"
        slot = self.diary.pick(request.slot, now)
        if isinstance(slot, NoSlot):
            sought = request.slot
            return Refusal(
                slot.reason,
                blocked_by("slot", sought.code, sought.site_id, sought.area, sought.seats),
            )
        return Granted(slot.site_id, slot=slot)


def ranked(requests: Iterable[Request]) -> list[Request]:
    """In the order in which they are served."""
    return sorted(
        requests,
        key=lambda each: (-each.priority, each.asked_on, each.queue_no, each.need_id),
    )


def blocked_by(
    resource: Literal["stock", "bed", "slot"],
    code: str,
    site_id: UUID | None,
    area: Area | None,
    quantity: int,
) -> BlockedBy:
    """What a need waits for: growth at its one site, in its area, or anywhere in the region."""
    return BlockedBy(
        resource=resource,
        code=code,
        site_id=None if site_id is None else SiteId(site_id),
        area=area if site_id is None else None,
        quantity=quantity,
    )


def _lacks(missing: Missing, wanted: Wanted) -> Refusal:
    line = missing.line
    area = wanted.area if wanted.to_site_id is None else None
    return Refusal(
        missing.reason,
        blocked_by("stock", line.item, wanted.site_id, area, line.quantity),
    )


def _at(request: Request, site_id: UUID) -> Request:
    """The same wish for one site; one outside the wish's own area or site finds nothing."""
    beds, slot = request.beds, request.slot
    if beds is not None and beds.site_id in (None, site_id):
        beds = replace(beds, site_id=site_id)
    if slot is not None and slot.site_id in (None, site_id):
        slot = replace(slot, site_id=site_id)
    return replace(request, beds=beds, slot=slot)
