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


FIELDS: Final[Mapping[str, str]] = {
    "ts": "when, in UTC with milliseconds",
    "level": "debug, info, warning, error or critical",
    "event": "a name of the tables below",
    "service": "who wrote it",
    "region": "of which region",
    "request_id": "of the request at hand; the caller reads it in `X-Request-Id`",
    "correlation_id": "of the request at hand, or of the request that a message goes back to",
    "event_id": "of the message that is handled by itself, or that the line is about",
    "need_id": "of the need that the request, the message or the line is about, if it is one",
    "staff_id": "random id of who asked",
    "sweep": "the timed work at hand",
    "duration_ms": "how long it took, of everything that takes time",
    "left_out": "how many such lines were not written since the last one: what waits says so when "
    "it begins, once a minute, and by `wait.over` when it is over",
    "exception": "its `type`, its `message` redacted, and under `at` where it rose",
}
"""Fields that lines of any event may have; one name for one thing."""

EVENTS: Final[Mapping[str, LogEvent]] = {
    "http.request": LogEvent(
        "info", "A request was answered: method, route template, status, `duration_ms`."
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
    "http.retried": LogEvent(
        "info",
        "A request met another's locks (deadlock, serialization failure, lock wait) and was rolled "
        "back whole; it is run again.",
        "Nothing; if there are many, look for what locks in another order than the rest.",
    ),
    "http.timed_out": LogEvent(
        "warning",
        "A request ran into its time limit and was stopped; its transaction was rolled back.",
        "Look for slow statements, or for imports sent in too large pieces.",
    ),
    "library.log": LogEvent(
        "info",
        "A line of a library (server, broker client, driver), at that line's level.",
        "Of a warning or error: `logger` names the library. nats: look at the server; asyncpg: at "
        "PostgreSQL; opentelemetry: at the collector (spans are lost meanwhile, no work is).",
    ),
    "log.suppressed": LogEvent(
        "warning",
        "An event repeated more often than the limit per minute; `suppressed` lines of it were "
        "not written.",
        "Look at the first lines of the event named in `of`.",
    ),
    "wait.over": LogEvent(
        "info",
        "What the event named in `of` waited for is there, after `duration_ms`; `left_out` more "
        "lines of it were not written since the last one.",
    ),
    "keys.locked": LogEvent(
        "warning",
        "The service runs without the key for personal data.",
        "Run `aidmesh unlock` when somebody who knows the passphrase is there.",
    ),
    "keys.unreadable": LogEvent(
        "warning",
        "A changed file in the folder of keys can't be read; the keys that are loaded stay.",
        "Look at the folder: `aidmesh doctor`, or put the copy back.",
    ),
    "keys.unlocked": LogEvent("info", "The keys for personal data were loaded."),
    "keys.unlock_refused": LogEvent(
        "warning",
        "Somebody of the on-call staff tried to unlock and could not; `cause` says why.",
        "Ask who it was (`staff_id`; all zeros: whoever ran `aidmesh unlock`). If nobody knows, "
        "someone is guessing: take the role away, or look at who can reach the folder of keys.",
    ),
    "revocations.unreadable": LogEvent(
        "error",
        "Whose tokens are void can't be read; what was known before holds.",
        "Look at `revoked.json` in the region's folder of keys, which `aidmesh staff` writes. If "
        "it is damaged remove it, then disable again whom you disabled in the last twelve hours.",
    ),
    "relay.opened": LogEvent("info", "The gate is open: this service's events are published."),
    "relay.waits": LogEvent(
        "warning",
        "Events wait in the outbox: the gate is closed, or PostgreSQL or NATS is away.",
        "If it lasts, look at NATS and at the region's supervisor; nothing is lost meanwhile.",
    ),
    "courier.waits": LogEvent(
        "warning",
        "Handoffs wait: PostgreSQL or NATS is away.",
        "If it lasts, look at NATS; nothing is lost meanwhile.",
    ),
    "courier.client_error": LogEvent("debug", "The client library reported what it deals with."),
    "courier.close_failed": LogEvent("debug", "The courier's connection was already gone."),
    "handoff.waits": LogEvent(
        "info", "A peer region could not be reached; what is for it is sent again, later each time."
    ),
    "peer.dark": LogEvent(
        "warning",
        "A peer region is not heard, and nothing or not all of it has been for longer than the "
        "bound; work goes on here, figures from there are as of then.",
        "Run `aidmesh status`; look at the network between the two, then at the peer's servers. "
        "Telephone before deciding anything by the peer's figures.",
    ),
    "peer.behind": LogEvent(
        "warning",
        "A peer region is heard, but events of it have been missing here for longer than the "
        "bound.",
        "Run `aidmesh status`, then `aidmesh topology check`; if the link carries little, wait "
        "for it to catch up.",
    ),
    "peer.unanswered": LogEvent(
        "warning",
        "A peer region is heard, but has left a handoff of this service unanswered for longer "
        "than the bound.",
        "Ask the peer whether the same service runs there, and look at its dead letters.",
    ),
    "peer.fine": LogEvent("info", "What was wrong with a peer region is over."),
    "outbox.batch_split": LogEvent(
        "info", "An atomic batch was refused (a duplicate id, as a rule); each event goes alone."
    ),
    "outbox.publish_failed": LogEvent(
        "error",
        "JetStream refused one event; it stays in the outbox and is tried again.",
        "Look up `cause` among the JetStream errors; often streams are full, and `aidmesh doctor` "
        "says of what, or one is missing: `aidmesh topology apply`. "
        "`too_large`: no try will help; report it as a bug.",
    ),
    "outbox.row_refused": LogEvent(
        "error",
        "Some events were refused and wait for their next try; others go on.",
        "See outbox.publish_failed next to it.",
    ),
    "batch.handled": LogEvent(
        "debug", "Messages of a durable were taken in by one transaction, in `duration_ms`."
    ),
    "batch.waits": LogEvent(
        "warning",
        "A batch could not be handled because the database was away; it comes again.",
        "If it lasts, look at PostgreSQL.",
    ),
    "batch.split": LogEvent(
        "warning",
        "A batch failed; its messages are handled one by one to find the one to blame.",
        "Look for message.failed or message.dead after it; without one the batch went through.",
    ),
    "message.waits": LogEvent(
        "warning",
        "One message could not be handled because the database was away; it comes again.",
        "If it lasts, look at PostgreSQL.",
    ),
    "message.parked": LogEvent("info", "A message is tried again later, by itself."),
    "message.failed": LogEvent(
        "error",
        "Handling a message raised; it is tried again after a growing delay.",
        "Read exception.at; after five attempts it is a dead letter.",
    ),
    "message.dead": LogEvent(
        "error",
        "A message was set aside for a person: it can't be handled.",
        "Read `reason`; `aidmesh dead list` names the letter, `aidmesh dead show` shows it. Mend "
        "the cause, then `aidmesh dead retry`, or `aidmesh dead drop` if nothing is missed.",
    ),
    "broker.waits": LogEvent(
        "warning",
        "The service waits for NATS, or for its consumers to be provisioned.",
        "If it lasts: is NATS up, has `aidmesh topology apply` run?",
    ),
    "broker.fetch_failed": LogEvent(
        "warning",
        "Asking NATS for messages failed; it is asked again in a second.",
        "If it lasts, look at NATS; `cause` is the class of the error.",
    ),
    "broker.pull_refused": LogEvent(
        "warning",
        "NATS ended a request for messages before its time; it is asked again in a second.",
        "Read `reason`: at a restart of NATS it is normal; otherwise `aidmesh topology check`.",
    ),
    "broker.reconnected": LogEvent(
        "warning",
        "The connection to NATS came back; the gate is asked before anything is sent.",
        "If it repeats, look at the network and at NATS's own log.",
    ),
    "broker.cut": LogEvent(
        "warning",
        "At shutdown the connection did not drain; it was cut.",
        "Nothing is lost: what was not acknowledged comes again. If it repeats, look at NATS.",
    ),
    "database.waits": LogEvent(
        "warning",
        "The service waits for its database, or for its migrations.",
        "If it lasts: is PostgreSQL up, has `migrate` run?",
    ),
    "database.migrated": LogEvent(
        "info", "Tables of a database were brought up to date: `migrations`, in `duration_ms`."
    ),
    "service.started": LogEvent("info", "The service takes in events and answers requests."),
    "service.stopped": LogEvent("info", "The service stopped in order."),
    "service.failed": LogEvent(
        "critical",
        "A service can't go on, or not start, and the process ends; the supervisor starts it anew.",
        "Read exception.at; if it repeats, run `aidmesh topology check`.",
    ),
    "settings.refused": LogEvent(
        "critical",
        "A setting is missing or does not fit (`reason`); the process ends, and so does each that "
        "is started with the same.",
        "Put `setting` right where the process has it from: the environment of `aidmesh up`, "
        "`settings.env` of containers, or the secrets folder; then start that anew. What it may "
        "be: docs/settings.md.",
    ),
    "settings.unknown": LogEvent(
        "warning",
        "Something is set that the service does not know, and that has no effect: mistyped, or of "
        "another version.",
        "`closest` is the known name that it is most like. Correct it, or take it out.",
    ),
    "consumer.missing": LogEvent(
        "critical",
        "A durable consumer was deleted under the running service, which now restarts.",
        "Run `aidmesh topology check`; find out who deleted it.",
    ),
    "consumer.differs": LogEvent(
        "critical",
        "A durable consumer filters or acknowledges otherwise than agreed; the service, which "
        "would miss events, restarts and waits.",
        "Run `aidmesh topology apply`; find out who changed it.",
    ),
    "broker.closed": LogEvent(
        "critical",
        "The connection to NATS ended for good and the service restarts: NATS refused it.",
        "If it repeats, look at NATS's own log: a key or a right may have changed.",
    ),
    "message.ack_waits": LogEvent(
        "warning",
        "Messages were handled while NATS is away; that is said again until it is heard.",
        "If it lasts, look at NATS; nothing is handled twice.",
    ),
    "partitions.failed": LogEvent(
        "error",
        "The tables of the next months could not be made; it is tried again in a minute, and rows "
        "go to the default table until then.",
        "A lock that was waited for too long goes by itself; if it lasts, report it as a bug.",
    ),
    "sweep.done": LogEvent("debug", "Timed work (`sweep`) did `rows` rows, in `duration_ms`."),
    "sweep.waits": LogEvent(
        "warning",
        "Timed work could not be done because the database was away; it is tried again.",
        "If it lasts, look at PostgreSQL.",
    ),
    "sweep.failed": LogEvent(
        "error",
        "Timed work raised; the next round tries again.",
        "Read exception.at; report it as a bug.",
    ),
}
