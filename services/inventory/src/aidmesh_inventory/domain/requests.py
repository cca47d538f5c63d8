"""What an approved need or a fact asks of inventory, and what is said of what it got."""

from collections.abc import Collection, Mapping
from datetime import date, timedelta
from typing import Literal
from uuid import UUID

from aidmesh_contracts.ids import SiteId
from aidmesh_contracts.intake import AidGivenV1, NeedApprovedV1
from aidmesh_contracts.inventory import Booking
from aidmesh_contracts.restriction import Use
from aidmesh_contracts.values import Area, CapacityDemand
from aidmesh_inventory.domain.beds import BedsWanted, Stay
from aidmesh_inventory.domain.holding import Granted, Request
from aidmesh_inventory.domain.picking import Wanted, merged
from aidmesh_inventory.domain.slots import Slot, SlotWanted

Way = Literal["handover", "check_in", "attendance"]
"""How something set aside is issued."""


def use_of(event: NeedApprovedV1 | AidGivenV1, on: date) -> Use:
    """The use that a lot's restriction is asked about."""
    return Use(
        programme=event.programme,
        kind=event.kind,
        on=on,
        service_area=event.place_area,
        stay_area=event.stay_area,
        origin_area=event.origin_area,
    )


def last_day_of(event: NeedApprovedV1, today: date) -> date:
    """Until when goods should keep: whoever is told today may come on the last day of pick-up."""
    return max(event.planned_on, today + timedelta(days=event.collect_days or 0))


def is_over(event: NeedApprovedV1, today: date) -> bool:
    """Whether every night of the stay has gone by before anybody could be told of it."""
    place = event.capacity
    if place is None or place.resource != "bed" or place.as_written:
        return False
    return place.to_on is not None and place.to_on <= today


def request_of(
    event: NeedApprovedV1,
    avoid: Mapping[UUID, frozenset[UUID]],
    prefer: Mapping[UUID, UUID],
    known: Collection[UUID],
    today: date,
) -> Request:
    """What an approved need asks for.

    Args:
        avoid: the sites that each need was sent away from.
        prefer: the site that had set aside for a need what may not be given any more.
        known: the sites that are known here.
        today: the day in Kyiv; nights and hours before it are not wanted any more.
    """
    away = avoid.get(event.need_id, frozenset())
    # A site that nobody knows yet: its goods wait until there are some at that very site.
    is_known = event.to_site_id is None or event.to_site_id in known
    site_id = event.site_id if is_known else event.to_site_id
    stock_wanted = None
    if event.stock:
        stock_wanted = Wanted(
            merged(event.stock),
            event.place_area,
            event.planned_on,
            use_of(event, event.planned_on),
            site_id,
            away,
            event.to_site_id if is_known else None,
            prefer.get(event.need_id),
            last_day_of(event, today),
        )
    bed, slot = place_wanted(event.capacity, event.place_area, site_id, away, today)
    return Request(
        event.need_id,
        event.attempt_no,
        event.priority,
        event.asked_on,
        event.queue_no,
        stock_wanted,
        bed,
        slot,
    )


def place_wanted(
    demand: CapacityDemand | None,
    area: Area,
    site_id: UUID | None,
    avoid: frozenset[UUID],
    today: date | None,
) -> tuple[BedsWanted | None, SlotWanted | None]:
    """The wish for beds or for a slot that a demand makes.

    Args:
        today: nights and hours before it are not wanted any more; None for aid that was given.
    """
    if demand is None:
        return None, None
    as_written = today is None or demand.as_written
    if demand.resource == "bed":
        first = demand.from_on if today is None or as_written else max(demand.from_on, today)
        stay = Stay(first, demand.to_on)
        features = frozenset(demand.features)
        return (
            BedsWanted(demand.code, stay, demand.places, features, area, site_id, avoid),
            None,
        )
    return None, SlotWanted(
        demand.code,
        demand.from_on,
        demand.to_on,
        demand.places,
        area,
        site_id,
        avoid,
        as_written,
        demand.starts_before,
    )


def way_of(request: Request) -> Way:
    """How a reservation will be issued."""
    if request.beds is not None:
        return "check_in"
    return "attendance" if request.slot is not None else "handover"


def booking_of(request: Request, granted: Granted) -> Booking | None:
    """What intake is told of the beds or the slot."""
    if granted.beds is not None and request.beds is not None:
        return Booking(
            resource="bed",
            code=request.beds.code,
            site_id=SiteId(granted.site_id),
            from_on=request.beds.stay.from_on,
            to_on=request.beds.stay.to_on,
            places=request.beds.places,
        )
    if granted.slot is not None and request.slot is not None:
        slot: Slot = granted.slot
        return Booking(
            resource="slot",
            code=slot.code,
            site_id=SiteId(slot.site_id),
            from_on=slot.day,
            to_on=slot.day,
            starts_at=slot.starts_at,
            places=request.slot.seats,
        )
    return None
