"""Supervises one region whose servers and services somebody else runs, until told to stop.

It is what `aidmesh up` does for its own, less what a container engine does: nothing is started
here, nothing is started again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import asyncpg

from aidmesh.credentials import seed_file
from aidmesh.databases import close_databases
from aidmesh.embedded.folder import FolderLock
from aidmesh.mesh import follow
from aidmesh.meshfile import NAME, MeshError, MeshFile, RegionEntry, read_mesh
from aidmesh.outside.handing import hand_out
from aidmesh.outside.places import Places
from aidmesh.outside.provision import setup_of
from aidmesh.outside.server import OutsideNats
from aidmesh.tending import Tender
from aidmesh.topology.config import render
from aidmesh.topology.rights import SYSTEM
from aidmesh.topology.serving import Served
from aidmesh.watching import unfailing
from aidmesh_chassis.ending import goes_on
from aidmesh_chassis.logs import get_logger
from aidmesh_chassis.waits import Wait

log = get_logger()

WAIT_S: Final = 0.5
HAND_S: Final = 0.25
"""Keys are used two seconds after they came (see own_keys.SEEN_S); a service looks every second."""


@dataclass(slots=True)
class Supervisor:
    """One region, its volumes, and the file that is there while its gate is open."""

    places: Places
    ready: Path
    region: str
    mesh: MeshFile
    tender: Tender
    _retired: bool = field(default=False, init=False)

    async def run(self) -> None:
        """Supervise until cancelled.

        Raises StartError when the gate stays closed: begin anew.
        """
        try:
            await _patiently(self.tender.open)
            log.info("region.started", region=self.region)
            works: dict[str, Callable[[], Awaitable[None]]] = {
                "streams, links and keys": self.tender.keep,
                "what containers are handed": self._hand_out,
                "readiness": self._show,
                NAME: partial(follow, self.places.data, self._take_on),
            }
            async with asyncio.TaskGroup() as tasks:
                for name, work in works.items():
                    tasks.create_task(unfailing(name, work, self.region))
        finally:
            self.ready.unlink(missing_ok=True)
            await self.tender.close()
            log.info("region.stopped", region=self.region)

    async def _hand_out(self) -> None:
        while goes_on():
            await asyncio.sleep(HAND_S)
            if self._retired:
                continue
            try:
                to = await asyncio.to_thread(hand_out, self.region, self.mesh, self.places)
            except OSError as error:  # a file was replaced as it was read: look once more
                log.debug("keys.not_handed_out", reason=type(error).__name__)
                continue
            if to:
                log.info("keys.handed_out", region=self.region, to=to)

    async def _show(self) -> None:
        while goes_on():
            if self.tender.warden.gate.is_open:
                self.ready.touch()
            else:
                self.ready.unlink(missing_ok=True)
            await asyncio.sleep(WAIT_S)

    async def _take_on(self, mesh: MeshFile) -> None:
        if self.region in mesh.regions:
            self.mesh = mesh
            await self.tender.link_with_peers(mesh)
        elif not self._retired:
            self._retired = True  # its data stays; there is nothing to tend any more
            log.warning("region.retired", region=self.region)
            await self.tender.close()
            await _patiently(lambda: close_databases(self.tender.entry))


async def _patiently(work: Callable[[], Awaitable[None]]) -> None:
    """Do it once there is a database; it may be away for as long as it wants."""
    wait = Wait()
    while goes_on():
        try:
            await work()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            wait.warning("database.waits", cause=type(error).__name__)
            await asyncio.sleep(WAIT_S)
        else:
            wait.over()
            return


async def supervise(places: Places, ready: Path) -> None:
    """Supervise the region of these volumes until cancelled.

    Raises:
        MeshError: they hold none, one that is half restored, or another process supervises it.
        EmbeddedError, OSError: as `Supervisor.run`; whoever started this starts it anew.
    """
    lock = FolderLock(places.data)
    lock.acquire()
    try:
        mesh = read_mesh(places.data)
        if len(mesh.regions) != 1:
            raise MeshError(f"{places.data} holds {len(mesh.regions)} regions; one is supervised")
        [(region, entry)] = mesh.regions.items()
        if entry.restoring is not None:
            raise MeshError(f"{region} is half restored; run aidmesh restore again")
        tender = Tender(
            region,
            mesh,
            places.data,
            lambda now: [served(region, now, places, entry)],
            lambda now: hand_out(region, now, places),
            ours=False,
        )
        await Supervisor(places, ready, region, mesh, tender).run()
    finally:
        lock.release()


def served(region: str, mesh: Callable[[], MeshFile], places: Places, entry: RegionEntry) -> Served:
    """The region's server, and what it is to run with; it is told at the first `renew`."""
    setup = setup_of(region, mesh(), places)
    server = OutsideNats(
        region,
        entry.nats,
        places.nats,
        seed_file(entry.keys, SYSTEM),
        render(setup.config),
        setup.files,
    )
    # Whoever supervised it before may have ended before it told what had changed.
    return Served(server, setup, lambda: setup_of(region, mesh(), places), settled=False)
