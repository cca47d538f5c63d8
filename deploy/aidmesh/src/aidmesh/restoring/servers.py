"""What a region is restored into, whoever runs it: databases, and logs that know the last hour."""

import asyncio
import time
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

import nats.errors
from nats.aio.client import Client

from aidmesh.connecting import connect
from aidmesh.meshfile import RegionEntry
from aidmesh.restoring.finding import Known, lost_in
from aidmesh.topology.api import ApiError, JetStreamApi
from aidmesh.topology.rights import SUPERVISOR
from aidmesh.verification.wire import wired
from aidmesh_chassis.ending import goes_on
from aidmesh_chassis.restoring import Lost
from aidmesh_contracts.streams import Stream

LOOK_S: Final = 0.5
READY_S_MAX: Final = 60.0
OWN: Final = (Stream.EVENTS, Stream.LOCAL)

Own = dict[Stream, list[Lost]]
"""What the region's own logs tell that the backup does not know."""


class Servers(Protocol):
    """A region's servers. Whatever is broken off is begun again, with the same time of begin."""

    @property
    def aside(self) -> tuple[str, ...]:
        """What was there before, and where it is now."""
        ...

    def databases(self) -> AbstractAsyncContextManager[None]:
        """PostgreSQL runs, and what was in it is set aside."""
        ...

    async def own_log(self, known: Known) -> Own:
        """What the logs of before tell; empty lists where there are none."""
        ...

    def streams(self) -> AbstractAsyncContextManager[None]:
        """NATS runs and is linked as `mesh.json` says; no stream is in the way of a new one."""
        ...

    async def forget(self, api: JetStreamApi, own: Own) -> None:
        """Databases are as they should be: have no log of before any more."""
        ...

    def finish(self) -> None:
        """The region is restored."""
        ...


async def connected_to(entry: RegionEntry) -> Client:
    """A connection of the supervisor; servers of a cluster first have to find each other, and each
    stream that they have has to get a leader."""
    client = await connect(entry, SUPERVISOR)
    api = JetStreamApi(client)
    deadline = time.monotonic() + READY_S_MAX
    while goes_on():
        try:
            for stream in await api.names("STREAM.NAMES", "streams"):
                await api.stream_info(stream)
        except (TimeoutError, nats.errors.Error, ApiError):
            if time.monotonic() > deadline:
                await client.close()
                raise
            await asyncio.sleep(LOOK_S)
        else:
            break
    return client


async def read_own(entry: RegionEntry, known: Known) -> Own:
    """What the logs of a server that runs tell."""
    client = await connected_to(entry)
    try:
        async with wired(entry) as wire:
            return {
                stream: await lost_in(JetStreamApi(client), wire, stream.value, known, stream)
                for stream in OWN
            }
    finally:
        await client.close()
