"""Logs that the mesh writes itself don't fill the disk."""

from pathlib import Path

import pytest

from aidmesh import log_sizes
from aidmesh.credentials import create_keys
from aidmesh.log_sizes import shorten
from aidmesh.meshfile import SERVICES
from aidmesh.preparing import prepare_mesh, resize
from aidmesh.region import Region


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_sizes, "LOG_BYTES_MAX", 10)


def test_a_log_that_has_grown_begins_anew_and_its_writer_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "mesh.log"
    shorten(path)  # it need not be there
    with path.open("a") as writer:
        writer.write("short\n")
        writer.flush()
        shorten(path)
        assert not (tmp_path / "mesh.log.1").exists()
        writer.write("too long by now\n")
        writer.flush()
        shorten(path)
        writer.write("on\n")
    assert (tmp_path / "mesh.log.1").read_text() == "short\ntoo long by now\n"
    assert path.read_text() == "on\n"


def test_without_room_for_the_older_one_it_begins_anew_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Path, to: Path) -> None:
        to.write_text("half of it")
        raise OSError

    path = tmp_path / "mesh.log"
    path.write_text("too long by now\n")
    monkeypatch.setattr("shutil.copyfile", full)
    shorten(path)
    assert path.read_text() == ""
    assert not (tmp_path / "mesh.log.1").exists()


def test_a_region_keeps_all_logs_short_but_those_that_nats_does(tmp_path: Path) -> None:
    keys, data = tmp_path / "keys", tmp_path / "data"
    create_keys(keys)
    data.mkdir()
    mesh, _ = prepare_mesh(data, ("kyiv",), {"kyiv": keys})
    resize(mesh, 3, 2)
    folder = data / "kyiv"
    region = Region("kyiv", mesh, folder, services=SERVICES, apart=True)
    (folder / "postgres" / "log").mkdir(parents=True)
    (folder / "log").mkdir()
    for name in ("log/nats.log", "log/nats-2.log", "log/nats.out", "postgres/log/Mon.json"):
        (folder / name).touch()
    copies = {f"log/{each}{which}.log" for each in SERVICES for which in ("", "-2")}
    assert {str(each.relative_to(folder)) for each in region.logs()} == {
        *copies, "log/nats.out", "postgres/log/Mon.json",
    }  # fmt: skip
