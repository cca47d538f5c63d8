"""Commands of the operators, each in a process of its own that has imported everything already.

A command takes longer to import than to run. So a server imports once what they all need, and
forks for each: arguments, environment, output and exit status are those of `python -m aidmesh`.
`up`, and whatever an ordinary user does in a test, is started for real.
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
from typing import NoReturn

PRELOADED = (
    "aidmesh.__main__",
    "aidmesh.doctor.examine",
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
        """Run a command to its end; `given` is typed in. Raises TimeoutError.

        Its environment is that of the tests, with what is in `environment`.
        """
        with self._lock:
            if self._server is None:
                self._server = self._started()
        request = {"arguments": arguments, "environment": {**os.environ, **(environment or {})}}
        with ExitStack() as opened:
            typed, out, err = (opened.enter_context(tempfile.TemporaryFile()) for _ in range(3))
            typed.write(given.encode())
            typed.seek(0)
            connection = opened.enter_context(socket.socket(socket.AF_UNIX))
            connection.settimeout(seconds_max)
            connection.connect(self._address)
            files = [file.fileno() for file in (typed, out, err)]
            socket.send_fds(connection, [json.dumps(request).encode()], files)
            code = connection.recv(16)
            assert code, f"{arguments} was killed"
            said = []
            for file in (out, err):
                file.seek(0)
                said.append(file.read().decode())
        return subprocess.CompletedProcess(list(arguments), int(code), *said)

    def _started(self) -> subprocess.Popen[bytes]:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(self._address)
            listening.listen()
            return subprocess.Popen(
                [sys.executable, __file__, str(listening.fileno())],
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
            _answer(connection)
        connection.close()


def _answer(connection: socket.socket) -> NoReturn:
    request, files, _, _ = socket.recv_fds(connection, REQUEST_BYTES_MAX, 3)
    for number, file in enumerate(files):
        os.dup2(file, number)
    asked = json.loads(request)
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv = ["aidmesh", *asked["arguments"]]
    code = _code_of_main()
    sys.stdout.flush()
    sys.stderr.flush()
    connection.sendall(str(code).encode())
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
