"""The streams of a region, and how a subject is put together.

| stream  | subjects                     | leaves the region            |
|---------|------------------------------|------------------------------|
| EVENTS  | `aid.<region>.>`             | yes, sourced by every peer   |
| LOCAL   | `local.<region>.>`           | never                        |
| PRIVATE | `private.<region>.>`         | never; sealed; kept 7 days   |
| HANDOFF | `handoff.<to>.<from>.>`      | to that one region; sealed   |
| WORLD   | every other region's EVENTS  | (a copy)                     |
"""

from enum import StrEnum


class Stream(StrEnum):
    """A JetStream stream; the name is the same in every region."""

    EVENTS = "EVENTS"
    LOCAL = "LOCAL"
    PRIVATE = "PRIVATE"
    HANDOFF = "HANDOFF"
    WORLD = "WORLD"


PREFIXES = {Stream.EVENTS: "aid", Stream.LOCAL: "local", Stream.PRIVATE: "private"}
HANDOFF_PREFIX = "handoff"

GATE_SUBJECT = "gate.{region}"
"""Asked by relays at every (re)connection; answered by the region's supervisor."""

BEAT_SUBJECT = "beat.{region}"
"""Heartbeats: last value only, in memory, outside outbox, inbox and verification.

The subject says whose region it is, the payload which service.
"""

BEATS_SUBJECT = "beat.*"
"""Those of all regions that are linked."""

WORLD_REPORT_SUBJECT = "beat.{region}.world"
"""How much of each other region's EVENTS a region has, as JSON: `{"<origin>": {"messages": 12,
"last_seq": 40, "last_at": "<when>"}}`, sequences being the origin's, `last_at` (optional) when the
last of these events happened; under the region's own name what its own log holds. The only word of
it that crosses a link."""

WORLD_REPORTS_SUBJECT = "beat.*.world"
"""Those of all regions that are linked, and the own one's."""


def subject(stream: Stream, region: str, event_type: str) -> str:
    """Return the subject of an event of `region` in a stream that the region itself owns.

    Raises:
        ValueError: the stream is addressed to a peer (HANDOFF) or only a copy (WORLD).
    """
    prefix = PREFIXES.get(stream)
    if prefix is None:
        raise ValueError(f"{stream} has no subjects of the region's own")
    return f"{prefix}.{region}.{event_type}"


def handoff_subject(to_region: str, from_region: str, event_type: str) -> str:
    """Return the subject that lands in the HANDOFF stream of `to_region`."""
    return f"{HANDOFF_PREFIX}.{to_region}.{from_region}.{event_type}"


def origin_of(full_subject: str) -> str:
    """Return the region that published a subject, as the links between servers vouch for it."""
    tokens = full_subject.split(".")
    return tokens[2] if tokens[0] == HANDOFF_PREFIX else tokens[1]


def event_type_of(full_subject: str) -> str:
    """Return `<producer>.<aggregate>.<event>.v<N>`: the last four tokens of a subject."""
    return ".".join(full_subject.split(".")[-4:])
