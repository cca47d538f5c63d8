"""Needs that are ready become messages, those that are over need none: whole batches at a time."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from aidmesh_chassis.consuming import Handler, Received
from aidmesh_chassis.db import Tx
from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import derive_id
from aidmesh_contracts.intake import (
    NeedClosedV1,
    NeedFulfilledV1,
    NeedReadyV1,
    NeedToldV1,
    NeedWithdrawnV1,
)
from aidmesh_contracts.pickup import end_of
from aidmesh_contracts.values import Visit
from aidmesh_notification.domain.sending import expires_at
from aidmesh_notification.store import outbound

NEED_READY = "need_ready"
NEED_READY_AT = "need_ready_at"
NEED_READY_FROM = "need_ready_from"
NEED_NOT_COME = "need_not_come"


def queue_ready(message_hours_max: int) -> Handler:
    """Return the handler that queues one message for each attempt of a need that is ready.

    Where a person tells of it there is none, and none that is queued already leaves any more.
    """

    async def queue(tx: Tx, batch: Sequence[Received[NeedReadyV1]]) -> None:
        await _end(tx, [received.event for received in batch if received.event.in_person])
        messages = [
            ready_message(tx.now, message_hours_max, received)
            for received in batch
            if not received.event.in_person
        ]
        by_id = {message.message_id: message for message in messages}
        if by_id:
            await outbound.queue(tx.conn, list(by_id.values()))
        limited = [key for key, message in by_id.items() if message.until_at is not None]
        if limited:
            await outbound.forget_late(tx.conn, limited)

    return queue


def ready_message(
    now: datetime, message_hours_max: int, received: Received[NeedReadyV1]
) -> outbound.NewMessage:
    """The message that what somebody asked for is ready, and until when or when to come.

    Of a need that is no one person's no message goes out, and nobody says here when a household is
    erased: until when it is of use is not kept. Whoever need not come is told only that, which no
    day limits.
    """
    event = received.event
    is_awaited = event.to_come is not False
    visit = (event.visit if is_awaited else None) or Visit()
    ends = (visit.until_at, event.until_at) if is_awaited and event.person_id is not None else ()
    until_at = min((each for each in ends if each is not None), default=None)
    return outbound.NewMessage(
        message_id=derive_id("message", event.need_id, event.attempt_no, NEED_READY),
        template=_template(visit, until_at, now) if is_awaited else NEED_NOT_COME,
        need_id=event.need_id,
        attempt_no=event.attempt_no,
        person_id=event.person_id,
        sensitive=event.sensitive,
        collect_days=event.collect_days,
        expires_at=expires_at(now, message_hours_max, visit.starts_at, until_at),
        correlation_id=received.correlation_id,
        traceparent=received.traceparent,
        starts_at=visit.starts_at,
        from_on=visit.from_on,
        until_at=until_at,
    )


def _template(visit: Visit, until_at: datetime | None, now: datetime) -> str:
    """Whether somebody is told until when to come, at what time, or from which day on."""
    if visit.starts_at is not None:
        return NEED_READY_AT
    if visit.from_on is None or visit.from_on <= day_of(now):
        return NEED_READY
    return NEED_READY_AT if until_at == end_of(visit.from_on) else NEED_READY_FROM


Ending = NeedWithdrawnV1 | NeedToldV1 | NeedFulfilledV1 | NeedClosedV1


async def end_attempts(tx: Tx, batch: Sequence[Received[Ending]]) -> None:
    """Attempts that are over, served, or whose person knows already, need no message any more."""
    await _end(tx, [received.event for received in batch])


async def _end(tx: Tx, events: Sequence[Ending | NeedReadyV1]) -> None:
    last: dict[UUID, int] = {}
    for event in events:
        need_id, attempt_no = event.need_id, event.attempt_no
        if not attempt_no:  # nobody was ever asked for it
            continue
        last[need_id] = max(attempt_no, last.get(need_id, 0))
    if last:
        await outbound.end_attempts(tx.conn, list(last.items()))
