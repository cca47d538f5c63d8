"""The operators' command as somebody who is not root, also where the tests are.

What others may not read, such as a clone below /root, is lent to them for as long as the tests run.
"""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from aidmesh.embedded.binaries import nats_server

REQUIRE = "AIDMESH_REQUIRE_ORDINARY"
START_S_MAX = 360.0
POLL_S = 0.05
NOBODY = 65_534
"""What most systems call nobody; it owns no file that is not ours."""
NEEDED = """
import subprocess
import asyncpg, nacl, pydantic_core, uvloop
import aidmesh.mesh
from aidmesh.embedded.binaries import nats_server
subprocess.run([nats_server(), "--version"], check=True)
"""
LEND_IN = (tempfile.gettempdir(), "/var/tmp")  # noqa: S108 - folders of our own in them
"""The first may be closed to others, or hold no programs."""
NOT_LENT = shutil.ignore_patterns("playwright", "site-packages", "test")
"""Large, and not needed: what drives a browser, and of a Python what is installed in itself."""
_lent: list[Path] = []


@dataclass(frozen=True, slots=True)
class Ordinary:
    """How to run Python as an ordinary user.

    Attributes:
        uid: None for the one who runs the tests and is no root.
    """

    python: str
    uid: int | None
    environment: Mapping[str, str]

    def folder(self) -> Path:
        """A new folder that is this user's alone; remove it with `shutil.rmtree`."""
        path = Path(
            tempfile.mkdtemp(
                prefix="an ordinary folder ", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")
            )
        )
        if self.uid is not None:
            os.chown(path, self.uid, self.uid)
        return path

    def start(self, *arguments: str, cwd: Path, output: Path) -> subprocess.Popen[bytes]:
        """Start `aidmesh` with these arguments; what it says goes to a file."""
        with output.open("ab") as log:
            return subprocess.Popen(
                [self.python, "-m", "aidmesh", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **_options(self.uid, cwd, {**self.environment, "HOME": str(cwd)}),
            )


def required() -> bool:
    """Whether tests fail without an ordinary user instead of not running."""
    return os.environ.get(REQUIRE) == "1"


@cache
def ordinary() -> Ordinary | None:
    """How to run as an ordinary user here; None where nobody can be one."""
    if os.geteuid() != 0:
        return Ordinary(sys.executable, None, dict(os.environ))
    for python, environment in _ways():
        if _runs(python, environment):
            return Ordinary(python, NOBODY, environment)
    return None


def give_back() -> None:
    """Remove what was lent; the tests are over."""
    for folder in _lent:
        shutil.rmtree(folder, ignore_errors=True)
    _lent.clear()
    ordinary.cache_clear()


def _ways() -> Iterator[tuple[str, dict[str, str]]]:
    """A Python, and an environment in which it finds what is installed beside us.

    Not our standard library: another Python has its own.
    """
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    found = shutil.which(name, path="/usr/bin:/usr/local/bin")
    pythons = [sys.executable, os.path.realpath(sys.executable), *([found] if found else [])]
    packages = [path for path in sys.path if path.endswith(("/site-packages", "/src"))]
    for python in pythons:
        yield python, _environment(packages, nats_server().parent)
    for place in LEND_IN:
        folder = Path(tempfile.mkdtemp(prefix="aidmesh-lent-", dir=place))
        folder.chmod(0o755)
        _lent.append(folder)
        programs = folder / "bin"
        programs.mkdir(mode=0o755)
        _lend(str(nats_server()), str(programs / "nats-server"))
        copies = [str(folder / str(number)) for number in range(len(packages))]
        for path, copy in zip(packages, copies, strict=True):
            _lend_all(Path(path), Path(copy))
        environment = _environment(copies, programs)
        for python in pythons:
            yield python, environment
        if Path(sys.base_prefix) not in (Path("/usr"), Path("/usr/local")):
            base = folder / "python"
            _lend_all(Path(sys.base_prefix), base)
            # Its own library, which it may look for where it came from.
            yield str(base / "bin" / name), {**environment, "LD_LIBRARY_PATH": str(base / "lib")}


def _environment(packages: Sequence[str], programs: Path) -> dict[str, str]:
    return {
        "PATH": f"{programs}:{os.environ.get('PATH', '')}",
        "PYTHONPATH": os.pathsep.join(packages),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LANG": "C.UTF-8",
    }


def _lend_all(source: Path, target: Path) -> None:
    shutil.copytree(
        source, target, copy_function=_lend, ignore=NOT_LENT, ignore_dangling_symlinks=True
    )
    for folder, _, _ in os.walk(target):
        Path(folder).chmod(0o755)


def _lend(source: str, target: str) -> None:
    """A file that anybody may read: the very one where it may be read already, else a copy."""
    mode = stat.S_IMODE(Path(source).stat().st_mode)
    for_all = mode | 0o444 | (0o111 if mode & 0o100 else 0)
    if mode == for_all:
        try:
            os.link(os.path.realpath(source), target)
        except OSError:  # another disk
            pass
        else:
            return
    shutil.copy2(source, target)
    Path(target).chmod(for_all)


def _runs(python: str, environment: Mapping[str, str]) -> bool:
    try:
        done = subprocess.run(
            [python, "-c", NEEDED],
            capture_output=True,
            timeout=240,
            check=False,
            **_options(NOBODY, Path("/"), environment),
        )
    except OSError:
        return False
    return done.returncode == 0


def _options(uid: int | None, cwd: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    options: dict[str, Any] = {"cwd": cwd, "env": dict(environment)}
    if uid is not None:
        options |= {"user": uid, "group": uid, "extra_groups": []}
    return options


def processes(folder: Path) -> list[psutil.Process]:
    """Every process that works in or for the folder."""
    found = []
    for process in psutil.process_iter():
        try:
            said = [*process.cmdline(), process.cwd(), *process.environ().values()]
        except psutil.Error:
            continue
        if process.pid != os.getpid() and any(str(folder) in each for each in said):
            found.append(process)
    return found


def wait_for(process: subprocess.Popen[bytes], log: Path, word: str) -> None:
    """Wait until it says a word."""
    end = time.monotonic() + START_S_MAX
    while word not in log.read_text(encoding="utf-8"):
        assert process.poll() is None, log.read_text(encoding="utf-8")
        assert time.monotonic() < end, log.read_text(encoding="utf-8")
        time.sleep(POLL_S)


def wait_until_gone(folder: Path) -> None:
    """Wait until nothing of it runs."""
    end = time.monotonic() + 30.0
    while found := processes(folder):
        assert time.monotonic() < end, [each.cmdline() for each in found]
        time.sleep(POLL_S)
