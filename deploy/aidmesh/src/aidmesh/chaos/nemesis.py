"""Does to a mesh what the plan says, heals it again, and measures how long it takes to recover."""

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import asyncpg
import psutil

from aidmesh.chaos.plan import LINKS, NATS, Fault, Kind
from aidmesh.chaos.probes import CONNECT_S_MAX, OUTAGES, probing_one
from aidmesh.chaos.recovery import Recovery, Watch, pid_of, until
from aidmesh.chaos.road import Road
from aidmesh.chaos.supervisor import Supervisor
from aidmesh.credentials import seed_file
from aidmesh.meshfile import RegionEntry
from aidmesh_chassis import ending
from aidmesh_chassis.client import Client

APPEAR_S_MAX: Final = 120.0
"""Of what is to be hit: on a slow machine whatever was killed takes a minute to come back."""
STILL_S_MAX: Final = 10.0
HEAL_S_MAX: Final = 60.0
"""What can't be healed in time is when all else is."""
POLL_S: Final = 0.05
RETRY_S: Final = 1.0
REPEATED_MAX: Final = 60
LOCK_S_MAX: Final = 5
DELAYED_SHARE: Final = 0.3
DELAYED_S_MAX: Final = 3.0

_SENT: Final = """
    SELECT subject, headers, payload FROM (
        SELECT subject, headers, payload FROM outbox
        WHERE status = 'acked' AND payload IS NOT NULL
        UNION ALL
        SELECT subject, headers, payload FROM handoff
        WHERE published_at IS NOT NULL AND payload IS NOT NULL
    ) sent ORDER BY random() LIMIT $1
"""
KNOWN_BY: Final = "Nats-Msg-Id"
NOT_YET: Final = Recovery(None, {})
MISSED: Final[tuple[type[BaseException], ...]] = (*OUTAGES, psutil.Error)


@dataclass(slots=True)
class Injected:
    """A fault of the plan, and what came of it; times in seconds after the load began.

    Attributes:
        missed: why it could not be done: something else was broken already.
        recovery: from its healing until the regions that felt it had caught up.
    """

    fault: Fault
    injected_at_s: float | None = None
    healed_at_s: float | None = None
    recovery: Recovery = NOT_YET
    missed: str | None = None

    @property
    def recovered_s(self) -> float | None:
        """How long that took; None if it did not come about."""
        return self.recovery.seconds


@dataclass(slots=True)
class Nemesis:
    """Breaks a mesh according to a plan.

    Args:
        roads: by the sorted pair of regions.
        say: gets a line per fault.
    """

    mesh: Supervisor
    roads: Mapping[tuple[str, ...], Road]
    plan: Sequence[Fault]
    watch: Watch
    say: Callable[[str], None]
    done: list[Injected] = field(default_factory=list, init=False)
    _frozen: dict[tuple[str, str], list[psutil.Process]] = field(default_factory=dict, init=False)
    _delayed: set[str] = field(default_factory=set, init=False)
    _began: float = field(default=0.0, init=False)

    async def run(self) -> None:
        """Carry the plan out; returns when every fault is healed and recovered from."""
        self._began = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for fault in self.plan:
                await asyncio.sleep(max(0.0, fault.at_s - self._now_s()))
                injected = Injected(fault)
                self.done.append(injected)
                tasks.create_task(ending.lasting(self._carry_out(injected)))

    def let_go(self) -> None:
        """Heal links and processes, however the run ended."""
        for road in self.roads.values():
            road.heal()
        for key in list(self._frozen):
            self._thaw(key)

    async def heal_events(self) -> None:
        """Have no event wait any more; waits until the databases answer."""
        for region in list(self._delayed):
            await _until_done(partial(self._delay, region, on=False))

    def _now_s(self) -> float:
        return round(time.monotonic() - self._began, 2)

    async def _carry_out(self, injected: Injected) -> None:
        fault = injected.fault
        try:
            killed = await self._inject(fault)
        except MISSED as error:
            injected.missed = type(error).__name__
            self.say(f"{self._now_s():6.1f} s  missed   {described(fault)}: {injected.missed}")
            await self._heal(fault)
            return
        injected.injected_at_s = self._now_s()
        self.say(f"{injected.injected_at_s:6.1f} s  {described(fault)}")
        await asyncio.sleep(fault.for_s)
        await self._heal(fault)
        injected.healed_at_s = self._now_s()
        injected.recovery = await self.watch.recovery(fault, killed)

    async def _inject(self, fault: Fault) -> int | None:
        """Break it; returns the process that was killed, if one was."""
        match fault.kind:
            case Kind.KILL | Kind.CRASH:
                pid = await self._pid(fault)
                os.kill(pid, signal.SIGKILL)
                return pid
            case Kind.EMPTY:
                return await self._empty(fault)
            case Kind.FREEZE:
                self._freeze(fault, psutil.Process(await self._pid(fault)))
            case Kind.CUT:
                await self.roads[fault.target].cut()
            case Kind.STALL:
                self.roads[fault.target].stall()
            case Kind.SLOW:
                self.roads[fault.target].slow()
            case Kind.REPEAT:
                await _when_possible(partial(self._repeat, fault))
            case Kind.DELAY:
                await _when_possible(partial(self._delay, fault.region, on=True))
        return None

    async def _heal(self, fault: Fault) -> None:
        if fault.kind in LINKS:
            self.roads[fault.target].heal()
        elif fault.kind is Kind.FREEZE:
            self._thaw((fault.region, fault.part))
        elif fault.kind is Kind.DELAY:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HEAL_S_MAX):
                    await _until_done(partial(self._delay, fault.region, on=False))

    # ---- processes ---------------------------------------------------------------------------

    async def _pid(self, fault: Fault) -> int:
        """The process that is hit; it may just be starting. Raises TimeoutError."""
        async with asyncio.timeout(APPEAR_S_MAX):
            while True:
                pid = pid_of(self.mesh, fault)
                if pid is not None:
                    return pid
                await asyncio.sleep(POLL_S)

    def _freeze(self, fault: Fault, process: psutil.Process) -> None:
        """Stop a process, then its children: it can make no new ones meanwhile."""
        frozen = [process]
        process.suspend()
        for child in process.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.suspend()
                frozen.append(child)
        self._frozen[fault.region, fault.part] = frozen

    def _thaw(self, key: tuple[str, str]) -> None:
        for process in reversed(self._frozen.pop(key, [])):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()

    async def _empty(self, fault: Fault) -> int:
        """Take the server's store away and kill it; it comes back without.

        It is held still meanwhile: were it killed first, the next one might be there already, and
        lose the store that it has opened.
        """
        process = psutil.Process(await self._pid(fault))
        store = self.mesh.data / fault.region / NATS / "jetstream"
        gone = store.with_name(f"jetstream.lost-{fault.no}")
        process.suspend()
        try:
            async with asyncio.timeout(STILL_S_MAX):
                await until(partial(_is_still, process), POLL_S / 5)
            if store.exists():
                store.rename(gone)
        finally:
            process.kill()
        await asyncio.to_thread(shutil.rmtree, gone, ignore_errors=True)
        return process.pid

    # ---- events ------------------------------------------------------------------------------

    async def _repeat(self, fault: Fault) -> None:
        """Publish events once more, without the header by which the server knows them.

        So they come to every consumer again, after events that are newer: as after a recovery.
        """
        rng = random.Random(f"repeat/{fault.no}")  # noqa: S311 - it has to be repeatable
        entry = self.mesh.file.regions[fault.region]
        async with AsyncExitStack() as stack:
            probe = await stack.enter_async_context(probing_one(self.mesh.file, fault.region))
            found: list[tuple[Client, asyncpg.Record]] = []
            for service, conn in probe.connections.items():
                client = await stack.enter_async_context(_speaking_as(entry, service))
                found += [(client, row) for row in await conn.fetch(_SENT, REPEATED_MAX)]
            rng.shuffle(found)
            for client, row in found:
                headers = json.loads(row["headers"])
                headers.pop(KNOWN_BY, None)
                await client.publish(row["subject"], row["payload"], headers=headers)

    async def _delay(self, region: str, *, on: bool) -> None:
        """Have some rows of the outboxes wait while those after them are published.

        It is what a relay does to a row that was refused, so it needs no help from the services.
        """
        default = (
            f"CASE WHEN random() < {DELAYED_SHARE} THEN clock_timestamp() "
            f"+ random() * interval '{DELAYED_S_MAX} seconds' END"
            if on
            else "NULL"
        )
        self._delayed.add(region)
        async with probing_one(self.mesh.file, region) as probe:
            for conn in probe.connections.values():
                await conn.execute(f"SET lock_timeout = '{LOCK_S_MAX}s'")
                await conn.execute(
                    f"ALTER TABLE outbox ALTER COLUMN retry_at SET DEFAULT {default}"
                )
        if not on:
            self._delayed.discard(region)


def described(fault: Fault) -> str:
    """A fault in words."""
    where = (
        f"{fault.region} – {fault.part}" if fault.kind in LINKS else f"{fault.region} {fault.part}"
    )
    lasting = f" for {fault.for_s:.1f} s" if fault.for_s else ""
    return f"{fault.kind:<7} {where}{lasting}"


class NotRepeatedError(RuntimeError):
    """The server does not take an event of a service from that service."""


@asynccontextmanager
async def _speaking_as(entry: RegionEntry, service: str) -> AsyncIterator[Client]:
    """Publish with a service's own rights; in the end everything has arrived.

    Raises:
        NotRepeatedError: the server refused something.
    """
    refused: list[str] = []

    async def hear(error: Exception) -> None:
        refused.append(str(error))

    client = Client()
    async with asyncio.timeout(CONNECT_S_MAX):
        await client.connect(
            entry.nats.url,
            nkeys_seed=str(seed_file(entry.keys, service)),
            inbox_prefix=f"_INBOX_{service}".encode(),
            allow_reconnect=False,
            error_cb=hear,
        )
    try:
        yield client
        await client.flush(timeout=LOCK_S_MAX)
    finally:
        await ending.close(client)
    denied = [each for each in refused if "permissions violation" in each]
    if denied:
        raise NotRepeatedError(f"{service}: {denied[0]}")


async def _until_done(act: Callable[[], Awaitable[None]]) -> None:
    """Do it, however long other faults stand in the way."""
    while True:
        try:
            await act()
        except OUTAGES:
            await asyncio.sleep(RETRY_S)
        else:
            return


async def _when_possible(act: Callable[[], Awaitable[None]]) -> None:
    """Do it when the region lets us. Raises TimeoutError when it does not in time."""
    async with asyncio.timeout(APPEAR_S_MAX):
        await _until_done(act)


async def _is_still(process: psutil.Process) -> bool:
    """Whether a process that was told to stop has done so."""
    return process.status() == psutil.STATUS_STOPPED
