"""Restores into servers that are started for it, in a data folder in which no mesh runs."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from aidmesh.meshfile import MeshFile
from aidmesh.region import Region
from aidmesh.restoring.finding import Known
from aidmesh.restoring.servers import OWN, Own, read_own
from aidmesh.topology.api import JetStreamApi


class EmbeddedServers:
    """See `servers.Servers`; folders are set aside under a name with the time of the restore."""

    def __init__(
        self,
        region: str,
        mesh: MeshFile,
        data: Path,
        stamp: str,
        lock_fd: int,
        say: Callable[[str], None],
    ) -> None:
        """Nothing is started, and nothing moved, before `databases`."""

        def make(name: str) -> Region:
            return Region(name, mesh, data / name, services=(), keep_fds=(lock_fd,), announce=say)

        self._region = make(region)
        self._entry = mesh.regions[region]
        self._others = [
            make(name)
            for name, entry in mesh.regions.items()
            if name != region and entry.restoring is None
        ]
        self._aside = Aside(data / region / "postgres", self._region.stores, stamp)

    @property
    def aside(self) -> tuple[str, ...]:
        """The folders."""
        return self._aside.names

    @asynccontextmanager
    async def databases(self) -> AsyncIterator[None]:
        """A new server runs."""
        self._region.make_folders()
        self._aside.databases()
        try:
            await asyncio.to_thread(self._region.postgres.start)
            yield
        finally:
            await asyncio.to_thread(self._region.postgres.stop)

    async def own_log(self, known: Known) -> Own:
        """Read with the store of before in place."""
        own: Own = {stream: [] for stream in OWN}
        if self._aside.streams_back():
            try:
                await self._region.start_nats()
                own = await read_own(self._entry, known)
            finally:
                await self._region.stop_nats()
        return own

    @asynccontextmanager
    async def streams(self) -> AsyncIterator[None]:
        """Servers with an empty store run, and those of the other regions of this folder."""
        self._aside.streams_back()  # where they were not read
        self._aside.streams()
        try:
            for each in self._others:
                await each.start()
            await self._region.start_nats()
            yield
        finally:
            await self._region.stop_nats()
            await asyncio.gather(*(each.stop() for each in self._others))

    async def forget(self, api: JetStreamApi, own: Own) -> None:
        """Nothing to do: they are in a folder that was set aside."""

    def finish(self) -> None:
        """Nothing to do."""


class Aside:
    """Sets aside what was there before, under a name with the time of the restore."""

    def __init__(self, postgres: Path, stores: Sequence[Path], stamp: str) -> None:
        """Nothing is moved yet."""
        self._postgres = postgres
        self._old_postgres = postgres.with_name(f"{postgres.name}.before-{stamp}")
        self._stores = {each: each.with_name(f"{each.name}.before-{stamp}") for each in stores}

    @property
    def names(self) -> tuple[str, ...]:
        """What was set aside."""
        old = (self._old_postgres, *self._stores.values())
        return tuple(str(each) for each in old if each.exists())

    def databases(self) -> None:
        """Of a restore that was broken off nothing is kept but what was there before it."""
        if self._old_postgres.exists():
            shutil.rmtree(self._postgres, ignore_errors=True)
        elif self._postgres.exists():
            self._postgres.rename(self._old_postgres)

    def streams_back(self) -> bool:
        """Put the streams of before in place, to be read; whether there are any."""
        for store, old in self._stores.items():
            if old.exists():
                shutil.rmtree(store, ignore_errors=True)
                old.rename(store)
        return any(store.exists() for store in self._stores)

    def streams(self) -> None:
        """Set the streams aside."""
        for store, old in self._stores.items():
            if store.exists():
                store.rename(old)
