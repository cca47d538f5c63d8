"""Reads a backup: looks at it, or puts its databases in place."""

import asyncio
import hashlib
from asyncio import StreamWriter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import asyncpg

from aidmesh.backup.container import ContainerError, Reader
from aidmesh.backup.cut import count_rows
from aidmesh.backup.manifest import Manifest, Section, differing_rows
from aidmesh.backup.programs import PIECE_SECONDS_MAX, ProgramError, loading
from aidmesh_chassis.crypto import PrivateKey

MANIFEST_BYTES_MAX = 4 * 1024**2
CONNECT_SECONDS_MAX = 10.0
COUNT_SECONDS_MAX = 3600.0

Records = Iterator[tuple[bytes, bytes]]
Take = Callable[[str, bytes], Awaitable[None]]


class BackupError(Exception):
    """A backup can't be restored; the message says why."""


def _manifest(records: Records) -> tuple[Manifest, tuple[bytes, bytes]]:
    """The manifest, and the record that follows it."""
    text = b""
    for kind, content in records:
        if kind != b"M":
            return Manifest.model_validate_json(text), (kind, content)
        text += content
        if len(text) > MANIFEST_BYTES_MAX:
            break
    raise ContainerError("the backup is damaged: its manifest has no end")


def look(path: Path, secret: PrivateKey) -> Manifest:
    """What a backup says of itself; reads no further. Raises ContainerError or OSError."""
    with path.open("rb") as file:
        return _manifest(Reader(file, secret).records())[0]


async def check(path: Path, secret: PrivateKey) -> Manifest:
    """Read a backup to its end and compare all hashes. Raises ContainerError or OSError."""
    with path.open("rb") as file:
        records = Reader(file, secret).records()
        manifest, first = _manifest(records)
        digest, size = hashlib.blake2b(digest_size=32), 0
        seen: set[str] = set()
        for kind, content in _chain(first, records):
            if kind == b"D":
                digest, size = hashlib.blake2b(digest_size=32), 0
            elif kind == b"C":
                digest.update(content)
                size += len(content)
            elif kind == b"S":
                seen.add(_checked(content, digest.hexdigest(), size))
        _all_there(manifest, seen)
        return manifest


async def load(
    path: Path,
    secret: PrivateKey,
    dsn_of: Callable[[str], str],
    empty: Callable[[str], Awaitable[None]],
) -> Manifest:
    """Put the databases of a backup in place.

    Args:
        dsn_of: of a service's database, as the role that owns it.
        empty: makes the database of a service anew, with nothing in it.

    Raises:
        ContainerError, ProgramError, BackupError, OSError: nothing but the databases was touched.
    """
    with path.open("rb") as file:
        records = Reader(file, secret).records()
        manifest, current = _manifest(records)
        seen: set[str] = set()
        while current[0] == b"D":
            service = current[1].decode()
            if service not in manifest.databases:
                raise ContainerError(f"the backup is damaged: nothing is said of {service}")
            await empty(service)
            seen.add(await _load_one(records, dsn_of(service)))
            await _compare(manifest, service, dsn_of(service))
            current = next(records)
        _all_there(manifest, seen)
        for _ in records:
            raise ContainerError("the backup is damaged: something follows its databases")
        return manifest


async def _load_one(records: Records, dsn: str) -> str:
    digest, size = hashlib.blake2b(digest_size=32), 0
    async with loading(dsn) as target:
        for kind, content in records:
            if kind == b"S":
                return _checked(content, digest.hexdigest(), size)
            digest.update(content)
            size += len(content)
            await _send(target, content)
    raise ContainerError("the backup is damaged: a database has no end")


async def _send(target: StreamWriter, content: bytes) -> None:
    target.write(content)
    async with asyncio.timeout(PIECE_SECONDS_MAX):
        await target.drain()


async def _compare(manifest: Manifest, service: str, dsn: str) -> None:
    conn = await asyncpg.connect(
        dsn, timeout=CONNECT_SECONDS_MAX, command_timeout=COUNT_SECONDS_MAX
    )
    try:
        differing = differing_rows(manifest.databases[service], await count_rows(conn))
    finally:
        await conn.close(timeout=CONNECT_SECONDS_MAX)
    if differing:
        raise BackupError(f"{service} is not what was backed up: {'; '.join(differing)}")


def _checked(content: bytes, digest: str, size: int) -> str:
    said = Section.model_validate_json(content)
    if (said.size, said.digest) != (size, digest):
        raise ContainerError(f"the backup is damaged: the dump of {said.service} is another one")
    return said.service


def _all_there(manifest: Manifest, seen: set[str]) -> None:
    lacking = sorted(set(manifest.databases) - seen)
    if lacking:
        raise ContainerError(f"the backup lacks {', '.join(lacking)}")


def _chain(first: tuple[bytes, bytes], rest: Records) -> Records:
    yield first
    yield from rest


__all__ = ["BackupError", "ContainerError", "ProgramError", "check", "load", "look"]
