"""Commands of the operators, each in a process of its own that has imported everything already.

A command takes longer to import than to run. So a server imports once what they all need, and
forks for each: arguments, environment, output and exit status are those of `python -m aidmesh`,
as which other tests start them, those of an ordinary user among them.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import IO, NoReturn

PRELOADED = (
    "aidmesh.__main__",
    "aidmesh.doctor.examine",
    "aidmesh.mesh",
    "aidmesh.replaying",
    "aidmesh.restoring.run",
    "aidmesh.retiring",
    "aidmesh.rotation",
    "aidmesh.status_table",
    "aidmesh.story.read",
    "aidmesh.verification.run",
    "httpx",
)
REQUEST_BYTES_MAX = 1 << 20


class Started:
    """A command that runs. Its process is not ours, so it tells us over a connection of its own."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._said = connection.makefile("r", encoding="ascii")
        self.pid = int(self._said.readline())

    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        ready, _, _ = select.select([self._connection], [], [], 0)
        return not ready

    def terminate(self) -> None:
        """Ask it to end."""
        if self.is_running():
            os.kill(self.pid, signal.SIGTERM)

    def wait(self, seconds_max: float) -> int:
        """Its exit status, once it has ended. Raises TimeoutError."""
        self._connection.settimeout(seconds_max)
        with self._connection, self._said:
            code = self._said.readline()
        return int(code) if code else -signal.SIGKILL


class Commands:
    """The server, started when the first command comes and ended with these tests."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._server: subprocess.Popen[bytes] | None = None
        self._folder = tempfile.TemporaryDirectory()
        self._address = str(Path(self._folder.name) / "commands")

    def run(
        self,
        arguments: Sequence[str],
        seconds_max: float,
        *,
        environment: Mapping[str, str] | None = None,
        given: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; `given` is typed in. Raises TimeoutError, having killed it.

        Its environment is that of the tests, with what is in `environment`.
        """
        with ExitStack() as opened:
            typed, out, err = (opened.enter_context(tempfile.TemporaryFile()) for _ in range(3))
            typed.write(given.encode())
            typed.seek(0)
            started = self.start(arguments, (typed, out, err), environment)
            try:
                code = started.wait(seconds_max)
            except TimeoutError:
                os.kill(started.pid, signal.SIGKILL)
                raise
            for file in (out, err):
                file.seek(0)
            said = (file.read().decode() for file in (out, err))
            return subprocess.CompletedProcess(list(arguments), code, *said)

    def start(
        self,
        arguments: Sequence[str],
        files: tuple[IO[bytes], IO[bytes], IO[bytes]],
        environment: Mapping[str, str] | None = None,
    ) -> Started:
        """Start a command; `files` are its standard input, output and error, others as `run`."""
        with self._lock:
            if self._server is None:
                self._server = self._serving()
        request = {"arguments": arguments, "environment": {**os.environ, **(environment or {})}}
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self._address)
        asked = json.dumps(request).encode()
        socket.send_fds(connection, [asked], [file.fileno() for file in files])
        return Started(connection)

    def _serving(self) -> subprocess.Popen[bytes]:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(self._address)
            listening.listen()
            return subprocess.Popen(
                [sys.executable, "-P", __file__, str(listening.fileno())],
                stdin=subprocess.PIPE,  # its end is the server's
                pass_fds=[listening.fileno()],
            )


COMMANDS = Commands()


def serve(listening: socket.socket) -> None:
    """Fork for every command until nobody can ask any more."""
    for name in PRELOADED:
        import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        ready, _, _ = select.select([listening, sys.stdin], [], [])
        if sys.stdin in ready:
            return
        connection, _ = listening.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listening.close()
            _become(connection)
        connection.close()


def _become(connection: socket.socket) -> NoReturn:
    request, files, _, _ = socket.recv_fds(connection, REQUEST_BYTES_MAX, 3)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    connection.sendall(f"{os.getpid()}\n".encode())
    asked = json.loads(request)
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv = ["aidmesh", *asked["arguments"]]
    code = _code_of_main()
    sys.stdout.flush()
    sys.stderr.flush()
    connection.sendall(f"{code}\n".encode())
    os._exit(0)


def _code_of_main() -> int:
    from aidmesh.__main__ import main  # noqa: PLC0415

    try:
        main()
    except SystemExit as ended:
        if isinstance(ended.code, str):
            sys.stderr.write(f"{ended.code}\n")
            return 1
        return ended.code or 0
    except BaseException:  # noqa: BLE001 - as the interpreter would
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
