"""What a folder lies on: a figure of what is flushed means something on a disk only."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import psutil

OF_MEMORY: Final = frozenset({"tmpfs", "ramfs", "devtmpfs"})
"""File systems without a disk: what is flushed there is forgotten when the power fails."""

UNKNOWN: Final = "unknown"


def file_system_of(folder: Path) -> str:
    """The type of the file system that a folder is on, such as ext4 or tmpfs.

    Args:
        folder: need not be there yet.
    """
    mounted = psutil.disk_partitions(all=True)
    return type_at(folder.resolve(), ((each.mountpoint, each.fstype) for each in mounted))


def type_at(folder: Path, mounted: Iterable[tuple[str, str]]) -> str:
    """The type of whatever is mounted next above a folder, the later of two in one place. Pure."""
    found, depth = UNKNOWN, 0
    for point, kind in mounted:
        if folder.is_relative_to(point) and len(Path(point).parts) >= depth:
            found, depth = kind, len(Path(point).parts)
    return found


def is_memory(kind: str) -> bool:
    """Whether flushing costs nothing on a file system of that type."""
    return kind in OF_MEMORY
