"""The year at a small scale: `aidmesh demo` as a stranger runs it."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from support.ordinary import (
    Ordinary,
    ordinary,
    processes,
    required,
    wait_for,
    wait_until_gone,
)

FIRST_WEEK = "week 1 of"
DEMO_S_MAX = 800
"""A bound, not a goal: an idle machine of two cores takes under a minute."""


def demo(*options: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "aidmesh", "demo", *options],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=DEMO_S_MAX,
        check=False,
    )


def left_behind(folder: Path) -> list[str]:
    """Processes that still name the folder."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or ())
        if str(folder) in line and process.pid != os.getpid() and "pytest" not in line:
            found.append(line)
    return found


@pytest.fixture
def somebody() -> Ordinary:
    """Somebody who is not root, where there is one."""
    found = ordinary()
    assert found is not None or not required()
    return found or Ordinary(sys.executable, None, dict(os.environ))


@pytest.fixture
def folder(somebody: Ordinary) -> Iterator[Path]:
    """A folder of theirs alone."""
    path = somebody.folder()
    yield path
    shutil.rmtree(path)


def test_the_year_at_a_small_scale_after_one_that_was_killed(
    somebody: Ordinary, folder: Path
) -> None:
    log, data = folder / "said.log", folder / "data" / "demo"
    options = ("demo", "--scale", "0.01", "--regions")
    killed = somebody.start(*options, "kyiv", cwd=folder, output=log)
    wait_for(killed, log, FIRST_WEEK)
    running = processes(folder)
    if somebody.uid is not None:
        assert {process.uids().effective for process in running} == {somebody.uid}
    assert {"postgres", "nats-server"} <= {process.name() for process in running}
    killed.send_signal(signal.SIGKILL)
    killed.wait(120)
    wait_until_gone(folder)

    whole = somebody.start(
        *options, "kyiv,lviv", "--exit", "--json", "result.json", cwd=folder, output=log
    )

    assert whole.wait(DEMO_S_MAX) == 0, log.read_text(encoding="utf-8")[-4000:]
    wait_until_gone(folder)
    result: Mapping[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    expected = json.loads((data / "scenario" / "expected.json").read_text(encoding="utf-8"))
    assert result["people"] == expected["people"] == 144
    assert result["services"] == expected["services"]
    assert result["services_by_kind"] == expected["services_by_kind"]
    assert result["waitlisted"] == expected["waitlisted"] > 0
    assert {region["region"] for region in result["regions"]} == {"kyiv", "lviv"}
    assert {grant["currency"] for grant in result["grants"]} == {"EUR", "USD", "UAH"}
    assert result["needs_per_s"] > 0
    assert result["verify"]["ok"], [c for c in result["verify"]["checks"] if not c["ok"]]
    assert "144 people" in log.read_text(encoding="utf-8")

    log.write_text("", encoding="utf-8")
    again = somebody.start(*options, "kyiv", cwd=folder, output=log)
    wait_for(again, log, FIRST_WEEK)
    again.send_signal(signal.SIGINT)
    again.wait(240)
    wait_until_gone(folder)
    owners = {path.lstat().st_uid for path in data.rglob("*")}
    assert owners == {os.geteuid() if somebody.uid is None else somebody.uid}


def test_a_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "letter.txt").write_text("mine", encoding="utf-8")

    done = demo("--data", "data", "--exit", cwd=tmp_path)

    assert done.returncode == 2
    assert "no demo" in done.stderr
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["letter.txt"]


def test_a_scale_out_of_bounds_is_refused(tmp_path: Path) -> None:
    done = demo("--scale", "0", cwd=tmp_path)

    assert done.returncode == 2
    assert "scale" in done.stderr
    assert not (tmp_path / "data").exists()


def test_ctrl_c_stops_everything(tmp_path: Path) -> None:
    data = tmp_path / "data"
    process = subprocess.Popen(
        [sys.executable, "-m", "aidmesh", "demo", "--data", str(data), "--regions", "kyiv",
         "--scale", "0.01"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("Starting"):
            break
    process.send_signal(signal.SIGINT)

    process.communicate(timeout=240)

    assert process.returncode == 1
    assert left_behind(data) == []
