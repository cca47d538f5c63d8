"""A stranger without root starts a mesh twice (the demo: test_demo.py)."""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.ordinary import Ordinary, ordinary, wait_for, wait_until_gone

pytestmark = [pytest.mark.ordinary, pytest.mark.timeout(240)]


@pytest.fixture
def user() -> Ordinary:
    """Somebody who is not root; the tests do not run where there is none."""
    found = ordinary()
    assert found is not None
    return found


@pytest.fixture
def folder(user: Ordinary) -> Iterator[Path]:
    """A folder of theirs alone."""
    path = user.folder()
    yield path
    shutil.rmtree(path)


def test_a_mesh_starts_twice_and_stops_in_order(user: Ordinary, folder: Path) -> None:
    log = folder / "said.log"
    keys = ("--keys", "keys", "--regions", "kyiv")
    assert user.start("keys", "init", *keys, cwd=folder, output=log).wait(240) == 0
    for _ in range(2):
        log.write_text("", encoding="utf-8")
        up = user.start("up", "--data", "data", *keys, cwd=folder, output=log)
        wait_for(up, log, "Running after")
        up.send_signal(signal.SIGINT)
        assert up.wait(240) == 0, log.read_text(encoding="utf-8")
        wait_until_gone(folder)
    assert (folder / "data").stat().st_mode & 0o077 == 0
