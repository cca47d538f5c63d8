"""A stranger without root: the demo twice in one folder, also after a crash, and a mesh."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from support.ordinary import Ordinary, ordinary

DEMO = ("demo", "--regions", "kyiv", "--scale", "0.01")
DEMO_S_MAX = 240.0
START_S_MAX = 90.0
POLL_S = 0.05
FIRST_WEEK = "week 1 of"

pytestmark = [pytest.mark.ordinary, pytest.mark.timeout(3 * DEMO_S_MAX)]


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


def test_a_demo_that_was_killed_and_two_more_in_the_same_folder(
    user: Ordinary, folder: Path
) -> None:
    log = folder / "said.log"
    killed = user.start(*DEMO, cwd=folder, output=log)
    wait_for(killed, log, FIRST_WEEK)
    running = processes(folder)
    if user.uid is not None:
        assert {process.uids().effective for process in running} == {user.uid}
    assert {"postgres", "nats-server"} <= {process.name() for process in running}

    killed.send_signal(signal.SIGKILL)
    killed.wait(30)

    wait_until_gone(folder)
    whole = user.start(*DEMO, "--exit", "--json", "result.json", cwd=folder, output=log)
    assert whole.wait(DEMO_S_MAX) == 0, log.read_text(encoding="utf-8")
    wait_until_gone(folder)
    assert (folder / "result.json").is_file()

    log.write_text("", encoding="utf-8")
    again = user.start(*DEMO, cwd=folder, output=log)
    wait_for(again, log, FIRST_WEEK)
    again.send_signal(signal.SIGINT)
    again.wait(60)
    wait_until_gone(folder)
    owners = {path.lstat().st_uid for path in (folder / "data").rglob("*")}
    assert owners == {os.geteuid() if user.uid is None else user.uid}


def test_a_mesh_starts_twice_and_stops_in_order(user: Ordinary, folder: Path) -> None:
    log = folder / "said.log"
    keys = ("--keys", "keys", "--regions", "kyiv")
    assert user.start("keys", "init", *keys, cwd=folder, output=log).wait(60) == 0
    for _ in range(2):
        log.write_text("", encoding="utf-8")
        up = user.start("up", "--data", "data", *keys, cwd=folder, output=log)
        wait_for(up, log, "Running after")
        up.send_signal(signal.SIGINT)
        assert up.wait(60) == 0, log.read_text(encoding="utf-8")
        wait_until_gone(folder)
    assert (folder / "data").stat().st_mode & 0o077 == 0
