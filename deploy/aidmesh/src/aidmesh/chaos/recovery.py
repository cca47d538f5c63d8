"""How long a region needs until it answers again and has caught up.

Recovered is: what was killed runs again, every service of the region says that it is ready, and no
event written before the fault was healed waits to be sent. After trouble with a link, besides: both
ends have all that the other one had published by then.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

from aidmesh.chaos.load.client import Client
from aidmesh.chaos.plan import EVERYWHERE, LINKS, Fault
from aidmesh.chaos.probes import OUTAGES, probing_one
from aidmesh.chaos.supervisor import Supervisor
from aidmesh.chaos.waiting import waiting_in_one
from aidmesh.topology.api import JetStreamApi
from aidmesh.topology.reporter import arrived_from

RECOVERY_S_MAX: Final = 240.0
POLL_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Recovery:
    """How a recovery went.

    Attributes:
        seconds: None if it did not come about in time.
        waited_s: how long was waited for what, in the order of looking.
        waiting: ids of events that waited in the regions that felt it, when it did not come about;
            `note` says why there are none.
    """

    seconds: float | None
    waited_s: Mapping[str, float]
    waiting: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Watch:
    """Looks whether regions have recovered.

    Attributes:
        clients: of each region one.
    """

    mesh: Supervisor
    clients: dict[str, Client]

    async def recovery(self, fault: Fault, killed: int | None) -> Recovery:
        """Wait until the regions that felt a fault have recovered.

        Args:
            killed: the process that was, if one was.
        """
        felt = self.mesh.file.regions if fault.region == EVERYWHERE else fault.regions
        began, healed_at = time.monotonic(), datetime.now(UTC)
        waited_s: dict[str, float] = {}

        async def wait_for(what: str, holds: Callable[[], Awaitable[bool]]) -> None:
            since = time.monotonic()
            try:
                await until(holds)
            finally:
                waited = time.monotonic() - since
                waited_s[what] = round(waited_s.get(what, 0.0) + waited, 2)

        try:
            async with asyncio.timeout(RECOVERY_S_MAX):
                await wait_for("process", partial(self._is_another, fault, killed))
                for region in felt:
                    await wait_for("ready", self.clients[region].is_ready)
                    await wait_for("sent", partial(self._has_sent, region, healed_at))
                if fault.kind in LINKS:
                    here, there = fault.regions
                    await wait_for("heard", partial(self._has_heard, here, there, healed_at))
                    await wait_for("heard", partial(self._has_heard, there, here, healed_at))
        except TimeoutError:
            waits = [await waiting_in_one(self.mesh.file, region) for region in felt]
            waiting = tuple(each for ids, _ in waits for each in ids)
            return Recovery(None, waited_s, waiting, "; ".join(note for _, note in waits if note))
        return Recovery(round(time.monotonic() - began, 2), waited_s)

    async def _is_another(self, fault: Fault, killed: int | None) -> bool:
        if killed is None:
            return True
        return await self.mesh.is_up() and pid_of(self.mesh, fault) not in (None, killed)

    async def _has_sent(self, region: str, before: datetime) -> bool:
        async with probing_one(self.mesh.file, region) as probe:
            waiting = 0
            for conn in probe.connections.values():
                waiting += await conn.fetchval(
                    "SELECT count(*) FROM outbox WHERE status = 'pending' AND created_at < $1",
                    before,
                )
        return waiting == 0

    async def _has_heard(self, region: str, peer: str, before: datetime) -> bool:
        async with probing_one(self.mesh.file, peer) as probe:
            sent = 0
            for conn in probe.connections.values():
                last = await conn.fetchval(
                    "SELECT max(ack_seq) FROM outbox "
                    "WHERE status = 'acked' AND stream = 'EVENTS' AND created_at < $1",
                    before,
                )
                sent = max(sent, last or 0)
        async with probing_one(self.mesh.file, region) as probe:
            return (await arrived_from(JetStreamApi(probe.client), peer)).last_seq >= sent


def pid_of(mesh: Supervisor, fault: Fault) -> int | None:
    """The process that a fault is about; None while there is none."""
    if fault.region == EVERYWHERE:
        return mesh.pid if mesh.process.alive else None
    return mesh.pids(fault.region).get(fault.part)


async def until(holds: Callable[[], Awaitable[bool]], poll_s: float = POLL_S) -> None:
    """Wait until something holds; other faults may be in the way of looking."""
    while True:
        try:
            if await holds():
                return
        except OUTAGES:
            await asyncio.sleep(poll_s)
        await asyncio.sleep(poll_s)
