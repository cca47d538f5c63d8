"""The operators' command as somebody who is not root, also where the tests are."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

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
        path = Path(tempfile.mkdtemp(prefix="aidmesh-ordinary-"))
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
