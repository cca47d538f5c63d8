"""Runs one region: its PostgreSQL, its NATS, the warden of its streams, and its services.

What dies is started again, each part by itself, later each time; the others wait for it, which is
what they do for an outage of any kind.
"""

import asyncio
import http
import http.client
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from aidmesh import passwords
from aidmesh.embedded.errors import EmbeddedError, StartError
from aidmesh.embedded.nats import NatsServer
from aidmesh.embedded.postgres import PostgresServer
from aidmesh.embedded.process import KeptProcess
from aidmesh.fetching import get
from aidmesh.log_sizes import keep_short
from aidmesh.meshfile import MeshFile, RegionEntry
from aidmesh.reading.lines import parse
from aidmesh.region_settings import NO_ROADS, nth, server_setup, service_environment
from aidmesh.tending import Tender
from aidmesh.topology.config import render
from aidmesh.topology.serving import Served, Setup
from aidmesh.topology.warden import Warden
from aidmesh.watching import unfailing
from aidmesh_chassis.ending import goes_on
from aidmesh_chassis.logs import get_logger
from aidmesh_chassis.starting import EXIT_REFUSED

log = get_logger()

LOOK_S = 0.2
RESTART_S_MIN = 0.5
RESTART_S_MAX = 30.0
STEADY_S = 60.0
READY_SECONDS_MAX = 120.0
ANSWER_S_MAX = 5.0
SERVICE_STOP_MS_MAX = 15_000


class Part(Protocol):
    """Something that runs as a process; all blocking."""

    @property
    def alive(self) -> bool: ...
    @property
    def pid(self) -> int: ...
    @property
    def exit_code(self) -> int | None: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...


@dataclass(slots=True)
class Watched:
    """A part, how to start it, when it was started and may be started again, how it last ended."""

    name: str
    part: Part
    start: Callable[[], object]
    started_at: float = 0.0
    pause_s: float = RESTART_S_MIN
    next_try_at: float = field(default=0.0)
    died: bool = False
    ended_by: int | None = None

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
            self.entry.own_postgres.port,
            self.entry.own_postgres.password,
            announce=announce,
            output=logs / "postgres.out",
            keep_fds=keep_fds,
        )
        self._roads = roads
        self._servers: list[NatsServer] = []
        self._stores: list[Path] = []
        self._tender = Tender(
            name, mesh, folder.parent, self._serve, self._hand_passwords, announce=announce
        )
        groups = [(service,) for service in services] if apart else [tuple(services)]
        copies = max((len(each.urls) for each in self.entry.services.values()), default=1)
        self.hosts = {
            nth(group[0] if apart else "host", i): self._host(group, i, apart=apart)
            for i in range(copies)
            for group in groups
            if group
        }
        servers = [(nth("nats", i), each) for i, each in enumerate(self._servers)]
        self._watched = [
            Watched("postgres", self.postgres, self.postgres.start),
            *(Watched(name, server, server.start) for name, server in servers),
            *(Watched(name, host, host.start) for name, host in self.hosts.items()),
        ]

    @property
    def nats(self) -> NatsServer:
        """Its NATS server; of a cluster the first."""
        return self._servers[0]

    @property
    def stores(self) -> list[Path]:
        """Where each of its NATS servers keeps its streams."""
        return list(self._stores)

    async def start_nats(self) -> None:
        """Start its NATS servers, and nothing else. Raises as `start`."""
        await _in_threads([server.start for server in self._servers])

    async def stop_nats(self) -> None:
        """Stop its NATS servers."""
        await _in_threads([server.stop for server in self._servers])

    @property
    def warden(self) -> Warden:
        """Who keeps its streams in order."""
        return self._tender.warden

    async def start(self) -> None:
        """Start servers, databases migrated, streams provisioned, the gate open, then services.

        Raises EmbeddedError when something does not come up in time; `stop` then cleans up.
        """
        self.make_folders()
        passwords.put(self._folder, self.entry)
        servers = [watched for watched in self._watched if watched.name not in self.hosts]
        await asyncio.gather(*(asyncio.to_thread(server.start_now) for server in servers))
        await self._tender.open()
        for watched in self._watched:
            if watched not in servers:
                await asyncio.to_thread(watched.start_now)

    async def wait_until_ready(self) -> None:
        """Until every service says it is ready. Raises StartError when one does not in time."""
        deadline = time.monotonic() + READY_SECONDS_MAX
        urls = [(each, url) for each in self._services for url in self.entry.services[each].urls]
        for service, url in urls:
            while not await asyncio.to_thread(_answers, f"{url}/readyz"):
                self._end_if_refused()
                if time.monotonic() > deadline:
                    raise StartError(
                        f"{self.name}: {service} is not ready; read {self._folder / 'log'}"
                    )
                await asyncio.sleep(LOOK_S)
        log.info("region.started", region=self.name)

    def _end_if_refused(self) -> None:
        """A host that ended by its settings ends so again. Raises StartError."""
        for watched in self._watched:
            host = self.hosts.get(watched.name)
            if host is not None and watched.ended_by == EXIT_REFUSED:
                raise StartError(
                    f"{self.name}: {refused_settings(host.tail())}; put it right in the "
                    f"environment, and start again (docs/settings.md)"
                )

    async def watch(self) -> None:
        """Start again what dies, until cancelled; what starts slowly keeps nothing else waiting.

        Nor does what fails: an error that nobody expected ends none of it.
        """
        works: dict[str, Callable[[], Awaitable[None]]] = {
            **{watched.name: partial(self._keep, watched) for watched in self._watched},
            "streams, links and keys": self._tender.keep,
            "logs": partial(keep_short, self.logs),
        }
        async with asyncio.TaskGroup() as tasks:
            for name, work in works.items():
                tasks.create_task(unfailing(name, work, self.name))

    async def _keep(self, watched: Watched) -> None:
        while goes_on():
            await self._look(watched)
            await asyncio.sleep(LOOK_S)

    async def link_with_peers(self, mesh: MeshFile) -> None:
        """Take on the links that `mesh` names now; services, and other links, go on."""
        await self._tender.link_with_peers(mesh)

    async def stop(self) -> None:
        """Stop services, then the warden, then the servers; every step is bounded."""
        await _in_threads([host.stop for host in self.hosts.values()])
        await self._tender.close()
        await _in_threads([*(server.stop for server in self._servers), self.postgres.stop])
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
            watched.ended_by = watched.part.exit_code
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

    def _serve(self, mesh: Callable[[], MeshFile]) -> list[Served]:
        """Its servers, not started yet, and what each runs with."""

        def read(index: int) -> Setup:
            return server_setup(self.name, mesh(), self._folder, self._roads, index)

        served = []
        for index, node in enumerate(self.entry.nats.nodes):
            setup, name = read(index), nth("nats", index)
            ports = (node.client_port, node.monitor_port, node.leaf_port, node.route_port)
            server = NatsServer(
                self._folder / name,
                render(setup.config),
                tuple(port for port in ports if port is not None),
                node.monitor_port,
                output=self._folder / "log" / f"{name}.out",
                keep_fds=self._keep_fds,
                files=setup.files,
            )
            self._servers.append(server)
            self._stores.append(Path(setup.config.store_dir))
            served.append(Served(server, setup, partial(read, index)))
        return served

    def _hand_passwords(self, mesh: MeshFile) -> None:
        passwords.put(self._folder, mesh.regions[self.name])

    def logs(self) -> list[Path]:
        """The logs that nobody else keeps short: NATS does so with its own."""
        return [
            *(host.output for host in self.hosts.values()),
            *(self._folder / "log").glob("*.out"),
            *self.postgres.folder.glob("log/*.json"),
            *self.postgres.folder.glob("log/*.log"),
        ]

    def make_folders(self) -> None:
        """Make the folders of its data and logs."""
        # PostgreSQL's account has to pass where the system can't lead it past closed folders.
        mode = 0o711 if os.geteuid() == 0 else 0o700
        self._folder.mkdir(mode=mode, parents=True, exist_ok=True)
        for name in ("log", *(server.folder.name for server in self._servers)):
            (self._folder / name).mkdir(mode=0o700, exist_ok=True)
        link = self._folder / "log" / "postgres"
        if not link.is_symlink():
            link.symlink_to(Path("..") / "postgres" / "log")

    def _host(self, services: tuple[str, ...], index: int, *, apart: bool) -> KeptProcess:
        name = nth(services[0] if apart else "host", index)
        return KeptProcess(
            command=(sys.executable, "-m", "aidmesh.host", *services),
            output=self._folder / "log" / f"{name}.log",
            stop_signal=signal.SIGTERM,
            stop_ms_max=SERVICE_STOP_MS_MAX,
            env={**os.environ, **service_environment(self.name, self.entry, index, self._folder)},
            keep_fds=self._keep_fds,
        )


def refused_settings(written: str) -> str:
    """What the log of a host that ended by its settings says of them."""
    lines = [parse(text).fields for text in written.splitlines()]
    found = [
        f"{each.get('service')} does not start: {each.get('setting')}: {each.get('reason')}"
        for each in lines
        if each.get("event") == "settings.refused"
    ]
    return "; ".join(dict.fromkeys(found))


def _answers(url: str) -> bool:
    try:
        status, _ = get(url, ANSWER_S_MAX)
    except (OSError, http.client.HTTPException):
        return False
    return status == http.HTTPStatus.OK


async def _in_threads(calls: Sequence[Callable[[], None]]) -> None:
    await asyncio.gather(*(asyncio.to_thread(call) for call in calls))
