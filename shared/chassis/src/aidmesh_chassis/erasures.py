"""The list of erasures that outlives backups: a file apart from the data, one line each.

An erasure deletes a key; a backup that is older still has it. So whoever restores one has to know
whom to erase again, from a place that neither goes with the data nor goes back with it. A line has
a time, what was erased and its random id, which says nothing without the data.
"""

import asyncio
import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, NamedTuple
from uuid import UUID

from pydantic import TypeAdapter

Kind = Literal["person", "household"]
FILE: Final = "erasures.log"
MODE: Final = 0o600
_KIND: Final[TypeAdapter[Kind]] = TypeAdapter(Kind)


class Erasure(NamedTuple):
    """Who or what was erased, and when."""

    at: datetime
    kind: Kind
    id: UUID


class JournalError(Exception):
    """A line of the list cannot be read; the message says which."""


class Journal:
    """Adds to the list. A line that is there for an erasure that was not committed does no harm."""

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
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, MODE)
    try:
        os.write(fd, lines.encode())
        os.fsync(fd)
    finally:
        os.close(fd)


def read_journal(path: Path) -> list[Erasure]:
    """All that was written down, each once; empty without a file.

    A last line without an end was cut off while it was written: its erasure was never answered.

    Raises JournalError or OSError.
    """
    if not path.exists():
        return []
    *whole, _ = path.read_text(encoding="ascii").split("\n")
    found: dict[UUID, Erasure] = {}
    for number, line in enumerate(whole, start=1):
        try:
            at, kind, identity = line.split(" ")
            erasure = Erasure(
                datetime.fromisoformat(at), _KIND.validate_python(kind), UUID(identity)
            )
        except ValueError:
            raise JournalError(f"{path}, line {number} is no erasure") from None
        found[erasure.id] = erasure
    return list(found.values())
