"""Handing over, checking in, attending; and taking that back when it was entered by mistake."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal
from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_chassis.logs import counted
from aidmesh_contracts.days import is_future
from aidmesh_contracts.ids import NeedId, ReservationId, SiteId, derive_id
from aidmesh_contracts.inventory import ReservationIssuedV1, ReservationReversedV1
from aidmesh_inventory.domain import days
from aidmesh_inventory.domain.requests import Way
from aidmesh_inventory.domain.shares import shares_of
from aidmesh_inventory.handlers import downtime
from aidmesh_inventory.handlers.assets import Handed, register
from aidmesh_inventory.handlers.capacity import count_places
from aidmesh_inventory.handlers.changes import StockChanges
from aidmesh_inventory.handlers.discrepancies import Found, Why, open_discrepancies
from aidmesh_inventory.handlers.stays import arrive, begin_anew, parts_of, too_late
from aidmesh_inventory.store import assets, beds, capacity, reservations, sites, slots, stock
from aidmesh_inventory.store.reservations import Allocated, Changed
from aidmesh_inventory.store.stock import MovementRow

Fault = Literal[
    "unknown-reservation", "not-confirmed", "already-issued", "reservation-over", "wrong-way",
    "stay-over", "day-in-future", "unknown-site", "serials-do-not-fit", "prescription-not-seen",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Prescription:
    """That one was looked at: on which day, by somebody of which role. Never what it says."""

    seen_on: date
    role: str


@dataclass(frozen=True, slots=True)
class Issue:
    """What was handed over, or who came.

    Attributes:
        served_on: the day in Kyiv.
        to_site_id: the center that the goods went to; if None the site they were asked for, or
            that which gave them.
        serials: their serial numbers, as far as they have any.
        prescription: without it, what needs one is not handed over.
    """

    reservation_id: UUID
    way: Way
    served_on: date
    to_site_id: UUID | None = None
    serials: tuple[str, ...] = field(default=())
    prescription: Prescription | None = None

    @property
    def days(self) -> tuple[date, ...]:
        """The days it names."""
        seen = () if self.prescription is None else (self.prescription.seen_on,)
        return (self.served_on, *seen)


async def issue(tx: Tx, commands: Sequence[Issue], recorded_by: UUID | None) -> dict[UUID, Fault]:
    """Issue confirmed reservations, each once; returns those that can't be, and why."""
    faults: dict[UUID, Fault] = {
        each.reservation_id: "day-in-future"
        for each in commands
        if any(is_future(day, tx.now) for day in each.days)
    }
    commands = [each for each in commands if each.reservation_id not in faults]
    ids = [each.reservation_id for each in commands]
    by_id = {each.reservation_id: each for each in commands}
    allocated = await reservations.allocated(tx.conn, ids)
    keys = {
        (bed.site_id, "bed", bed.code)
        for bed in (await beds.booked(tx.conn, ids) if _has(commands, "check_in") else ())
    }
    await capacity.lock(tx.conn, keys)
    await stock.lock(tx.conn, {(each.site_id, each.item) for each in allocated})
    faults |= await _unfit(tx, commands, allocated)
    came = {each.reservation_id: each.served_on for each in commands if each.way == "check_in"}
    if keys:
        faults |= dict.fromkeys(await too_late(tx, came), "stay-over")
    prescribed = await _prescribed(tx, allocated)
    unseen = {each for each in prescribed if by_id[each].prescription is None}
    changed = await reservations.issue(
        tx.conn,
        [(each.reservation_id, each.way, each.served_on) for each in commands
         if each.reservation_id not in {*faults, *unseen}],
    )  # fmt: skip
    done = {each.reservation_id: each for each in changed}
    await reservations.add_prescriptions(
        tx.conn,
        [
            (each.reservation_id, each.issue_no, seen.seen_on, seen.role)
            for each in changed
            if each.reservation_id in prescribed
            and (seen := by_id[each.reservation_id].prescription) is not None
        ],
    )
    await arrive(tx, {each: day for each, day in came.items() if each in done})
    await _hand_out(tx, done, by_id, allocated, recorded_by)
    if keys:
        await count_places(tx, keys)
    missed = [each for each in commands if each.reservation_id not in {*done, *faults}]
    if missed:
        states = await reservations.states(tx.conn, [each.reservation_id for each in missed])
        faults.update(
            (each.reservation_id, _fault(each, states.get(each.reservation_id), unseen))
            for each in missed
        )
    tx.log.debug(
        "reservation.issued",
        **counted("need", [each.need_id for each in changed]),
        faults=Counter(faults.values()),
    )
    return faults


async def _unfit(
    tx: Tx, commands: Sequence[Issue], allocated: Sequence[Allocated]
) -> dict[UUID, Fault]:
    """Centers that there are not, and serial numbers for more things than are handed over."""
    wanted = [each.to_site_id for each in commands if each.to_site_id is not None]
    named = {each.reservation_id for each in commands if each.serials}
    if not wanted and not named:
        return {}
    known = await sites.areas_of(tx.conn, wanted)
    parts = [each for each in allocated if each.reservation_id in named]
    items = await sites.items_by_code(tx.conn, [each.item for each in parts])
    pieces = dict.fromkeys(named, 0)
    for each in parts:
        if items[each.item].tracking == "serial":
            pieces[each.reservation_id] += each.quantity
    faults: dict[UUID, Fault] = {}
    for command in commands:
        serials = command.serials
        if command.to_site_id is not None and command.to_site_id not in known:
            faults[command.reservation_id] = "unknown-site"
        elif serials and (
            len(serials) > pieces[command.reservation_id] or len(set(serials)) < len(serials)
        ):
            faults[command.reservation_id] = "serials-do-not-fit"
    return faults


def _has(commands: Sequence[Issue], way: Way) -> bool:
    return any(each.way == way for each in commands)


async def _prescribed(tx: Tx, allocated: Sequence[Allocated]) -> set[UUID]:
    """Reservations of what is handed over on prescription only."""
    items = await sites.items_by_code(tx.conn, [each.item for each in allocated])
    return {each.reservation_id for each in allocated if items[each.item].prescription}


def _fault(command: Issue, state: tuple[str, str] | None, unseen: set[UUID]) -> Fault:
    if state is None:
        return "unknown-reservation"
    name, way = state
    if way != command.way:
        return "wrong-way"
    if name == "issued":
        return "already-issued"
    if name == "confirmed" and command.reservation_id in unseen:
        return "prescription-not-seen"
    return "not-confirmed" if name == "held" else "reservation-over"


async def _hand_out(
    tx: Tx,
    done: dict[UUID, Changed],
    commands: dict[UUID, Issue],
    allocated: Sequence[Allocated],
    recorded_by: UUID | None,
) -> None:
    if not done:
        return
    changes = StockChanges()
    goods: dict[UUID, list[Allocated]] = {}
    lots = await stock.lot_states(tx.conn, {each.lot_id for each in allocated})
    for each in allocated:
        reservation = done.get(each.reservation_id)
        if reservation is None:
            continue
        goods.setdefault(each.reservation_id, []).append(each)
        changes.lot(
            each.lot_id,
            (each.site_id, each.item),
            on_hand=-each.quantity,
            held=-each.quantity,
            counts=lots[each.lot_id].status == "available",
        )
        changes.movement(
            _movement("issue", reservation, each, commands[each.reservation_id].served_on,
                      None, recorded_by)
        )  # fmt: skip
    await changes.save(tx)
    await register(
        tx,
        [
            Handed(
                reservation_id,
                done[reservation_id].issue_no,
                commands[reservation_id].served_on,
                commands[reservation_id].to_site_id or done[reservation_id].to_site_id,
                parts,
                commands[reservation_id].serials,
            )
            for reservation_id, parts in goods.items()
        ],
    )
    await open_discrepancies(
        tx,
        [
            found
            for reservation_id, parts in goods.items()
            for part in parts
            for found in _doubts(done[reservation_id], part, commands[reservation_id].served_on)
        ],
    )
    await _tell_issued(tx, done, commands, goods)


def _doubts(reservation: Changed, part: Allocated, served_on: date) -> list[Found]:
    """What speaks against goods that were handed over; that they were is a fact."""

    def found(why: Why, *of: object) -> Found:
        return Found(
            derive_id("discrepancy", *of),
            reservation.need_id,
            part.site_id,
            "stock",
            part.item,
            part.quantity,
            why,
        )

    doubts: list[Found] = []
    key = (part.reservation_id, part.lot_id)
    if part.expiry is not None and part.expiry < served_on:
        doubts.append(found("expired_lot", "expired", *key))
    if not part.restriction.covers(served_on):
        doubts.append(found("outside_period", "outside_period", *key, reservation.issue_no))
    return doubts


def _movement(
    kind: Literal["issue", "reversal"],
    reservation: Changed,
    part: Allocated,
    happened_on: date,
    reason: str | None,
    recorded_by: UUID | None,
) -> MovementRow:
    sign = -1 if kind == "issue" else 1
    return MovementRow(
        derive_id("movement", kind, part.reservation_id, reservation.issue_no, part.lot_id),
        part.lot_id,
        sign * part.quantity,
        kind,
        part.reservation_id,
        None,
        reason,
        happened_on,
        recorded_by,
    )


async def _tell_issued(
    tx: Tx,
    done: dict[UUID, Changed],
    commands: dict[UUID, Issue],
    goods: dict[UUID, list[Allocated]],
) -> None:
    ids = list(done)
    ways = {each.way for each in done.values()}
    nights: dict[UUID, list[beds.Booked]] = {}
    if "check_in" in ways:
        for bed in await beds.booked(tx.conn, ids):
            nights.setdefault(bed.reservation_id, []).append(bed)
    seats = (
        {seat.reservation_id: seat for seat in await slots.seated(tx.conn, ids)}
        if "attendance" in ways
        else {}
    )
    # Results go by where it is of use: goods for a center count there, wherever they lay.
    where = {
        reservation_id: commands[reservation_id].to_site_id or each.to_site_id or each.site_id
        for reservation_id, each in done.items()
    }
    areas = await sites.areas_of(tx.conn, list(where.values()))
    for reservation_id, each in done.items():
        given = goods.get(reservation_id, ())
        booked = [(bed, bed.stay.nights) for bed in nights.get(reservation_id, ())]
        quantity, unit, how = sum(part.quantity for part in given), "piece", "handover"
        if each.way == "check_in":
            quantity, unit, how = sum(count for _, count in booked), "night", "check_in"
        elif each.way == "attendance":
            quantity, unit, how = seats[reservation_id].minutes, "minute", "attendance"
        tx.emit(
            ReservationIssuedV1(
                reservation_id=ReservationId(reservation_id),
                need_id=NeedId(each.need_id),
                attempt_no=each.attempt_no,
                issue_no=each.issue_no,
                how=how,
                served_on=each.served_on,
                site_id=SiteId(where[reservation_id]),
                area=areas[where[reservation_id]].area,
                quantity=quantity,
                unit=unit,
                shares=shares_of(parts_of(given, booked)),
            )
        )


async def undo(
    tx: Tx, reservation_id: UUID, reason: str, recorded_by: UUID | None
) -> Changed | None:
    """Take an issue back: the goods are set aside again for the same need.

    Returns None when it is not issued (any more).
    """
    await downtime.notice(tx)
    allocated = await reservations.allocated(tx.conn, [reservation_id])
    keys = {(bed.site_id, "bed", bed.code) for bed in await beds.booked(tx.conn, [reservation_id])}
    await capacity.lock(tx.conn, keys)
    at = await stock.lock(tx.conn, {(each.site_id, each.item) for each in allocated})
    changed = await reservations.undo(tx.conn, reservation_id, days.GRACE)
    if changed is None or changed.served_on is None:
        return None
    lots = await stock.lot_states(tx.conn, {each.lot_id for each in allocated})
    changes = StockChanges()
    for each in allocated:
        changes.lot(
            each.lot_id,
            (each.site_id, each.item),
            on_hand=each.quantity,
            held=each.quantity,
            counts=lots[each.lot_id].status == "available",
        )
        changes.movement(
            _movement("reversal", changed, each, changed.served_on, reason, recorded_by)
        )
    await changes.save(tx)
    if keys:
        await begin_anew(tx, changed, at)
    await assets.take_back(tx.conn, {reservation_id: reason})
    tx.emit(
        ReservationReversedV1(
            reservation_id=ReservationId(reservation_id),
            need_id=NeedId(changed.need_id),
            attempt_no=changed.attempt_no,
            issue_no=changed.issue_no,
            reason=reason,
        )
    )
    tx.log.info("reservation.reversed", need_id=str(changed.need_id))
    return changed
