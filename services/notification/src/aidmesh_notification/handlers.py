"""Events of intake become messages, contacts and tombstones; whole batches at a time."""

import base64
import binascii
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from aidmesh_chassis import inbox
from aidmesh_chassis.consuming import Handler, Received
from aidmesh_chassis.db import Tx
from aidmesh_chassis.errors import Poison
from aidmesh_chassis.logs import carrying
from aidmesh_contracts.days import KYIV, day_of
from aidmesh_contracts.ids import MessageId, NeedId, derive_id
from aidmesh_contracts.intake import (
    ContactSealedV1,
    NeedClosedV1,
    NeedFulfilledV1,
    NeedReadyV1,
    NeedToldV1,
    NeedWithdrawnV1,
    PersonErasedV1,
)
from aidmesh_contracts.notification import MessageSuppressedV1
from aidmesh_contracts.pickup import end_of
from aidmesh_contracts.values import Visit
from aidmesh_notification.domain.sending import Reason, Report, State, expires_at, report_changes
from aidmesh_notification.store import contacts, lists, outbound, reports
from aidmesh_notification.texts import Templates

NEED_READY = "need_ready"
NEED_READY_AT = "need_ready_at"
NEED_READY_FROM = "need_ready_from"
NEED_NOT_COME = "need_not_come"
STAFF_TO_TELL = "staff_to_tell"
SWEEP_ROWS_MAX = 500

_STATES: dict[Reason, str] = {
    "no_safe_contact": "suppressed",
    "erased": "suppressed",
    "superseded": "suppressed",
    "expired": "expired",
    "failed": "failed",
    "rejected": "failed",
    "unknown": "unknown",
    "undelivered": "failed",
}
_TOLD_AS: dict[str, Literal["no_safe_contact", "expired", "failed", "unknown", "superseded"]] = {
    "no_safe_contact": "no_safe_contact",
    # To others an erased person is one without a contact.
    "erased": "no_safe_contact",
    "superseded": "superseded",
    "expired": "expired",
    "failed": "failed",
    "rejected": "failed",
    "unknown": "unknown",
    "undelivered": "failed",
}


def state_of(reason: Reason) -> str:
    """Return the state of a message that did not go out for this reason."""
    return _STATES[reason]


def emit_suppressed(tx: Tx, messages: Iterable[outbound.Told]) -> None:
    """Tell intake which messages will not go out, and why."""
    for message in messages:
        if message.reason is not None:
            with carrying(message.correlation_id, message.traceparent):
                tx.emit(
                    MessageSuppressedV1(
                        message_id=MessageId(message.message_id),
                        need_id=NeedId(message.need_id),
                        attempt_no=message.attempt_no,
                        reason=_TOLD_AS[message.reason],
                    )
                )


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


async def report(tx: Tx, message_id: UUID, told: Report, code: str | None) -> State | None:
    """Note what a gateway says became of a message; returns its state, None if there is none.

    What did not arrive is told in person, unless the person knows or was served meanwhile.

    Args:
        code: why it did not arrive.

    Raises:
        NotReportable: the message's state does not allow this report.
    """
    state = await reports.lock_state(tx.conn, message_id)
    if state is None or not report_changes(state, told):
        return state
    if told == "delivered":
        await reports.mark_delivered(tx.conn, message_id)
    else:
        emit_suppressed(tx, await reports.mark_undelivered(tx.conn, message_id, code))
    return told


async def keep_contacts(tx: Tx, batch: Sequence[Received[ContactSealedV1]]) -> None:
    """Store contact cards, sealed as they came.

    Raises:
        Poison: a card is not base64.
    """
    newest: dict[UUID, tuple[int, bytes]] = {}
    for received in batch:
        event = received.event
        try:
            sealed = base64.b64decode(event.sealed, validate=True)
        except (binascii.Error, ValueError):
            raise Poison("bad_sealed_box") from None
        known = newest.get(event.person_id)
        if known is None or known[0] < event.version:
            newest[event.person_id] = (event.version, sealed)
    changed = await contacts.put_contacts(
        tx.conn,
        [(person_id, version, sealed) for person_id, (version, sealed) in newest.items()],
    )
    if changed:
        await outbound.look_again(tx.conn, changed)


async def erase(tx: Tx, batch: Sequence[Received[PersonErasedV1]]) -> None:
    """Delete the contacts of erased persons, and leave a tombstone.

    Until when they could come goes too, with all that was reckoned from it: it may tell the hour at
    which something happened to them.
    """
    persons = sorted({received.event.person_id for received in batch})
    await contacts.erase_contacts(tx.conn, persons)
    await inbox.blank_letters(tx.conn, persons)
    await outbound.look_again(tx.conn, persons)
    await outbound.forget_limits(tx.conn, persons)


async def erase_letters(tx: Tx) -> int:
    """Blank cards of erased persons that could not be handled and were set aside since."""
    letters = await inbox.sealed_letters(tx.conn)
    if letters:
        await inbox.blank_letters(tx.conn, await contacts.erased_among(tx.conn, letters))
    return 0


def settle_cut_short(templates: Templates) -> Callable[[Tx], Awaitable[int]]:
    """Return the sweep over messages whose sender was never heard of again."""

    async def sweep(tx: Tx) -> int:
        told = await outbound.cut_short(tx.conn, templates.at_least_once, SWEEP_ROWS_MAX)
        emit_suppressed(tx, told)
        return len(told)

    return sweep


def queue_digests(from_min: int, message_hours_max: int) -> Callable[[Tx], Awaitable[int]]:
    """Return the sweep that queues, once a day, a digest for every member of staff who wants it.

    Args:
        from_min: minutes since midnight in Europe/Kyiv before which no digest is made.
    """

    async def sweep(tx: Tx) -> int:
        local = tx.now.astimezone(KYIV)
        if local.hour * 60 + local.minute < from_min or not await lists.count_to_tell(tx.conn):
            return 0
        staff = await contacts.claim_digests(tx.conn, local.date(), SWEEP_ROWS_MAX)
        if staff:
            await outbound.queue_digests(
                tx.conn,
                [(derive_id("digest", staff_id, local.date()), staff_id) for staff_id in staff],
                STAFF_TO_TELL,
                tx.now + timedelta(hours=message_hours_max),
            )
        return len(staff)

    return sweep
