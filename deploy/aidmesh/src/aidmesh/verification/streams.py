"""Streams against databases: what was sent is there, and what is there was taken in.

Streams are read here, compared in the databases: each is told what the streams hold and answers
with what does not fit.
"""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import asyncpg

from aidmesh.quiet import RegionProbe
from aidmesh.verification.outcome import Outcome, outcome
from aidmesh.verification.privacy import Canaries
from aidmesh.verification.wire import Frame, Wire, wired
from aidmesh_contracts.consumers import CONSUMERS
from aidmesh_contracts.streams import Stream, event_type_of

CONNECTIONS_MAX = 5
LOOKS_MAX = 10
LOOK_S = 1.0
PROVED = (Stream.EVENTS, Stream.LOCAL)
"""Of these every settled outbox row must be in the stream, for good; the others forget."""

_ID = re.compile(rb"\r\nce-id: ?([0-9a-f-]{36})\r\n")


@dataclass(slots=True)
class Read:
    """What one stream holds.

    Attributes:
        seqs, ids: of its events, in its order.
        ids_by_subject: of its events.
        last_seq: how far it was read.
        suspicious: messages in which a canary was found.
    """

    seqs: list[int] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    ids_by_subject: dict[str, list[str]] = field(default_factory=dict)
    last_seq: int = 0
    suspicious: list[str] = field(default_factory=list)

    def ids_of(self, fits: Callable[[str], bool]) -> list[str]:
        """Ids of the events whose subject fits."""
        return [one for subject, ids in self.ids_by_subject.items() if fits(subject) for one in ids]


Reads = Mapping[Stream, Read]


async def read_streams(
    probe: RegionProbe, canaries: Canaries | None, *, world_is_a_copy: bool
) -> dict[Stream, Read]:
    """Read every stream of a region, to the message that is last now.

    A server closes the connection of a reader that does not answer its pings for ten seconds, as
    on a machine that has too much to do: then it is read on from there by another one.

    Args:
        canaries: personal values to look for; without any, only headers are read.
        world_is_a_copy: of streams that are read elsewhere: then its bodies are not searched.

    Raises:
        ConnectionError: it was closed `CONNECTIONS_MAX` times.
    """
    reads = {stream: Read() for stream in Stream}
    for connections in range(1, CONNECTIONS_MAX + 1):
        try:
            async with wired(probe.entry) as wire:
                for stream, read in reads.items():
                    copy = stream is Stream.WORLD and world_is_a_copy
                    await read_on(probe, wire, stream, read, None if copy else canaries)
            break
        except ConnectionError:
            if connections == CONNECTIONS_MAX:
                raise
    return reads


async def read_on(
    probe: RegionProbe, wire: Wire, stream: Stream, read: Read, canaries: Canaries | None
) -> None:
    """Read a stream from where it was read to before."""
    async for frames in wire.read(
        probe.client, stream.value, read.last_seq, headers_only=canaries is None
    ):
        for frame in frames:
            found = _ID.search(frame.head)
            if found is not None:
                event_id = found[1].decode()
                read.seqs.append(frame.seq)
                read.ids.append(event_id)
                read.ids_by_subject.setdefault(frame.subject, []).append(event_id)
            read.last_seq = frame.seq
        if canaries is not None and canaries.are_in(_text_of(frames)):
            read.suspicious += [
                f"{stream}: {frame.subject} #{frame.seq}"
                for frame in frames
                if canaries.are_in(_text_of([frame]))
            ]


def _text_of(frames: Sequence[Frame]) -> bytes:
    return b"\n".join(
        part for frame in frames for part in (frame.subject.encode(), frame.head, frame.body)
    )


def no_personal_data_in_events(region: str, reads: Reads) -> Outcome:
    """No event, sealed or not, shows a planted value."""
    return outcome(
        f"{region}.no_personal_data_in_events",
        "none of the planted personal values is in an event",
        [where for read in reads.values() for where in read.suspicious],
    )


@dataclass(frozen=True, slots=True)
class Marks:
    """How far one service's events were acknowledged: the highest sequence in each stream.

    To be asked before the streams are read: whatever is sent meanwhile is then no violation.
    """

    service: str
    acked: Mapping[Stream, int]


async def marks_of(probe: RegionProbe) -> list[Marks]:
    """The marks of every service."""

    async def of_one(service: str, conn: asyncpg.Connection) -> Marks:
        rows = await conn.fetch(
            "SELECT stream, max(ack_seq) AS acked FROM outbox "
            "WHERE status = 'acked' AND stream = ANY($1::text[]) GROUP BY stream",
            [stream.value for stream in PROVED],
        )
        return Marks(service, {Stream(row["stream"]): row["acked"] for row in rows})

    return await asyncio.gather(
        *(of_one(service, conn) for service, conn in probe.connections.items())
    )


async def sent_is_there(probe: RegionProbe, marks: Sequence[Marks], reads: Reads) -> Outcome:
    """Every settled outbox row is in its stream under its sequence."""

    async def missing(mark: Marks, stream: Stream) -> list[str]:
        rows = await probe.connections[mark.service].fetch(
            """
            SELECT event_id, ack_seq FROM outbox
            WHERE status = 'acked' AND stream = $1 AND ack_seq <= $2
            EXCEPT SELECT * FROM unnest($3::uuid[], $4::bigint[])
            """,
            stream.value,
            mark.acked[stream],
            reads[stream].ids,
            reads[stream].seqs,
        )
        return [
            f"{mark.service} {row['event_id']} not at {stream} #{row['ack_seq']}" for row in rows
        ]

    async def of_one(mark: Marks) -> list[str]:
        return [one for stream in mark.acked for one in await missing(mark, stream)]

    found = await asyncio.gather(*(of_one(mark) for mark in marks))
    return outcome(
        f"{probe.name}.sent_events_are_in_their_streams",
        "every acknowledged outbox row is in its stream under its sequence",
        [one for missing in found for one in missing],
    )


async def public_events_reached(
    probe: RegionProbe,
    marks: Sequence[Marks],
    peers: Sequence[tuple[RegionProbe, Reads]],
) -> Outcome:
    """Every public event is in the WORLD of every peer on this machine.

    An event sent a moment ago may still be on the link, so it is looked for again.
    """
    untold: list[str] = []
    for peer, reads in peers:
        missing = await _not_in_world(probe, marks, reads[Stream.WORLD])
        for _ in range(LOOKS_MAX):
            if not missing:
                break
            await asyncio.sleep(LOOK_S)
            async with wired(peer.entry) as wire:
                await read_on(peer, wire, Stream.WORLD, reads[Stream.WORLD], None)
            missing = await _not_in_world(probe, marks, reads[Stream.WORLD])
        untold += [f"{one} not in WORLD of {peer.name}" for one in missing]
    return outcome(
        f"{probe.name}.public_events_reached_the_peers",
        "every public event is in the WORLD of every peer on this machine",
        untold,
    )


async def _not_in_world(probe: RegionProbe, marks: Sequence[Marks], world: Read) -> list[str]:
    origin = f"aid.{probe.name}."
    there = world.ids_of(lambda subject: subject.startswith(origin))
    found: list[str] = []
    for mark in marks:
        if Stream.EVENTS in mark.acked:
            rows = await probe.connections[mark.service].fetch(
                """
                SELECT event_id FROM outbox
                WHERE status = 'acked' AND stream = 'EVENTS' AND ack_seq <= $1
                EXCEPT SELECT unnest($2::uuid[])
                """,
                mark.acked[Stream.EVENTS],
                there,
            )
            found += [f"{mark.service} {row['event_id']}" for row in rows]
    return found


async def there_is_taken(probe: RegionProbe, reads: Reads) -> Outcome:
    """Every event that a durable filters for is in its service's inbox or dead letters.

    What came a moment ago may be under way, so it is looked for again.
    """

    async def of_one(service: str, conn: asyncpg.Connection) -> list[str]:
        wanted = {
            one: consumer.durable
            for consumer in CONSUMERS
            if consumer.service == service
            for one in reads[consumer.stream].ids_of(_taken_by({e.type for e in consumer.events}))
        }
        missing = await _not_taken(conn, list(wanted))
        for _ in range(LOOKS_MAX):
            if not missing:
                break
            await asyncio.sleep(LOOK_S)
            missing = await _not_taken(conn, missing)
        return [f"{wanted[one]}: {one}" for one in missing]

    found = await asyncio.gather(
        *(of_one(service, conn) for service, conn in probe.connections.items())
    )
    return outcome(
        f"{probe.name}.every_event_was_taken_in",
        "every event a consumer filters for is in its inbox or among its dead letters",
        [one for missing in found for one in missing],
    )


def _taken_by(types: set[str]) -> Callable[[str], bool]:
    return lambda subject: event_type_of(subject) in types


async def _not_taken(conn: asyncpg.Connection, ids: Sequence[str]) -> list[str]:
    rows = await conn.fetch(
        """
        SELECT unnest($1::uuid[]) AS event_id
        EXCEPT (SELECT event_id FROM inbox UNION ALL SELECT event_id FROM dead_letter)
        """,
        ids,
    )
    return [str(row["event_id"]) for row in rows]
