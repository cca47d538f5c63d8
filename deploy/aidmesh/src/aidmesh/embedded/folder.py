"""A data folder is used by one mesh at a time."""

import fcntl
import os
import time
from dataclasses import dataclass
from pathlib import Path

from aidmesh.embedded.errors import FolderInUseError

LEFTOVERS_SECONDS_MAX = 20.0
_LOCK = ".lock"


class FolderLock:
    """A lock on a data folder.

    The servers inherit it (`fd`), so it lasts until the last of them is gone even if the process
    that took it was killed; the next start then waits for them instead of running beside them.
    """

    def __init__(self, folder: Path) -> None:
        """`folder` is created when missing."""
        self.folder = folder
        self._fd: int | None = None

    @property
    def fd(self) -> int:
        """The open file to hand on to servers."""
        if self._fd is None:
            raise FolderInUseError(f"{self.folder} is not locked by this process")
        return self._fd

    def acquire(self) -> None:
        """Take the lock.

        Raises FolderInUseError at once when a living process holds it, or when what a dead one left
        does not end in time.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        fd = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        deadline = time.monotonic() + LEFTOVERS_SECONDS_MAX
        while not _locked(fd):
            holder = os.pread(fd, 32, 0).decode().strip()
            if _lives(holder) or time.monotonic() > deadline:
                os.close(fd)
                raise FolderInUseError(
                    f"{self.folder} is in use by process {holder or '?'}; "
                    "stop that one first or name another folder"
                )
            time.sleep(0.05)
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._fd = fd

    def release(self) -> None:
        """Give it back; what still runs keeps it until it ends."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a folder.

    Attributes:
        pid: of the process that took the lock.
        lives: whether that process still does; what it had started may hold the lock without it.
        silent_s: since it last showed a sign of life.
    """

    pid: int
    lives: bool
    silent_s: float


def holder_of(folder: Path) -> Holder | None:
    """Who holds a folder; None if nobody does."""
    if not in_use(folder):
        return None
    path = folder / _LOCK
    pid = path.read_text().strip()
    return Holder(
        int(pid) if pid.isdecimal() else 0, _lives(pid), time.time() - path.stat().st_mtime
    )


def show_life(folder: Path) -> None:
    """Say that whoever holds the folder is at work."""
    os.utime(folder / _LOCK)


def in_use(folder: Path) -> bool:
    """Whether a mesh runs in this folder, or what is left of one."""
    try:
        fd = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _locked(fd)
    finally:
        os.close(fd)


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lives(pid: str) -> bool:
    if not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
