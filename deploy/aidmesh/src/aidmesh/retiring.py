"""The orderly end of a region: what still stands in its way, its last word, and its going.

A region that retires has nothing more to say, and nobody waits for it. So it is asked of its own
books, and of those of its peers, what is still open; once nothing is, it tells that it has retired,
and when everybody has taken that in, it is looked once more while nothing can be written there.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import datetime
from typing import Final, Literal

import asyncpg

from aidmesh.meshfile import WITH_DATABASE, MeshError, MeshFile, Retired
from aidmesh.quiet import RegionProbe
from aidmesh.topology.api import JetStreamApi
from aidmesh.topology.reporter import arrived_from, own_log
from aidmesh.unsettled import open_in
from aidmesh.verification.peers import last_reported
from aidmesh_chassis import ending, handoff, outbox, standings
from aidmesh_chassis.db import Tx, clock
from aidmesh_chassis.ending import goes_on
from aidmesh_chassis.standings import GONE, Stand
from aidmesh_contracts.payments_regions import RegionChangedV1

PATIENCE_S: Final = 20.0
"""What is on its way arrives, or is something that people have to see to."""
HEARD_S: Final = 60.0
LOOK_S: Final = 0.5
LOCK_MS_MAX: Final = 5_000
Gone = Literal["lost", "retired"]


def not_taken(region: str, last_seq: int, reached: Mapping[str, int | None]) -> list[str]:
    """Which peers have not got all that a region told. Pure.

    Args:
        last_seq: of its last event.
        reached: by peer, the last event that is there; None where the peer does not say.
    """
    return [
        f"{peer} does not say what it has of {region}'s events"
        if seq is None
        else f"{peer} has {region}'s events up to #{seq} of #{last_seq}"
        for peer, seq in sorted(reached.items())
        if seq is None or seq < last_seq
    ]


def may_speak(region: str, stand: Stand | None, epoch: int) -> list[str]:
    """Why nobody would believe a region that it has retired. Pure.

    Args:
        stand: how it stands, as it knows; epoch: its own.
    """
    if stand is None or standings.counts(stand, epoch):
        return []
    return [f"{region} is held for lost: let it in again, then aidmesh topology rejoin"]


class Retirement:
    """One region's, with a look at everything that runs on this machine."""

    def __init__(self, mesh: MeshFile, region: str, probes: Sequence[RegionProbe]) -> None:
        [self._own] = [probe for probe in probes if probe.name == region]
        self._region = region
        self._epoch = mesh.regions[region].epoch
        self._others = {probe.name: probe for probe in probes if probe is not self._own}
        self._linked = mesh.peers(region)

    async def stand(self) -> Stand | None:
        """How the region stands."""
        return (await standings.known(self._own.connections["payments"])).get(self._region)

    async def peers(self) -> list[str]:
        """The others that have to hear of it: those that are not gone."""
        known = await standings.known(self._own.connections["payments"])
        return [
            peer for peer in self._linked if peer not in known or known[peer].standing not in GONE
        ]

    async def in_the_way(self) -> list[str]:
        """All that is open, a line each; empty when nothing is."""
        lines = may_speak(self._region, await self.stand(), self._epoch)
        lines += await self._open()
        peers = await self.peers()
        reached = {peer: await self._reached(peer) for peer in peers}
        return lines + not_taken(self._region, await self._last_seq(), reached)

    async def settled(self) -> list[str]:
        """As `in_the_way`, once what is on its way has had time to arrive."""
        return await _at_last(self.in_the_way, PATIENCE_S)

    async def tell(self) -> datetime:
        """Say that the region has retired, if it has not yet; returns since when."""
        conn = self._own.connections["payments"]
        async with conn.transaction():
            stand = await self.stand()
            if stand is not None and stand.standing == "retired":
                return stand.since
            origin = outbox.Origin(self._region, "payments", self._epoch)
            tx = Tx(conn, await clock(conn), origin)
            stand = Stand("retired", self._epoch, tx.now)
            said = {self._region: (stand, self._region)}
            await standings.take_in(tx, said, standings.nothing_follows)
            tx.emit(
                RegionChangedV1(
                    region=self._region,
                    standing=stand.standing,
                    epoch=stand.epoch,
                    since=stand.since,
                )
            )
            await tx.flush()
        return stand.since

    async def heard(self) -> list[str]:
        """What is open once everybody has had time to hear that it has retired."""
        return await _at_last(self._unheard, HEARD_S)

    async def _unheard(self) -> list[str]:
        lines = await self.in_the_way()
        return lines + [
            line
            for name, probe in self._others.items()
            for line in await not_heard(self._region, name, probe.connections)
        ]

    @asynccontextmanager
    async def closed(self) -> AsyncIterator[list[str]]:
        """Nothing is written in the region meanwhile; yields what is open then.

        Raises asyncpg.LockNotAvailableError when the region does not come to rest.
        """
        told_seq = await self._last_seq()
        lines = await self.in_the_way()
        if lines:  # it would be waited for in vain with everything locked
            yield lines
            return
        async with AsyncExitStack() as stack:
            # Once the region is stopped there is nothing left to end.
            stack.enter_context(suppress(asyncpg.InterfaceError, asyncpg.PostgresConnectionError))
            for conn in self._own.connections.values():
                await stack.enter_async_context(conn.transaction())
                await conn.execute(f"SET LOCAL lock_timeout = {LOCK_MS_MAX}")
                await conn.execute("LOCK TABLE outbox, handoff, inbox IN SHARE MODE")
            lines = await self._open()
            if await self._last_seq() != told_seq:
                lines.append(f"{self._region} told something new meanwhile")
            yield lines

    async def gone(self, deadline_s: float) -> bool:
        """Wait until its server has ended the connections; whether it did within the deadline."""
        await ending.close(self._own.client)
        deadline = time.monotonic() + deadline_s
        while goes_on() and time.monotonic() < deadline:
            if all(conn.is_closed() for conn in self._own.connections.values()):
                return True
            await asyncio.sleep(LOOK_S)
        return False

    async def _open(self) -> list[str]:
        lines = await open_in(self._region, self._region, self._own.connections)
        untaken = (await self._own.lag()).untaken
        if untaken:
            lines.append(f"{self._region}: {untaken} events are not taken in")
        for name, probe in self._others.items():
            lines += await open_in(self._region, name, probe.connections)
        return lines

    async def _last_seq(self) -> int:
        log = await own_log(JetStreamApi(self._own.client))
        return 0 if log is None else log.last_seq

    async def _reached(self, peer: str) -> int | None:
        if peer in self._others:
            api = JetStreamApi(self._others[peer].client)
            return (await arrived_from(api, self._region)).last_seq
        return await last_reported(self._own, peer)


async def _at_last(look: Callable[[], Awaitable[list[str]]], patience_s: float) -> list[str]:
    """What a look finds when it finds nothing any more, or after so long."""
    deadline = time.monotonic() + patience_s
    lines = await look()
    while lines and goes_on() and time.monotonic() < deadline:
        await asyncio.sleep(LOOK_S)
        lines = await look()
    return lines


async def not_heard(
    region: str,
    here: str,
    connections: Mapping[str, asyncpg.Connection],
    standing: Gone = "retired",
) -> list[str]:
    """Which services of a region have not taken in that another one is gone."""
    said = "has retired" if standing == "retired" else "is held for lost"
    lines = []
    for service in WITH_DATABASE:
        if service == "notification":  # it has nothing to do with other regions
            continue
        stand = (await standings.known(connections[service])).get(region)
        if stand is None or stand.standing != standing:
            lines.append(f"{here}.{service} has not heard that {region} {said}")
    return lines


async def gone_since(
    region: str, probes: Sequence[RegionProbe], standing: Gone = "retired"
) -> datetime:
    """Since when a region on another machine has retired, or is held for lost, as those here know.

    Raises MeshError when one of them has not heard of it.
    """
    lines = [
        line
        for probe in probes
        for line in await not_heard(region, probe.name, probe.connections, standing)
    ]
    if lines:
        raise MeshError("; ".join(lines))
    since: datetime = (await standings.known(probes[0].connections["payments"]))[region].since
    return since


async def end_handoffs(region: str, probes: Sequence[RegionProbe]) -> None:
    """What waits for a region that has retired is over."""
    for probe in probes:
        for conn in probe.connections.values():
            await handoff.end(conn, [region])


def take_out(mesh: MeshFile, region: str, since: datetime) -> None:
    """Take a region out of `mesh.json`, whose name nobody may have again.

    Args:
        mesh: is changed.
    """
    entry = mesh.regions.pop(region, None)
    mesh.elsewhere.pop(region, None)
    mesh.retired[region] = Retired(since=since, entry=entry)


def unlink(mesh: MeshFile, region: str) -> None:
    """Have no link with a region on another machine any more; it may be let in anew.

    Args:
        mesh: is changed.

    Raises MeshError when it is not linked with, or is one of this folder.
    """
    if region in mesh.regions:
        raise MeshError(f"{region} is a region of this data folder: it retires, or is stopped")
    if region not in mesh.elsewhere:
        raise MeshError(f"no region here is linked with {region}")
    del mesh.elsewhere[region]
