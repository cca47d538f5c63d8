"""A real PostgreSQL server in a folder.

It listens on 127.0.0.1 with passwords (SCRAM) and has no socket file: paths of socket files are
limited to about 100 bytes, and a folder of sockets would need rights for whoever connects. As any
local account can reach the port, every role has a random password.
"""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psutil

from aidmesh.embedded.account import can_reach, server_account
from aidmesh.embedded.binaries import postgres_bin
from aidmesh.embedded.errors import EmbeddedError, PortTakenError, StartError
from aidmesh.embedded.ports import HOST, is_free
from aidmesh.embedded.process import Account, KeptProcess, wait_until_gone

SUPERUSER = "postgres"
INIT_SECONDS_MAX = 120
READY_SECONDS_MAX = 60.0
POLL_S = 0.02

SETTINGS: Mapping[str, str] = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "work_mem": "8MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "jit": "off",  # costs more than it gives on statements of milliseconds
    "timezone": "UTC",
    "password_encryption": "scram-sha-256",
    # Stretching protects guessable passwords. Ours are 192 random bits, and pools on weak
    # hardware should not pay for it at every connection.
    "scram_iterations": "1",
    "logging_collector": "on",
    "log_destination": "jsonlog",
    "log_directory": "log",
    "log_filename": "postgres-%a.log",  # seven files, each starts anew after a week
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_timezone": "UTC",
    # Values of rows may be personal, and even the first line of an error can quote one. Errors of
    # statements reach the service that sent them; the log has the server's own life (LOG, FATAL).
    "log_min_messages": "log",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}

INITDB = ("--data-checksums", "--encoding=UTF8", "--no-locale", "--locale-provider=builtin",
          "--builtin-locale=C.UTF-8")  # fmt: skip
"""How a data directory is made, wherever: text sorts the same on every machine."""

NOT_DURABLE: Mapping[str, str] = {
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
}
"""For tests only: survives killed processes, not a power cut, and nobody tidies up."""


@dataclass(slots=True)
class PostgresServer:
    """One server. Methods block; call them from a thread where a loop runs.

    `folder` becomes the server's data directory, `port` is on the loopback interface, `password`
    is the superuser's. `settings` go over SETTINGS. `announce` gets one line for a person when
    something unusual had to be done. `output` gets what is written before the log is open.
    `keep_fds` are inherited by the server.
    """

    folder: Path
    port: int
    password: str
    settings: Mapping[str, str] = field(default_factory=dict)
    announce: Callable[[str], None] = print
    output: Path | None = None
    keep_fds: tuple[int, ...] = ()
    _process: KeptProcess | None = field(default=None, init=False)

    def start(self) -> None:
        """Create the data directory if there is none, start the server, return when it is ready.

        Raises PortTakenError, StartError or EmbeddedError.
        """
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        account = server_account(self.folder)
        programs = postgres_bin(account, self.announce)
        self._create(programs, account)
        self._configure()
        if not is_free(self.port):
            raise PortTakenError(f"PostgreSQL's port {self.port} is used by another program")
        with ExitStack() as opened:
            seen, fds = _as_seen_by(self.folder, account, opened)
            process = KeptProcess(
                command=(str(programs / "postgres"), "-D", seen),
                output=self.output or self.folder.with_name(f"{self.folder.name}.out"),
                stop_signal=signal.SIGINT,  # fast shutdown: roll back, write out, end
                env=_environment(),
                account=account,
                keep_fds=(*self.keep_fds, *fds),
            )
            process.output.unlink(missing_ok=True)
            process.start()
        self._process = process
        self._wait_until_ready(process)

    def stop(self) -> None:
        """Fast shutdown, bounded; afterwards nothing of the server runs."""
        if self._process is not None:
            self._process.stop()

    def kill(self) -> None:
        """SIGKILL the server, as the kernel does when memory runs out."""
        if self._process is None or not self._process.alive:
            return
        try:
            children = [child.pid for child in psutil.Process(self._process.pid).children()]
        except psutil.NoSuchProcess:
            children = []
        self._process.kill()
        # A new server refuses to start while backends of the old one hold its shared memory.
        wait_until_gone(children, seconds_max=10)

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

    def dsn(self, database: str, user: str = SUPERUSER, password: str | None = None) -> str:
        """A connection URL; without user and password the superuser's."""
        secret = quote(self.password if password is None else password, safe="")
        return f"postgresql://{quote(user)}:{secret}@{HOST}:{self.port}/{quote(database)}"

    def _create(self, programs: Path, account: Account | None) -> None:
        marker = self.folder / "PG_VERSION"
        if marker.exists():
            found = marker.read_text(encoding="ascii").strip()
            offered = _major(programs)
            if found != offered:
                raise EmbeddedError(
                    f"{self.folder} was written by PostgreSQL {found}, installed is {offered}; "
                    "upgrade it with pg_upgrade or install the version that wrote it"
                )
            return
        # Made beside its place and renamed: half a data directory is never taken for a whole one.
        fresh = self.folder.with_name(f"{self.folder.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        if account:
            os.chown(fresh, account.uid, account.gid)
        with ExitStack() as opened:
            secret = opened.enter_context(
                tempfile.NamedTemporaryFile("w", dir=fresh.parent, prefix=".init-")
            )
            secret.write(f"{self.password}\n")
            secret.flush()
            if account:
                os.chown(secret.name, account.uid, account.gid)
            seen, fds = _as_seen_by(fresh, account, opened)
            secret_seen, secret_fds = _as_seen_by(Path(secret.name), account, opened)
            done = subprocess.run(
                [
                    *(programs / "initdb", "-D", seen, "-U", SUPERUSER, f"--pwfile={secret_seen}"),
                    *("--auth=scram-sha-256", *INITDB),
                    *(("--no-sync",) if self.settings.get("fsync") == "off" else ()),
                    *("--set=scram_iterations=1", "--no-instructions"),
                ],
                user=None if account is None else account.uid,
                group=None if account is None else account.gid,
                extra_groups=None if account is None else [],
                env=_environment(),
                cwd="/",
                pass_fds=(*fds, *secret_fds),
                capture_output=True,
                timeout=INIT_SECONDS_MAX,
                check=False,
                text=True,
            )
        if done.returncode != 0:
            raise StartError(f"initdb failed in {self.folder}\n{done.stderr.strip()[-2000:]}")
        (fresh / "pg_hba.conf").write_text(
            f"host all all {HOST}/32 scram-sha-256\n", encoding="ascii"
        )
        with (fresh / "postgresql.conf").open("a", encoding="utf-8") as main:
            main.write("\ninclude 'aidmesh.conf'\n")
        fresh.rename(self.folder)

    def _configure(self) -> None:
        """Write our settings anew; what an operator sets with ALTER SYSTEM goes over them."""
        wanted = {**SETTINGS, "port": str(self.port), **self.settings}
        target = self.folder / "aidmesh.conf"
        target.write_text(settings_text(wanted), encoding="utf-8")
        target.chmod(0o644)

    def _wait_until_ready(self, process: KeptProcess) -> None:
        """Until the server writes "ready" into its pid file, as pg_ctl does."""
        deadline = time.monotonic() + READY_SECONDS_MAX
        pid_file = self.folder / "postmaster.pid"
        while time.monotonic() < deadline:
            try:
                lines = pid_file.read_text(encoding="utf-8").splitlines()
            except OSError:
                lines = []
            if len(lines) >= 8 and lines[0] == str(process.pid) and lines[7].strip() == "ready":
                return
            if not process.alive:
                break
            time.sleep(POLL_S)
        process.stop()
        raise StartError(f"PostgreSQL did not start in {self.folder}\n{self._why(process)}")

    def _why(self, process: KeptProcess) -> str:
        logs = sorted(self.folder.glob("log/*.json"), key=lambda path: path.stat().st_mtime)
        text = logs[-1].read_text(encoding="utf-8", errors="replace") if logs else ""
        return "\n".join([process.tail(), *_last_words(text.splitlines()[-20:])])


def _last_words(lines: Sequence[str]) -> Iterator[str]:
    """Why a server ended, by its log; a line that was cut, as a full disk does, says nothing."""
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.get("error_severity") in {"FATAL", "PANIC"}:
            yield f"{entry['error_severity']}: {entry.get('message', '')}"


def _as_seen_by(
    path: Path, account: Account | None, opened: ExitStack
) -> tuple[str, tuple[int, ...]]:
    """How the server can name a path of its own below folders that are closed to it.

    On Linux an inherited file descriptor leads there without passing those folders.
    """
    if can_reach(path, account):
        return str(path.resolve()), ()
    if not Path("/proc/self/fd").is_dir():
        raise EmbeddedError(
            f"PostgreSQL does not run as root and its account cannot enter {path.parent}; "
            "choose a data folder that others may enter, or run as an ordinary user"
        )
    fd = os.open(path, os.O_RDONLY)
    opened.callback(os.close, fd)
    return f"/proc/self/fd/{fd}", (fd,)


def _environment() -> dict[str, str]:
    """Ours, without settings meant for clients of some other server."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**kept, "LC_ALL": "C"}


def settings_text(settings: Mapping[str, str]) -> str:
    """The configuration file that says these settings."""
    quoted = ((name, value.replace("'", "''")) for name, value in settings.items())
    return "".join(f"{name} = '{value}'\n" for name, value in quoted)


def _major(programs: Path) -> str:
    control = (programs.parent / "share" / "postgres.bki").open(encoding="ascii")
    with control as lines:
        return lines.readline().split()[-1]
