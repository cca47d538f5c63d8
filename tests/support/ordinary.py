"""The operators' command as somebody who is not root, also where the tests are."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psutil

START_S_MAX = 90.0
POLL_S = 0.05
NOBODY = 65_534
"""What most systems call nobody; it owns no file that is not ours."""
NEEDED = "import asyncpg, nacl, pydantic_core, uvloop; import aidmesh.mesh"


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


@cache
def ordinary() -> Ordinary | None:
    """How to run as an ordinary user here; None where no Python can be read by one."""
    if os.geteuid() != 0:
        return Ordinary(sys.executable, None, dict(os.environ))
    # What is installed beside us, without our standard library: another Python has its own.
    paths = [path for path in sys.path if path.endswith(("/site-packages", "/src"))]
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}",
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LANG": "C.UTF-8",
    }
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, shutil.which(name, path="/usr/bin:/usr/local/bin")):
        if python is not None and _runs(python, environment):
            return Ordinary(python, NOBODY, environment)
    return None


def _runs(python: str, environment: Mapping[str, str]) -> bool:
    try:
        done = subprocess.run(
            [python, "-c", NEEDED],
            capture_output=True,
            timeout=60,
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
