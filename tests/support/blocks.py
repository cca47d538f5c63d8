"""JetStream's store on disk, read and cut as a power failure would leave it.

A stream's messages are records in `<stream>/msgs/<n>.blk`, one after the other, little-endian:
length (4, the highest bit says that there are headers), sequence (8, the two highest bits are
flags), time (8), length of the subject (2), subject, headers, payload, checksum.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_HEAD = struct.Struct("<IQqH")
_LENGTH = 0x7FFFFFFF
_SEQUENCE = 0x3FFFFFFFFFFFFFFF
INDEX = "index.db"


@dataclass(frozen=True, slots=True)
class Record:
    """A message's place in its file."""

    sequence: int
    begins: int
    ends: int


def records(block: Path) -> Iterator[Record]:
    """The whole records of a file, in its order."""
    data = block.read_bytes()
    at = 0
    while at + _HEAD.size <= len(data):
        length, sequence, _, _ = _HEAD.unpack_from(data, at)
        ends = at + (length & _LENGTH)
        if not length or ends > len(data):
            return
        yield Record(sequence & _SEQUENCE, at, ends)
        at = ends


def blocks_of(store: Path, stream: str) -> list[Path]:
    """The files of a stream, the oldest first."""
    (folder,) = store.glob(f"**/streams/{stream}/msgs")
    return sorted(folder.glob("*.blk"), key=lambda path: int(path.stem))


def cut_after(store: Path, stream: str, sequence: int, tail: str) -> int:
    """Take from a stopped server's store what comes after a sequence; returns how many messages.

    Args:
        sequence: of the last message that stays.
        tail: what is found behind it: "nothing", "half" of a record (a torn write), or "zeros" (the
            file's length reached the disk and its content did not).
    """
    gone = 0
    for block in reversed(blocks_of(store, stream)):
        found = list(records(block))
        lost = [record for record in found if record.sequence > sequence]
        gone += len(lost)
        if lost and lost[0].begins == 0:
            block.unlink()
        elif found:
            _shorten(block, found[-1].ends if not lost else lost[0].begins, tail)
            break
    # The index is written now and then, without being flushed: it may be of any age, or gone.
    for index in blocks_of(store, stream)[:1]:
        (index.parent / INDEX).unlink(missing_ok=True)
    return gone


def _shorten(block: Path, ends: int, tail: str) -> None:
    kept, lost = block.read_bytes()[:ends], block.read_bytes()[ends:]
    if tail == "half":
        last = next(records(block))
        torn = lost or kept[last.begins : last.ends]
        kept += torn[: (last.ends - last.begins) // 2]
    elif tail == "zeros":
        kept += bytes(4096)
    block.write_bytes(kept)
