"""What intake and payments say of an attempt: confirmed, paid for, told, withdrawn."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received
from aidmesh_chassis.logs import counted
from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import NeedId, ReservationId, SiteId
from aidmesh_contracts.intake import NeedConfirmedV1, NeedToldV1, NeedWithdrawnV1
from aidmesh_contracts.inventory import ReservationConfirmedV1
from aidmesh_contracts.payments import CommitmentMadeV1
from aidmesh_contracts.values import Visit
from aidmesh_inventory.domain import days
from aidmesh_inventory.handlers import downtime
from aidmesh_inventory.handlers.hold import reservation_id_of
from aidmesh_inventory.handlers.release import emit_released, release
from aidmesh_inventory.store import beds, clocks, reservations, slots
from aidmesh_inventory.store.reservations import Changed

Attempt = tuple[UUID, int]


async def withdraw(tx: Tx, batch: Sequence[Received[NeedWithdrawnV1]]) -> None:
    """Release whatever is set aside for attempts that are over; what was issued stays issued."""
    over: dict[UUID, int] = {}
    for each in batch:
        need_id = each.event.need_id
        over[need_id] = max(over.get(need_id, 0), each.event.attempt_no)
    live = [
        attempt.reservation_id
        for attempt in await reservations.attempts(tx.conn, list(over))
        if attempt.state in reservations.LIVE and attempt.attempt_no <= over[attempt.need_id]
    ]
    await release(tx, live, "withdrawn")
    # The tombstone: an approval that arrives after its own end is refused.
    await reservations.end_attempts(tx.conn, over)


async def confirm(tx: Tx, batch: Sequence[Received[NeedConfirmedV1]]) -> None:
    """Confirm where no money is involved; where it is, payments has the next word."""
    await _confirm(
        tx,
        {
            (each.event.need_id, each.event.attempt_no): each
            for each in batch
            if each.event.with_supply and not each.event.with_money
        },
        is_ours=True,
    )


async def confirm_paid(tx: Tx, batch: Sequence[Received[CommitmentMadeV1]]) -> None:
    """Confirm what payments committed the money for; needs of money alone are not ours."""
    await _confirm(
        tx,
        {(each.event.need_id, each.event.attempt_no): each for each in batch},
        is_ours=False,
    )


async def _confirm(tx: Tx, wanted: dict[Attempt, Received[Event]], *, is_ours: bool) -> None:
    """Make holds firm. One that ran out is released, once more if need be, so intake hears it.

    Raises:
        asyncpg.LockNotAvailableError: one ran out at this moment; it is to be run again.
    """
    if not wanted:
        return
    await downtime.notice(tx)
    # Before any other reservation is locked: its place and its stock come first.
    over = await reservations.overdue(tx.conn, sorted(wanted))
    told = {each.need_id for each in await release(tx, over, "hold_expired")}
    confirmed = await reservations.confirm(tx.conn, sorted(wanted))
    visits = await _keep_places(tx, [changed for changed, _ in confirmed], tx.now)
    for changed, _ in confirmed:
        tx.emit(
            ReservationConfirmedV1(
                reservation_id=ReservationId(changed.reservation_id),
                need_id=NeedId(changed.need_id),
                attempt_no=changed.attempt_no,
                site_id=SiteId(changed.site_id),
                visit=visits.get(changed.reservation_id),
            ),
            cause=wanted[changed.need_id, changed.attempt_no],
        )
    if confirmed:
        ids = [changed.need_id for changed, _ in confirmed]
        tx.log.debug("reservation.confirmed", **counted("need", ids))
    done = {(changed.need_id, changed.attempt_no) for changed, _ in confirmed}
    late = wanted.keys() - done
    if not late:
        return
    known = {
        (attempt.need_id, attempt.attempt_no): attempt
        for attempt in await reservations.attempts(tx.conn, [need for need, _ in late])
    }
    for need_id, attempt_no in sorted(late):
        attempt = known.get((need_id, attempt_no))
        if attempt is not None and attempt.state == "held":
            raise asyncpg.LockNotAvailableError("a hold ran out after it was looked at")
        is_gone = is_ours if attempt is None else attempt.state == "expired"
        if is_gone and need_id not in told:
            emit_released(
                tx, reservation_id_of(need_id, attempt_no), need_id, attempt_no, "hold_expired"
            )


async def _keep_places(tx: Tx, changed: Sequence[Changed], since: datetime) -> dict[UUID, Visit]:
    """Set until when beds and seats are kept; returns when guests and visitors may come."""
    ids = [each.reservation_id for each in changed if each.way != "handover"]
    if not ids:
        return {}
    deadlines: dict[UUID, datetime] = {}
    visits: dict[UUID, Visit] = {}
    for bed in await beds.booked(tx.conn, ids):
        until = days.bed_due_at(bed.stay.from_on, since)
        deadlines[bed.reservation_id] = until
        visits[bed.reservation_id] = Visit(from_on=bed.stay.from_on, until_at=until)
    for seat in await slots.seated(tx.conn, ids):
        deadlines[seat.reservation_id] = days.slot_due_at(seat.ends_at, since)
        visits[seat.reservation_id] = Visit(starts_at=seat.starts_at)
    await clocks.set_deadlines(tx.conn, sorted(deadlines.items()))
    return visits


async def tell(tx: Tx, batch: Sequence[Received[NeedToldV1]]) -> None:
    """Start the pick-up clock of people who know."""
    last: dict[Attempt, NeedToldV1] = {}
    for each in batch:
        key = (each.event.need_id, each.event.attempt_no)
        if key not in last or each.event.told_at > last[key].told_at:
            last[key] = each.event
    await downtime.notice(tx)
    await clocks.start_clocks(
        tx.conn,
        [
            (
                need_id,
                attempt_no,
                event.told_at,
                days.collect_by(event.told_at, event.collect_days, tx.now),
                tx.now + days.GRACE,
            )
            for (need_id, attempt_no), event in sorted(last.items())
        ],
    )
