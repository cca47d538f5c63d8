"""Aid that was given before it was entered: booked from what is there, never refused.

A fact that was entered by mistake is reversed by intake; what it booked goes back, in whichever
order the two arrive.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received
from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import NeedId, SiteId, derive_id
from aidmesh_contracts.intake import AidGivenV1, NeedReversedV1
from aidmesh_contracts.inventory import AidBookedV1
from aidmesh_inventory.domain.beds import BedsPicked
from aidmesh_inventory.domain.holding import Picture, Request
from aidmesh_inventory.domain.picking import Place, Wanted, merged
from aidmesh_inventory.domain.requests import place_wanted, use_of, way_of
from aidmesh_inventory.domain.shares import shares_of
from aidmesh_inventory.domain.slots import NoSlot
from aidmesh_inventory.handlers.assets import Handed, register
from aidmesh_inventory.handlers.capacity import count_places
from aidmesh_inventory.handlers.changes import StockChanges
from aidmesh_inventory.handlers.discrepancies import About, Found, Why, open_discrepancies
from aidmesh_inventory.handlers.hold import draw_picture, places_for
from aidmesh_inventory.handlers.release import Grown, lock_for
from aidmesh_inventory.handlers.stays import parts_of
from aidmesh_inventory.store import assets, beds, facts, reservations, sites, slots, stock
from aidmesh_inventory.store.beds import Booked
from aidmesh_inventory.store.reservations import Allocated, NewAllocation, NewReservation
from aidmesh_inventory.store.stock import MovementRow


async def book_facts(tx: Tx, batch: Sequence[Received[AidGivenV1]]) -> None:
    """Book what was given; what the books lack opens a discrepancy."""
    given: dict[UUID, Received[AidGivenV1]] = {
        each.event.need_id: each
        for each in batch
        if each.event.stock or each.event.capacity is not None
    }
    if not given:
        return
    over = await facts.begin(tx.conn, given)
    for attempt in await reservations.attempts(tx.conn, list(given)):
        if attempt.attempt_no == 0:
            over.add(attempt.need_id)  # entered twice under two ids
    given = {need_id: each for need_id, each in given.items() if need_id not in over}
    if not given:
        return
    events = [each.event for each in given.values()]
    places = await places_for(tx, events)
    picture, _ = await draw_picture(
        tx,
        places,
        items={line.item for event in events for line in event.stock},
        demands=[event.capacity for event in events if event.capacity is not None],
        given_since=min(event.served_on for event in events),
    )
    booking = _Booking(tx, picture)
    for event in sorted(events, key=lambda each: (each.served_on, each.need_id)):
        booking.add(event)
    await booking.save()
    await _account_for(tx, given, picture.shelves.places)


async def _account_for(
    tx: Tx, given: Mapping[UUID, Received[AidGivenV1]], known: Mapping[UUID, Place]
) -> None:
    """Register the assets among what was booked; tell who bore it, and where it counts."""
    facts_by_id = {derive_id("fact", need_id): each for need_id, each in given.items()}
    goods: dict[UUID, list[Allocated]] = {each: [] for each in facts_by_id}
    nights: dict[UUID, list[tuple[Booked, int]]] = {each: [] for each in facts_by_id}
    for part in await reservations.allocated(tx.conn, facts_by_id):
        goods[part.reservation_id].append(part)
    for bed in await beds.booked(tx.conn, facts_by_id):
        nights[bed.reservation_id].append((bed, bed.stay.nights))
    seats = {seat.reservation_id: seat for seat in await slots.seated(tx.conn, facts_by_id)}
    handed: list[Handed] = []
    for fact_id, received in facts_by_id.items():
        event = received.event
        to_site_id = event.to_site_id if event.to_site_id in known else None
        handed.append(Handed(fact_id, 0, event.served_on, to_site_id, goods[fact_id]))
        giver = event.site_id if event.site_id in known else None
        booked = [
            *(bed for bed, _ in nights[fact_id]),
            *([seats[fact_id]] if fact_id in seats else ()),
            *goods[fact_id],
        ]
        # Where nothing was booked and no site is named it was given at none that we know.
        site_id = to_site_id or giver or next((each.site_id for each in booked), None)
        tx.emit(
            AidBookedV1(
                need_id=event.need_id,
                site_id=None if site_id is None else SiteId(site_id),
                area=None if site_id is None else known[site_id].area,
                shares=shares_of(parts_of(goods[fact_id], nights[fact_id])),
            ),
            cause=received,
        )
    await register(tx, handed)


async def reverse_facts(tx: Tx, batch: Sequence[Received[NeedReversedV1]]) -> None:
    """Put back what facts took, once intake says that they were none.

    What was handed over here is undone here, so needs with an attempt of their own are left
    alone.
    """
    reasons = {each.event.need_id: each.event.reason for each in batch}
    for attempt in await reservations.attempts(tx.conn, list(reasons)):
        if attempt.attempt_no > 0:
            reasons.pop(NeedId(attempt.need_id), None)
    if not reasons:
        return
    # The tombstone: a fact that arrives after its own reversal is not booked.
    await reservations.end_attempts(tx.conn, dict.fromkeys(reasons, 0))
    ids = [derive_id("fact", need_id) for need_id in reasons]
    allocated = await reservations.allocated(tx.conn, ids)
    keys, at = await lock_for(tx, ids, {(each.site_id, each.item) for each in allocated})
    undone = await facts.reverse(tx.conn, reasons)
    await assets.take_back(
        tx.conn, {each: reasons[NeedId(need_id)] for each, (need_id, _) in undone.items()}
    )
    booked = await beds.release(tx.conn, undone)
    seated = await slots.release(tx.conn, undone)
    site_ids = [
        *(part.site_id for part in allocated),
        *(bed.site_id for bed in booked),
        *(seat.site_id for seat in seated),
    ]
    grown = Grown(await sites.areas_of(tx.conn, site_ids), at)
    await _put_back(
        tx, [part for part in allocated if part.reservation_id in undone], undone, reasons, grown
    )
    # Nights and hours gone by serve nobody who waits, nor do beds that were retired.
    for bed in booked:
        lasts = bed.still_here or bed.stay.to_on is None or bed.stay.to_on > day_of(tx.now)
        if bed.in_use and lasts:
            grown.add("bed", bed.code, bed.site_id, 1, undone[bed.reservation_id][0])
    for seat in seated:
        if seat.is_open and seat.starts_at > at:
            need_id = undone[seat.reservation_id][0]
            day = day_of(seat.starts_at)
            grown.add("slot", seat.code, seat.site_id, seat.seats, need_id, day)
    await count_places(tx, keys)
    await facts.settle(tx.conn, reasons, "reversed")
    grown.emit(tx)


async def _put_back(
    tx: Tx,
    parts: Sequence[Allocated],
    undone: Mapping[UUID, tuple[UUID, date]],
    reasons: Mapping[NeedId, str],
    grown: Grown,
) -> None:
    """Put goods back into their lots."""
    lots = await stock.lot_states(tx.conn, {each.lot_id for each in parts})
    changes = StockChanges()
    for part in parts:
        need_id, served_on = undone[part.reservation_id]
        counts = lots[part.lot_id].status == "available"
        changes.lot(part.lot_id, (part.site_id, part.item), on_hand=part.quantity, counts=counts)
        changes.movement(
            MovementRow(
                derive_id("movement", "fact_reversal", need_id, part.lot_id),
                part.lot_id,
                part.quantity,
                "reversal",
                part.reservation_id,
                None,
                reasons[NeedId(need_id)],
                served_on,
                None,
            )
        )
        if counts:
            grown.add("stock", part.item, part.site_id, part.quantity, need_id)
    await changes.save(tx)


class _Booking:
    """Collects what a batch of facts takes, then saves it at once."""

    def __init__(self, tx: Tx, picture: Picture) -> None:
        self._tx = tx
        self._picture = picture
        self._changes = StockChanges()
        self._reservations: list[NewReservation] = []
        self._allocations: list[NewAllocation] = []
        self._beds: list[tuple[UUID, UUID, date, date | None]] = []
        self._seats: list[tuple[UUID, UUID, int]] = []
        self._touched: set[tuple[UUID, str, str]] = set()
        self._odd: list[Found] = []

    def add(self, event: AidGivenV1) -> None:
        """Take what is there for one fact, and ask about what does not fit."""
        self._ask_about_site(event)
        fact_id = derive_id("fact", event.need_id)
        bed, slot = place_wanted(event.capacity, event.place_area, event.site_id, frozenset(), None)
        request = Request(event.need_id, 0, 0, event.served_on, 0, None, bed, slot)
        place_site = self._take_place(fact_id, request, event)
        stock_site = self._take_goods(fact_id, event)
        self._reservations.append(
            NewReservation(
                fact_id,
                event.need_id,
                0,
                way_of(request),
                "issued",
                place_site or stock_site or self._known(event.site_id),
                0,
                event.served_on,
                self._tx.now,
                event.served_on,
                event.sensitive,
                self._known(event.to_site_id),
            )
        )

    def _ask_about_site(self, event: AidGivenV1) -> None:
        """Ask about a site that nobody knows, or that was closed when aid was given there."""
        for named in (event.site_id, event.to_site_id):
            if named is None:
                continue
            place = self._picture.shelves.places.get(named)
            if place is not None and not place.was_closed(event.served_on):
                continue
            why: Why = "unknown_site" if place is None else "site_closed"
            lines: list[tuple[About, str, int]] = [
                ("stock", line.item, line.quantity) for line in merged(event.stock)
            ]
            if event.capacity is not None:
                place_for = event.capacity
                lines.append((place_for.resource, place_for.code, place_for.places))
            self._odd.extend(self._found(event, named, line, why) for line in lines)
            return

    def _known(self, site_id: UUID | None) -> UUID | None:
        return site_id if site_id in self._picture.shelves.places else None

    def _take_goods(self, fact_id: UUID, event: AidGivenV1) -> UUID | None:
        if not event.stock:
            return None
        wanted = Wanted(
            merged(event.stock),
            event.place_area,
            event.served_on,
            use_of(event, event.served_on),
            event.site_id,
            to_site_id=event.to_site_id,
        )
        shelves = self._picture.shelves
        site_id, taken, lacking = shelves.gather(wanted)
        shelves.take(taken)
        for part in taken:
            lot = part.lot
            self._allocations.append(NewAllocation(fact_id, lot.lot_id, part.quantity))
            self._changes.lot(
                lot.lot_id,
                (lot.site_id, lot.item),
                on_hand=-part.quantity,
                counts=not lot.is_expired,
            )
            self._changes.movement(
                MovementRow(
                    derive_id("movement", "fact", event.need_id, lot.lot_id),
                    lot.lot_id,
                    -part.quantity,
                    "fact",
                    fact_id,
                    None,
                    None,
                    event.served_on,
                    None,
                )
            )
        for item, quantity in lacking.items():
            self._lack(event, site_id, "stock", item, quantity)
        return site_id

    def _take_place(self, fact_id: UUID, request: Request, event: AidGivenV1) -> UUID | None:
        house, diary = self._picture.house, self._picture.diary
        if request.beds is not None:
            picked = house.pick(request.beds, was_open_on=event.served_on)
            if isinstance(picked, BedsPicked):
                stay = request.beds.stay
                house.book(picked, stay)
                self._beds.extend(
                    (fact_id, bed.bed_id, stay.from_on, stay.to_on) for bed in picked.beds
                )
                self._touched.add((picked.site_id, "bed", request.beds.code))
                return picked.site_id
            self._lack(event, event.site_id, "bed", request.beds.code, request.beds.places)
        if request.slot is not None:
            slot = diary.pick(request.slot, self._tx.now, was_open_on=event.served_on)
            if not isinstance(slot, NoSlot):
                diary.take(slot, request.slot.seats)
                self._seats.append((fact_id, slot.slot_id, request.slot.seats))
                self._touched.add((slot.site_id, "slot", slot.code))
                return slot.site_id
            self._lack(event, event.site_id, "slot", request.slot.code, request.slot.seats)
        return None

    def _lack(
        self, event: AidGivenV1, site_id: UUID | None, about: About, code: str, quantity: int
    ) -> None:
        if event.site_id is not None and self._known(event.site_id) is None:
            return  # all of it is asked about: nobody knows the site
        self._odd.append(self._found(event, site_id, (about, code, quantity), "not_in_books"))

    def _found(
        self, event: AidGivenV1, site_id: UUID | None, line: tuple[About, str, int], why: Why
    ) -> Found:
        about, code, quantity = line
        of = "fact" if why == "not_in_books" else why
        return Found(
            derive_id("discrepancy", of, event.need_id, about, code),
            event.need_id,
            self._known(site_id),
            about,
            code,
            quantity,
            why,
        )

    async def save(self) -> None:
        """Write it all."""
        conn = self._tx.conn
        await reservations.insert(conn, self._reservations, self._allocations)
        await beds.book(conn, self._beds)
        await slots.book(conn, self._seats)
        await self._changes.save(self._tx)
        await count_places(self._tx, self._touched)
        await open_discrepancies(self._tx, self._odd)
