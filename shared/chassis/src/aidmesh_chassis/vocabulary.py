"""The vocabulary of the logs: every event name, what it means, and what to do about it.

Each service keeps its own words in `log_events.py`; these are the chassis's. A test compares
them with the code, and the operators' handbook is generated from them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Level = Literal["debug", "info", "warning", "error", "critical"]


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One event name's level, meaning, and what on-call staff do when they see it."""

    level: Level
    meaning: str
    what_to_do: str = "Nothing."


EVENTS: Final[Mapping[str, LogEvent]] = {
    "http.request": LogEvent(
        "info", "A request was answered: method, route template, status, milliseconds."
    ),
    "http.probe": LogEvent("debug", "A health check or a scrape was answered."),
    "http.failed": LogEvent(
        "error",
        "A request met an exception that nobody expected; the caller got a 500 with the "
        "correlation id.",
        "Read exception.at; search the correlation id; report it as a bug.",
    ),
    "http.unavailable": LogEvent(
        "warning",
        "A request could not be served because the database or the broker was away or busy; "
        "the caller was told to retry.",
        "Look at /readyz of the service; if it lasts, at PostgreSQL and NATS.",
    ),
    "http.timed_out": LogEvent(
        "warning",
        "A request ran into its time limit and was stopped; its transaction was rolled back.",
        "Look for slow statements, or for imports sent in too large pieces.",
    ),
    "library.log": LogEvent(
        "info", "A line of a library (server, broker client, driver), at that line's level."
    ),
    "log.suppressed": LogEvent(
        "warning",
        "An event repeated more often than the limit per minute; `suppressed` lines of it were "
        "not written.",
        "Look at the first lines of the event named in `of`.",
    ),
    "keys.locked": LogEvent(
        "warning",
        "The service runs without the key for personal data.",
        "Run `aidmesh unlock` when somebody who knows the passphrase is there.",
    ),
    "keys.unlocked": LogEvent("info", "The keys for personal data were loaded."),
}
