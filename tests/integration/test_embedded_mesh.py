"""A mesh as `aidmesh up` runs it, its servers without services."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import asyncpg
import psutil
import pytest
from nats.aio.client import Client

from aidmesh.credentials import create_keys, seed_file
from aidmesh.embedded.folder import in_use
from aidmesh.embedded.process import wait_until_gone
from aidmesh.mesh import Mesh, running_mesh
from aidmesh.meshfile import Elsewhere, MeshError, changing_mesh, read_mesh
from aidmesh.tending import Tender
from aidmesh.topology.connections import connect_as
from aidmesh.topology.rights import SUPERVISOR
from aidmesh.topology.warden import Warden
from support.servers import keys_in
from support.waiting import eventually


async def test_databases_are_closed_to_other_services(tmp_path: Path) -> None:
    async with running_mesh(
        tmp_path / "data", ("kyiv",), keys_in(tmp_path / "keys"), services=()
    ) as mesh:
        entry = mesh.file.regions["kyiv"]
        own = await asyncpg.connect(entry.dsn("intake"))
        assert await own.fetchval("SELECT count(*) FROM outbox") == 0
        await own.close()
        for database in ("payments", "postgres", "template1"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await asyncpg.connect(entry.dsn("intake").rsplit("/", 1)[0] + f"/{database}")
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(
                entry.dsn("intake").replace(str(entry.services["intake"].database_password), "x")
            )


async def test_a_mesh_comes_back_with_its_data_and_ports_and_takes_in_a_region(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    async with running_mesh(data, ("kyiv",), keys_in(tmp_path / "keys"), services=()) as mesh:
        client = await admin_of(mesh, "kyiv")
        await client.jetstream().publish("aid.kyiv.payments.grant.changed.v1", b"{}")
        await client.close()
        first = mesh.file.regions["kyiv"]
    assert (data / "mesh.json").stat().st_mode & 0o077 == 0
    async with running_mesh(
        data, ("kyiv", "lviv"), keys_in(tmp_path / "keys"), services=()
    ) as mesh:
        assert mesh.file.regions["kyiv"] == first
        client = await admin_of(mesh, "lviv")

        async def arrived() -> bool:
            state = (await client.jetstream().stream_info("WORLD")).state
            return bool(state.messages == 1)

        await eventually(arrived, 20)
        await client.close()
    with pytest.raises(MeshError, match="also holds lviv"):
        async with running_mesh(data, ("kyiv",), keys_in(tmp_path / "keys"), services=()):
            pass


async def test_a_server_that_starts_slowly_keeps_no_other_waiting(tmp_path: Path) -> None:
    keys = keys_in(tmp_path / "keys")
    async with running_mesh(tmp_path / "data", ("kyiv",), keys, services=()) as mesh:
        region = mesh.regions["kyiv"]
        nats_is_back = threading.Event()
        postgres = next(each for each in region._watched if each.name == "postgres")
        start = postgres.start

        def start_late() -> object:
            assert nats_is_back.wait(240)
            return start()

        postgres.start = start_late
        before = region.pids
        for pid in before.values():
            psutil.Process(pid).kill()
        await eventually(lambda: region.pids.get("nats", before["nats"]) != before["nats"], 45)
        nats_is_back.set()
        await eventually(lambda: set(region.pids) == set(before), 45)


async def test_killed_servers_are_started_again(tmp_path: Path) -> None:
    async with running_mesh(
        tmp_path / "data", ("kyiv",), keys_in(tmp_path / "keys"), services=()
    ) as mesh:
        region = mesh.regions["kyiv"]
        before = region.pids
        for pid in before.values():
            psutil.Process(pid).kill()

        def restarted() -> bool:
            now = region.pids
            return set(now) == set(before) and not set(now.values()) & set(before.values())

        await eventually(restarted, 20)
        await eventually(lambda: region.warden.gate.is_open, 20)
    assert region.pids == {}


async def test_a_server_whose_log_was_cut_is_started_again(tmp_path: Path) -> None:
    """A full disk cuts lines, and ends servers; then there is room again."""
    keys = keys_in(tmp_path / "keys")
    async with running_mesh(tmp_path / "data", ("kyiv",), keys, services=()) as mesh:
        region = mesh.regions["kyiv"]
        before = region.pids["postgres"]
        with next(region.postgres.folder.glob("log/*.json")).open("a") as log:
            log.write('{"timestamp":"2026-11-28 09:00:00.000 UTC","error_sev')
        settings = region.postgres.folder / "postgresql.auto.conf"
        settings.write_text("shared_buffers = 'none'\n")
        region.postgres.kill()
        await eventually(lambda: "process.restart_failed" in told(mesh), 45)
        settings.write_text("")
        await eventually(lambda: region.pids.get("postgres", before) != before, 45)
        assert "watch.failed" not in told(mesh)


async def test_errors_that_nobody_expected_are_told_and_end_no_watch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = keys_in(tmp_path / "keys")
    fails = {"start", "_look_at_warden", "_take_on"}

    def once(name: str, real: Callable[..., object]) -> Callable[..., object]:
        def first_fails(*args: object) -> object:
            if name in fails:
                fails.remove(name)
                raise KeyError(name)
            return real(*args)

        return first_fails

    for owner, name in ((Tender, "_look_at_warden"), (Mesh, "_take_on")):
        monkeypatch.setattr(owner, name, once(name, getattr(owner, name)))
    async with running_mesh(tmp_path / "data", ("kyiv",), keys, services=()) as mesh:
        region = mesh.regions["kyiv"]
        postgres = next(each for each in region._watched if each.name == "postgres")
        postgres.start = once("start", postgres.start)
        before = region.pids["postgres"]
        region.postgres.kill()
        await eventually(lambda: region.pids.get("postgres", before) != before, 45)
        await eventually(lambda: not fails, 45)
        with changing_mesh(mesh.data) as changed:
            changed.elsewhere["odesa"] = Elsewhere()
        await eventually(lambda: "odesa" in region._tender._peers, 45)
        watched = [json.loads(line) for line in told(mesh).splitlines()]
    failed = {line["watched"] for line in watched if line["event"] == "watch.failed"}
    assert failed == {"postgres", "streams, links and keys", "mesh.json"}


async def test_a_warden_that_fails_at_a_start_keeps_no_server_from_being_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(_: Warden) -> None:
        raise KeyError("whatever")

    monkeypatch.setattr(Warden, "run", run)
    with pytest.raises(ExceptionGroup) as raised:
        async with running_mesh(
            tmp_path / "data", ("kyiv",), keys_in(tmp_path / "keys"), services=()
        ):
            pass
    assert raised.group_contains(KeyError)
    assert not in_use(tmp_path / "data"), "its servers hold it for as long as they run"


def told(mesh: Mesh) -> str:
    """What its log holds."""
    return (mesh.data / "mesh.log").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_command_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    create_keys(tmp_path / "keys" / "kyiv")
    folders = ["--data", str(tmp_path / "data"), "--keys", str(tmp_path / "keys")]
    command = [sys.executable, "-m", "aidmesh", "up", *folders, "--servers-only"]
    with subprocess.Popen([*command, "--regions", "kyiv"], stdout=subprocess.PIPE, text=True) as up:
        assert up.stdout is not None
        assert any("Running" in line for line in up.stdout)
        below = psutil.Process(up.pid).children(recursive=True)
        assert below

        refused = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
        assert refused.returncode == 2
        assert "is in use by process" in refused.stderr

        up.send_signal(number)
        assert up.wait(120) == (0 if number != signal.SIGKILL else -signal.SIGKILL)
    assert wait_until_gone([process.pid for process in below], seconds_max=20)


async def admin_of(mesh: Mesh, region: str) -> Client:
    entry = read_mesh(mesh.data).regions[region]
    return await connect_as(entry.nats.url, seed_file(entry.keys, SUPERVISOR))
