"""Backups, restores and replays: what is decided without a server."""

import hashlib
import io
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aidmesh.__main__ import build
from aidmesh.backup import take
from aidmesh.backup.container import PIECE_BYTES_MAX, ContainerError, Reader, Writer
from aidmesh.backup.manifest import (
    FORMAT,
    DatabaseCut,
    Manifest,
    Section,
    differing_rows,
    reasons_against,
)
from aidmesh.backup.pair import public_of, secret_file, secret_of
from aidmesh.commands import backup as commands
from aidmesh.credentials import create_keys
from aidmesh.mesh import running_mesh
from aidmesh.meshfile import WITH_DATABASE, MeshError, read_mesh
from aidmesh.preparing import prepare_mesh, resize
from aidmesh.region import Region
from aidmesh.region_settings import server_setup
from aidmesh.replaying import Choice
from aidmesh.restoring import forward, run
from aidmesh.restoring.embedded import Aside
from aidmesh.restoring.finding import is_whole, merged
from aidmesh.restoring.run import Wish
from aidmesh.topology.api import Json
from aidmesh_chassis.crypto import KEY_BYTES, PrivateKey
from aidmesh_chassis.envelope import new_event_id
from aidmesh_chassis.erasures import Journal, JournalError, read_journal
from aidmesh_chassis.letters import headers_of
from aidmesh_chassis.restoring import Lost, newest
from aidmesh_contracts.registry import REGISTRY
from aidmesh_contracts.streams import Stream

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
KEY = PrivateKey.random()
KNOWN = {"intake": ["0001", "0002"], "payments": ["0001"]}


def sealed(records: list[tuple[bytes, bytes]]) -> bytes:
    file = io.BytesIO()
    writer = Writer(file, KEY.public)
    for kind, content in records:
        writer.write(kind, content)
    writer.finish(b"")
    return file.getvalue()


@given(st.lists(st.tuples(st.sampled_from([b"M", b"C"]), st.binary(max_size=200)), max_size=6))
def test_what_is_written_is_read(records: list[tuple[bytes, bytes]]) -> None:
    found = list(Reader(io.BytesIO(sealed(records)), KEY).records())
    assert found == [*records, (b"F", b"")]


@given(st.data())
def test_no_byte_can_be_changed_or_cut_off(data: st.DataObject) -> None:
    whole = sealed([(b"M", b"manifest"), (b"C", b"content" * 10)])
    at = data.draw(st.integers(0, len(whole) - 1))
    spoiled = data.draw(
        st.sampled_from(
            [whole[:at], whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :], whole + b"\0"]
        )
    )
    with pytest.raises(ContainerError):
        list(Reader(io.BytesIO(spoiled), KEY).records())


def test_a_stranger_reads_nothing_and_a_length_is_no_reason_to_take_memory() -> None:
    whole = sealed([(b"C", b"secret")])
    assert b"secret" not in whole
    with pytest.raises(ContainerError, match="another key"):
        Reader(io.BytesIO(whole), PrivateKey.random())
    head = io.BytesIO()
    Writer(head, KEY.public)
    huge = head.getvalue() + (PIECE_BYTES_MAX * 2).to_bytes(4, "big")
    with pytest.raises(ContainerError, match="damaged"):
        list(Reader(io.BytesIO(huge), KEY).records())


def manifest(**changes: object) -> Manifest:
    cut = {"migrations": ("0001",), "rows": {"outbox": 3}, "sent": {}}
    content: dict[str, object] = {
        "backup_id": uuid4(), "region": "kyiv", "epoch": 1, "taken_at": NOON, "postgres": 18,
        "peers": {"lviv": None}, "leaf_host": "127.0.0.1", "leaf_port": 1,
        "databases": {"intake": cut, "payments": cut},
    }  # fmt: skip
    return Manifest.model_validate({**content, **changes})


BEGIN = """
import sys
from pathlib import Path
from aidmesh.backup.take import _whole
with _whole(Path(sys.argv[1])) as file:
    file.write(b"begun")
    file.flush()
    print("begun", flush=True)
    sys.stdin.read()
"""


@contextmanager
def being_written(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process in the midst of writing a backup, which ends it once its input ends."""
    words = [sys.executable, "-c", BEGIN, str(path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"begun\n"
            yield process
        finally:
            process.kill()


def test_what_a_killed_backup_had_begun_goes_with_the_next_one(tmp_path: Path) -> None:
    killed, slow, done = (tmp_path / f"kyiv-{each}.backup" for each in ("1", "2", "3"))
    with being_written(slow) as writer:
        with being_written(killed) as process:
            process.kill()
            process.wait()
        assert len(list(tmp_path.iterdir())) == 2
        with take._whole(done) as file:
            file.write(b"whole")
            assert not done.exists()
        # The one that another process is still writing is let be.
        assert len(list(tmp_path.iterdir())) == 2
        writer.communicate(timeout=60)
        assert writer.returncode == 0
    assert sorted(tmp_path.iterdir()) == [slow, done]
    assert [each.read_bytes() for each in (slow, done)] == [b"begun", b"whole"]
    assert {each.stat().st_mode & 0o777 for each in (slow, done)} == {0o600}


def test_what_is_older_is_restored_and_what_is_newer_is_not() -> None:
    assert reasons_against(manifest(), "kyiv", KNOWN) == []
    newer = {"migrations": ("0001", "0009"), "rows": {}, "sent": {}}
    for changes, said in (
        ({"databases": {"intake": newer, "payments": newer}}, "0009"),
        ({"format": 2}, "newer version"),
        ({"databases": {"intake": newer}}, "no database of payments"),
    ):
        assert any(said in each for each in reasons_against(manifest(**changes), "kyiv", KNOWN))
    assert reasons_against(manifest(), "lviv", KNOWN) == ["it is one of kyiv, not of lviv"]
    cut = DatabaseCut(migrations=(), rows={"outbox": 3, "inbox": 0}, sent={})
    assert differing_rows(cut, {"outbox": 2}) == ["outbox: 2 rows of 3"]


def written(path: Path, said: Manifest) -> None:
    """A backup that can be opened and read to its end, with databases that are empty."""
    with path.open("wb") as file:
        writer = Writer(file, KEY.public)
        writer.write(b"M", said.model_dump_json().encode())
        for service in said.databases:
            writer.write(b"D", service.encode())
            digest = hashlib.blake2b(digest_size=32).hexdigest()
            section = Section(service=service, size=0, digest=digest)
            writer.write(b"S", section.model_dump_json().encode())
        writer.finish(b"")


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({}, 0, "kyiv as of 2026-11-26T12:00:00Z, epoch 1: whole"),
        ({"region": "lviv"}, 2, "can't be restored: it is one of lviv, not of kyiv"),
        ({"migrations": ("9999_later",)}, 2, "made by a newer version of aidmesh (9999_later)"),
        ({"format": FORMAT + 1}, 2, "it was written by a newer version"),
    ],
)
def test_a_check_needs_no_keys_of_the_region_and_says_what_a_restore_would_refuse(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any],
    code: int,
    said: str,
) -> None:
    cut = {"migrations": changes.pop("migrations", ()), "rows": {}, "sent": {}}
    databases = dict.fromkeys(WITH_DATABASE, cut)
    written(tmp_path / "kyiv.backup", manifest(databases=databases, **changes))
    (tmp_path / "backup.key").write_bytes(secret_file(KEY))
    before = sorted(tmp_path.iterdir())
    words = ["--backup", str(tmp_path / "kyiv.backup"), "--key", str(tmp_path / "backup.key")]
    with pytest.raises(SystemExit) as ended:
        build()(["restore", "kyiv", "--check", *words])
    assert ended.value.code == code
    assert said in "".join(capsys.readouterr())
    assert sorted(tmp_path.iterdir()) == before


def test_a_restore_has_to_be_told_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "b").touch()
    with pytest.raises(SystemExit) as ended:
        build()(["restore", "kyiv", "--backup", str(tmp_path / "b"), "--key", "none"])
    assert ended.value.code == 2
    assert "name the data folder" in capsys.readouterr().err


def lost(kind: str, aggregate: str, version: int | None = None) -> Lost:
    headers = {"ce-type": kind, "ce-subject": aggregate}
    if version is not None:
        headers["aid-version"] = str(version)
    return Lost(new_event_id(), "EVENTS", f"aid.kyiv.{kind}", headers, b"{}")


def test_of_states_the_highest_version_counts_and_of_facts_the_last() -> None:
    first, second = lost("x.changed.v1", "a", 3), lost("x.changed.v1", "a", 2)
    sent, again, other = lost("x.sent.v1", "a"), lost("x.sent.v1", "a"), lost("x.sent.v1", "b")
    assert newest([first, sent, second, again, other]) == [first, again, other]
    assert merged([second], [first, second]) == sorted([first, second], key=lambda e: e.event_id)


def test_a_peer_has_given_back_all_once_nothing_more_comes() -> None:
    def info(**source: int) -> Json:
        return {"sources": [source]}

    steady = [4, 4, 4]
    assert is_whole(info(active=5, lag=0), 4, steady)
    assert is_whole(info(active=5, lag=0), 0, [0, 0, 0])
    assert not is_whole(info(active=5, lag=0), None, steady)  # it says nothing
    assert not is_whole(info(active=-1, lag=0), 4, steady)  # it was never heard
    assert not is_whole(info(active=5, lag=2), 4, steady)
    assert not is_whole(info(active=5, lag=0), 4, [0, 0, 0])
    assert not is_whole(info(active=5, lag=0), 4, [3, 4, 4])
    assert not is_whole({}, 4, steady)


async def test_the_list_of_erasures_keeps_what_was_flushed(tmp_path: Path) -> None:
    path, people = tmp_path / "erasures.log", [uuid4(), uuid4()]
    assert read_journal(path) == []
    journal = Journal(path)
    await journal.note(NOON, "record", people)
    await journal.note(NOON, "household", [])
    await journal.note(NOON, "record", people[:1])
    assert [each.id for each in read_journal(path)] == people
    assert path.stat().st_mode & 0o777 == 0o600
    with path.open("a") as file:
        file.write(f"{NOON.isoformat()} record {str(uuid4())[:9]}")  # cut off, never answered
    assert [each.id for each in read_journal(path)] == people
    # What comes next does not run into it, and lines of before are read as what they say.
    later = uuid4()
    await journal.note(NOON, "household", [later])
    with path.open("a") as file:
        file.write(f"{NOON.isoformat()} person {people[0]}\n")
    found = [(each.kind, each.id) for each in read_journal(path)]
    assert found == [*(("record", each) for each in people), ("household", later),
                     ("person", people[0])]  # fmt: skip
    path.write_text("cut off")
    await journal.note(NOON, "record", people)
    assert [each.id for each in read_journal(path)] == people
    path.write_text("nonsense\n")
    with pytest.raises(JournalError, match="line 1"):
        read_journal(path)
    await Journal(None).note(NOON, "record", people)


def test_headers_of_streams_are_left_behind() -> None:
    head = b"NATS/1.0\r\nce-id: 1\r\nNats-Msg-Id: 1\r\nNats-Stream-Source: x\r\naid-epoch:2\r\n\r\n"
    assert headers_of(head) == {"ce-id": "1", "Nats-Msg-Id": "1", "aid-epoch": "2"}


def test_what_is_replayed_is_chosen_by_id_and_time() -> None:
    one = UUID(int=1)
    assert Choice().takes(one, NOON)
    assert Choice(ids=frozenset({one}), since=NOON).takes(one, NOON)
    assert not Choice(ids=frozenset({UUID(int=2)})).takes(one, NOON)
    assert not Choice(since=NOON).takes(one, NOON - timedelta(seconds=1))


def test_keys_of_backups_are_never_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commands.keys(out=tmp_path)
    secret = (tmp_path / "backup.key").read_bytes()
    public = (tmp_path / "backup.pub").read_bytes()
    assert secret_of(secret).public == public_of(tmp_path / "backup.pub", public)
    assert secret[-KEY_BYTES:].hex() not in capsys.readouterr().out
    with pytest.raises(SystemExit):
        commands.keys(out=tmp_path)
    assert (tmp_path / "backup.key").read_bytes() == secret


def wish(folder: Path, **changes: Any) -> Wish:
    content: dict[str, Any] = {
        "data": folder / "data", "region": "kyiv", "backup": folder / "b", "secret": KEY,
        "keys": folder / "keys" / "kyiv", "erasures": folder / "e", "without": frozenset(),
        "peer_seconds_max": 1.0, "say": print,
    }  # fmt: skip
    return Wish(**{**content, **changes})


async def test_on_a_new_machine_a_region_finds_its_peers_and_is_not_started_half_restored(
    tmp_path: Path,
) -> None:
    (tmp_path / "data").mkdir()
    keys = tmp_path / "keys"
    for name in ("kyiv", "odesa"):
        create_keys(keys / name)
    create_keys(tmp_path / "far" / "lviv")
    said = manifest(epoch=3, peers={"lviv": "lviv.example.org:7422", "odesa": None}, leaf_port=7)
    with pytest.raises(MeshError, match="what proves lviv on a link is missing"):
        run._begin(wish(tmp_path), said)
    assert read_mesh(tmp_path / "data").regions == {}
    proof = keys / "kyiv" / "peers" / "lviv" / "nats"
    proof.mkdir(parents=True)
    for name in ("ca.pem", "link.pub"):
        shutil.copy(tmp_path / "far" / "lviv" / "nats" / name, proof / name)
    mesh, stamp = run._begin(wish(tmp_path), said)
    entry = mesh.regions["kyiv"]
    assert (entry.epoch, entry.restoring, entry.nats.leaf_port) == (3, stamp, 7)
    assert mesh.dial("kyiv", "lviv") == "lviv.example.org:7422"
    assert mesh.peers("kyiv") == ["lviv", "odesa"]
    assert run._begin(wish(tmp_path), said)[1] == stamp  # begun again
    # What its server is to run with can be read, of the peer that ran in the same folder as well.
    setup = server_setup("kyiv", mesh, tmp_path / "data" / "kyiv")
    assert {link.peer: link.dial for link in setup.config.links} == {
        "lviv": "lviv.example.org:7422", "odesa": None,
    }  # fmt: skip
    with pytest.raises(MeshError, match="half restored"):
        async with running_mesh(tmp_path / "data", None, lambda name: keys / name):
            pass


def test_regions_of_one_folder_are_restored_one_after_the_other(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    for name in ("kyiv", "odesa"):
        create_keys(keys / name)
    (tmp_path / "data").mkdir()
    run._begin(wish(tmp_path), manifest(peers={"odesa": None}))
    theirs = manifest(region="odesa", peers={"kyiv": None}, leaf_port=2)
    mesh, _ = run._begin(wish(tmp_path, region="odesa", keys=keys / "odesa"), theirs)
    assert set(mesh.regions) == {"kyiv", "odesa"}
    assert mesh.elsewhere == {}
    assert mesh.dial("odesa", "kyiv") == "127.0.0.1:1"


def test_what_was_there_before_is_set_aside_once(tmp_path: Path) -> None:
    postgres, streams = tmp_path / "postgres", tmp_path / "nats" / "jetstream"
    for folder in (postgres, streams):
        folder.mkdir(parents=True)
        (folder / "old").touch()
    aside = Aside(postgres, [streams], "now")
    for _ in range(2):  # the second one is begun after the first was broken off
        aside.databases()
        assert not postgres.exists()
        postgres.mkdir()
        assert aside.streams_back()
        assert (streams / "old").exists()
        aside.streams()
        assert not streams.exists()
        streams.mkdir()
    assert [(Path(name) / "old").exists() for name in aside.names] == [True, True]


@pytest.mark.parametrize(("nodes", "names"), [
    (1, ["nats/jetstream"]), (3, ["nats/cluster", "nats-2/cluster", "nats-3/cluster"]),
])  # fmt: skip
def test_the_streams_of_every_server_are_known(
    tmp_path: Path, nodes: int, names: list[str]
) -> None:
    create_keys(tmp_path / "kyiv")
    mesh, _ = prepare_mesh(tmp_path, ("kyiv",), {"kyiv": tmp_path / "kyiv"})
    resize(mesh, nodes, None)
    region = Region("kyiv", mesh, tmp_path / "kyiv", services=())
    assert region.stores == [(tmp_path / "kyiv").resolve() / name for name in names]


NOT_TOLD_AGAIN = {
    # a begin and an end, both final
    "inventory.alert.changed.v1",
    # final once dispatched, and redone
    "inventory.shipment.changed.v1",
    # counted lines are final
    "inventory.shipment.counted.v1",
    # told when their money is booked again, as they stand then; what can't be is left to people
    "payments.allotment.changed.v1",
    "payments.grant.changed.v1",
    # the answers' versions are raised; a person answers again
    "payments.rebalancing.answered.v1",
}


def test_every_state_that_others_hear_of_is_told_again_after_a_restore() -> None:
    states = {
        event.type
        for event in REGISTRY.values()
        if event.stream is Stream.EVENTS and "version" in event.model_fields
    }
    told = {each for types in forward.TOLD.values() for each in types}
    assert states == (told | NOT_TOLD_AGAIN | forward.FOLLOWS_BY_ITSELF) & states
    assert states >= NOT_TOLD_AGAIN | told
