"""Guests: who came when, who left when, and how many nights that makes."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Literal, TypeVar
from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_contracts.days import day_of, days_after, is_future
from aidmesh_contracts.ids import NeedId, ReservationId, derive_id
from aidmesh_contracts.inventory import StaySettledV1
from aidmesh_inventory.domain.beds import Stay, arrived, left, stays_on
from aidmesh_inventory.domain.shares import Part, shares_of
from aidmesh_inventory.handlers.capacity import count_places
from aidmesh_inventory.handlers.discrepancies import Found, open_discrepancies
from aidmesh_inventory.handlers.release import Grown, emit_grew
from aidmesh_inventory.store import beds, capacity, check_outs, reservations, sites, stock
from aidmesh_inventory.store.beds import Booked
from aidmesh_inventory.store.reservations import Allocated, Attempt, Changed

LeaveFault = Literal[
    "unknown-reservation",
    "not-checked-in",
    "already-checked-out",
    "left-before-arrival",
    "day-in-future",
]
StayFault = Literal["unknown-reservation", "not-checked-out", "day-gone-by", "in-use"]
Row = TypeVar("Row", Booked, Allocated)


def parts_of(goods: Iterable[Allocated], nights: Iterable[tuple[Booked, int]]) -> list[Part]:
    """What grants bought of a reservation: its goods, and the nights in each of its beds."""
    return [
        *(Part(each.grant_id, each.currency, each.unit_value_minor, each.quantity)
          for each in goods),
        *(Part(bed.grant_id, bed.currency, bed.night_minor, count) for bed, count in nights),
    ]  # fmt: skip


async def too_late(tx: Tx, came: Mapping[UUID, date]) -> set[UUID]:
    """Reservations whose nights had all passed when the guest came."""
    return {
        bed.reservation_id
        for bed in await beds.booked(tx.conn, list(came))
        if arrived(bed.stay, came[bed.reservation_id]) is None
    }


async def arrive(tx: Tx, came: Mapping[UUID, date]) -> None:
    """Let stays begin when the guest came; the caller holds the mutexes.

    Coming early takes the nights before, unless somebody else sleeps there: that opens a
    discrepancy and the stay begins as booked. So does a bed that somebody has not left.
    """
    stays: list[tuple[Booked, Stay]] = []
    for bed in await beds.booked(tx.conn, list(came)):
        stay = arrived(bed.stay, came[bed.reservation_id])
        if stay is not None:
            stays.append((bed, stay))
    await _correct(tx, [(bed, stay) for bed, stay in stays if stay != bed.stay], {})
    others = await beds.next_guests(tx.conn, _nights(stays), still_there=True) if stays else set()
    await open_discrepancies(
        tx,
        [_double_booked(bed, stay, 0) for bed, stay in stays if _key(bed) in others],
    )


async def check_out(
    tx: Tx,
    leaving: Mapping[UUID, date],
    *,
    by_clock: bool = False,
    quietly: Collection[UUID] = (),
) -> dict[UUID, LeaveFault]:
    """Settle the nights of guests who left; returns those that can't be, and why.

    Args:
        by_clock: nobody said so: their last night is over. A person who says so afterwards, with
            whichever day, is right.
        quietly: those that nobody waited for.
    """
    faults: dict[UUID, LeaveFault] = {
        each: "day-in-future" for each, left_on in leaving.items() if is_future(left_on, tx.now)
    }
    leaving = {each: left_on for each, left_on in leaving.items() if each not in faults}
    ids = list(leaving)
    found = await beds.booked(tx.conn, ids)
    keys = {(bed.site_id, "bed", bed.code) for bed in found}
    await capacity.lock(tx.conn, keys)
    at = await stock.lock(tx.conn, ())
    by_id = _by_reservation(await beds.booked(tx.conn, ids))
    known = {each.reservation_id: each for each in await reservations.by_id(tx.conn, ids)}
    goods = _by_reservation(await reservations.allocated(tx.conn, ids))
    changed: list[tuple[Booked, Stay]] = []
    settled: list[UUID] = []
    freed: dict[tuple[UUID, str, UUID], int] = {}
    for reservation_id, left_on in leaving.items():
        attempt, booked = known.get(reservation_id), by_id.get(reservation_id, [])
        if by_clock and any(_goes_on(bed, left_on) for bed in booked):
            continue  # somebody has let the stay go on since
        if attempt is None:
            faults[reservation_id] = "unknown-reservation"
            continue
        fault = _cannot_leave(attempt, booked, left_on, by_clock=by_clock)
        if fault is not None:
            faults[reservation_id] = fault
            continue
        if any(bed.left_on != left_on for bed in booked):
            settled.append(reservation_id)
        for bed in booked:
            changed.append((bed, Stay(_begun(bed).from_on, left_on)))
            if bed.left_on is None and bed.in_use and reservation_id not in quietly:
                # Also who leaves as booked makes room: whoever waits wants the nights to come.
                key = (bed.site_id, bed.code, attempt.need_id)
                freed[key] = freed.get(key, 0) + 1
    numbers = await check_outs.tell_again(tx.conn, settled)
    for reservation_id in settled:
        left_on, booked = leaving[reservation_id], by_id[reservation_id]
        nights = [(bed, (left_on - _begun(bed).from_on).days) for bed in booked]
        _tell_settled(
            tx, known[reservation_id], numbers[reservation_id], nights, left_on,
            goods.get(reservation_id, ()),
        )  # fmt: skip
    await _correct(tx, changed, numbers, left_on=leaving, by_clock=by_clock)
    await count_places(tx, keys)
    places = await sites.areas_of(tx.conn, [site_id for site_id, _, _ in freed])
    for (site_id, code, need_id), quantity in freed.items():
        emit_grew(tx, "bed", code, places[site_id], quantity, at, freed_by=need_id)
    return faults


def _by_reservation(rows: Iterable[Row]) -> dict[UUID, list[Row]]:
    found: dict[UUID, list[Row]] = {}
    for row in rows:
        found.setdefault(row.reservation_id, []).append(row)
    return found


async def undo_check_out(
    tx: Tx, reservation_id: UUID, reason: str, until: date | None = None
) -> StayFault | None:
    """Take a check-out back: the guest had not left; returns why not, if not.

    The stay goes on as it was booked, or until another day. Where somebody else has those nights
    by now, a discrepancy opens; not even the first one can be taken from them. The clock does not
    check this guest out any more, however long ago the nights they have in the books were over.
    """
    today = day_of(tx.now)
    if until is not None and until <= today:
        return "day-gone-by"
    attempts = await reservations.by_id(tx.conn, [reservation_id])
    if not attempts:
        return "unknown-reservation"
    found = await beds.booked(tx.conn, [reservation_id])
    keys = {(bed.site_id, "bed", bed.code) for bed in found}
    await capacity.lock(tx.conn, keys)
    (attempt,) = await reservations.by_id(tx.conn, [reservation_id])
    booked = await beds.booked(tx.conn, [reservation_id])
    if attempt.state != "issued" or not booked or any(bed.left_on is None for bed in booked):
        return "not-checked-out"
    # Stays that were left before check-outs could be taken back go on from when they ended.
    again = [(bed, stays_on(bed.booked or bed.stay, until, today)) for bed in booked]
    is_empty = any(bed.stay.is_empty for bed in booked)
    if is_empty and await beds.next_guests(tx.conn, _nights(again)):
        return "in-use"
    numbers = await check_outs.tell_again(tx.conn, [reservation_id])
    await _correct(tx, again, numbers, still_here=True)
    nights = [(bed, stay.nights) for bed, stay in again]
    _, stay = again[0]
    _tell_settled(
        tx, attempt, numbers[reservation_id], nights,
        stay.to_on or days_after(stay.from_on, stay.nights),
        await reservations.allocated(tx.conn, [reservation_id]), taken_back=reason,
    )  # fmt: skip
    await count_places(tx, keys)
    return None


async def begin_anew(tx: Tx, attempt: Changed, at: datetime) -> None:
    """Forget of a guest whose check-in was taken back when they left, or that they did not.

    The caller holds the mutexes. Who was said to be still there kept the bed from those who wait.
    """
    booked = await beds.booked(tx.conn, [attempt.reservation_id])
    await beds.forget_leaving(tx.conn, attempt.reservation_id)
    await count_places(tx, {(bed.site_id, "bed", bed.code) for bed in booked})
    grown = Grown(await sites.areas_of(tx.conn, [bed.site_id for bed in booked]), at)
    for bed in booked:
        if bed.still_here and bed.in_use:
            grown.add("bed", bed.code, bed.site_id, 1, attempt.need_id)
    grown.emit(tx)


def _cannot_leave(
    attempt: Attempt, booked: Collection[Booked], left_on: date, *, by_clock: bool
) -> LeaveFault | None:
    if attempt.state != "issued" or not booked:
        return "not-checked-in"
    if _has_left(booked, by_clock=by_clock):
        return "already-checked-out"
    if any(left(_begun(bed), left_on) is None for bed in booked):
        return "left-before-arrival"
    return None


def _goes_on(bed: Booked, left_on: date) -> bool:
    """Whether nobody may conclude from the booking that the guest has left by a day."""
    return bed.still_here or bed.stay.to_on is None or bed.stay.to_on > left_on


def _has_left(booked: Collection[Booked], *, by_clock: bool) -> bool:
    """Whether a check-out would come second; a person's word overrules the clock's."""
    return any(bed.left_on is not None and (by_clock or not bed.left_by_clock) for bed in booked)


def _begun(bed: Booked) -> Stay:
    """The stay that is left: of who was checked out by the clock the one that was booked."""
    return bed.stay if bed.booked is None else bed.booked


def _tell_settled(
    tx: Tx,
    attempt: Attempt,
    settle_no: int,
    nights: Sequence[tuple[Booked, int]],
    to_on: date,
    goods: Iterable[Allocated],
    *,
    taken_back: str | None = None,
) -> None:
    tx.emit(
        StaySettledV1(
            reservation_id=ReservationId(attempt.reservation_id),
            need_id=NeedId(attempt.need_id),
            attempt_no=attempt.attempt_no,
            issue_no=attempt.issue_no,
            nights=sum(count for _, count in nights),
            from_on=min(_begun(bed).from_on for bed, _ in nights),
            to_on=to_on,
            shares=shares_of(parts_of(goods, nights)),
            settle_no=settle_no,
            is_open=taken_back is not None,
            reason=taken_back,
        )
    )


async def _correct(
    tx: Tx,
    changed: list[tuple[Booked, Stay]],
    numbers: Mapping[UUID, int],
    *,
    left_on: Mapping[UUID, date] | None = None,
    by_clock: bool = False,
    still_here: bool = False,
) -> None:
    """Save corrected stays; where they would run into another guest's, only as far as that.

    Args:
        numbers: how often the nights of a reservation were told of; each time that they do not
            fit, a person has to look.
    """
    if not changed:
        return
    others = await beds.next_guests(tx.conn, _nights(changed))
    rows: list[tuple[UUID, UUID, date, date | None, date | None]] = []
    clashes: list[Found] = []
    for bed, stay in changed:
        from_on, to_on = stay.from_on, stay.to_on
        if _key(bed) in others:
            from_on = max(stay.from_on, bed.stay.from_on)
            if bed.stay.to_on is not None and (to_on is None or to_on > bed.stay.to_on):
                to_on = bed.stay.to_on
            clashes.append(_double_booked(bed, stay, numbers.get(bed.reservation_id, 0)))
        left_day = None if left_on is None else left_on[bed.reservation_id]
        rows.append((bed.reservation_id, bed.bed_id, from_on, to_on, left_day))
    await beds.set_stays(tx.conn, rows, by_clock=by_clock, still_here=still_here)
    await open_discrepancies(tx, clashes)


def _nights(stays: Iterable[tuple[Booked, Stay]]) -> list[tuple[UUID, UUID, date, date | None]]:
    """Whose nights in which bed: reservation, bed, first night, day of leaving."""
    return [(*_key(bed), stay.from_on, stay.to_on) for bed, stay in stays]


def _key(bed: Booked) -> tuple[UUID, UUID]:
    return bed.reservation_id, bed.bed_id


def _double_booked(bed: Booked, stay: Stay, number: int) -> Found:
    """Somebody else has some of these nights; each number of times that they were told of anew."""
    found = derive_id("discrepancy", "bed", bed.reservation_id, bed.bed_id, stay.from_on, number)
    return Found(found, None, bed.site_id, "bed", bed.code, 1, "double_booked")
