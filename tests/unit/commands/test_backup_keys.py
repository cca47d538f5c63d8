"""The key pair of backups: which half is which, so that no backup is sealed to what opens none."""

import io
import random
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from aidmesh.backup.container import Reader, Writer
from aidmesh.backup.pair import PairError, public_of, secret_of
from aidmesh.commands import backup as commands
from aidmesh.credentials import create_keys
from aidmesh.preparing import prepare_mesh
from aidmesh_chassis.crypto import PrivateKey


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder of a mesh that does not run."""
    create_keys(tmp_path / "keys")
    (tmp_path / "data").mkdir()
    prepare_mesh(tmp_path / "data", ("kyiv",), {"kyiv": tmp_path / "keys"})
    return tmp_path / "data"


def refused(capsys: pytest.CaptureFixture[str], data: Path, to: Path) -> str:
    """What `aidmesh backup` says before anything is written."""
    with pytest.raises(SystemExit) as ended:
        commands.backup("kyiv", data=data, to=to, out=data / "out")
    assert ended.value.code == 2
    assert not (data / "out").exists()
    return capsys.readouterr().err


def test_no_backup_is_sealed_to_the_key_that_opens_it(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commands.keys(out=tmp_path / "far")
    said = refused(capsys, data, tmp_path / "far" / "backup.key")
    assert "secret half" in said
    assert "backup.pub" in said
    renamed = (tmp_path / "far" / "backup.key").rename(tmp_path / "far" / "other")
    assert "secret half" in refused(capsys, data, renamed)
    with pytest.raises(SystemExit) as ended:
        commands.restore(
            "kyiv", backup=data / "mesh.json", key=tmp_path / "far" / "backup.pub", data=data
        )
    assert ended.value.code == 2
    assert "public half" in capsys.readouterr().err


def test_what_the_pair_seals_it_opens(tmp_path: Path) -> None:
    commands.keys(out=tmp_path)
    file = io.BytesIO()
    writer = Writer(
        file, public_of(tmp_path / "backup.pub", (tmp_path / "backup.pub").read_bytes())
    )
    writer.finish(b"")
    file.seek(0)
    secret = secret_of((tmp_path / "backup.key").read_bytes())
    assert list(Reader(file, secret).records()) == [(b"F", b"")]


def test_keys_of_before_are_read_as_what_they_are(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once the files held nothing but the 32 bytes."""
    pub = tmp_path / "backup.pub"
    for _ in range(50):
        key = PrivateKey.random()
        assert public_of(pub, key.public.raw) == key.public
        assert secret_of(key.reveal()).reveal() == key.reveal()
    old = tmp_path / "backup.key"
    old.write_bytes(PrivateKey.random().reveal())
    assert "secret half" in refused(capsys, data, old)
    # Under another name all but one of 32 are known, as no public key is such a number.
    numbers = random.Random(1)
    taken = 0
    for _ in range(320):
        with suppress(PairError):
            public_of(pub, numbers.randbytes(32))
            taken += 1
    assert taken < 20


@pytest.mark.parametrize("raw", [b"", b"x" * 31, b"x" * 1000])
def test_what_is_no_key_is_refused(raw: bytes) -> None:
    with pytest.raises(PairError):
        public_of(Path("backup.pub"), raw)
    with pytest.raises(PairError):
        secret_of(raw)


def test_a_secret_key_that_comes_in_half_is_refused(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    commands.keys(out=tmp_path)
    piped = io.BytesIO((tmp_path / "backup.key").read_bytes()[:-1])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(piped))
    with pytest.raises(SystemExit) as ended:
        commands.restore("kyiv", backup=data / "mesh.json", key=Path("-"), data=data, check=True)
    assert ended.value.code == 2
    assert "no secret key" in capsys.readouterr().err
