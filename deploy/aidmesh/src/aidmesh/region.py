"""Runs one region: its PostgreSQL, its NATS, the warden of its streams, and its services.

What dies is started again, each part by itself, later each time; the others wait for it, which is
what they do for an outage of any kind.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import httpx

from aidmesh.credentials import FOLDER, STORE, CredentialsError, seed_file, store_key_id
from aidmesh.databases import prepare_databases
from aidmesh.embedded import EmbeddedError, NatsServer, PostgresServer, StartError
from aidmesh.embedded.ports import HOST
from aidmesh.embedded.process import KeptProcess
from aidmesh.meshfile import MeshFile, RegionEntry
from aidmesh.topology.config import SUPERVISOR, SYSTEM, render
from aidmesh.topology.serving import PeerEnd, Ports, Served, Setup, read_setup
from aidmesh.topology.warden import OUTAGES, Warden
from aidmesh_chassis.ending import goes_on
from aidmesh_chassis.logs import get_logger

log = get_logger()

LOOK_S = 0.2
GATE_POLL_S = 0.02
RESTART_S_MIN = 0.5
RESTART_S_MAX = 30.0
STEADY_S = 60.0
READY_SECONDS_MAX = 120.0
SERVICE_STOP_MS_MAX = 15_000
LOG_BYTES_MAX = 64 * 1024**2
LOG_LOOK_S = 60.0
KEYS_LOOK_S = 1.0
NO_ROADS: Mapping[tuple[str, str], int] = {}


class Part(Protocol):
    """Something that runs as a process; all blocking."""

    @property
    def alive(self) -> bool: ...
    @property
    def pid(self) -> int: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...


@dataclass(slots=True)
class Watched:
    """A part, how to start it, and when it was started and may be started again."""

    name: str
    part: Part
    start: Callable[[], object]
    started_at: float = 0.0
    pause_s: float = RESTART_S_MIN
    next_try_at: float = field(default=0.0)
    died: bool = False

    def start_now(self) -> None:
        """Start it; blocking."""
        self.start()
        self.started_at = time.monotonic()


class Region:
    """One region of a mesh on this machine.

    `folder` holds its data and logs. `apart` gives each service a process of its own. `services`
    are those to run; none to run only the servers. `keep_fds` are inherited by all processes.
    `roads` has the port through which a region (the first) dials another (the second), where that
    is not the other's own.
    """

    def __init__(
        self,
        name: str,
        mesh: MeshFile,
        folder: Path,
        *,
        services: Sequence[str],
        apart: bool = False,
        keep_fds: tuple[int, ...] = (),
        roads: Mapping[tuple[str, str], int] = NO_ROADS,
        announce: Callable[[str], None] = print,
    ) -> None:
        """Nothing is started before `start`."""
        self.name = name
        self.entry: RegionEntry = mesh.regions[name]
        self._folder = folder
        self._services = services
        self._keep_fds = keep_fds
        logs = folder / "log"
        self.postgres = PostgresServer(
            folder / "postgres",
            self.entry.postgres.port,
            self.entry.postgres.password,
            announce=announce,
            output=logs / "postgres.out",
            keep_fds=keep_fds,
        )
        nats = self.entry.nats
        self._mesh = mesh
        self._peers = mesh.peers(name)
        setup = server_setup(name, mesh, folder, roads)
        self.nats = NatsServer(
            folder / "nats",
            render(setup.config),
            (nats.client_port, nats.monitor_port, nats.leaf_port),
            nats.monitor_port,
            output=logs / "nats.out",
            keep_fds=keep_fds,
            files=setup.files,
        )
        self._served = Served(
            self.nats, setup, lambda: server_setup(name, self._mesh, folder, roads)
        )
        self._redialer = self._served.redialer()
        self.warden = self._new_warden()
        groups = [(service,) for service in services] if apart else [tuple(services)]
        self.hosts = {
            key: self._host(key, group)
            for key, group in ((group[0] if apart else "host", group) for group in groups if group)
        }
        self._watched = [
            Watched("postgres", self.postgres, self.postgres.start),
            Watched("nats", self.nats, self.nats.start),
            *(Watched(name, host, host.start) for name, host in self.hosts.items()),
        ]
        self._warden_task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start servers, databases migrated, streams provisioned, the gate open, then services.

        Raises EmbeddedError when something does not come up in time; `stop` then cleans up.
        """
        self._make_folders()
        servers = [watched for watched in self._watched if watched.name in {"postgres", "nats"}]
        await asyncio.gather(*(asyncio.to_thread(server.start_now) for server in servers))
        await prepare_databases(self.entry)
        self._warden_task = asyncio.create_task(self.warden.run())
        await self._wait_for_gate()
        for watched in self._watched:
            if watched not in servers:
                await asyncio.to_thread(watched.start_now)

    async def wait_until_ready(self) -> None:
        """Until every service says it is ready. Raises StartError when one does not in time."""
        deadline = time.monotonic() + READY_SECONDS_MAX
        async with httpx.AsyncClient(timeout=5.0, trust_env=False) as client:
            for service in self._services:
                url = f"{self.entry.services[service].url}/readyz"
                while not await _answers(client, url):
                    if time.monotonic() > deadline:
                        raise StartError(
                            f"{self.name}: {service} is not ready; read {self._folder / 'log'}"
                        )
                    await asyncio.sleep(LOOK_S)
        log.info("region.started", region=self.name)

    async def watch(self) -> None:
        """Start again what dies, until cancelled; what starts slowly keeps nothing else waiting."""
        async with asyncio.TaskGroup() as tasks:
            for watched in self._watched:
                tasks.create_task(self._keep(watched))
            tasks.create_task(self._keep_house())

    async def _keep(self, watched: Watched) -> None:
        while goes_on():
            await self._look(watched)
            await asyncio.sleep(LOOK_S)

    async def _keep_house(self) -> None:
        logs_looked_at = keys_looked_at = time.monotonic()
        while goes_on():
            self._look_at_warden()
            if time.monotonic() - keys_looked_at > KEYS_LOOK_S:
                keys_looked_at = time.monotonic()
                await self._look_at_keys()
            if time.monotonic() - logs_looked_at > LOG_LOOK_S:
                logs_looked_at = time.monotonic()
                await asyncio.to_thread(self._shorten_logs)
            await asyncio.sleep(LOOK_S)

    async def link_with_peers(self, mesh: MeshFile) -> None:
        """Take on the links that `mesh` names now; services, and other links, go on.

        A server that can't do that while it runs is ended, and `watch` starts it again.
        """
        await self._take_epoch(mesh.regions[self.name].epoch)
        before, self._mesh = self._mesh, mesh
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
            await asyncio.to_thread(self._served.renew)
            await self.warden.unlink(gone, seed_file(self.entry.keys, SYSTEM))
        except CredentialsError as error:
            log.warning("server.not_renewed", region=self.name, reason=str(error))
        except OUTAGES as error:
            log.warning("links.need_restart", region=self.name, reason=type(error).__name__)
            await asyncio.to_thread(self._served.adopt)
            await asyncio.to_thread(self.nats.stop)
        log.info("links.changed", region=self.name, peers=self._peers)

    async def _take_epoch(self, epoch: int) -> None:
        """Services ask for the epoch whenever they connect, so a higher one ends the server."""
        if epoch == self.entry.epoch:
            return
        self.entry.epoch = epoch
        self.warden.gate.epoch = epoch
        log.warning("epoch.raised", region=self.name, epoch=epoch)
        await asyncio.to_thread(self.nats.stop)

    async def stop(self) -> None:
        """Stop services, then the warden, then the servers; every step is bounded."""
        await _in_threads([host.stop for host in self.hosts.values()])
        if self._warden_task is not None:
            self._warden_task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._warden_task
        await _in_threads([self.nats.stop, self.postgres.stop])
        log.info("region.stopped", region=self.name)

    @property
    def pids(self) -> dict[str, int]:
        """The process of every part that runs."""
        return {w.name: w.part.pid for w in self._watched if w.part.alive}

    async def _look(self, watched: Watched) -> None:
        now = time.monotonic()
        if watched.part.alive:
            if now - watched.started_at > STEADY_S:
                watched.pause_s = RESTART_S_MIN
            return
        if not watched.died:
            watched.died = True
            watched.next_try_at = now + watched.pause_s
            log.error("process.died", region=self.name, process=watched.name)
        if now < watched.next_try_at:
            return
        watched.pause_s = min(watched.pause_s * 2, RESTART_S_MAX)
        watched.next_try_at = now + watched.pause_s
        try:
            await asyncio.to_thread(watched.part.stop)  # what is left of it
            await asyncio.to_thread(watched.start_now)
        except (EmbeddedError, OSError) as error:
            log.error(
                "process.restart_failed", region=self.name, process=watched.name, reason=str(error)
            )
        else:
            watched.died = False
            log.info("process.restarted", region=self.name, process=watched.name)

    async def _look_at_keys(self) -> None:
        try:
            if self.nats.alive and await asyncio.to_thread(self._served.renew):
                log.info("server.renewed", region=self.name)
        except (CredentialsError, OSError) as error:
            log.warning("server.not_renewed", region=self.name, reason=str(error))

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
            monitor_port=nats.monitor_port,
            epoch=self.entry.epoch,
            outbox_dsns=self.entry.outbox_dsns,
            redialer=self._redialer,
        )

    async def _wait_for_gate(self) -> None:
        deadline = time.monotonic() + READY_SECONDS_MAX
        while not self.warden.gate.is_open:
            if self._warden_task is not None and self._warden_task.done():
                self._warden_task.result()
            if time.monotonic() > deadline:
                raise StartError(f"{self.name}: the gate stays closed: {self.warden.trouble}")
            await asyncio.sleep(GATE_POLL_S)

    def _make_folders(self) -> None:
        # PostgreSQL's account has to pass where the system can't lead it past closed folders.
        mode = 0o711 if os.geteuid() == 0 else 0o700
        self._folder.mkdir(mode=mode, parents=True, exist_ok=True)
        for name in ("log", "nats"):
            (self._folder / name).mkdir(mode=0o700, exist_ok=True)
        link = self._folder / "log" / "postgres"
        if not link.is_symlink():
            link.symlink_to(Path("..") / "postgres" / "log")

    def _host(self, name: str, services: tuple[str, ...]) -> KeptProcess:
        return KeptProcess(
            command=(sys.executable, "-m", "aidmesh.host", *services),
            output=self._folder / "log" / f"{name}.log",
            stop_signal=signal.SIGTERM,
            stop_ms_max=SERVICE_STOP_MS_MAX,
            env={**os.environ, **service_environment(self.name, self.entry)},
            keep_fds=self._keep_fds,
        )

    def _shorten_logs(self) -> None:
        """Keep one older file of each service's log; what is written meanwhile may be lost."""
        for host in self.hosts.values():
            path = host.output
            if path.exists() and path.stat().st_size > LOG_BYTES_MAX:
                shutil.copyfile(path, path.with_suffix(".log.1"))
                os.truncate(path, 0)


def service_environment(region: str, entry: RegionEntry) -> dict[str, str]:
    """The settings of a region's services, as they would be given to containers."""
    environment: dict[str, str] = {}
    for name, service in entry.services.items():
        fields = {
            "REGION": region,
            "HTTP_HOST": HOST,
            "HTTP_PORT": str(service.http_port),
            "KEYS_DIR": str(entry.keys),
        }
        if service.database_password is not None:
            fields["DATABASE_URL"] = entry.dsn(name)
            fields["NATS_URL"] = entry.nats.url
            fields["NATS_SEED_FILE"] = str(seed_file(entry.keys, name))
        if name == "console":
            fields |= {
                f"{other.upper()}_URL": entry.services[other].url
                for other in entry.services
                if other != name
            }
        environment |= {f"AIDMESH_{name.upper()}_{field}": value for field, value in fields.items()}
    return environment


def server_setup(
    region: str, mesh: MeshFile, folder: Path, roads: Mapping[tuple[str, str], int] = NO_ROADS
) -> Setup:
    """What the server of one of a mesh's regions is to run with now.

    Args:
        region: which.
        mesh: all regions of the data folder.
        folder: the region's own part of it.
        roads: the port through which a region (the first) dials another (the second), where that
            is not the other's own.

    Raises CredentialsError or OSError when a key cannot be read.
    """
    entry = mesh.regions[region]
    encrypted_with = entry.nats.store_key_id
    # nats-server would only warn, and begin with an empty store.
    if encrypted_with is not None and encrypted_with != store_key_id(entry.keys):
        raise CredentialsError(
            f"{region}: the messages are encrypted with another key than the one in "
            f"{entry.keys / FOLDER / STORE}; put the right one back, nothing was changed"
        )
    return read_setup(
        region,
        entry.keys,
        folder / "nats",
        Ports(
            entry.nats.client_port,
            entry.nats.monitor_port,
            entry.nats.leaf_port,
            entry.nats.leaf_host,
        ),
        {
            peer: PeerEnd(mesh.keys_of(region, peer), _dialed(mesh, region, peer, roads))
            for peer in mesh.peers(region)
        },
        encrypted=encrypted_with is not None,
        log_file=folder / "log" / "nats.log",
    )


def _dialed(
    mesh: MeshFile, region: str, peer: str, roads: Mapping[tuple[str, str], int]
) -> str | None:
    """Where a region dials a peer: through a road if there is one; None where the peer does."""
    dial = mesh.dial(region, peer)
    road = roads.get((region, peer))
    return dial if dial is None or road is None else f"{HOST}:{road}"


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).is_success
    except httpx.HTTPError:
        return False


async def _in_threads(calls: Sequence[Callable[[], None]]) -> None:
    await asyncio.gather(*(asyncio.to_thread(call) for call in calls))
