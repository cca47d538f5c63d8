"""One of three regions retires while they run: asked what is open, heard by all, and kept out."""

import asyncio
import re
from pathlib import Path

import asyncpg
import pytest

from aidmesh.embedded import NatsServer
from aidmesh.region import server_setup
from aidmesh.topology.config import render
from aidmesh.topology.watcher import linked_peers
from e2e.test_money_and_places import fund
from support.running import RunningMesh
from support.waiting import eventually

pytestmark = pytest.mark.timeout(300)

REFUSAL = re.compile("tls leafnode handshake error|authentication error", re.IGNORECASE)
COPY = "SELECT site_id, item, on_hand::int FROM world_stock WHERE region = 'odesa' ORDER BY 1, 2"


async def test_a_region_retires_in_order(tmp_path: Path) -> None:
    mesh = RunningMesh(tmp_path / "m", "kyiv,lviv,odesa")
    try:
        await asyncio.to_thread(mesh.start)
        kyiv, odesa = mesh.staff("kyiv"), mesh.staff("odesa")
        money = await fund(kyiv, 40_000, to_region="odesa")
        await odesa.item("food_parcel")
        await odesa.receive(await odesa.site("center-o"), "food_parcel", 7)
        before = mesh.file

        planned = await asyncio.to_thread(mesh.aidmesh, "topology", "retire", "odesa", "--dry-run")
        assert planned.returncode == 1, planned.stdout + planned.stderr
        assert f"allotment {money['allotment_id']}" in planned.stdout
        assert "40000 not returned" in planned.stdout
        assert mesh.file == before

        await odesa.post(
            "finance",
            "payments",
            f"/allotments/{money['allotment_id']}:return",
            {"amount_minor": 40_000},
        )
        retired = await asyncio.to_thread(mesh.aidmesh, "topology", "retire", "odesa")
        assert retired.returncode == 0, retired.stdout + retired.stderr
        assert set(mesh.file.regions) == {"kyiv", "lviv"}
        entry = mesh.file.retired["odesa"].entry
        assert entry == before.regions["odesa"]

        verified = await asyncio.to_thread(mesh.aidmesh, "verify", "--wait", "90")
        assert verified.returncode == 0, verified.stdout + verified.stderr
        checked = await asyncio.to_thread(mesh.aidmesh, "topology", "check")
        assert checked.returncode == 0, checked.stdout
        await eventually(lambda: _status_is_good(mesh), 60)
        assert await _copies(mesh, "kyiv") == await _copies(mesh, "lviv") != []
        answer = await kyiv.get("logistician", "inventory", "/stock")
        [link] = [each["link"] for each in answer["others"] if each["region"] == "odesa"]
        assert link["gone"] == "retired"
        assert link["gone_since"] is not None

        for again in (("retire", "odesa"), ("join", "odesa")):
            done = await asyncio.to_thread(mesh.aidmesh, "topology", *again)
            assert done.returncode == (0 if again[0] == "retire" else 2), done.stdout
        setup = server_setup("odesa", before, tmp_path / "late")
        nats = before.regions["odesa"].nats
        late = NatsServer(
            tmp_path / "late" / "nats",
            render(setup.config),
            (nats.client_port, nats.monitor_port, nats.leaf_port),
            nats.monitor_port,
            files=setup.files,
        )
        (tmp_path / "late" / "log").mkdir(parents=True)
        before_it = _refused(mesh)
        try:
            await asyncio.to_thread(late.start)
            for name in ("kyiv", "lviv"):
                await eventually(lambda name=name: _refused(mesh)[name] > before_it[name], 60)
        finally:
            await asyncio.to_thread(late.stop)
        for name in ("kyiv", "lviv"):
            port = mesh.file.regions[name].nats.monitor_port
            assert "odesa" not in linked_peers(port)
        await kyiv.close()
        await odesa.close()
    finally:
        await asyncio.to_thread(mesh.stop)


async def _status_is_good(mesh: RunningMesh) -> bool:
    status = await asyncio.to_thread(mesh.aidmesh, "status")
    assert status.returncode == 0, status.stdout
    [line] = [line for line in status.stdout.splitlines() if "odesa" in line]
    return line.split()[:2] == ["odesa", "retired"]


def _refused(mesh: RunningMesh) -> dict[str, int]:
    """How often each server has written that it does not know who dials it."""
    logs = {name: mesh.data / name / "log" / "nats.log" for name in ("kyiv", "lviv")}
    return {name: len(REFUSAL.findall(log.read_text())) for name, log in logs.items()}


async def _copies(mesh: RunningMesh, region: str) -> list[asyncpg.Record]:
    conn = await asyncpg.connect(mesh.file.regions[region].admin_dsn("inventory"))
    try:
        rows: list[asyncpg.Record] = await conn.fetch(COPY)
        return rows
    finally:
        await conn.close()
