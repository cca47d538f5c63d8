"""One server process under its keeper. Blocking: call it from a thread where a loop runs."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

from aidmesh.embedded.errors import StartError

KEEPER = Path(__file__).with_name("keeper.py")
MARGIN_S = 5.0
TAIL_BYTES = 4_096


@dataclass(frozen=True, slots=True)
class Account:
    """A user and group of the host that a server runs as."""

    name: str
    uid: int
    gid: int


@dataclass(slots=True)
class KeptProcess:
    """A command that ends when this process ends, however this process ends.

    `stop_signal` asks it to end, `stop_ms_max` later it is killed. `output` receives what it
    writes. `account` is whom it runs as (root only). `keep_fds` are inherited by keeper and
    command, so that locks on them last until both are gone.
    """

    command: Sequence[str]
    output: Path
    stop_signal: int = signal.SIGTERM
    stop_ms_max: int = 10_000
    env: Mapping[str, str] | None = None
    cwd: Path | None = None
    account: Account | None = None
    keep_fds: tuple[int, ...] = ()
    _keeper: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _pid: int = field(default=0, init=False)

    def start(self) -> int:
        """Start it and return its process id; whether it is ready is for the caller to find out.

        Raises StartError if not even a process came of it.
        """
        if self.alive:
            raise StartError(f"{self.command[0]} is already running")
        uid, gid = (self.account.uid, self.account.gid) if self.account else (-1, -1)
        self.output.parent.mkdir(parents=True, exist_ok=True)
        with self.output.open("ab") as output:
            self._keeper = subprocess.Popen(
                [
                    *(sys.executable, "-I", "-S", str(KEEPER)),
                    *(str(int(self.stop_signal)), str(self.stop_ms_max), str(uid), str(gid)),
                    *self.command,
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                start_new_session=True,  # Ctrl-C reaches us alone; we decide the order of stopping
                env=None if self.env is None else dict(self.env),
                cwd=self.cwd,
                pass_fds=self.keep_fds,
            )
        stdout = _pipe(self._keeper.stdout)
        line = stdout.readline()
        stdout.close()
        if not line:
            self._reap()
            raise StartError(f"{self.command[0]} could not be started\n{self.tail()}")
        self._pid = int(line)
        return self._pid

    @property
    def pid(self) -> int:
        """The server's process id, 0 before the first start."""
        return self._pid

    @property
    def alive(self) -> bool:
        """Whether the server's process exists."""
        return self._keeper is not None and self._keeper.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Its exit status once it has ended (128 + signal if it was killed)."""
        return None if self._keeper is None else self._keeper.poll()

    def stop(self) -> None:
        """Ask it to end, kill it if it does not within its bound; done when it is gone."""
        self._reap()

    def kill(self) -> None:
        """End it at once, as a crash or a power cut of the process would."""
        if self.alive:
            _signal(self._pid, signal.SIGKILL)
        self._reap()

    def tail(self) -> str:
        """The last lines it wrote."""
        try:
            with self.output.open("rb") as written:
                written.seek(0, os.SEEK_END)
                written.seek(max(0, written.tell() - TAIL_BYTES))
                return written.read().decode(errors="replace").strip()
        except OSError:
            return ""

    def _reap(self) -> None:
        keeper = self._keeper
        if keeper is None:
            return
        _pipe(keeper.stdin).close()  # the keeper reads the end of file as "stop"
        try:
            keeper.wait(self.stop_ms_max / 1000 + MARGIN_S)
        except subprocess.TimeoutExpired:
            keeper.kill()
            keeper.wait()
            _signal(self._pid, signal.SIGKILL)
        self._keeper = None


def wait_until_gone(pids: Sequence[int], *, seconds_max: float) -> bool:
    """Wait until none of the processes exists; False when time ran out."""
    deadline = time.monotonic() + seconds_max
    while any(_exists(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _exists(pid: int) -> bool:
    """A zombie is gone: it holds nothing, and who reaps it is not for us to say."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise StartError("the keeper was started without pipes")
    return stream


def _signal(pid: int, number: int) -> None:
    if pid <= 0:
        return
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
