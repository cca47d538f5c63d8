"""Finds what a region told after its backup was taken: in its own log, and with its peers.

The databases say which ids they know; only what they don't is read as a whole.
"""

import asyncio
import base64
import json
import re
import time
from collections.abc import Iterable, Mapping
from typing import Final
from uuid import UUID

import asyncpg
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig

from aidmesh.topology.api import JetStreamApi, Json, section
from aidmesh.verification.wire import Frame, Wire
from aidmesh_chassis.ending import goes_on
from aidmesh_chassis.letters import headers_of
from aidmesh_chassis.restoring import Lost
from aidmesh_contracts.streams import WORLD_REPORT_SUBJECT, Stream

LOOK_S: Final = 0.5
STEADY_LOOKS: Final = 3
FETCH_MESSAGES: Final = 200
FETCH_S_MAX: Final = 30.0
_ID: Final = re.compile(rb"\r\nce-id: ?([0-9a-f-]{36})\r\n")


class Unreachable(ConnectionError):
    """A peer does not give back what it has; the message names it."""


class Known:
    """The ids of all events that the restored outboxes have."""

    def __init__(self, connections: Mapping[str, asyncpg.Connection]) -> None:
        """Use `prepare` first."""
        self._connections = connections

    async def prepare(self) -> None:
        """Have each database keep its ids at hand, for this connection."""
        for conn in self._connections.values():
            await conn.execute("CREATE TEMPORARY TABLE told AS SELECT event_id FROM outbox")
            await conn.execute("CREATE INDEX ON told (event_id)")

    async def unknown(self, frames: Iterable[Frame]) -> list[tuple[Frame, UUID]]:
        """Which of these messages are events that nobody here knows."""
        by_service: dict[str, dict[UUID, Frame]] = {}
        for frame in frames:
            found = _ID.search(frame.head)
            service = frame.subject.split(".")[2]
            if found is not None and service in self._connections:
                by_service.setdefault(service, {})[UUID(found[1].decode())] = frame
        lacking = []
        for service, events in by_service.items():
            rows = await self._connections[service].fetch(
                """
                SELECT n.id FROM unnest($1::uuid[]) AS n (id)
                WHERE NOT EXISTS (SELECT FROM told WHERE told.event_id = n.id)
                """,
                list(events),
            )
            lacking += [(events[row["id"]], row["id"]) for row in rows]
        return sorted(lacking, key=lambda each: each[0].seq)


async def lost_in(
    api: JetStreamApi, wire: Wire, stream: str, known: Known, as_stream: Stream
) -> list[Lost]:
    """The events of a stream that no restored outbox has, in its order.

    Args:
        stream: the one to read; empty when it is not there.
        as_stream: where these events belong.
    """
    if await api.stream_info(stream) is None:
        return []
    lost = []
    async for frames in wire.read(api.client, stream, 0, headers_only=True):
        for frame, event_id in await known.unknown(frames):
            lost.append(await _whole(api, stream, frame, event_id, as_stream))
    return lost


async def _whole(
    api: JetStreamApi, stream: str, frame: Frame, event_id: UUID, as_stream: Stream
) -> Lost:
    answer = await api.request(f"STREAM.MSG.GET.{stream}", {"seq": frame.seq})
    message = section(answer, "message")
    return Lost(
        event_id,
        as_stream.value,
        frame.subject,
        headers_of(base64.b64decode(str(message.get("hdrs") or ""))),
        base64.b64decode(str(message.get("data") or "")),
    )


def merged(*parts: Iterable[Lost]) -> list[Lost]:
    """Each event once, oldest first: ids of events begin with their time. Pure."""
    found = {event.event_id: event for part in parts for event in part}
    return [found[key] for key in sorted(found)]


def returned(peer: str) -> str:
    """The name of the stream that takes back what a peer has."""
    return f"RETURNED-{peer}"


async def ask_back(api: JetStreamApi, region: str, peer: str, seconds_max: float) -> None:
    """Have all that a peer's WORLD holds of this region in a stream of its own.

    Raises Unreachable when it is not there, whole, within `seconds_max`.
    """
    name = returned(peer)
    await api.create_stream(
        {
            "name": name,
            "storage": "file",
            "retention": "limits",
            "num_replicas": 1,
            "max_msgs": -1,
            "max_bytes": -1,
            "sources": [
                {
                    "name": Stream.WORLD.value,
                    "filter_subject": f"aid.{region}.>",
                    "external": {"api": f"$JS.{peer}.API", "deliver": f"sync.{region}.{peer}"},
                }
            ],
        }
    )
    reported: list[int] = []

    async def hear(message: Msg) -> None:
        told = json.loads(message.data).get(region) or {}
        reported.append(int(told.get("messages", 0)))

    subject = WORLD_REPORT_SUBJECT.format(region=peer)
    subscription = await api.client.subscribe(subject, cb=hear)
    deadline = time.monotonic() + seconds_max
    seen: list[int] = []
    try:
        while goes_on():
            info = await api.stream_info(name) or {}
            seen.append(int(str(section(info, "state").get("messages", 0))))
            if is_whole(info, reported[-1] if reported else None, seen):
                return
            if time.monotonic() > deadline:
                raise Unreachable(
                    f"{peer} does not give back what it has of {region}'s events within "
                    f"{seconds_max:.0f} s; wait for its link, or leave it out with --without {peer}"
                )
            await asyncio.sleep(LOOK_S)
    finally:
        await subscription.unsubscribe()


def is_whole(info: Json, reported: int | None, seen: list[int]) -> bool:
    """Whether a stream has all that a peer holds. Pure.

    Args:
        info: of the stream.
        reported: how many messages the peer says that it holds; None while it says nothing.
        seen: how many were here, at each look.
    """
    [source] = [*_sources(info), {}][:1]
    if reported is None or int(str(source.get("active", -1))) < 0:
        return False
    if int(str(source.get("lag", 0))) or (reported and not seen[-1]):
        return False
    return len(seen) >= STEADY_LOOKS and len(set(seen[-STEADY_LOOKS:])) == 1


def _sources(info: Json) -> list[Json]:
    sources = info.get("sources")
    return [each for each in sources if isinstance(each, dict)] if isinstance(sources, list) else []


async def messages_of(client: Client, stream: str, subject: str) -> list[Msg]:
    """What a stream holds under a subject now; for few messages."""
    context = client.jetstream(timeout=FETCH_S_MAX)
    subscription = await context.pull_subscribe(
        subject, stream=stream, config=ConsumerConfig(ack_policy=AckPolicy.NONE)
    )
    found: list[Msg] = []
    try:
        pending = (await subscription.consumer_info()).num_pending or 0
        while len(found) < pending:
            found += await subscription.fetch(
                min(FETCH_MESSAGES, pending - len(found)), timeout=FETCH_S_MAX
            )
    finally:
        await subscription.unsubscribe()
    return found
