"""The words of intake's logs."""

from collections.abc import Mapping
from typing import Final

from aidmesh_chassis.vocabulary import LogEvent

EVENTS: Final[Mapping[str, LogEvent]] = {
    "need.step": LogEvent(
        "debug",
        "A need took a step: `step` is the word of its timeline, `state` where it stands now. "
        "One line for each, so only with the level `debug`.",
    ),
    "need.waitlisted": LogEvent(
        "info",
        "Needs began to wait: `why` and for what (`resources`) as counts, and `need_id` where it "
        "was one.",
    ),
    "need.woken": LogEvent("info", "Needs that waited are asked for anew: there is more."),
    "need.closed": LogEvent(
        "info", "Needs ended without a service, or a service was taken back: `states`."
    ),
    "need.unanswered": LogEvent(
        "warning",
        "Attempts did not get their answers in time; they were ended and are begun anew.",
        "Look whether inventory and payments are up, and how far behind their consumers are.",
    ),
    "need.conflict": LogEvent(
        "warning",
        "What happened to needs does not fit together; `conflicts` says how.",
        "It is to be looked at on the desk's home and at /needs?attention=1: a caseworker decides.",
    ),
    "lookup.found": LogEvent(
        "info", "Another region's blind query came to `links` new links, for people to decide."
    ),
    "lookup.unreadable": LogEvent(
        "warning",
        "What a region sent with a blind query cannot be opened, or is not what it should be.",
        "If it happens again, look whether that region's keys were changed, and who works there.",
    ),
    "lookup.too_many": LogEvent(
        "warning",
        "More than `values` things are known of people who agreed to be looked for, and one"
        " answer carries no more: other regions are refused.",
        "Tell the developers: answers have to be parted.",
    ),
    "import.ended": LogEvent(
        "info",
        "A file was taken in to its end, or tried (`dry_run`): rows accepted, skipped, rejected.",
    ),
}
