"""Keeps one region in order, whoever runs its servers: databases, streams, gate, links and keys."""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from aidmesh import passwords
from aidmesh.credentials import CredentialsError, seed_file
from aidmesh.databases import (
    end_sessions,
    prepare_databases,
    raise_epoch,
    renew_passwords,
)
from aidmesh.embedded.errors import StartError
from aidmesh.meshfile import MeshError, MeshFile, RegionEntry
from aidmesh.topology.connections import OUTAGES
from aidmesh.topology.progress import nobody
from aidmesh.topology.rights import SUPERVISOR, SYSTEM
from aidmesh.topology.serving import Served
from aidmesh.topology.warden import Warden
from aidmesh_chassis.ending import goes_on
from aidmesh_chassis.logs import get_logger

log = get_logger()

LOOK_S = 0.2
KEYS_LOOK_S = 1.0
GATE_POLL_S = 0.02
GATE_SECONDS_MAX = 120.0
"""So long a start waits for a gate while nothing moves; a log that is put back moves."""
PATIENCE_S = 75.0
"""So long a service may still be in the midst of a transaction that it began before."""


class Tender:
    """One region's warden, and what its servers are to be told.

    `data` has `mesh.json`. `serve` makes the servers: it is given what says, at any time, what that
    holds. `hand` brings the passwords of databases to the services. `ours` are servers that
    somebody here starts again when they end. `announce` gets lines for a person while a log is put
    back.
    """

    def __init__(
        self,
        name: str,
        mesh: MeshFile,
        data: Path,
        serve: Callable[[Callable[[], MeshFile]], Sequence[Served]],
        hand: Callable[[MeshFile], object],
        *,
        ours: bool = True,
        announce: Callable[[str], None] = nobody,
    ) -> None:
        """Nothing happens before `open`."""
        self.name = name
        self.entry: RegionEntry = mesh.regions[name]
        self._mesh = mesh
        self._linked = mesh
        """What links were taken on of last: `_mesh` may be newer, if passwords were renewed."""
        self._data = data
        self._hand = hand
        self._peers = mesh.peers(name)
        self._served = serve(lambda: self._mesh)
        self._redialers = {
            (node.host, node.monitor_port): each.redialer()
            for node, each in zip(self.entry.nats.nodes, self._served, strict=True)
        }
        self._ours = ours
        self._announce = announce
        self._to_cut: set[str] = set()
        self.warden = self._new_warden()
        self._warden_task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Databases migrated, streams provisioned, the gate open.

        Raises StartError when the gate stays closed and nothing moves any more; as asyncpg does
        when there is no database.
        """
        await prepare_databases(self.entry)
        await raise_epoch(self.entry, self.name)
        await self._renew_passwords()
        self._warden_task = asyncio.create_task(self.warden.run())
        began_at = time.monotonic()
        while not self.warden.gate.is_open:
            if self._warden_task.done():
                self._warden_task.result()
            moved_at = max(began_at, self.warden.progress.moved_at)
            if time.monotonic() - moved_at > GATE_SECONDS_MAX:
                raise StartError(
                    f"{self.name}: the gate stays closed, and nothing has moved for "
                    f"{GATE_SECONDS_MAX:.0f} s: {self.warden.waits_for}"
                )
            await asyncio.sleep(GATE_POLL_S)

    async def close(self) -> None:
        """End the warden; bounded."""
        if self._warden_task is not None:
            self._warden_task.cancel()
            # What it may have failed with was told before, and keeps no server from being stopped.
            await asyncio.gather(self._warden_task, return_exceptions=True)

    async def keep(self) -> None:
        """Look after the warden and the keys until cancelled."""
        keys_looked_at = time.monotonic()
        while goes_on():
            self._look_at_warden()
            if time.monotonic() - keys_looked_at > KEYS_LOOK_S:
                keys_looked_at = time.monotonic()
                await self._look_at_keys()
                await self._look_at_passwords()
            await asyncio.sleep(LOOK_S)

    async def link_with_peers(self, mesh: MeshFile) -> None:
        """Take on the links that `mesh` names now; services, and other links, go on.

        A server that can't do that while it runs is started anew.
        """
        await self._take_epoch(mesh.regions[self.name].epoch)
        before, self._linked = self._linked, mesh
        self._know(mesh)
        links = [(peer, mesh.dial(self.name, peer)) for peer in mesh.peers(self.name)]
        if (
            links == [(peer, before.dial(self.name, peer)) for peer in before.peers(self.name)]
            and mesh.regions[self.name].nats == before.regions[self.name].nats
        ):
            return
        gone = sorted(set(self._peers) - set(mesh.peers(self.name)))
        self._peers = mesh.peers(self.name)
        self.warden.link_with(self._peers)
        try:
            await self._renew()
            await self.warden.unlink(gone)
        except CredentialsError as error:
            log.warning("server.not_renewed", region=self.name, reason=str(error))
        except OUTAGES as error:
            log.warning("links.need_restart", region=self.name, reason=type(error).__name__)
            await asyncio.gather(*(asyncio.to_thread(each.adopt) for each in self._served))
            await self._restart()
        log.info("links.changed", region=self.name, peers=self._peers)

    async def _take_epoch(self, epoch: int) -> None:
        """Services ask for the epoch whenever they connect, so with a higher one they have to."""
        if epoch == self.entry.epoch:
            return
        self.entry.epoch = epoch
        self.warden.gate.epoch = epoch
        log.warning("epoch.raised", region=self.name, epoch=epoch)
        if self._ours:
            await self._restart()
        else:
            await self.warden.close_for_all()

    async def _look_at_keys(self) -> None:
        before = self._accepted()
        try:
            if await self._renew():
                log.info("server.renewed", region=self.name)
        except (CredentialsError, OSError) as error:
            log.warning("server.not_renewed", region=self.name, reason=str(error))
            return
        now = self._accepted()
        self._to_cut |= {peer for peer, keys in before.items() if keys - now.get(peer, keys)}
        try:
            await self.warden.unlink(self._to_cut)
        except OUTAGES as error:
            log.warning("links.wait", region=self.name, reason=type(error).__name__)
        else:
            self._to_cut.clear()

    def _accepted(self) -> dict[str, set[str]]:
        """The keys that each peer that dials may come with.

        A server lets a link stand whose key it has forgotten: it has to be cut. Whoever has the
        next key dials anew.
        """
        links = [link for each in self._served for link in each.setup.config.links]
        return {link.peer: set(link.publics) for link in links if link.dial is None}

    def _know(self, mesh: MeshFile) -> None:
        """Take on what `mesh.json` holds now; the passwords are for whoever connects next."""
        self._mesh = mesh
        passwords.take(self.entry, mesh.regions[self.name])
        self.warden.use_databases(self.entry.outbox_dsns)

    async def _look_at_passwords(self) -> None:
        """Go on with replacing passwords, whoever began it."""
        try:
            await self._renew_passwords()
            since = self._mesh.regions[self.name].sessions_since
            if since is not None and not await end_sessions(self.entry, since, PATIENCE_S):
                self._know(passwords.end(self._data, self.name, since))
                log.info("passwords.replaced", region=self.name)
        except (*OUTAGES, MeshError) as error:
            log.warning("passwords.wait", region=self.name, reason=type(error).__name__)

    async def _renew_passwords(self) -> None:
        to_come = passwords.to_come(self._mesh.regions[self.name])
        if not to_come:
            return
        await asyncio.to_thread(self._hand, self._mesh)  # services know both from here on
        at = await renew_passwords(self.entry, to_come)
        self._know(passwords.promote(self._data, self.name, to_come, at))
        await asyncio.to_thread(self._hand, self._mesh)

    async def _renew(self) -> bool:
        """Whether what a server that runs works with had changed, and was taken up by all."""
        running = [each for each in self._served if await asyncio.to_thread(each.runs)]
        return any(await asyncio.gather(*(asyncio.to_thread(each.renew) for each in running)))

    async def _restart(self) -> None:
        await asyncio.gather(*(asyncio.to_thread(each.server.restart) for each in self._served))

    def _look_at_warden(self) -> None:
        task = self._warden_task
        if task is not None and task.done() and not task.cancelled():
            log.error("warden.failed", region=self.name, exc_info=task.exception())
            self.warden = self._new_warden()
            self._warden_task = asyncio.create_task(self.warden.run())

    def _new_warden(self) -> Warden:
        nats = self.entry.nats
        return Warden(
            region=self.name,
            peers=self._peers,
            url=nats.url,
            seed_file=seed_file(self.entry.keys, SUPERVISOR),
            monitors=self._redialers,
            epoch=self.entry.epoch,
            outbox_dsns=self.entry.outbox_dsns,
            system_seed_file=seed_file(self.entry.keys, SYSTEM),
            announce=self._announce,
        )
