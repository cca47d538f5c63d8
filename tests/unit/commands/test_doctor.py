"""What the doctor says of files, servers and work that is stuck."""

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from aidmesh.doctor import examine
from aidmesh.doctor.examine import answered, files, jetstream
from aidmesh.doctor.findings import EVERY_SERVICE, OF_SERVICE, Question, age
from aidmesh.meshfile import WITH_DATABASE, MeshFile
from aidmesh.preparing import prepare_mesh
from aidmesh.status import CopyStatus, RegionStatus, ServiceStatus, Status
from aidmesh_chassis.service import Health

QUESTIONS = [*EVERY_SERVICE, *(each for of_one in OF_SERVICE.values() for each in of_one)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def mesh_of(data: Path, keys: Path) -> MeshFile:
    mesh, _ = prepare_mesh(data, ("kyiv",), {"kyiv": keys})
    return mesh


def test_a_folder_as_it_should_be_is_not_spoken_of(data: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.mkdir()
    assert files(data, mesh_of(data, keys)) == []


def test_passwords_that_others_can_read_are_an_error(data: Path, tmp_path: Path) -> None:
    mesh = mesh_of(data, tmp_path)
    path = data / "mesh.json"
    path.chmod(stat.S_IMODE(path.stat().st_mode) | 0o040)
    (found,) = files(data, mesh)
    assert found.harm == "error"
    assert found.do == f"chmod 600 {path}"


def test_keys_have_to_be_there_and_apart_from_the_data(data: Path, tmp_path: Path) -> None:
    (gone,) = files(data, mesh_of(data, tmp_path / "gone"))
    assert "is not there" in gone.what
    inside = data / "keys"
    inside.mkdir()
    mesh = mesh_of(data, inside)
    (found,) = files(data, mesh)
    assert "inside the data folder" in found.what
    (data / "scenario").mkdir()
    assert files(data, mesh) == [], "a demo keeps them there and says so"


def test_a_disk_that_is_nearly_full_is_an_error(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examine, "DISK_FREE_MIN", 1024**6)
    (found,) = files(data, mesh_of(data, tmp_path))
    assert "are free on the disk" in found.what


FINE = {"storage": 100, "config": {"sync_always": True, "max_storage": 1000}}


def test_what_jetstream_may_lose_or_has_no_room_for_is_said() -> None:
    assert jetstream("kyiv nats", FINE) == []
    (unsafe,) = jetstream("kyiv nats", {"storage": 0, "config": {"max_storage": 1000}})
    assert unsafe.harm == "error"
    (full,) = jetstream("kyiv nats", {**FINE, "storage": 900})
    assert "90%" in full.what


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda each: each.what)
def test_every_question_says_how_many_how_long_why_and_what_to_do(question: Question) -> None:
    found = answered(question, "kyiv intake", 3, 7200)
    assert "3 " in found.what
    assert "2 hours" in found.what
    assert found.why.endswith(".")
    assert found.do


def test_every_service_is_asked() -> None:
    assert set(OF_SERVICE) == set(WITH_DATABASE)


def test_ages_are_said_in_words() -> None:
    assert [age(each) for each in (59, 120, 7200, 3 * 86_400)] == [
        "59 seconds", "2 minutes", "2 hours", "3 days",
    ]  # fmt: skip


def test_a_service_that_is_away_or_not_ready_comes_with_what_to_do() -> None:
    away = examine.not_working("kyiv inventory", ServiceStatus("inventory", "away", untaken=1))
    assert away.what == "does not answer; waiting for it: 1 event"
    assert "aidmesh logs service=inventory" in away.do
    assert "aidmesh.host inventory" in away.do
    lacks = ServiceStatus("intake", "not ready", ("consumers", "outbox"), untaken=0)
    found = examine.not_working("kyiv intake", lacks)
    assert found.what == "is not ready (consumers, outbox)"
    assert found.do.startswith("aidmesh topology apply. Nothing leaves it")


def test_a_copy_that_is_away_among_others_is_no_standstill() -> None:
    copies = (CopyStatus(1, "http://a:1", "ready"), CopyStatus(2, "http://a:2", "away"))
    (_, (called, away)) = ServiceStatus("intake", "ready", copies=copies).apart()
    found = examine.not_working(f"kyiv {called}", away, others_work=True)
    assert (found.harm, found.where) == ("warning", "kyiv intake (copy 2 of 2)")
    assert found.why == "The other copies do its work."
    assert "aidmesh.host intake that listens at http://a:2" in found.do
    lacks = replace(away, state="not ready", lacks=("consumers",))
    assert examine.not_working("kyiv intake", lacks, others_work=True).harm == "warning"


def test_a_server_that_is_away_comes_before_those_who_wait_for_it(tmp_path: Path) -> None:
    intake = ServiceStatus("intake", "not ready", ("broker", "consumers"))
    payments = ServiceStatus("payments", "not ready", ("broker", "database"))
    region = RegionStatus(
        "kyiv", 1, nats=False, postgres=True, services=(intake, payments), peers=()
    )
    nats, other = examine.running(tmp_path, Status("now", (region,)))
    assert (nats.harm, nats.where) == ("error", "kyiv nats")
    assert nats.what == "does not answer; waiting for it: intake"
    assert f"nats-server -c {tmp_path}/kyiv/nats/nats.conf" in nats.do
    assert other.where == "kyiv payments", "it lacks more than NATS"
    both = replace(region, postgres=False)
    postgres, nats = examine.running(tmp_path, Status("now", (both,)))
    assert (postgres.where, nats.where) == ("kyiv postgres", "kyiv nats")
    assert f"{tmp_path}/kyiv/postgres/postmaster.pid" in postgres.do
    fine = replace(region, nats=True)
    assert {each.where for each in examine.running(tmp_path, Status("now", (fine,)))} == {
        "kyiv intake", "kyiv payments",
    }  # fmt: skip


def test_every_check_of_readiness_has_something_to_do() -> None:
    assert set(examine.LACKING) == set(Health().checks)
