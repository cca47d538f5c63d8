"""Where lines come from: files that grow and are shortened, and standard input.

Lines of several services are put in order of time. What has ended is sorted as a whole; what goes
on, by what came within a moment.
"""

import heapq
import os
import queue
import re
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final, TextIO, cast

from aidmesh.reading.lines import Fields, Line, Reader, Sources, parse

SERVERS_LOGS: Final = "nats"
"""What lies beside the services' logs and is no JSON begins so: one for each server, and the older
ones that it put aside."""

ALL_REGIONS: Final = "all"
"""The region of the mesh's own lines that are about none."""

LINE_BYTES_MAX: Final = 1024**2

LOOK_S: Final = 0.25
"""How often files are looked at for what was added."""

SILENCE_S: Final = 0.3
"""What came in is put in order and shown once nothing more came for as long, or"""

HELD_S_MAX: Final = 2.0
"""after this long, or"""

HELD_MAX: Final = 100_000
"""as soon as so many lines wait."""

HELD_CHARS_MAX: Final = 32 * 1024**2
FILES_MAX: Final = 64
"""Of a stream that ends so much is sorted in memory at a time, and so many parts wait as files."""

Timed = tuple[str, str, str]
"""A line's time, its text, and the level that it has if it is no JSON."""


def log_files(data: Path, regions: Sequence[str]) -> list[Path]:
    """The log files in a data folder, those too that were put aside as too large.

    The services', and the mesh's own: its gates, links and processes.
    """
    return [
        *sorted(data.glob("mesh.log*")),
        *(
            path
            for region in regions
            for path in sorted((data / region / "log").glob("*.log*"))
            if not path.name.startswith(SERVERS_LOGS)
        ),
    ]


def of_regions(lines: Iterable[Line], regions: Collection[str]) -> Iterator[Line]:
    """Leave out what the mesh says of regions that nobody asked for."""
    wanted = {None, ALL_REGIONS, *regions}
    return (line for line in lines if line.fields.get("region") in wanted)


def lines_of(files: Iterable[Path], ends: Mapping[Path, int] | None = None) -> Iterator[Line]:
    """All lines of files, by time.

    Args:
        files: each in order of time by itself.
        ends: up to which byte to read; what is not named is read to its end.
    """
    ends = ends or {}
    return heapq.merge(*(_file(path, ends.get(path)) for path in files), key=lambda line: line.at)


def _place(path: Path) -> Fields:
    """Who writes to a file of a data folder: a process, of a region or of the mesh."""
    service = re.split(r"[.-]", path.name, maxsplit=1)[0]
    if service == "mesh":
        return {"service": service}
    return {"service": service, "region": path.parent.parent.name}


def _file(path: Path, end: int | None) -> Iterator[Line]:
    reader = Reader(_place(path))
    left = end
    with path.open("rb") as file:
        for text in file:
            if left is not None:
                left -= len(text)
                if left < 0:
                    return
            yield reader.read(text.decode(errors="replace").rstrip("\n"))


class Growing:
    """A file that others write to: what is added from now on.

    It begins anew when the file was shortened or replaced.
    """

    def __init__(self, path: Path) -> None:
        """The file need not be there yet."""
        self.path = path
        self._inode, size = _state(path)
        self._reader = Reader(_place(path))
        self.at = _line_end(path, size)

    def added(self) -> list[Line]:
        """Return whole lines that are new; half a line waits for its end."""
        inode, size = _state(self.path)
        if inode != self._inode or size < self.at:
            self._inode, self.at = inode, 0
        if size <= self.at:
            return []
        with self.path.open("rb") as file:
            file.seek(self.at)
            data = file.read(size - self.at)
        *whole, rest = data.split(b"\n")
        self.at += len(data) - len(rest)
        return [self._reader.read(text.decode(errors="replace")) for text in whole]


def _line_end(path: Path, size: int) -> int:
    """Where the last whole line ends."""
    if size == 0:
        return 0
    with path.open("rb") as file:
        start = max(0, size - LINE_BYTES_MAX)
        file.seek(start)
        return start + file.read(size - start).rfind(b"\n") + 1


def _state(path: Path) -> tuple[int, int]:
    try:
        found = os.stat(path)  # noqa: PTH116 — one call for both
    except OSError:
        return 0, 0
    return found.st_ino, found.st_size


def followed(files: Sequence[Growing]) -> Iterator[Line]:
    """What is added to files, for ever."""
    while True:
        new = [line for file in files for line in file.added()]
        yield from sorted(new, key=lambda line: line.at)
        time.sleep(LOOK_S)


def whole(
    stream: TextIO, folder: Path | None = None, chars_max: int = HELD_CHARS_MAX
) -> Iterator[Line]:
    """All lines of a stream by time, once it has ended.

    Args:
        stream: such as `docker compose logs` writes it, writer by writer.
        folder: where what does not fit into memory waits, in files without a name; where
            temporary files lie if None. They take as much room as what came, twice at most.
        chars_max: so much is sorted in memory at a time.

    Raises OSError when there is no room for them.
    """
    sources = Sources()
    with ExitStack() as stack:
        sorted_: list[TextIO] = []
        held: list[Timed] = []
        size = 0
        for raw in stream:
            text = raw.rstrip("\n")
            line = sources.read(text)
            held.append((line.at, text, line.level_of_text))
            size += len(text)
            if size < chars_max:
                continue
            sorted_.append(stack.enter_context(_set_aside(sorted(held, key=_at), folder)))
            held, size = [], 0
            if len(sorted_) == FILES_MAX:
                fresh = stack.enter_context(_set_aside(_merged(sorted_, []), folder))
                for each in sorted_:
                    each.close()
                sorted_ = [fresh]
        for at, text, level in _merged(sorted_, sorted(held, key=_at)):
            yield parse(text, at, level)


def _merged(files: Sequence[TextIO], held: Sequence[Timed]) -> Iterator[Timed]:
    """What was set aside, and what was not, the earlier before the later; of equal ones as they
    came."""
    return heapq.merge(*map(_read_again, files), held, key=_at)


@contextmanager
def _set_aside(lines: Iterable[Timed], folder: Path | None) -> Iterator[TextIO]:
    """A file without a name, gone once it is closed, whatever becomes of this process."""
    with TemporaryFile(
        "w+", encoding="utf-8", errors="backslashreplace", newline="\n", dir=folder
    ) as file:
        file.writelines(f"{at}\t{level}\t{text}\n" for at, text, level in lines)
        file.seek(0)
        yield cast("TextIO", file)


def _read_again(file: TextIO) -> Iterator[Timed]:
    for row in file:
        at, level, text = row.removesuffix("\n").split("\t", 2)
        yield at, text, level


def _at(timed: Timed) -> str:
    return timed[0]


def as_it_comes(stream: TextIO) -> Iterator[Line]:
    """Lines of a stream that goes on, such as `docker compose logs --follow` writes them.

    In order of time among those that come within a moment.
    """
    arrived: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def read() -> None:
        try:
            for text in stream:
                arrived.put(text)
        finally:
            arrived.put(None)

    threading.Thread(target=read, daemon=True).start()
    sources = Sources()
    held: list[Line] = []
    since = time.monotonic()
    ended = False
    while not ended:
        try:
            text = arrived.get(timeout=SILENCE_S)
        except queue.Empty:
            text = ""
        ended = text is None
        if text:
            since = since if held else time.monotonic()
            held.append(sources.read(text.rstrip("\n")))
            if len(held) < HELD_MAX and time.monotonic() - since < HELD_S_MAX:
                continue
        yield from sorted(held, key=lambda line: line.at)
        held.clear()
