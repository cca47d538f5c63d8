"""The year at a small scale: `aidmesh demo` as a stranger runs it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

DEMO_S_MAX = 300
"""A bound, not a goal: an idle machine of two cores takes under a minute."""

pytestmark = pytest.mark.timeout(DEMO_S_MAX + 10)


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


def test_the_year_at_a_small_scale(tmp_path: Path) -> None:
    data, result_file = tmp_path / "data of demo", tmp_path / "result.json"

    done = demo(
        "--data", str(data), "--scale", "0.01", "--regions", "kyiv,lviv", "--exit",
        "--json", str(result_file), cwd=tmp_path,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    result: Mapping[str, Any] = json.loads(result_file.read_text(encoding="utf-8"))
    expected = json.loads((data / "scenario" / "expected.json").read_text(encoding="utf-8"))
    assert result["people"] == expected["people"] == 144
    assert result["services"] == expected["services"]
    assert result["services_by_kind"] == expected["services_by_kind"]
    assert result["waitlisted"] == expected["waitlisted"] > 0
    assert {region["region"] for region in result["regions"]} == {"kyiv", "lviv"}
    assert {grant["currency"] for grant in result["grants"]} == {"EUR", "USD", "UAH"}
    assert result["needs_per_s"] > 0
    assert result["verify"]["ok"], [c for c in result["verify"]["checks"] if not c["ok"]]
    assert "144 people" in done.stdout
    assert left_behind(data) == []


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

    process.communicate(timeout=60)

    assert process.returncode == 1
    assert left_behind(data) == []
