"""Hands events of a stream to a service once more, by way of its letters.

Every event goes the way of any other, its inbox included: what the service has taken in already is
nothing new to it. So only what it does not know is handed over; who asked for that, and why, stays
with the letter.
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from aidmesh.topology.api import JetStreamApi, section
from aidmesh.verification.wire import Frame, Wire
from aidmesh_chassis import letters
from aidmesh_chassis.inbox import Letter
from aidmesh_contracts.consumers import Consumer
from aidmesh_contracts.streams import event_type_of

HANDED_MAX: Final = 10_000
_ID: Final = re.compile(rb"\r\nce-id: ?([0-9a-f-]{36})\r\n")
_TIME: Final = re.compile(rb"\r\nce-time: ?(\S+)\r\n")


@dataclass(frozen=True, slots=True)
class Choice:
    """Which events of a stream: of these ids, from a sequence on, or from a time on."""

    ids: frozenset[UUID] = frozenset()
    from_seq: int = 1
    since: datetime | None = None

    def takes(self, event_id: UUID, happened_at: datetime) -> bool:
        """Whether an event is one of them. Pure; the sequence is seen to by who reads."""
        if self.ids and event_id not in self.ids:
            return False
        return self.since is None or happened_at >= self.since


@dataclass(slots=True)
class Found:
    """What a stream holds of what was asked for.

    Attributes:
        known: how many events the service has taken in, or a person dropped.
        missing: sequence, id and type of those that it has not.
    """

    known: int = 0
    missing: list[tuple[int, UUID, str]] = field(default_factory=list)


class TooManyError(Exception):
    """More than letters are made for."""


async def find(
    api: JetStreamApi, wire: Wire, conn: asyncpg.Connection, consumer: Consumer, choice: Choice
) -> Found:
    """Look for events of a durable; changes nothing.

    Raises TooManyError beyond `HANDED_MAX` that the service does not know.
    """
    types = {event.type for event in consumer.events}
    found = Found()
    async for frames in wire.read(
        api.client, consumer.stream.value, choice.from_seq - 1, headers_only=True
    ):
        wanted = {
            event_id: frame
            for frame in frames
            if event_type_of(frame.subject) in types
            and (event_id := _chosen(frame, choice)) is not None
        }
        unknown = await letters.not_taken_in(conn, list(wanted))
        found.known += len(wanted) - len(unknown)
        found.missing += [
            (frame.seq, event_id, event_type_of(frame.subject))
            for event_id, frame in wanted.items()
            if event_id in unknown
        ]
        if len(found.missing) > HANDED_MAX:
            raise TooManyError(f"the service lacks more than {HANDED_MAX} of these events")
    return found


def _chosen(frame: Frame, choice: Choice) -> UUID | None:
    event_id, at = _ID.search(frame.head), _TIME.search(frame.head)
    if event_id is None or at is None:
        return None
    identity = UUID(event_id[1].decode())
    happened_at = datetime.fromisoformat(at[1].decode())
    return identity if choice.takes(identity, happened_at) else None


async def hand_over(
    api: JetStreamApi,
    conn: asyncpg.Connection,
    consumer: Consumer,
    missing: Sequence[tuple[int, UUID, str]],
    by: str,
    reason: str,
) -> int:
    """Have the service try these; returns how many. Safe to repeat."""
    handed = 0
    for seq, event_id, _ in missing:
        answer = await api.request(f"STREAM.MSG.GET.{consumer.stream}", {"seq": seq})
        message = section(answer, "message")
        letter = Letter(
            consumer.durable,
            event_id,
            str(message["subject"]),
            letters.headers_of(base64.b64decode(str(message.get("hdrs") or ""))),
            base64.b64decode(str(message.get("data") or "")),
        )
        handed += await letters.hand_again(conn, letter, by, reason)
    return handed
