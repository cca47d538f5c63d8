"""The words of notification's logs."""

from collections.abc import Mapping
from typing import Final

from aidmesh_chassis.vocabulary import LogEvent

EVENTS: Final[Mapping[str, LogEvent]] = {
    "sender.locked": LogEvent(
        "warning",
        "Messages wait because the key that opens contact cards is not loaded.",
        "Run `aidmesh unlock`; people can be told in person meanwhile.",
    ),
    "sender.waits": LogEvent(
        "warning",
        "The database is away or busy; sending goes on by itself.",
        "If it lasts, look at PostgreSQL.",
    ),
    "sender.failed": LogEvent(
        "error",
        "A batch of messages met an exception that nobody expected; it is tried again.",
        "Read exception.at; report it as a bug.",
    ),
    "message.unknown": LogEvent(
        "warning",
        "A channel was interrupted: the message may or may not have left.",
        "See /v1/messages/to-tell: a person decides.",
    ),
    "contact.unreadable": LogEvent(
        "warning",
        "A contact card can't be opened or is not the person's own; they are told in person.",
        "Check that intake seals to this region's notification.pub.",
    ),
}
