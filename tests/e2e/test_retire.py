"""While three regions run one is held for lost and comes back, then another one retires.

Both are told to all, and of neither is anything counted twice or left out.
"""

import asyncio
import re
from pathlib import Path

import asyncpg

from aidmesh.embedded.nats import NatsServer
from aidmesh.region_settings import server_setup
from aidmesh.topology.config import render
from aidmesh.topology.watcher import linked_peers
from support.funding import fund
from support.running import RunningMesh, Staff
from support.waiting import eventually

REFUSAL = re.compile("tls leafnode handshake error|authentication error", re.IGNORECASE)
COPY = "SELECT site_id, item, on_hand::int FROM world_stock WHERE region = 'odesa' ORDER BY 1, 2"


async def test_a_region_retires_in_order(tmp_path: Path) -> None:
    mesh = RunningMesh(tmp_path / "m", "kyiv,lviv,odesa")
    try:
        await asyncio.to_thread(mesh.start)
        kyiv, odesa = mesh.staff("kyiv"), mesh.staff("odesa")
        await _lost_and_back(mesh, kyiv, odesa)
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
        await eventually(lambda: _stock_tells_of_it(kyiv), 60)

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


async def _rejoin(mesh: RunningMesh) -> tuple[int, str]:
    done = await asyncio.to_thread(mesh.aidmesh, "topology", "rejoin", "lviv")
    return done.returncode, done.stdout + done.stderr


async def _lost_and_back(mesh: RunningMesh, kyiv: Staff, odesa: Staff) -> None:
    """Two leads of kyiv hold lviv for lost; it is let in again, and all it said counts."""
    lviv, another = mesh.staff("lviv"), mesh.staff("kyiv")
    for staff in (kyiv, lviv):
        await staff.item("hygiene_kit")
    late = await lviv.site("center-l")
    code, said = await _rejoin(mesh)
    assert (code, "nobody held it for lost" in said) == (2, True), said
    await kyiv.post(
        "lead", "payments", "/regions/lviv:declare-lost", {"reason": "flooded"}, status=202
    )
    await another.post("lead", "payments", "/regions/lviv:confirm-lost")
    for staff in (kyiv, odesa):
        await eventually(lambda staff=staff: _stands(staff, "lviv", "lost"), 60)
    await lviv.receive(late, "hygiene_kit", 9)
    await eventually(lambda: _has_conflict(odesa), 60)
    assert await _kits(mesh, "odesa") == []
    code, said = await _rejoin(mesh)
    assert (code, "no lead has let it in again" in said) == (2, True), said

    for conflict in (await kyiv.get("lead", "payments", "/conflicts"))["conflicts"]:
        path = f"/conflicts/{conflict['event_id']}:close"
        await kyiv.post("lead", "payments", path, {"note": "looked at"})
    await kyiv.post("lead", "payments", "/regions/lviv:readmit")
    await eventually(lambda: _has_rejoined(mesh), 120)
    assert mesh.file.regions["lviv"].epoch == 2
    code, said = await _rejoin(mesh)
    assert (code, "rejoined already" in said) == (0, True), said
    # It says everything again, and now it counts.
    for region in ("kyiv", "odesa"):
        await eventually(lambda region=region: _has_kits(mesh, region), 120)
    await lviv.close()
    await another.close()


async def _stands(staff: Staff, region: str, standing: str) -> bool:
    found = (await staff.get("lead", "payments", "/standings"))["standings"]
    return {"region": region, "standing": standing}.items() <= (
        next((each for each in found if each["region"] == region), {}).items()
    )


async def _has_conflict(staff: Staff) -> bool:
    return bool((await staff.get("lead", "inventory", "/conflicts"))["conflicts"])


async def _has_rejoined(mesh: RunningMesh) -> bool:
    """It waits until it has taken in what others said; then it is tried again."""
    code, said = await _rejoin(mesh)
    assert code in (0, 2), said
    return code == 0


async def _kits(mesh: RunningMesh, region: str) -> list[int]:
    conn = await asyncpg.connect(mesh.file.regions[region].admin_dsn("inventory"))
    try:
        rows = await conn.fetch(
            "SELECT on_hand::int FROM world_stock WHERE region = 'lviv' AND item = 'hygiene_kit'"
        )
    finally:
        await conn.close()
    return [row["on_hand"] for row in rows]


async def _has_kits(mesh: RunningMesh, region: str) -> bool:
    return await _kits(mesh, region) == [9]


async def _status_is_good(mesh: RunningMesh) -> bool:
    status = await asyncio.to_thread(mesh.aidmesh, "status")
    assert status.returncode == 0, status.stdout
    [line] = [line for line in status.stdout.splitlines() if "odesa" in line]
    return line.split()[:2] == ["odesa", "retired"]


async def _stock_tells_of_it(kyiv: Staff) -> bool:
    """Services look again every few seconds at how regions stand."""
    answer = await kyiv.get("logistician", "inventory", "/stock")
    [link] = [each["link"] for each in answer["others"] if each["region"] == "odesa"]
    assert link["gone"] == "retired"
    return link["gone_since"] is not None


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
