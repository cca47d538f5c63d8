"""Streams against databases: what was sent is there, and what is there was taken in."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from nats.aio.client import Client

from aidmesh.quiet import RegionProbe
from aidmesh.verification.outcome import Outcome, outcome
from aidmesh_contracts.consumers import CONSUMERS
from aidmesh_contracts.streams import Stream, event_type_of

READ_S_MAX = 30.0


@dataclass(slots=True)
class Read:
    """What one stream holds.

    Attributes:
        by_seq: event id by sequence.
        by_type: event ids by event type.
        suspicious: subjects of messages in which a canary was found.
    """

    by_seq: dict[int, UUID] = field(default_factory=dict)
    by_type: dict[str, set[UUID]] = field(default_factory=dict)
    suspicious: list[str] = field(default_factory=list)


async def read_stream(client: Client, stream: Stream, canaries: re.Pattern[bytes] | None) -> Read:
    """Read a stream from its first message to the one that is last now.

    Raises:
        nats.errors.TimeoutError: nothing came for `READ_S_MAX` seconds.
    """
    found = Read()
    async for seq, subject, headers, data in _messages(client, stream):
        event_id = UUID(headers["ce-id"])
        found.by_seq[seq] = event_id
        found.by_type.setdefault(event_type_of(subject), set()).add(event_id)
        if canaries is not None and (
            canaries.search(data) or canaries.search(" ".join(headers.values()).encode())
        ):
            found.suspicious.append(f"{stream}: {subject} #{seq}")
    return found


async def _messages(
    client: Client, stream: Stream
) -> AsyncIterator[tuple[int, str, Mapping[str, str], bytes]]:
    context = client.jetstream(timeout=10.0)
    state = (await context.stream_info(stream.value)).state
    if state.messages == 0:
        return
    subscription = await context.subscribe(
        ">",
        stream=stream.value,
        ordered_consumer=True,
        pending_msgs_limit=-1,
        pending_bytes_limit=-1,
    )
    try:
        while True:
            message = await subscription.next_msg(timeout=READ_S_MAX)
            seq = message.metadata.sequence.stream
            yield seq, message.subject, message.headers or {}, message.data
            if seq >= state.last_seq:
                return
    finally:
        await subscription.unsubscribe()


@dataclass(frozen=True, slots=True)
class Sent:
    """An outbox row that JetStream acknowledged."""

    service: str
    event_id: UUID
    stream: Stream
    seq: int


async def sent_by(probe: RegionProbe) -> list[Sent]:
    """Return the settled rows of EVENTS and LOCAL.

    To be asked before the streams are read: whatever is sent meanwhile is then no violation.
    """
    return [
        Sent(service, row["event_id"], Stream(row["stream"]), row["ack_seq"])
        for service, conn in probe.connections.items()
        for row in await conn.fetch(
            "SELECT event_id, stream, ack_seq FROM outbox "
            "WHERE status = 'acked' AND stream IN ('EVENTS', 'LOCAL')"
        )
    ]


def sent_is_there(
    region: str, sent: Sequence[Sent], reads: Mapping[Stream, Read], worlds: Mapping[str, Read]
) -> list[Outcome]:
    """Every settled outbox row is in its stream under its sequence, and public ones with peers.

    Args:
        region: whose rows these are.
        sent: of `sent_by`, before the streams were read.
        reads: the region's own streams.
        worlds: WORLD of every other region, by region.
    """
    missing = [
        f"{row.service} {row.event_id} not at {row.stream} #{row.seq}"
        for row in sent
        if reads[row.stream].by_seq.get(row.seq) != row.event_id
    ]
    untold: list[str] = []
    for peer, world in worlds.items():
        told = set(world.by_seq.values())
        untold += [
            f"{row.service} {row.event_id} not in WORLD of {peer}"
            for row in sent
            if row.stream is Stream.EVENTS and row.event_id not in told
        ]
    outcomes = [
        outcome(
            f"{region}.sent_events_are_in_their_streams",
            "every acknowledged outbox row is in its stream under its sequence",
            missing,
        )
    ]
    if worlds:
        outcomes.append(
            outcome(
                f"{region}.public_events_reached_the_peers",
                "every public event is in the WORLD of every peer",
                untold,
            )
        )
    return outcomes


async def there_is_taken(probe: RegionProbe, reads: Mapping[Stream, Read]) -> Outcome:
    """Every event that a durable filters for is in its service's inbox or dead letters."""
    lost: list[str] = []
    for service, conn in probe.connections.items():
        taken = {row["event_id"] for row in await conn.fetch("SELECT event_id FROM inbox")}
        taken |= {row["event_id"] for row in await conn.fetch("SELECT event_id FROM dead_letter")}
        for consumer in CONSUMERS:
            if consumer.service == service:
                for event in consumer.events:
                    ids = reads[consumer.stream].by_type.get(event.type, set())
                    lost += [
                        f"{consumer.durable}: {event.type} {event_id}" for event_id in ids - taken
                    ]
    return outcome(
        f"{probe.name}.every_event_was_taken_in",
        "every event a consumer filters for is in its inbox or among its dead letters",
        lost,
    )
