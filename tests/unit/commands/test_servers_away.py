"""Commands whose servers do not answer, or that were typed wrong: one message, and the exit code
that the documents promise."""

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from aidmesh import asking, connecting, quiet
from aidmesh.__main__ import build
from aidmesh.backup import take
from aidmesh.backup.pair import public_file
from aidmesh.chaos.probes import answering
from aidmesh.commands import dead, joining, replay
from aidmesh.commands.common import EXIT_FAILED, EXIT_REFUSED, run
from aidmesh.credentials import create_keys
from aidmesh.doctor import examine
from aidmesh.meshfile import MeshFile, write_mesh
from aidmesh.preparing import prepare_mesh
from aidmesh.replaying import Choice
from aidmesh.topology import connections
from aidmesh_chassis.crypto import PrivateKey
from support import stalled

AWAY = "aidmesh: the databases of kyiv do not answer; aidmesh doctor says why"
WHO = ("--by", "somebody", "--reason", "it is mended")


@pytest.fixture
def mesh(tmp_path: Path) -> MeshFile:
    """A mesh that does not run."""
    create_keys(tmp_path / "keys")
    (tmp_path / "data").mkdir()
    made, _ = prepare_mesh(tmp_path / "data", ("kyiv",), {"kyiv": tmp_path / "keys"})
    return made


@pytest.fixture
def data(mesh: MeshFile, tmp_path: Path) -> Path:
    """Its folder."""
    assert mesh.regions
    return tmp_path / "data"


def typed(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """The exit code of a command, and what it says to a person."""
    with pytest.raises(SystemExit) as ended:
        build()(list(words))
    out, err = capsys.readouterr()
    assert not out
    return int(ended.value.code or 0), err.strip()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("dead", "list"), EXIT_REFUSED),
        (("dead", "show", "kyiv/payments/1"), EXIT_REFUSED),
        (("dead", "retry", "kyiv/payments/1", *WHO), EXIT_REFUSED),
        (("dead", "drop", "kyiv/payments/1", *WHO), EXIT_REFUSED),
        # Some of the letters may be tried again already.
        (("dead", "retry-all", *WHO), EXIT_FAILED),
        (("replay", "kyiv", "payments-local", *WHO), EXIT_REFUSED),
        (("verify",), EXIT_REFUSED),
    ],
)
def test_databases_that_do_not_answer_are_told_in_one_way(
    data: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int
) -> None:
    assert typed(capsys, *words, "--data", str(data)) == (code, AWAY)


def test_what_nobody_could_be_asked_for_is_not_said_to_be_nowhere(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = typed(capsys, "trace", "1a2b3c4d", "--data", str(data))
    assert code == EXIT_REFUSED
    assert "the databases kyiv intake, kyiv inventory, kyiv payments do not answer" in said
    assert "nothing here" not in said


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes connections and says nothing, as one that hangs."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def test_a_database_that_hangs_is_no_letter_that_waits(
    data: Path,
    mesh: MeshFile,
    silent: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mesh.regions["kyiv"].own_postgres.port = silent
    write_mesh(data, mesh)
    monkeypatch.setattr(connecting, "CONNECT_SECONDS_MAX", 0.1)
    assert typed(capsys, "dead", "list", "--data", str(data)) == (EXIT_REFUSED, AWAY)


@pytest.fixture
def stalls(
    data: Path, mesh: MeshFile, monkeypatch: pytest.MonkeyPatch
) -> Iterator[stalled.Stalled]:
    """The server of its databases, which lets commands in and answers nothing."""
    monkeypatch.setattr(asking, "ASK_SECONDS_MAX", 1.0)
    monkeypatch.setattr(connecting, "CLOSE_SECONDS_MAX", 0.1)
    for whose in (dead, joining):
        monkeypatch.setattr(whose, "ANSWER_S_MAX", 1.0)
    monkeypatch.setattr(examine, "ASK_S_MAX", 1.0)
    with stalled.stalled() as server:
        mesh.regions["kyiv"].own_postgres.port = server.port
        write_mesh(data, mesh)
        yield server


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("status",), "kyiv: PostgreSQL does not answer"),
        (("status", "--json"), "kyiv: PostgreSQL does not answer"),
        (("doctor",), "kyiv"),
        (("dead", "list"), "the databases of kyiv do not answer"),
        (("dead", "show", "kyiv/payments/1"), "the database of payments in kyiv did not answer"),
        # It may be done nevertheless.
        (("dead", "retry", "kyiv/payments/1", *WHO), "did not answer in time"),
        (("topology", "rejoin", "kyiv"), "did not answer in time"),
    ],
)
def test_a_database_that_stalls_keeps_no_command_waiting(
    data: Path,
    stalls: stalled.Stalled,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    said: str,
) -> None:
    with pytest.raises(SystemExit) as ended:
        build()([*words, "--data", str(data)])
    asked_only = words[:2] in (("dead", "list"), ("dead", "show"))
    assert ended.value.code == (EXIT_REFUSED if asked_only else EXIT_FAILED)
    assert said in "".join(capsys.readouterr())
    assert stalls.asked.is_set()
    assert not stalls.left_waiting.is_set()


class Quiet:
    """NATS of a region in which nothing is on its way."""

    def jsm(self, **_: float) -> "Quiet":
        return self

    async def consumers_info(self, _: str) -> list[object]:
        return []

    async def close(self) -> None:
        return None


def test_a_database_that_stalls_does_not_keep_verify_waiting(
    data: Path,
    stalls: stalled.Stalled,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def nats(*_: object, **__: object) -> Quiet:
        return Quiet()

    monkeypatch.setattr(quiet, "connect_as", nats)
    monkeypatch.setattr(quiet, "ANSWER_S_MAX", 0.5)
    monkeypatch.setattr(connecting, "CANCEL_SECONDS_MAX", 0.5)
    assert typed(capsys, "verify", "--data", str(data)) == (
        EXIT_REFUSED,
        "aidmesh: the database of intake in kyiv did not answer; aidmesh doctor says why",
    )
    assert stalls.asked.is_set()
    assert not stalls.left_waiting.is_set()


async def test_what_was_found_stands_although_the_connection_does_not_close(
    stalls: stalled.Stalled,
) -> None:
    dsn = f"postgresql://aidmesh@127.0.0.1:{stalls.port}/intake"
    conn = await connecting.connect_database("kyiv", dsn)
    with pytest.raises(TimeoutError):
        await conn.fetchval("SELECT 1", timeout=0.1)
    await connecting.close_database(conn)
    assert stalls.canceled.is_set()
    assert conn.is_closed()
    assert not stalls.left_waiting.is_set()


def test_nats_that_does_not_answer_is_not_waited_for(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def connected(*_: object) -> dict[str, object]:
        return {}

    monkeypatch.setattr(quiet, "_connect_databases", connected)
    monkeypatch.setattr(connections, "CONNECT_SECONDS_MAX", 0.1)
    code, said = typed(capsys, "verify", "--data", str(data))
    assert (code, said) == (
        EXIT_REFUSED, "aidmesh: NATS of kyiv does not answer; aidmesh doctor says why",
    )  # fmt: skip


async def test_a_region_that_is_away_is_an_outage_to_whoever_looks_on(mesh: MeshFile) -> None:
    async with answering(mesh) as (probes, silent):
        assert (probes, silent) == ([], {"kyiv": "AwayError"})


def test_what_took_too_long_is_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    async def slow() -> int:
        raise TimeoutError

    with pytest.raises(SystemExit) as ended:
        run(slow())
    assert ended.value.code == EXIT_FAILED
    assert "did not answer in time; aidmesh doctor" in capsys.readouterr().err


def test_a_connection_that_is_gone_is_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    async def cut() -> int:
        raise asyncpg.InterfaceError("the underlying connection is closed")

    with pytest.raises(SystemExit) as ended:
        run(cut())
    assert ended.value.code == EXIT_FAILED
    assert capsys.readouterr().err == "aidmesh: the underlying connection is closed\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("logs", "--lines", "-3"), "0 or more"),
        (("logs", "--regions", "lviv"), "has no logs of lviv"),
        (("restore", "kyiv", "--check", "--backup", "gone", "--key", "key"), "gone: No such file"),
        (("replay", "kyiv", "payments-local", *WHO, "--since", "soon"), "15m"),
        (("replay", "kyiv", "payments-local", *WHO, "--event", "x"), "x is no id"),
    ],
)
def test_what_was_typed_wrong_is_refused_in_words(
    data: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    (data / "kyiv" / "log").mkdir(parents=True)
    code, told = typed(capsys, *words, "--data", str(data))
    assert code == EXIT_REFUSED
    assert told.startswith("aidmesh: ")
    assert said in told


def test_a_backup_needs_a_folder_and_databases(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        build()(["keys", "backup", "--out", str(tmp_path / "far")])
    assert not ended.value.code
    capsys.readouterr()
    words = ("backup", "kyiv", "--to", str(tmp_path / "far" / "backup.pub"), "--data", str(data))
    code, said = typed(capsys, *words, "--out", str(tmp_path / "none" / "kyiv.backup"))
    assert code == EXIT_REFUSED
    assert "none is no folder that can be written to" in said
    out = tmp_path / "kyiv.backup"
    assert typed(capsys, *words, "--out", str(out)) == (EXIT_REFUSED, AWAY)
    assert not list(tmp_path.glob("*kyiv.backup*"))


@pytest.mark.parametrize(
    "lost",
    [
        asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
        asyncpg.InterfaceError("the underlying connection is closed"),
    ],
)
def test_a_server_that_ends_during_a_backup_is_told_in_words(
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    lost: Exception,
) -> None:
    async def taken(*_: object) -> None:
        raise lost

    monkeypatch.setattr(take, "take", taken)
    (tmp_path / "backup.pub").write_bytes(public_file(PrivateKey.random().public))
    words = ("--to", str(tmp_path / "backup.pub"), "--out", str(tmp_path / "kyiv.backup"))
    said = typed(capsys, "backup", "kyiv", *words, "--data", str(data))
    assert said == (EXIT_FAILED, f"aidmesh: no backup was written: {lost}")


@pytest.mark.parametrize(
    ("since", "wanted"),
    [
        ("2026-11-26T10:00:00Z", datetime(2026, 11, 26, 10, tzinfo=UTC)),
        ("2026-11-26T12:00:00+02:00", datetime(2026, 11, 26, 10, tzinfo=UTC)),
        ("2026-11-26T10:00", datetime(2026, 11, 26, 10, tzinfo=UTC)),
        ("15m", None),
    ],
)
def test_a_replay_takes_the_moments_that_logs_takes(
    data: Path, monkeypatch: pytest.MonkeyPatch, since: str, wanted: datetime | None
) -> None:
    chosen: list[Choice] = []

    async def replayed(_: Path, __: str, ___: object, choice: Choice, *____: object) -> int:
        chosen.append(choice)
        return 0

    monkeypatch.setattr(replay, "_replay", replayed)
    with pytest.raises(SystemExit):
        build()(["replay", "kyiv", "payments-local", *WHO, "--since", since, "--data", str(data)])
    (choice,) = chosen
    assert choice.since is not None
    if wanted is None:
        assert 890 < (datetime.now(UTC) - choice.since).total_seconds() < 1200
    else:
        assert choice.since == wanted
