"""A real nats-server with JetStream in a folder."""

import http
import http.client
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aidmesh.embedded.binaries import nats_server
from aidmesh.embedded.errors import PortTakenError, StartError
from aidmesh.embedded.ports import HOST, is_free
from aidmesh.embedded.process import KeptProcess
from aidmesh.fetching import get
from aidmesh.topology.configured import loaded_at, write_config

READY_SECONDS_MAX = 60.0  # a large store is read through after a crash
RELOAD_SECONDS_MAX = 5.0
POLL_S = 0.02
MEMORY_BYTES = 512 * 1024 * 1024


@dataclass(slots=True)
class NatsServer:
    """One server. Methods block; call them from a thread where a loop runs.

    `folder` holds its configuration, `config` is that file's text (see aidmesh.topology.config),
    `files` are others that it names, by name. `ports` are all it listens on, `monitor_port` is the
    one of its HTTP monitor. `output` gets what is written before the log is open. `keep_fds` are
    inherited by the server. GOMEMLIMIT makes Go return memory before the host runs out of it.
    """

    folder: Path
    config: str
    ports: tuple[int, ...]
    monitor_port: int
    memory_bytes: int = MEMORY_BYTES
    output: Path | None = None
    keep_fds: tuple[int, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    _process: KeptProcess | None = field(default=None, init=False)

    def start(self) -> None:
        """Write the configuration, start the server, return when JetStream answers.

        Raises PortTakenError or StartError.
        """
        for port in self.ports:
            if not is_free(port):
                raise PortTakenError(f"NATS's port {port} is used by another program")
        self.folder.mkdir(parents=True, exist_ok=True)
        target = write_config(self.folder, self.config, self.files)
        process = KeptProcess(
            command=(str(nats_server()), "-c", str(target)),
            output=self.output or self.folder.with_name(f"{self.folder.name}.out"),
            stop_signal=signal.SIGTERM,
            env={**os.environ, "GOMEMLIMIT": str(self.memory_bytes)},
            keep_fds=self.keep_fds,
        )
        process.output.unlink(missing_ok=True)
        process.start()
        self._process = process
        deadline = time.monotonic() + READY_SECONDS_MAX
        while time.monotonic() < deadline and process.alive:
            if self._healthy():
                return
            time.sleep(POLL_S)
        process.stop()
        raise StartError(f"nats-server did not start in {self.folder}\n{process.tail()}")

    def reload(self, config: str, files: Mapping[str, str] | None = None) -> None:
        """Have the running server take another configuration; done when it has.

        The server must be one that `config` can change without a restart. `self.config` and
        `self.files`, which the next start takes, stay. Raises TimeoutError when it does not,
        ConnectionError when no server runs.
        """
        before = loaded_at(self.monitor_port, HOST)
        if before is None or not self.alive:
            raise ConnectionError("the server does not answer")
        write_config(self.folder, config, self.files if files is None else files)
        os.kill(self.pid, signal.SIGHUP)
        deadline = time.monotonic() + RELOAD_SECONDS_MAX
        while loaded_at(self.monitor_port, HOST) in {before, None}:
            if time.monotonic() > deadline:
                raise TimeoutError("the server does not take its configuration")
            time.sleep(POLL_S)

    def stop(self) -> None:
        """Ask it to end, bounded; afterwards it does not run."""
        if self._process is not None:
            self._process.stop()

    def restart(self) -> None:
        """End it; whoever watches it starts it again."""
        self.stop()

    def kill(self) -> None:
        """SIGKILL the server, as the kernel does when memory runs out."""
        if self._process is not None:
            self._process.kill()

    @property
    def alive(self) -> bool:
        """Whether the server's process exists."""
        return self._process is not None and self._process.alive

    @property
    def pid(self) -> int:
        """The server's process id, 0 before the first start."""
        return 0 if self._process is None else self._process.pid

    @property
    def exit_code(self) -> int | None:
        """How the server's process has ended; None while it runs, or before the first start."""
        return None if self._process is None else self._process.exit_code

    def _healthy(self) -> bool:
        try:
            status, _ = get(f"http://{HOST}:{self.monitor_port}/healthz", 2.0)
        except (OSError, http.client.HTTPException):
            return False
        return status == http.HTTPStatus.OK
