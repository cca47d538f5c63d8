"""Restores into servers that somebody else runs: containers, whose services and supervisor rest.

Databases of before stay beside the new ones, under names with the time of the restore. Logs can't
be moved while their server runs: what they tell that the backup does not know is written down in
the data folder before they are deleted, so that it is not lost if the rest is broken off.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import asyncpg
from pydantic import BaseModel

from aidmesh.backup.load import BackupError
from aidmesh.databases import connected_ones, set_aside
from aidmesh.meshfile import MeshError, MeshFile, RegionEntry
from aidmesh.outside.places import Places
from aidmesh.outside.supervise import served
from aidmesh.restoring.finding import Known
from aidmesh.restoring.servers import LOOK_S, OWN, READY_S_MAX, Own, connected_to, read_own
from aidmesh.topology.api import RESTORE_SECONDS_MAX, JetStreamApi
from aidmesh_chassis.ending import goes_on


class Note(BaseModel):
    """What the logs of before told, and the backup that does not know it."""

    backup_id: UUID
    own: Own


class OutsideServers:
    """See `servers.Servers`."""

    def __init__(
        self,
        region: str,
        before: MeshFile,
        mesh: MeshFile,
        places: Places,
        stamp: str,
        backup_id: UUID,
    ) -> None:
        """`before` is what NATS was configured by, `mesh` what it is to be linked by."""
        self._linked_by = before
        self._mesh = mesh
        self._entry = mesh.regions[region]
        self._served = served(region, lambda: self._linked_by, places, self._entry)
        self._stamp = stamp
        self._backup_id = backup_id
        self._note = places.data / f"restoring-{stamp}.json"
        self._aside: tuple[str, ...] = ()

    @property
    def aside(self) -> tuple[str, ...]:
        """The databases."""
        return self._aside

    @asynccontextmanager
    async def databases(self) -> AsyncIterator[None]:
        """They are renamed."""
        self._aside = await set_aside(self._entry, self._stamp)
        yield

    async def own_log(self, known: Known) -> Own:
        """From the server, or what was written down of it by a restore that was broken off."""
        if not self._note.exists():
            return await read_own(self._entry, known)
        note = Note.model_validate_json(await asyncio.to_thread(self._note.read_bytes))
        if note.backup_id != self._backup_id:
            raise BackupError(
                f"a restore that was broken off had read another backup ({note.backup_id}), and "
                "what the logs told since then; begin again with that one"
            )
        return note.own

    @asynccontextmanager
    async def streams(self) -> AsyncIterator[None]:
        """NATS takes up its links; of the streams of before only the region's own are left."""
        self._linked_by = self._mesh
        await asyncio.to_thread(self._served.renew)
        client = await connected_to(self._entry)
        try:
            api = JetStreamApi(client, RESTORE_SECONDS_MAX)
            for name in await api.names("STREAM.NAMES", "streams"):
                if name not in OWN:
                    await api.delete_stream(name)
        finally:
            await client.close()
        yield

    async def forget(self, api: JetStreamApi, own: Own) -> None:
        """What they told is written down, then they are deleted."""
        note = Note(backup_id=self._backup_id, own=own)
        await asyncio.to_thread(_write, self._note, note.model_dump_json())
        for name in await api.names("STREAM.NAMES", "streams"):
            if name in OWN:
                await api.delete_stream(name)

    def finish(self) -> None:
        """What was written down is in the databases."""
        self._note.unlink(missing_ok=True)


async def refuse_if_used(entry: RegionEntry) -> None:
    """Raise MeshError when somebody works with the databases.

    The server may just have been started, and be making its files. Raises as asyncpg when there is
    none in time.
    """
    used: list[str] = []
    deadline = time.monotonic() + READY_S_MAX
    while goes_on():
        try:
            used = await connected_ones(entry)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(LOOK_S)
        else:
            break
    if used:
        raise MeshError(
            f"{', '.join(used)} still run: a restore needs them to rest (docker compose stop)"
        )


def _write(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)
