"""What machines read is one document: of letters, whether some wait or none; and no words else."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest

from aidmesh.__main__ import build
from aidmesh.backup.cut import BusyError
from aidmesh.commands.common import EXIT_FAILED
from aidmesh.credentials import create_keys
from aidmesh.preparing import prepare_mesh
from aidmesh_chassis.letters import Letter

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)


def letter(number: int) -> Letter:
    headers: Mapping[str, str] = {"ce-subject": "x"}
    return Letter(
        number, "payments-local", uuid4(), "local.kyiv.intake.need.ready.v1", "dead", "bug", 3,
        NOW, NOW, None, headers, b"{}", None, None,
    )  # fmt: skip


@pytest.mark.parametrize("waiting", [0, 1, 3])
def test_letters_come_as_one_list(
    waiting: int, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    asked: list[str] = []

    async def connect(_: str, dsn: str) -> SimpleNamespace:
        async def close(**_: float) -> None:
            return None

        asked.append(dsn)
        return SimpleNamespace(close=close, dsn=dsn)

    async def listed(conn: SimpleNamespace, *, after: int, **_: object) -> list[Letter]:
        here = conn.dsn.endswith("/payments")
        return [letter(number + 1) for number in range(waiting) if here][after : after + 2]

    monkeypatch.setattr("aidmesh.commands.dead.connect", connect)
    monkeypatch.setattr("aidmesh_chassis.letters.listed", listed)
    create_keys(tmp_path / "keys")
    (tmp_path / "data").mkdir()
    prepare_mesh(tmp_path / "data", ("kyiv",), {"kyiv": tmp_path / "keys"})
    with pytest.raises(SystemExit) as ended:
        build()(["dead", "list", "--json", "--data", str(tmp_path / "data")])
    assert ended.value.code == (EXIT_FAILED if waiting else 0)
    found = json.loads(capsys.readouterr().out)
    assert [each["letter"] for each in found] == [
        f"kyiv/payments/{number + 1}" for number in range(waiting)
    ]
    assert len(asked) == 5


def test_a_backup_that_was_not_written_leaves_what_machines_read_empty(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def take(*_: object) -> None:
        raise BusyError("intake does not come to rest")

    monkeypatch.setattr("aidmesh.backup.take.take", take)
    create_keys(tmp_path / "keys")
    (tmp_path / "data").mkdir()
    prepare_mesh(tmp_path / "data", ("kyiv",), {"kyiv": tmp_path / "keys"})
    pair = tmp_path / "pair"
    at = ("--to", str(pair / "backup.pub"), "--out", str(tmp_path / "out"))
    for words, code in (
        (("keys", "backup", "--out", str(pair)), 0),
        (("backup", "kyiv", *at, "--data", str(tmp_path / "data"), "--json"), EXIT_FAILED),
    ):
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            build()(list(words))
        assert (ended.value.code or 0) == code
    out, err = capsys.readouterr()
    assert (out, "no backup was written: intake does not come to rest" in err) == ("", True)
