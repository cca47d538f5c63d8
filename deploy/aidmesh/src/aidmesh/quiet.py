"""Waiting until a mesh is quiet: nothing unsent, nothing untaken, nothing being tried again."""

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import asyncpg
from nats.aio.client import Client

from aidmesh.connecting import close_database, connect_asking, nats_of
from aidmesh.credentials import seed_file
from aidmesh.meshfile import WITH_DATABASE, MeshFile, RegionEntry
from aidmesh.topology.connections import connect_as
from aidmesh.topology.rights import READER
from aidmesh_chassis import ending
from aidmesh_contracts.consumers import CONSUMERS
from aidmesh_contracts.streams import Stream

POLL_S = 0.05
ANSWER_S_MAX = 600.0
"""For one question; generous, since it may read the largest table of all."""
ONE_BIG_QUESTION = {"work_mem": "64MB", "jit": "off"}
"""Whoever looks from outside asks few questions, over whole tables."""

STEADY_POLLS = 2
"""Two looks in a row: an event can be between a stream and an outbox during one."""


@dataclass(frozen=True, slots=True)
class Lag:
    """What is still on its way in one region."""

    unsent: int
    untaken: int
    failing: int

    @property
    def none(self) -> bool:
        """Whether nothing is."""
        return not (self.unsent or self.untaken or self.failing)


class RegionProbe:
    """Looks at one region from outside: its databases and its streams, as the reader."""

    def __init__(
        self,
        name: str,
        entry: RegionEntry,
        client: Client,
        connections: dict[str, asyncpg.Connection],
        peers_here: Collection[str] = (),
    ) -> None:
        """`peers_here` are the regions that are looked at as well: what is for them arrives."""
        self.name = name
        self.peers_here = tuple(peers_here)
        self.entry = entry
        self.client = client
        self.connections = connections

    async def lag(self, streams: Collection[Stream] = tuple(Stream)) -> Lag:
        """Count messages not taken or not acknowledged, events not sent, letters failing.

        Looks at the databases only when the streams are quiet: what is asked often should cost
        those who work little.

        Args:
            streams: whose consumers are looked at.
        """
        manager = self.client.jsm(timeout=5.0)
        durables = {consumer.durable for consumer in CONSUMERS}
        untaken = 0
        for stream in sorted({consumer.stream for consumer in CONSUMERS} & set(streams)):
            for info in await manager.consumers_info(stream.value):
                if info.name in durables:  # whoever else reads is nobody to wait for
                    untaken += (info.num_pending or 0) + (info.num_ack_pending or 0)
        unsent = failing = 0
        if not untaken:
            for conn in self.connections.values():
                unsent += await conn.fetchval(
                    """
                    SELECT (SELECT count(*) FROM outbox WHERE status = 'pending')
                         + (SELECT count(*) FROM handoff
                            WHERE status = 'waiting' AND to_region = ANY($1::text[]))
                    """,
                    list(self.peers_here),
                )
                failing += await conn.fetchval(
                    "SELECT count(*) FROM dead_letter WHERE status IN ('failing', 'parked')"
                )
        return Lag(unsent, untaken, failing)


@asynccontextmanager
async def probing(mesh: MeshFile) -> AsyncIterator[list[RegionProbe]]:
    """Connect to every region of a running mesh.

    Raises:
        AwayError: a region does not answer, or a database none of the questions that it is asked
            then, for `ANSWER_S_MAX`.
        asyncpg.PostgresError: it refuses.
    """
    async with AsyncExitStack() as stack:
        probes = []
        for name, entry in mesh.regions.items():
            connections = await _connect_databases(name, entry, stack)
            with nats_of(name):
                client = await connect_as(
                    entry.nats.url,
                    seed_file(entry.keys, READER),
                    entry.nats.ca_file,
                    lasting=True,
                )
            stack.push_async_callback(ending.close, client)
            probes.append(RegionProbe(name, entry, client, connections, mesh.peers(name)))
        yield probes


async def _connect_databases(
    region: str, entry: RegionEntry, stack: AsyncExitStack
) -> dict[str, asyncpg.Connection]:
    connections: dict[str, asyncpg.Connection] = {}
    for service in WITH_DATABASE:
        conn = await connect_asking(
            region, service, entry.admin_dsn(service), ANSWER_S_MAX, ONE_BIG_QUESTION
        )
        stack.push_async_callback(close_database, conn)
        connections[service] = conn
    return connections


async def wait_quiet(
    probes: Sequence[RegionProbe], deadline_s: float, streams: Collection[Stream] = tuple(Stream)
) -> dict[str, Lag]:
    """Wait until no region has any lag; returns what is left when `deadline_s` runs out.

    Args:
        probes: of `probing`.
        deadline_s: seconds at most.
        streams: whose consumers have to be done.

    Returns:
        the regions that are not quiet, by name; empty when all are.
    """
    end = time.monotonic() + deadline_s
    steady = 0
    while True:
        found = await asyncio.gather(*(probe.lag(streams) for probe in probes))
        lags = dict(zip([probe.name for probe in probes], found, strict=True))
        noisy = {name: lag for name, lag in lags.items() if not lag.none}
        steady = 0 if noisy else steady + 1
        if steady >= STEADY_POLLS or time.monotonic() > end:
            return noisy
        await asyncio.sleep(POLL_S)
