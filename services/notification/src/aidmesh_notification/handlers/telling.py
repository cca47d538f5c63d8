"""What became of messages, for intake and those who have to tell people in person."""

from collections.abc import Iterable
from typing import Literal
from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_chassis.logs import carrying
from aidmesh_contracts.ids import MessageId, NeedId
from aidmesh_contracts.notification import MessageSuppressedV1
from aidmesh_notification.domain.sending import Reason, Report, State, report_changes
from aidmesh_notification.store import outbound, reports

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


async def report(
    tx: Tx, named: UUID, told: Report, code: str | None, *, sensitive_too: bool
) -> State | None:
    """Note what a gateway says became of a message; returns its state, None if there is none.

    What did not arrive is told in person, unless the person knows or was served meanwhile.

    Args:
        named: what it is called on its way, or its own id.
        sensitive_too: whether those about sensitive needs are found by their own id.
        code: why it did not arrive.

    Raises:
        NotReportable: the message's state does not allow this report.
    """
    found = await reports.lock(tx.conn, named, sensitive_too=sensitive_too)
    if found is None:
        return None
    message_id, state = found
    if not report_changes(state, told):
        return state
    if told == "delivered":
        await reports.mark_delivered(tx.conn, message_id)
    else:
        emit_suppressed(tx, await reports.mark_undelivered(tx.conn, message_id, code))
    return told
