"""Doctor says when nobody runs the mesh."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aidmesh import life
from aidmesh.doctor.supervisor import SILENT_S_MAX, finding_of
from aidmesh.embedded.folder import FolderLock, Holder, holder_of, show_life
from aidmesh.mesh import Mesh, running_mesh
from support.servers import keys_in
from support.waiting import eventually

DATA = Path("/srv/aidmesh")


@pytest.mark.parametrize(
    ("holder", "what", "todo"),
    [
        (None, "does not run", "aidmesh up --data /srv/aidmesh"),
        (Holder(7, lives=False, silent_s=1.0), "has ended", "aidmesh up --data /srv/aidmesh"),
        (Holder(7, lives=True, silent_s=SILENT_S_MAX + 1), "no sign of life", "kill -CONT 7"),
    ],
)
def test_what_is_wrong_and_what_to_do(holder: Holder | None, what: str, todo: str) -> None:
    found = finding_of(DATA, holder)
    assert found is not None
    assert found.harm == "error"
    assert what in found.what
    assert todo in found.do


def test_a_mesh_at_work_is_not_spoken_of() -> None:
    assert finding_of(DATA, Holder(7, lives=True, silent_s=SILENT_S_MAX)) is None


def test_who_holds_a_folder(tmp_path: Path) -> None:
    assert holder_of(tmp_path) is None
    lock = FolderLock(tmp_path)
    lock.acquire()
    os.utime(tmp_path / ".lock", (0, 0))
    held = holder_of(tmp_path)
    assert held is not None
    assert (held.pid, held.lives) == (os.getpid(), True)
    assert held.silent_s > SILENT_S_MAX
    show_life(tmp_path)
    held = holder_of(tmp_path)
    assert held is not None
    assert held.silent_s < SILENT_S_MAX
    lock.release()
    assert holder_of(tmp_path) is None


class Begun(Exception):
    """A mesh was begun, and that is all that is wanted."""


async def test_a_mesh_that_takes_long_to_start_shows_that_it_is_at_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def start(_: Mesh) -> None:
        os.utime(tmp_path / ".lock", (0, 0))
        await eventually(is_heard)
        raise Begun

    async def is_heard() -> bool:
        held = holder_of(tmp_path)
        return held is not None and held.silent_s < SILENT_S_MAX

    monkeypatch.setattr(Mesh, "start", start)
    monkeypatch.setattr(life, "LIFE_S", 0.01)
    keys = keys_in(tmp_path / "keys")
    with pytest.raises(Begun):
        async with running_mesh(tmp_path, ("kyiv",), keys, services=()):
            pass
    assert holder_of(tmp_path) is None


def test_what_a_dead_one_left_is_told_from_it(tmp_path: Path) -> None:
    """A child inherits the lock, and outlives who took it."""
    child = "import sys; print(flush=True); sys.stdin.read()"
    parent = (
        "import os, subprocess, sys; from pathlib import Path;"
        "from aidmesh.embedded.folder import FolderLock;"
        "lock = FolderLock(Path(sys.argv[1])); lock.acquire();"
        "subprocess.Popen([sys.executable, '-c', sys.argv[2]], pass_fds=[lock.fd]);"
        "os._exit(0)"
    )
    done = subprocess.Popen(
        [sys.executable, "-c", parent, str(tmp_path), child],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert done.stdout is not None
    done.stdout.readline()
    assert done.wait(60) == 0
    left = holder_of(tmp_path)
    assert left is not None
    assert (left.pid, left.lives) == (done.pid, False)
    done.communicate()
