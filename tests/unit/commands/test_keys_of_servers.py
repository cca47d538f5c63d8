"""The keys that NATS servers need: made where they are missing, and missed out loud."""

from pathlib import Path

import pytest

from aidmesh.commands import keys as commands
from aidmesh.commands.keys import init
from aidmesh.commands.secret import KeysOf
from aidmesh.credentials import CredentialsError, check_folders, missing
from aidmesh.meshfile import MeshFile
from aidmesh_chassis.key_rotation import former, prepare, switch
from aidmesh_chassis.keys import create_region_keys, is_protected


def test_an_older_folder_is_missed_out_loud_and_made_whole(tmp_path: Path) -> None:
    folder = tmp_path / "kyiv"
    create_region_keys(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(CredentialsError, match=r"the keys of kyiv lack .* keys init") as refused:
        check_folders({"kyiv": folder})
    assert f"--keys {tmp_path} --regions kyiv" in str(refused.value)

    init(keys=tmp_path, regions="kyiv")

    check_folders({"kyiv": folder})
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
    made = {path: path.read_bytes() for path in (folder / "nats").iterdir()}
    assert all(path.stat().st_mode & 0o077 == 0 for path in made)
    (folder / "nats" / "reader.pub").unlink()
    assert missing(folder) == ("reader.pub",)
    init(keys=tmp_path, regions="kyiv")
    assert {path: path.read_bytes() for path in (folder / "nats").iterdir()} == made


def test_a_mesh_of_before_forgets_its_passwords() -> None:
    nats = {"client_port": 1, "monitor_port": 2, "leaf_port": 3}
    mesh = MeshFile.model_validate(
        {
            "regions": {
                "kyiv": {
                    "keys": "/keys/kyiv",
                    "postgres": {"port": 4, "password": "p"},
                    "nats": {**nats, "admin_password": "gone", "system_password": "gone"},
                    "services": {"intake": {"http_port": 5, "nats_password": "gone"}},
                }
            },
            "links": {"kyiv lviv": "gone"},
        }
    )
    assert "gone" not in mesh.model_dump_json()


def test_a_passphrase_is_put_on_former_keys_as_well_and_they_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "kyiv"
    create_region_keys(folder)
    prepare(folder)
    switch(folder)
    (old,) = former(folder)["payments"]
    at = KeysOf(tmp_path, None, "kyiv")
    commands.show(at=at)
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("kyiv payments: ") and line.endswith(old) for line in lines)
    monkeypatch.setattr(commands, "ask", lambda *_, **__: "correct horse battery")
    commands.protect(at=at, which="payments")
    assert is_protected(folder / "payments.key")
    assert is_protected(folder / f"payments.{old}.key")
