"""`aidmesh chaos` says by its exit code whether anything was lost, and writes down what."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from aidmesh.chaos import run
from aidmesh.chaos.nemesis import Injected
from aidmesh.chaos.plan import Fault, Kind
from aidmesh.chaos.recovery import Recovery
from aidmesh.chaos.report import Report
from aidmesh.chaos.violation import Violation
from aidmesh.commands.chaos import chaos

EVENT: dict[str, object] = {"at": "10:00", "by": "kyiv.intake", "type": "intake.need.approved.v1"}
LOST = Violation(
    "accepted is present", "kyiv", "need n-1 is not there", ("n-1",), (EVENT,), "the first of two"
)
FAULTS = (
    Injected(Fault(1, 1.0, Kind.KILL, "kyiv", "nats", 0.0), 1.1, 1.1, Recovery(4.0, {"sent": 3.0})),
    Injected(Fault(2, 3.0, Kind.CUT, "kyiv", "lviv", 2.0), 3.0, 5.0, Recovery(1.0, {})),
    Injected(Fault(3, 4.0, Kind.REPEAT, "kyiv", "events", 0.0), missed="TimeoutError"),
)


class Played:
    """A run that is over."""

    def __init__(self, violations: tuple[Violation, ...], seed: int, seconds: float) -> None:
        self._report = Report(
            seed, seconds, ("kyiv", "lviv"), FAULTS, {"accepted": 7, "by_kind": {}}, violations
        )

    async def report(self) -> Report:
        """What it came to."""
        return self._report


@pytest.mark.parametrize(("violations", "code"), [((), 0), ((LOST,), 1)])
def test_the_exit_code_and_the_file_tell_what_was_lost(
    violations: tuple[Violation, ...],
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    @asynccontextmanager
    async def playing(_: Path, seconds: float, seed: int, **__: object) -> AsyncIterator[Played]:
        yield Played(violations, seed, seconds)

    monkeypatch.setattr(run, "playing", playing)
    file = tmp_path / "report.json"
    with pytest.raises(SystemExit) as ended:
        chaos(minutes=0.5, seed=4, json=file)

    assert ended.value.code == code
    written = json.loads(file.read_text(encoding="utf-8"))
    assert (written["seed"], written["seconds"]) == (4, 30.0)
    assert [each["missed"] for each in written["faults"]] == [None, None, "TimeoutError"]
    assert written["recovery_s"] == {"p50": 2.5, "max": 4.0}
    assert [each["what"] for each in written["violations"]] == [each.what for each in violations]
    assert [each["note"] for each in written["violations"]] == [each.note for each in violations]
    assert written["faults"][0]["waited_s"] == {"sent": 3.0}
    assert written["operations"]["accepted"] == 7
    shown = capsys.readouterr().out
    assert ("need n-1 is not there" in shown) == bool(violations)


def test_a_folder_that_holds_something_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mesh.json").touch()
    with pytest.raises(SystemExit) as ended:
        chaos(data=tmp_path)

    assert ended.value.code == 2
    assert "not empty" in capsys.readouterr().err
