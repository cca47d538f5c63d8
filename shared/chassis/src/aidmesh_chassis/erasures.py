"""The list of erasures that outlives backups: a file apart from the data, one line each.

An erasure deletes a key; a backup that is older still has it. So whoever restores one has to know
whom to erase again, from a place that neither goes with the data nor goes back with it. A line has
a time, what was erased and its random id, which says nothing without the data.

Every record that an erasure takes along has a line, and a restore erases these and no others.
Lists of before named a person alone (`person`), whose merged records follow from the backup.
"""

import asyncio
import fcntl
import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, NamedTuple
from uuid import UUID

from pydantic import TypeAdapter

Kind = Literal["record", "household", "person"]
FILE: Final = "erasures.log"
MODE: Final = 0o600
LINE_BYTES_MAX: Final = 256
_KIND: Final[TypeAdapter[Kind]] = TypeAdapter(Kind)


class Erasure(NamedTuple):
    """Who or what was erased, and when.

    Attributes:
        kind: `record` is one record of a person, and `person` one with all that stood behind it.
    """

    at: datetime
    kind: Kind
    id: UUID


class JournalError(Exception):
    """A line of the list cannot be read; the message says which."""


class Journal:
    """Adds to the list.

    A line may be there for an erasure that was not committed: a restore then erases whom somebody
    had decided to erase, rather than bring anybody back.
    """

    def __init__(self, path: Path | None) -> None:
        """`path` is None where nobody wants a list: restores then bring erased people back."""
        self._path = path

    async def note(self, at: datetime, kind: Kind, ids: Iterable[UUID]) -> None:
        """Write down erasures, on the disk when it returns; before they are committed.

        Raises OSError when that is not possible; then nothing may be erased.
        """
        lines = "".join(f"{at.isoformat()} {kind} {each}\n" for each in ids)
        if self._path is not None and lines:
            await asyncio.to_thread(_append, self._path, lines)


def _append(path: Path, lines: str) -> None:
    is_new = not path.exists()
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, MODE)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)  # of several processes one at a time; closing lets go
        _drop_what_was_cut_off(fd)
        written = lines.encode()
        if os.write(fd, written) != len(written):
            raise OSError(f"{path}: no room for another line")
        os.fsync(fd)
    finally:
        os.close(fd)
    if is_new:
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # its name, too, outlives a power cut
        finally:
            os.close(folder)


def _drop_what_was_cut_off(fd: int) -> None:
    """A line without an end would run into the next; its erasure was never answered."""
    size = os.fstat(fd).st_size
    tail = os.pread(fd, LINE_BYTES_MAX, max(0, size - LINE_BYTES_MAX))
    if not tail.endswith(b"\n"):
        os.ftruncate(fd, size - len(tail) + tail.rfind(b"\n") + 1)


def read_journal(path: Path) -> list[Erasure]:
    """All that was written down, each once in its order; empty without a file.

    A last line without an end was cut off while it was written: its erasure was never answered.

    Raises JournalError or OSError.
    """
    if not path.exists():
        return []
    *whole, _ = path.read_text(encoding="ascii").split("\n")
    found: dict[tuple[Kind, UUID], Erasure] = {}
    for number, line in enumerate(whole, start=1):
        try:
            at, kind, identity = line.split(" ")
            erasure = Erasure(
                datetime.fromisoformat(at), _KIND.validate_python(kind), UUID(identity)
            )
        except ValueError:
            raise JournalError(f"{path}, line {number} is no erasure") from None
        found[erasure.kind, erasure.id] = erasure
    return list(found.values())
