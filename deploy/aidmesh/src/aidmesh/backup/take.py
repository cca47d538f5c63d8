"""Takes a backup of a region that runs."""

import asyncio
import fcntl
import hashlib
import os
from asyncio import StreamReader
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkstemp
from typing import BinaryIO
from uuid import uuid4

import asyncpg

from aidmesh.backup.container import PIECE_BYTES_MAX, Writer
from aidmesh.backup.cut import Fixed, count_rows, fixed
from aidmesh.backup.manifest import DatabaseCut, Manifest, Section
from aidmesh.backup.programs import PIECE_SECONDS_MAX, dumping
from aidmesh.connecting import close_database, connect_database
from aidmesh_chassis.crypto import PublicKey

PART = ".part"
"""How the name of a backup ends that is being written."""


@dataclass(frozen=True, slots=True)
class Links:
    """How a region is linked: where it dials its peers (None where they dial) and is dialed."""

    peers: Mapping[str, str | None]
    leaf_host: str
    leaf_port: int


@dataclass(frozen=True, slots=True)
class Taken:
    """A backup that was written."""

    manifest: Manifest
    size: int


async def take(
    region: str,
    epoch: int,
    links: Links,
    dsns: Mapping[str, str],
    path: Path,
    public: PublicKey,
) -> Taken:
    """Write a backup of a region's databases, all as of one moment; the services go on.

    Args:
        links: how it is linked; written down for a restore on another machine.
        dsns: by service, of the servers themselves, not of a pooler.
        path: must not exist; it is there once it is whole.
        public: whose secret half will open it.

    Raises:
        FileExistsError, OSError: of the file.
        AwayError: the databases do not answer; nothing was begun.
        BusyError, ProgramError: see `cut` and `programs`.
        asyncpg.PostgresError, asyncpg.InterfaceError: a server ended meanwhile.
    """
    for dsn in dsns.values():  # before a file is begun
        await close_database(await connect_database(region, dsn))
    with _whole(path) as file:
        async with fixed(dsns) as databases:
            manifest = Manifest(
                backup_id=uuid4(),
                region=region,
                epoch=epoch,
                taken_at=max(each.at for each in databases.values()),
                postgres=min(each.conn.get_server_version().major for each in databases.values()),
                peers=dict(links.peers),
                leaf_host=links.leaf_host,
                leaf_port=links.leaf_port,
                databases={service: await _cut(each.conn) for service, each in databases.items()},
            )
            writer = Writer(file, public)
            _write_long(writer, b"M", manifest.model_dump_json().encode())
            for service, each in databases.items():
                section = await _dump(writer, service, dsns[service], each)
                writer.write(b"S", section.model_dump_json().encode())
        writer.finish(b"")
        size = file.tell()
    return Taken(manifest, size)


@contextmanager
def _whole(path: Path) -> Iterator[BinaryIO]:
    """A file that is there under its name once all of it is on the disk, or not at all."""
    if path.exists():
        raise FileExistsError(f"{path} is there already; nothing is overwritten")
    _sweep(path.parent)
    fd, part = _begin(path)
    try:
        with os.fdopen(fd, "wb") as file:
            yield file
            file.flush()
            os.fsync(fd)
            part.rename(path)  # while it is locked: until then it looks like one left behind
    finally:
        part.unlink(missing_ok=True)


def _begin(path: Path) -> tuple[int, Path]:
    """A new file beside `path`, for its owner alone, and locked for as long as it is open."""
    while True:
        fd, name = mkstemp(prefix=f".{path.name}.", suffix=PART, dir=path.parent)
        with suppress(OSError):  # a file system without locks; nothing is swept there either
            fcntl.flock(fd, fcntl.LOCK_EX)
        if os.fstat(fd).st_nlink:
            return fd, Path(name)
        os.close(fd)  # another backup swept it before it was locked


def _sweep(folder: Path) -> None:
    """Remove what backups that were killed had begun: nobody holds a lock on it any more."""
    for part in folder.glob(f".*{PART}"):
        with suppress(OSError), part.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            part.unlink(missing_ok=True)


async def _cut(conn: asyncpg.Connection) -> DatabaseCut:
    applied = await conn.fetch("SELECT migration_id FROM public._pogo_migration ORDER BY 1")
    sent = await conn.fetch(
        "SELECT stream, max(ack_seq) AS seq FROM outbox WHERE status = 'acked' GROUP BY 1"
    )
    return DatabaseCut(
        migrations=tuple(row["migration_id"] for row in applied),
        rows=await count_rows(conn),
        sent={row["stream"]: row["seq"] for row in sent},
    )


async def _dump(writer: Writer, service: str, dsn: str, database: Fixed) -> Section:
    digest, size = hashlib.blake2b(digest_size=32), 0
    writer.write(b"D", service.encode())
    async with dumping(dsn, database.snapshot) as dump:
        while piece := await _piece(dump):
            digest.update(piece)
            size += len(piece)
            writer.write(b"C", piece)
    return Section(service=service, size=size, digest=digest.hexdigest())


async def _piece(dump: StreamReader) -> bytes:
    async with asyncio.timeout(PIECE_SECONDS_MAX):
        return await dump.read(PIECE_BYTES_MAX)


def _write_long(writer: Writer, kind: bytes, content: bytes) -> None:
    for start in range(0, len(content), PIECE_BYTES_MAX):
        writer.write(kind, content[start : start + PIECE_BYTES_MAX])
