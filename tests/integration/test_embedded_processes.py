"""Nothing outlives the process that started it, however that ends; from any folder, as anyone."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from aidmesh.embedded.binaries import nats_server
from aidmesh.embedded.errors import FolderInUseError, PortTakenError
from aidmesh.embedded.folder import FolderLock
from aidmesh.embedded.postgres import PostgresServer
from support.ordinary import Ordinary, ordinary
from support.servers import ROOT, NatsRegion, new_postgres
from support.waiting import eventually

CHILD = ROOT / "tests" / "support" / "embedded_child.py"


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other accounts may enter; pytest's own is closed to them."""
    folder = Path(tempfile.mkdtemp(prefix="aidmesh-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def start_child(
    folder: Path, user: Ordinary | None = None
) -> tuple[subprocess.Popen[str], dict[str, int], list[psutil.Process]]:
    """A process that runs servers, what it said of them, and every process below it.

    It is ours, or that of `user` in a folder of theirs.
    """
    script = CHILD
    if user is not None:
        script = folder.with_name(CHILD.name)
        script.write_bytes(CHILD.read_bytes())
        script.chmod(0o644)
    uid = None if user is None else user.uid
    ours = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT / "tests"), *sys.path[1:]]),
        "PATH": f"{nats_server().parent}{os.pathsep}{os.environ['PATH']}",
    }
    child = subprocess.Popen(
        [sys.executable if user is None else user.python, str(script), str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        user=uid,
        group=uid,
        extra_groups=None if uid is None else [],
        cwd="/",
        env=ours if user is None else {**user.environment, "HOME": str(folder.parent)},
    )
    assert child.stdout is not None
    line = child.stdout.readline()
    child.stdout.close()
    assert line, "the child did not start its servers"
    return child, json.loads(line), psutil.Process(child.pid).children(recursive=True)


def gone(processes: list[psutil.Process]) -> bool:
    return all(not p.is_running() or p.status() == psutil.STATUS_ZOMBIE for p in processes)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
async def test_no_process_outlives_its_owner(tmp_path: Path, number: signal.Signals) -> None:
    child, _, below = start_child(tmp_path)
    assert len(below) > 4  # two keepers, two servers, PostgreSQL's own
    child.send_signal(number)
    child.wait(40)
    await eventually(lambda: gone(below), 20)


async def test_a_folder_is_free_again_once_the_servers_of_a_killed_owner_are_gone(
    tmp_path: Path,
) -> None:
    child, _, below = start_child(tmp_path)
    other = FolderLock(tmp_path)
    with pytest.raises(FolderInUseError, match=str(child.pid)):
        other.acquire()
    child.kill()
    child.wait(40)
    other.acquire()  # waits for what the dead owner left
    await eventually(lambda: gone(below), 2)
    other.release()


if sys.platform == "linux":  # elsewhere only the owner's end is noticed

    async def test_a_server_ends_when_its_keeper_is_killed(tmp_path: Path) -> None:
        child, started, below = start_child(tmp_path)
        for server in ("postgres", "nats"):
            psutil.Process(psutil.Process(started[server]).ppid()).kill()
        servers = [p for p in below if p.pid in {started["postgres"], started["nats"]}]
        await eventually(lambda: gone(servers), 20)
        child.kill()
        child.wait(40)
        await eventually(lambda: gone(below), 20)


@pytest.mark.ordinary
async def test_an_ordinary_user_needs_no_rights(open_folder: Path) -> None:
    """Started by root the test becomes somebody else; otherwise it is an ordinary user already."""
    user = ordinary()
    assert user is not None
    if user.uid is not None:
        os.chown(open_folder, user.uid, user.uid)
    child, started, below = start_child(open_folder / "data", user)
    assert started["uid"] == (os.getuid() if user.uid is None else user.uid)
    assert {p.username() for p in below} == {psutil.Process(child.pid).username()}
    child.kill()
    child.wait(40)
    await eventually(lambda: gone(below), 20)


@pytest.mark.parametrize(
    "name", ["with space's and ünïcode", "/".join(["a-rather-long-name"] * 9), "closed"]
)
async def test_any_folder_will_do(open_folder: Path, name: str) -> None:
    folder = open_folder / name
    folder.mkdir(parents=True)
    if name == "closed":
        folder.chmod(0o700)
    count = 0
    for _ in range(2):  # twice in a row, the second time with the first one's data
        postgres = new_postgres(folder / "postgres")
        postgres.password = "the same"
        postgres.start()
        connection = await asyncpg.connect(postgres.dsn("postgres"))
        await connection.execute("CREATE TABLE IF NOT EXISTS visit (n serial)")
        await connection.execute("INSERT INTO visit DEFAULT VALUES")
        count = await connection.fetchval("SELECT count(*) FROM visit")
        await connection.close()
        postgres.stop()
        assert not postgres.alive
    assert count == 2
    assert (folder / "postgres").stat().st_uid != 0


async def test_statements_and_values_are_not_in_the_servers_log(postgres: PostgresServer) -> None:
    canary = f"canary-{secrets.token_hex(8)}"
    connection = await asyncpg.connect(postgres.dsn("postgres"))
    await connection.execute("CREATE TABLE person (name text PRIMARY KEY)")
    await connection.execute("INSERT INTO person VALUES ($1)", canary)
    for statement in ("INSERT INTO person VALUES ($1)", "SELECT $1::text::int"):
        with pytest.raises(asyncpg.PostgresError):
            await connection.execute(statement, canary)
    await connection.execute("DROP TABLE person")
    await connection.close()
    logs = [path.read_text() for path in postgres.folder.glob("log/*")]
    assert any("ready to accept connections" in text for text in logs)
    assert not any(canary in text or "INSERT INTO" in text for text in logs)


def test_a_taken_port_is_named(tmp_path: Path, postgres: PostgresServer) -> None:
    second = new_postgres(tmp_path / "postgres")
    second.port = postgres.port
    with pytest.raises(PortTakenError, match=str(postgres.port)):
        second.start()


async def test_a_killed_nats_server_keeps_what_it_acknowledged(nats_region: NatsRegion) -> None:
    client = await nats_region.admin()
    ack = await client.jetstream().publish("local.kyiv.intake.need.ready.v1", b"{}")
    await client.close()
    nats_region.kill()
    nats_region.start()
    client = await nats_region.admin()
    message = await client.jetstream().get_msg("LOCAL", ack.seq)
    assert message.data == b"{}"
    await client.close()
