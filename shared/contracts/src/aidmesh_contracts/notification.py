"""Events of notification: what became of a message. They name needs, never persons."""

from typing import Literal

from pydantic import AwareDatetime, Field

from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import MessageId, NeedId
from aidmesh_contracts.streams import Stream


class MessageSentV1(
    Event, type="notification.message.sent.v1", stream=Stream.LOCAL, key="message_id"
):
    """The channel took the message: the person counts as told."""

    message_id: MessageId
    need_id: NeedId
    attempt_no: int = Field(gt=0)
    sent_at: AwareDatetime


class MessageSuppressedV1(
    Event, type="notification.message.suppressed.v1", stream=Stream.LOCAL, key="message_id"
):
    """No message will go out: the person has to be told in person.

    Attributes:
        reason: `no_safe_contact` is the default until a contact is marked safe; `unknown` is a
            message whose sending was cut short and may or may not have left.
    """

    message_id: MessageId
    need_id: NeedId
    attempt_no: int = Field(gt=0)
    reason: Literal["no_safe_contact", "expired", "failed", "unknown", "superseded"]


EVENTS: tuple[type[Event], ...] = (MessageSentV1, MessageSuppressedV1)
