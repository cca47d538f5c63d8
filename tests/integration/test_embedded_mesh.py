"""A mesh as `aidmesh up` runs it, its servers without services."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import asyncpg
import psutil
import pytest
from nats.aio.client import Client

from aidmesh.credentials import create_keys, seed_file
from aidmesh.embedded.process import wait_until_gone
from aidmesh.mesh import Mesh, running_mesh
from aidmesh.meshfile import MeshError, read_mesh
from aidmesh.topology.rights import SUPERVISOR
from aidmesh.topology.warden import connect_as
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
