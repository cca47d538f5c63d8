"""Approved needs: hold what they want, or refuse with what would have to grow."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received
from aidmesh_chassis.logs import counted
from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import LotId, ReservationId, SiteId, derive_id
from aidmesh_contracts.intake import AidGivenV1, NeedApprovedV1
from aidmesh_contracts.inventory import ReservationHeldV1, ReservationRefusedV1
from aidmesh_contracts.values import Allocation, CapacityDemand
from aidmesh_inventory.domain.beds import House
from aidmesh_inventory.domain.holding import Granted, Picture, Refusal, Request, ranked
from aidmesh_inventory.domain.picking import Place, Shelves, Taken
from aidmesh_inventory.domain.requests import booking_of, is_over, request_of, way_of
from aidmesh_inventory.domain.slots import Diary
from aidmesh_inventory.handlers.capacity import count_places
from aidmesh_inventory.handlers.changes import StockChanges
from aidmesh_inventory.handlers.release import release
from aidmesh_inventory.store import beds, capacity, reservations, sites, slots, stock
from aidmesh_inventory.store.reservations import NewAllocation, NewReservation
from aidmesh_inventory.store.slots import Wish

ANYWHERE: Final = "UA"
"""What the codes of all areas begin with."""


def reservation_id_of(need_id: UUID, attempt_no: int) -> ReservationId:
    """The id of the reservation of one attempt."""
    return ReservationId(derive_id("reservation", need_id, attempt_no))


async def hold(tx: Tx, batch: Sequence[Received[NeedApprovedV1]]) -> None:
    """Hold for a batch of approved needs, the most urgent first."""
    owed = [each for each in batch if each.event.stock or each.event.capacity is not None]
    if not owed:
        return
    # Sites come before the mutexes that older attempts at them take as they make way.
    places = await places_for(tx, [each.event for each in owed])
    current, avoid, prefer = await _current(tx, owed)
    if not current:
        return
    events = [each.event for each in current.values()]
    picture, at = await draw_picture(
        tx,
        places,
        items={line.item for event in events for line in event.stock},
        demands=[event.capacity for event in events if event.capacity is not None],
    )
    granted: list[tuple[Received[NeedApprovedV1], Request, Granted]] = []
    refused: dict[UUID, Refusal] = {}
    today, known = day_of(at), {place.site_id for place in places}
    for each in [each for each in current.values() if is_over(each.event, today)]:
        refused[each.event.need_id] = Refusal("withdrawn", None)
        _refuse(tx, current.pop(each.event.need_id), refused[each.event.need_id], at)
    for request in ranked(
        request_of(each.event, avoid, prefer, known, today) for each in current.values()
    ):
        received = current[request.need_id]
        answer = picture.serve(request, at)
        if isinstance(answer, Granted):
            granted.append((received, request, answer))
        else:
            refused[request.need_id] = answer
            _refuse(tx, received, answer, at)
    if granted:
        await _save(tx, granted, at)
        tx.log.debug(
            "reservation.held", **counted("need", [each.need_id for _, each, _ in granted])
        )
    if refused:
        blockers = [each.blocked_by for each in refused.values() if each.blocked_by is not None]
        tx.log.info(
            "reservation.refused",
            **counted("need", refused),
            reasons=Counter(each.reason for each in refused.values()),
            resources=Counter(each.resource for each in blockers),
        )


async def places_for(tx: Tx, events: Sequence[NeedApprovedV1 | AidGivenV1]) -> list[Place]:
    """The sites that could serve; goods for a site may come from anywhere in the region."""
    areas: set[str] = set()
    site_ids: set[UUID] = set()
    for event in events:
        if event.site_id is not None:
            site_ids.add(event.site_id)
        else:
            areas.add(event.place_area if event.to_site_id is None else ANYWHERE)
        if event.to_site_id is not None:
            site_ids.add(event.to_site_id)
    return await sites.places(tx.conn, sorted(areas), sorted(site_ids))


async def draw_picture(
    tx: Tx,
    places: Sequence[Place],
    *,
    items: Iterable[str],
    demands: Sequence[CapacityDemand],
    given_since: date | None = None,
) -> tuple[Picture, datetime]:
    """Lock and load all that could serve; returns it with the clock once it was locked.

    Args:
        given_since: the first day of aid that was given: slots that have begun as well, and goods
            that were good then. None where something is to be promised: what is good today.
    """
    site_ids = [place.site_id for place in places]
    wanted_items = sorted(set(items))
    bed_demands = [demand for demand in demands if demand.resource == "bed"]
    slot_demands = [demand for demand in demands if demand.resource == "slot"]
    kinds = {(demand.resource, demand.code) for demand in (*bed_demands, *slot_demands)}
    await capacity.lock(
        tx.conn, [(site_id, *kind) for site_id in site_ids for kind in sorted(kinds)]
    )
    at = await stock.lock(
        tx.conn, [(site_id, item) for site_id in site_ids for item in wanted_items]
    )
    known = await sites.items_by_code(tx.conn, wanted_items) if wanted_items else {}
    lots = []
    if wanted_items:
        good_on = given_since or day_of(at)
        lots = await stock.free_lots(tx.conn, site_ids, wanted_items, good_on)
    house = House.of(places, (), ())
    if bed_demands:
        found, stays = await beds.picture(
            tx.conn,
            site_ids,
            sorted({demand.code for demand in bed_demands}),
            min(demand.from_on for demand in bed_demands),
        )
        house = House.of(places, found, stays)
    diary = Diary.of(places, ())
    if slot_demands:
        wishes = [
            Wish(
                each.code,
                each.from_on,
                each.to_on,
                each.places,
                given_since is not None or each.as_written,
                each.starts_before,
            )
            for each in slot_demands
        ]
        found_slots = await slots.picture(tx.conn, site_ids, wishes, at)
        diary = Diary.of(places, found_slots)
    return Picture(Shelves.of(places, lots, known), house, diary), at


async def _current(
    tx: Tx, batch: Sequence[Received[NeedApprovedV1]]
) -> tuple[dict[UUID, Received[NeedApprovedV1]], dict[UUID, frozenset[UUID]], dict[UUID, UUID]]:
    """The approvals that are still to be tried, and the sites each need was sent away from.

    And the site that had set aside for a need what may not be given any more: if that was told to
    the person, that is where they come.

    An approval that was over before it was tried is refused; an older attempt that is still
    held makes way, since intake would not ask again if it had not given it up.
    """
    need_ids = sorted({each.event.need_id for each in batch})
    ended = await reservations.ended(tx.conn, need_ids)
    known: dict[UUID, int] = {}
    older: list[UUID] = []
    avoid: dict[UUID, set[UUID]] = {}
    prefer: dict[UUID, UUID] = {}
    for attempt in await reservations.attempts(tx.conn, need_ids):
        known[attempt.need_id] = attempt.attempt_no
        if attempt.state in reservations.LIVE:
            older.append(attempt.reservation_id)
        if attempt.cause == "relocated" and attempt.site_id is not None:
            avoid.setdefault(attempt.need_id, set()).add(attempt.site_id)
        if attempt.cause == "lot_unfit" and attempt.site_id is not None:
            prefer[attempt.need_id] = attempt.site_id
    latest = dict.fromkeys(need_ids, 0)
    for each in batch:
        latest[each.event.need_id] = max(latest[each.event.need_id], each.event.attempt_no)
    current: dict[UUID, Received[NeedApprovedV1]] = {}
    for each in batch:
        need_id, attempt_no = each.event.need_id, each.event.attempt_no
        if attempt_no == known.get(need_id):
            continue  # the same approval under another id: it was answered already
        if attempt_no < max(latest[need_id], known.get(need_id, 0)) or attempt_no <= ended.get(
            need_id, 0
        ):
            _refuse(tx, each, Refusal("withdrawn", None), tx.now)
        else:
            current[need_id] = each
    superseded = {reservation_id_of(need, known[need]) for need in current if need in known}
    await release(tx, [each for each in older if each in superseded], "withdrawn")
    return current, {need: frozenset(found) for need, found in avoid.items()}, prefer


async def _save(
    tx: Tx,
    granted: Sequence[tuple[Received[NeedApprovedV1], Request, Granted]],
    at: datetime,
) -> None:
    changes = StockChanges()
    rows: list[NewReservation] = []
    allocations: list[NewAllocation] = []
    bed_rows: list[tuple[UUID, UUID, date, date | None]] = []
    slot_rows: list[tuple[UUID, UUID, int]] = []
    touched: set[tuple[UUID, str, str]] = set()
    for received, request, grant in granted:
        event = received.event
        reservation_id = reservation_id_of(event.need_id, event.attempt_no)
        hold_until = at + timedelta(seconds=event.hold_s)
        rows.append(_reservation(event, reservation_id, request, grant, hold_until))
        picked = grant.stock.taken if grant.stock is not None else ()
        for taken in picked:
            lot = taken.lot
            allocations.append(NewAllocation(reservation_id, lot.lot_id, taken.quantity))
            changes.lot(lot.lot_id, (lot.site_id, lot.item), held=taken.quantity)
        if grant.beds is not None and request.beds is not None:
            stay = request.beds.stay
            bed_rows.extend(
                (reservation_id, bed.bed_id, stay.from_on, stay.to_on) for bed in grant.beds.beds
            )
            touched.add((grant.site_id, "bed", request.beds.code))
        if grant.slot is not None and request.slot is not None:
            slot_rows.append((reservation_id, grant.slot.slot_id, request.slot.seats))
            touched.add((grant.site_id, "slot", grant.slot.code))
        tx.emit(
            ReservationHeldV1(
                reservation_id=reservation_id,
                need_id=event.need_id,
                attempt_no=event.attempt_no,
                hold_until=hold_until,
                site_id=SiteId(grant.site_id),
                allocations=tuple(_allocation(taken) for taken in picked),
                booking=booking_of(request, grant),
            ),
            cause=received,
        )
    await reservations.insert(tx.conn, rows, allocations)
    await beds.book(tx.conn, bed_rows)
    await slots.book(tx.conn, slot_rows)
    await changes.save(tx)
    await count_places(tx, touched)


def _reservation(
    event: NeedApprovedV1,
    reservation_id: ReservationId,
    request: Request,
    grant: Granted,
    hold_until: datetime,
) -> NewReservation:
    return NewReservation(
        reservation_id,
        event.need_id,
        event.attempt_no,
        way_of(request),
        "held",
        grant.site_id,
        event.priority,
        event.planned_on,
        hold_until,
        None,
        event.sensitive,
        event.to_site_id,
    )


def _allocation(taken: Taken) -> Allocation:
    lot = taken.lot
    return Allocation(
        lot_id=LotId(lot.lot_id),
        item=lot.item,
        quantity=taken.quantity,
        site_id=SiteId(lot.site_id),
    )


def _refuse(
    tx: Tx, received: Received[NeedApprovedV1], refusal: Refusal, decided_at: datetime
) -> None:
    tx.emit(
        ReservationRefusedV1(
            need_id=received.event.need_id,
            attempt_no=received.event.attempt_no,
            reason=refusal.reason,
            blocked_by=refusal.blocked_by,
            free_quantities=refusal.free,
            decided_at=decided_at,
        ),
        cause=received,
    )
