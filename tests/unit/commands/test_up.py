"""`aidmesh up` wants to know where the keys are, and not beside the data."""

from pathlib import Path

import pytest

from aidmesh.commands.up import up


def test_keys_have_to_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        up(data=tmp_path / "data")

    assert ended.value.code == 2
    assert "keys init" in capsys.readouterr().err


def test_keys_do_not_lie_beside_the_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        up(data=tmp_path, keys=tmp_path / "keys")

    assert ended.value.code == 2
    assert "must not have the other" in capsys.readouterr().err
