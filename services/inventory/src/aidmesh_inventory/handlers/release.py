"""Give back what was set aside: goods, beds, seats; and say so to whoever waits for them."""

from collections.abc import Collection
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_chassis.logs import counted
from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import NeedId, ReservationId, SiteId
from aidmesh_contracts.inventory import ReservationReleasedV1, SupplyGrewV1
from aidmesh_inventory.domain.picking import Place
from aidmesh_inventory.handlers.capacity import count_places
from aidmesh_inventory.handlers.changes import StockChanges
from aidmesh_inventory.store import beds, capacity, reservations, sites, slots, stock
from aidmesh_inventory.store.reservations import Changed

Said = Literal["hold_expired", "not_collected", "withdrawn", "relocated", "no_show"]
Cause = Literal[Said, "lot_unfit"]
"""Why; `lot_unfit` where the goods may not be given (any more), at a site that may have others."""

STATES: dict[Cause, str] = {
    "hold_expired": "expired",
    "not_collected": "released",
    "withdrawn": "released",
    "relocated": "relocated",
    "no_show": "released",
    "lot_unfit": "relocated",
}


async def release(
    tx: Tx,
    ids: Collection[UUID],
    cause: Cause,
    *,
    only_due: bool = False,
    lost: Collection[UUID] = (),
) -> list[Changed]:
    """Release reservations that were not issued; returns those that this call released.

    Args:
        ids: candidates; each is released only if `cause` holds when its row is locked.
        only_due: only those whose pick-up clock has run out.
        lost: lots of which the caller takes away what becomes free; nobody is told of it.
    """
    if not ids:
        return []
    allocated = await reservations.allocated(tx.conn, ids)
    keys, at = await lock_for(tx, ids, {(each.site_id, each.item) for each in allocated})
    changed = await reservations.release(tx.conn, ids, STATES[cause], cause, only_due=only_due)
    if not changed:
        return []
    by_id = {each.reservation_id: each for each in changed}
    places = await sites.areas_of(tx.conn, [each.site_id for each in changed])
    grown = Grown(places, at)
    changes = StockChanges()
    # What a lot's status is was settled by its mutex, so it is read again.
    lots = await stock.lot_states(tx.conn, {each.lot_id for each in allocated})
    for each in allocated:
        if each.reservation_id not in by_id:
            continue
        counts = lots[each.lot_id].status == "available"
        changes.lot(each.lot_id, (each.site_id, each.item), held=-each.quantity, counts=counts)
        if counts and each.lot_id not in lost:
            need_id = by_id[each.reservation_id].need_id
            grown.add("stock", each.item, each.site_id, each.quantity, need_id)
    for bed in await beds.release(tx.conn, list(by_id)):
        if bed.in_use:
            need_id = by_id[bed.reservation_id].need_id
            grown.add("bed", bed.code, bed.site_id, 1, need_id)
    for seat in await slots.release(tx.conn, list(by_id)):
        if seat.is_open:
            need_id = by_id[seat.reservation_id].need_id
            day = day_of(seat.starts_at)
            grown.add("slot", seat.code, seat.site_id, seat.seats, need_id, day)
    await changes.save(tx)
    await count_places(tx, keys)
    for over in changed:
        emit_released(tx, over.reservation_id, over.need_id, over.attempt_no, cause, over.issue_no)
    grown.emit(tx)
    about = counted("need", {each.need_id for each in changed})
    if cause == "withdrawn":
        tx.log.debug("reservation.released", **about)
    else:
        tx.log.info("reservation.lapsed", **about, cause=cause)
    return changed


async def lock_for(
    tx: Tx, ids: Collection[UUID], stock_keys: Collection[stock.Key]
) -> tuple[set[capacity.Key], datetime]:
    """Take the mutexes of the places of these reservations and of this stock, in order."""
    keys = {
        *((each.site_id, "bed", each.code) for each in await beds.booked(tx.conn, ids)),
        *((each.site_id, "slot", each.code) for each in await slots.seated(tx.conn, ids)),
    }
    await capacity.lock(tx.conn, keys)
    return keys, await stock.lock(tx.conn, stock_keys)


def emit_released(
    tx: Tx, reservation_id: UUID, need_id: UUID, attempt_no: int, cause: Cause, issue_no: int = 0
) -> None:
    """Publish that a reservation is over; its issues, up to this one, were undone before."""
    said: Said = "relocated" if cause == "lot_unfit" else cause
    tx.emit(
        ReservationReleasedV1(
            reservation_id=ReservationId(reservation_id),
            need_id=NeedId(need_id),
            attempt_no=attempt_no,
            cause=said,
            undone_no=issue_no or None,
        )
    )


_Thing = tuple[Literal["stock", "bed", "slot"], str, UUID, UUID | None, date | None]


class Grown:
    """What became free, summed by site, thing, day and the need it was freed by."""

    def __init__(self, places: dict[UUID, Place], at: datetime) -> None:
        self._places = places
        self._at = at
        self._total: dict[_Thing, int] = {}

    def add(
        self,
        resource: Literal["stock", "bed", "slot"],
        code: str,
        site_id: UUID,
        quantity: int,
        freed_by: UUID | None,
        on: date | None = None,
    ) -> None:
        """Count more of a thing in; seats with the day of their slot."""
        key = (resource, code, site_id, freed_by, on)
        self._total[key] = self._total.get(key, 0) + quantity

    def emit(self, tx: Tx) -> None:
        """Publish all of it."""
        for (resource, code, site_id, freed_by, on), quantity in self._total.items():
            place = self._places[site_id]
            emit_grew(tx, resource, code, place, quantity, self._at, freed_by=freed_by, on=on)


def emit_grew(
    tx: Tx,
    resource: Literal["stock", "bed", "slot"],
    code: str,
    place: Place,
    quantity: int,
    at: datetime,
    *,
    freed_by: UUID | None = None,
    on: date | None = None,
    is_total: bool = False,
) -> None:
    """Publish that more can be had at an open site; at a closed one nothing can be had.

    Args:
        on: the day of the slots.
        is_total: it is all there is on that day, not by how much it grew.
    """
    if place.is_open and quantity > 0:
        tx.emit(
            SupplyGrewV1(
                resource=resource,
                code=code,
                site_id=SiteId(place.site_id),
                area=place.area,
                quantity=quantity,
                freed_by=None if freed_by is None else NeedId(freed_by),
                grew_at=at,
                on=on,
                is_total=is_total,
            )
        )
