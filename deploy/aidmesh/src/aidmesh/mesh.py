"""Runs all regions of a data folder on this machine, until told to stop.

While it runs it follows `mesh.json`: a region that was added there is started, one that has retired
is stopped, and links that were added or taken away there change, without stopping the others.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from aidmesh.credentials import check_folders, store_key_id
from aidmesh.embedded.errors import EmbeddedError
from aidmesh.embedded.folder import FolderLock
from aidmesh.life import showing_life
from aidmesh.log_sizes import keep_short
from aidmesh.meshfile import NAME, SERVICES, MeshError, MeshFile, read_mesh, write_mesh
from aidmesh.preparing import prepare_mesh, resize
from aidmesh.region import Region
from aidmesh.topology.connections import OUTAGES
from aidmesh.watching import unfailing
from aidmesh_chassis import logs
from aidmesh_chassis.ending import goes_on

log = logs.get_logger()

FOLLOW_S = 0.5
FOLDER_MODE = 0o711
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(slots=True)
class Mesh:
    """A mesh that runs: its file and its regions by name; `make` is for regions that join."""

    data: Path
    file: MeshFile
    make: Callable[[str, MeshFile], Region]
    regions: dict[str, Region] = field(default_factory=dict)
    _watchers: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    async def start(self) -> None:
        """Start every region, and again what dies. Raises what one of them meets."""
        for name in self.file.regions:
            self.regions[name] = self.make(name, self.file)
        async with asyncio.TaskGroup() as tasks:
            for region in self.regions.values():
                tasks.create_task(region.start())
        for name, region in self.regions.items():
            self._watchers[name] = asyncio.create_task(region.watch())

    async def follow(self) -> None:
        """Do what `mesh.json` says whenever it changes, until cancelled."""
        await follow(self.data, self._take_on)

    async def stop(self) -> None:
        """Stop following, watching and running."""
        await _cancel(list(self._watchers.values()))
        await asyncio.gather(*(region.stop() for region in self.regions.values()))

    async def _take_on(self, file: MeshFile) -> None:
        self.file = file
        over = [self._end(name) for name in self.regions.keys() - file.regions.keys()]
        stay = [each for name, each in self.regions.items() if name in file.regions]
        await asyncio.gather(*over, *(each.link_with_peers(file) for each in stay))
        for name in file.regions.keys() - self.regions.keys():
            region = self.regions[name] = self.make(name, file)
            try:
                await region.start()
            except Exception as error:
                is_known = isinstance(error, (*OUTAGES, EmbeddedError))
                reason = str(error) or type(error).__name__
                log.error("region.start_failed", region=name, reason=reason, exc_info=not is_known)
                await region.stop()
                del self.regions[name]
            else:
                self._watchers[name] = asyncio.create_task(region.watch())

    async def _end(self, name: str) -> None:
        if name in self._watchers:
            await _cancel([self._watchers.pop(name)])
        await self.regions[name].stop()
        del self.regions[name]


async def follow(data: Path, take_on: Callable[[MeshFile], Awaitable[None]]) -> None:
    """Call `take_on` with what `mesh.json` holds whenever it has changed, until cancelled."""
    seen = None  # it may have changed since it was read
    while goes_on():
        await asyncio.sleep(FOLLOW_S)
        stamp = _stamp(data)
        if stamp == seen:
            continue
        seen = stamp
        try:
            file = read_mesh(data)
        except MeshError as error:
            log.error("mesh.unreadable", reason=str(error))
        else:
            await take_on(file)


@asynccontextmanager
async def running_mesh(
    data: Path,
    regions: tuple[str, ...] | None,
    keys: Callable[[str], Path],
    *,
    services: Sequence[str] = SERVICES,
    apart: bool = False,
    ports_from: int | None = None,
    encrypt: bool = False,
    nodes: int | None = None,
    replicas: int | None = None,
    roads: Mapping[tuple[str, str], int] | None = None,
    announce: Callable[[str], None] = print,
) -> AsyncIterator[Mesh]:
    """Start a mesh, yield when every service is ready, stop it however the block ends.

    `data` holds all state; `regions` None means those it holds already. `keys(region)` names the
    folder of a region's keys. `services` are those to run (none: only the servers), `apart` each
    in a process of its own. `ports_from` is where to look for free ports. `encrypt` has the
    servers encrypt what they store, from now on. `nodes` NATS servers a region are to run, and
    `replicas` copies of each service; None for as many as before. `roads` are the local ports
    through which a region (the first) dials another one (the second), where a proxy lies between
    them. `announce` gets lines for a person.

    Raises EmbeddedError or MeshError with what to do about it.
    """
    _make_data_folder(data)
    lock = FolderLock(data)
    lock.acquire()
    async with AsyncExitStack() as stack:
        stack.callback(lock.release)
        await stack.enter_async_context(showing_life(data))
        names = regions if regions is not None else _known(data)
        folders = {name: keys(name) for name in names}
        check_folders(folders)
        file, news = prepare_mesh(data, regions, folders, ports_from=ports_from)
        for name, entry in file.regions.items():
            if entry.restoring is not None:
                raise MeshError(f"{name} is half restored; run aidmesh restore again")
        if nodes is not None or replicas is not None:
            resize(file, nodes, replicas)
            write_mesh(data, file)
        if encrypt:
            for entry in file.regions.values():
                entry.nats.store_key_id = entry.nats.store_key_id or store_key_id(entry.keys)
            write_mesh(data, file)
        for line in news:
            announce(line)
        own_log = data / "mesh.log"
        stream = stack.enter_context(own_log.open("a", encoding="utf-8"))
        logs.configure("mesh", "all", stream=stream)

        def make(name: str, file: MeshFile) -> Region:
            return Region(
                name,
                file,
                data / name,
                services=services,
                apart=apart,
                keep_fds=(lock.fd,),
                roads=roads or {},
                announce=announce,
            )

        mesh = Mesh(data, file, make)
        stack.push_async_callback(mesh.stop)
        await mesh.start()
        beside = [
            unfailing(NAME, mesh.follow),
            unfailing(own_log.name, partial(keep_short, lambda: [own_log])),
        ]
        stack.push_async_callback(_cancel, [asyncio.create_task(each) for each in beside])
        await asyncio.gather(*(region.wait_until_ready() for region in mesh.regions.values()))
        yield mesh


@contextmanager
def cancelled_by_signals() -> Iterator[None]:
    """Let the first SIGINT, SIGTERM or SIGHUP cancel the current task; stopping is bounded.

    Leaves with no error when that happened.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    told: list[int] = []

    def stop(number: int) -> None:
        if not told and task is not None:  # a second Ctrl-C must not cut the stopping short
            told.append(number)
            task.cancel()

    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop, number)
    try:
        yield
    except asyncio.CancelledError:
        if not told:
            raise
        if task is not None:
            task.uncancel()
    finally:
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)


def _stamp(data: Path) -> tuple[int, int]:
    """Another one whenever `mesh.json` was replaced."""
    found = (data / NAME).stat()
    return found.st_mtime_ns, found.st_ino


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _known(data: Path) -> tuple[str, ...]:
    return tuple(read_mesh(data).regions) if (data / NAME).exists() else ()


def _make_data_folder(data: Path) -> None:
    """Ours alone; started by root, PostgreSQL's account may pass but not look."""
    if not data.exists():
        data.mkdir(parents=True)
        data.chmod(FOLDER_MODE if os.geteuid() == 0 else 0o700)
