"""What the doctor says of files, servers and work that is stuck."""

import json
import stat
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aidmesh.doctor import examine
from aidmesh.doctor.clocks import Served, ahead_of_us, clock_of, differing
from aidmesh.doctor.endings import ended_lately
from aidmesh.doctor.examine import answered, files
from aidmesh.doctor.findings import EVERY_SERVICE, OF_SERVICE, Question, age
from aidmesh.doctor.items import not_entered
from aidmesh.doctor.servers import jetstream
from aidmesh.meshfile import WITH_DATABASE, MeshFile
from aidmesh.preparing import prepare_mesh
from aidmesh.status import CopyStatus, PeerStatus, RegionStatus, ServiceStatus, Status
from aidmesh.topology.serving import FILE_GIB_MAX, GIB
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
    half = {"sync_always": True, "max_storage": 64 * GIB}
    (full,) = jetstream("kyiv nats", {"storage": 60 * GIB, "config": half})
    assert "64 GiB" in full.what
    assert FILE_GIB_MAX in full.do
    assert jetstream("kyiv nats", {"storage": 50 * GIB, "config": half}) == []


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda each: each.what)
def test_every_question_says_how_many_how_long_why_and_what_to_do(question: Question) -> None:
    found = answered(question, "kyiv intake", 3, 7200)
    assert "3 " in found.what
    assert "2 hours" in found.what
    assert found.why.endswith(".")
    assert found.do


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda each: each.what)
def test_what_is_to_be_traced_is_named(question: Question) -> None:
    names = "AS oldest" in question.sql
    assert names or "aidmesh trace" not in question.do
    found = answered(question, "kyiv intake", 3, 7200, "7 (to lviv, 9 tries)")
    assert found.what.endswith("; the oldest: aidmesh trace 7 (to lviv, 9 tries)")
    assert "aidmesh trace" not in answered(question, "kyiv intake", 3, 7200).what


AT = datetime(2026, 11, 27, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (AT, None),
        (AT + timedelta(seconds=11), None),
        (AT - timedelta(seconds=2), None),
        (AT + timedelta(seconds=14), "its clock is 4 seconds ahead of this machine's"),
        (AT - timedelta(hours=3), "its clock is 3 hours behind this machine's"),
    ],
)
def test_a_server_whose_clock_differs_is_named_however_long_it_took_to_answer(
    told: datetime, words: str | None
) -> None:
    answered_at = AT + timedelta(seconds=10)
    found = differing("kyiv postgres", told, AT, answered_at, "Why.")
    assert [each.what for each in found] == ([] if words is None else [words])
    served = Served({"now": told.isoformat()}, AT, answered_at)
    assert [each.what for each in clock_of("kyiv nats", served)] == [each.what for each in found]
    assert clock_of("kyiv nats", Served({}, AT, AT)) == []


def test_a_peer_that_dates_what_it_tells_ahead_is_named() -> None:
    def peer(ahead_s: float, **other: Any) -> PeerStatus:
        at = (AT + timedelta(seconds=ahead_s)).isoformat(timespec="seconds")
        return replace(PeerStatus("lviv", "up", last_event_seq=7, last_event_at=at), **other)

    (found,) = ahead_of_us("kyiv", [peer(7200)], AT)
    assert (found.harm, found.where) == ("warning", "kyiv -> lviv")
    assert found.what == "its last event is dated 2 hours ahead of this machine's clock"
    right = [peer(30), peer(-7200), peer(7200, standing="lost"), PeerStatus("lviv", "dark")]
    assert ahead_of_us("kyiv", right, AT) == []


def test_items_that_kinds_take_and_nobody_has_entered_are_named() -> None:
    takes = {
        "food_parcel": ["food_parcel"],
        "hygiene_kit": ["hygiene_kit"],
        "laptop": ["study", "work"],
        "soap": ["hygiene_kit"],
    }
    found = not_entered("kyiv inventory", takes, {"soap"}, {"food_parcel": 2, "soap": 5})
    assert [(each.harm, each.where) for each in found] == [("note", "kyiv inventory")] * 2
    waited_for, rest = found
    assert waited_for.what == (
        "kind food_parcel needs item food_parcel, which inventory does not know"
    )
    assert waited_for.why.startswith("Waiting for it: 2 needs;")
    assert rest.what == (
        "kind hygiene_kit needs item hygiene_kit; kinds study, work need item laptop, "
        "which inventory does not know"
    )
    assert "desk" in rest.do
    assert not_entered("kyiv inventory", takes, set(takes), {"soap": 1}) == []


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


NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
DIED = {"event": "process.died", "level": "error", "region": "kyiv", "service": "mesh"}
REFUSED = {"event": "settings.refused", "service": "notification", "reason": "a number"}


def write(path: Path, *lines: Mapping[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(each)}\n" for each in lines) + "half a li")


def away(service: str, copies: int = 1) -> ServiceStatus:
    return ServiceStatus(
        service,
        "away",
        copies=tuple(CopyStatus(each, "http://a:1", "away") for each in range(1, copies + 1)),
    )


def status_with(*services: ServiceStatus) -> Status:
    return Status("now", (RegionStatus("kyiv", 1, nats=True, postgres=True, services=services,
                                       peers=()),))  # fmt: skip


def test_a_process_that_ends_again_and_again_is_told_once_with_the_reason(data: Path) -> None:
    write(
        data / "mesh.log",
        {**DIED, "ts": "2026-11-27T11:30:00Z", "process": "intake"},
        *(
            {**DIED, "ts": f"2026-11-27T11:{minute}:00Z", "process": "host"}
            for minute in (44, 50, 58)
        ),
        {**DIED, "ts": "2026-11-27T11:59:00Z", "process": "host", "region": "lviv"},
        {**DIED, "ts": "2026-11-27T11:59:00Z", "process": "payments-2"},
    )
    write(
        data / "kyiv" / "log" / "host.log",
        {**REFUSED, "ts": "2026-11-27T11:40:00Z", "setting": "AIDMESH_OF_BEFORE"},
        {"ts": "2026-11-27T11:50:00Z", "event": "service.failed", "exception": {"type": "Old"}},
        *({**REFUSED, "ts": "2026-11-27T11:58:00Z", "setting": each} for each in ("A", "B", "A")),
    )
    ended = {"kyiv": ended_lately(data, "kyiv", NOON)}
    assert {name: each.times for name, each in ended["kyiv"].items()} == {
        "host": 2, "payments-2": 1,
    }  # fmt: skip
    status = status_with(away("intake"), away("payments", copies=2))
    (found,) = examine.running(data, status, (), ended)
    assert (found.harm, found.where) == ("error", "kyiv host")
    assert found.what == (
        "ended 2 times in the last 15 minutes, last at 11:58 UTC: A: a number; B: a number"
    )
    assert "(intake, payments)" in found.why
    assert "docs/settings.md" in found.do
    # One that hangs, or ended once, is spoken of as ever; so is one that is not away.
    only = {"kyiv": {"payments-2": ended["kyiv"]["payments-2"]}}
    assert "does not answer" in examine.running(data, status, (), only)[0].what
    lacks = status_with(ServiceStatus("intake", "not ready", ("consumers",), copies=()))
    assert "is not ready" in examine.running(data, lacks, (), ended)[0].what


def test_of_what_a_process_died_is_told_as_far_as_it_said(data: Path) -> None:
    line = {**DIED, "ts": "2026-11-27T11:59:00Z", "process": "intake-2"}
    write(data / "mesh.log", line, line)
    second = away("intake", copies=2).copies[1]
    status = status_with(ServiceStatus("intake", "away", copies=(second,)))
    ended = {"kyiv": ended_lately(data, "kyiv", NOON)}
    (silent,) = examine.running(data, status, (), ended)
    assert silent.what == "ended 2 times in the last 15 minutes, last at 11:59 UTC"
    assert str(data / "kyiv" / "log" / "intake-2.log") in silent.do
    trouble = {"type": "builtins.OSError", "message": "no room"}
    write(
        data / "kyiv" / "log" / "intake-2.log",
        {"ts": "2026-11-27T11:59:00Z", "event": "service.failed", "exception": trouble},
    )
    (found,) = examine.running(data, status, (), {"kyiv": ended_lately(data, "kyiv", NOON)})
    assert found.what.endswith("UTC: builtins.OSError: no room")


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
    # Why a single database can't be asked is told where it is looked at.
    silent = replace(fine, services=(), unasked=("payments",))
    assert examine.running(tmp_path, Status("now", (silent,))) == []


def test_every_check_of_readiness_has_something_to_do() -> None:
    assert set(examine.LACKING) == set(Health().checks)
