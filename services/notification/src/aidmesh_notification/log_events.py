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
    "channel.away": LogEvent(
        "warning",
        "A channel takes nothing: it can't be reached, is silent, or refuses the login or sender. "
        "Messages wait for it, without using up tries, until they expire.",
        "Look at the mail server (or the spool's disk) and at AIDMESH_NOTIFICATION_SMTP_…; it is "
        "tried again by itself.",
    ),
    "channel.back": LogEvent("info", "A channel takes messages again; what waited leaves now."),
    "message.interrupted": LogEvent(
        "warning",
        "A channel was lost before it had the text of a message; it is tried again.",
        "Nothing, unless it lasts: then look at the mail server.",
    ),
    "message.unknown": LogEvent(
        "warning",
        "A channel had the text of a message and gave no clear answer: it may or may not have "
        "left.",
        "See /v1/messages/to-tell: a person decides.",
    ),
    "contact.unreadable": LogEvent(
        "warning",
        "A contact card can't be opened or is not the person's own; they are told in person.",
        "Check that intake seals to this region's notification.pub.",
    ),
}
