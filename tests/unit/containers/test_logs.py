"""Containers keep no log files: their lines are piped in."""

import io
from pathlib import Path

import pytest

from aidmesh.commands.logs import logs
from aidmesh.meshfile import MeshFile, write_mesh
from aidmesh.outside.places import Places, new_entry

LINE = '{"ts":"2026-11-26T13:25:17.463Z","level":"info","event":"gate.opened","region":"kyiv"}\n'


@pytest.mark.parametrize("wanted", [(), ("-",), ("-", "event=gate.*")])
def test_lines_of_containers_are_piped_in(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    wanted: tuple[str, ...],
) -> None:
    write_mesh(tmp_path, MeshFile(regions={"kyiv": new_entry("kyiv", Places())}))
    monkeypatch.setattr("sys.stdin", io.StringIO(f"aidmesh-supervisor-1  | {LINE}"))
    with pytest.raises(SystemExit) as ended:
        logs(*wanted, data=tmp_path)
    assert ended.value.code == 0
    assert "gate.opened" in capsys.readouterr().out


def test_an_option_that_does_not_exist_is_no_filter(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        logs("--flolow")
    assert ended.value.code == 2
    assert "--flolow" in capsys.readouterr().err
