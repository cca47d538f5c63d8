"""A third region joins two that run, with history and under load, and nobody is stopped for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import psutil

from support.funding import fund
from support.running import RunningMesh, Staff
from support.waiting import eventually

RECEIPTS = 10
PAUSE_S = 0.25
"""Between two receipts: a region is joined while others work, not while they are swamped."""
COPIES = {
    # what the newcomer has of others, and what they have of themselves
    "payments": (
        """
        SELECT allotment_id, received_minor, returned_minor, held_minor, committed_minor,
               spent_minor
        FROM allotment_elsewhere WHERE holder = $1 ORDER BY 1
        """,
        """
        SELECT id, received_minor, returned_minor, held_minor, committed_minor, spent_minor
        FROM allotment WHERE $1 <> '' ORDER BY 1
        """,
    ),
    "grants": (
        """
        SELECT grant_id, code, status, amount_minor, received_minor, terms_version
        FROM grant_terms WHERE grantor = $1 ORDER BY 1
        """,
        """
        SELECT grant_id, code, status, amount_minor, received_minor, terms_version
        FROM grant_terms WHERE grantor = $1 ORDER BY 1
        """,
    ),
    "inventory": (
        """
        SELECT site_id, item, on_hand::int FROM world_stock WHERE region = $1 ORDER BY 1, 2
        """,
        """
        SELECT site_id, item, sum(on_hand)::int FROM lot WHERE $1 <> '' GROUP BY 1, 2 ORDER BY 1, 2
        """,
    ),
}


async def test_a_region_joins_a_running_mesh(tmp_path: Path) -> None:
    mesh = RunningMesh(tmp_path / "m", "kyiv,lviv")
    try:
        await asyncio.to_thread(mesh.start)
        kyiv, lviv = mesh.staff("kyiv"), mesh.staff("lviv")
        before = [await fund(kyiv, 500_000), await fund(kyiv, 70_000, to_region="lviv")]
        before.append(await fund(lviv, 30_000))
        servers = _servers(mesh)
        assert len(servers) == 3 * 2
        async with _receipts(kyiv) as taken, _receipts(lviv) as taken_too:
            joined = await asyncio.to_thread(mesh.aidmesh, "topology", "join", "odesa")
            assert joined.returncode == 0, joined.stdout + joined.stderr
            assert "odesa runs, linked with kyiv, lviv" in joined.stdout
            odesa = mesh.staff("odesa")
            assert f"its desk: {odesa.url('console')}" in joined.stdout
            await fund(kyiv, 40_000, to_region="odesa")
            await fund(odesa, 20_000, to_region="lviv")
        assert len(taken) > 1
        assert len(taken_too) > 1
        assert servers < _servers(mesh), "nobody was started anew"

        verified = await asyncio.to_thread(mesh.aidmesh, "verify", "--wait", "90")
        assert verified.returncode == 0, verified.stdout + verified.stderr
        for owner in ("kyiv", "lviv", "odesa"):
            for reader in {"kyiv", "lviv", "odesa"} - {owner}:
                await eventually(lambda o=owner, r=reader: _same(mesh, o, r), 30)
        money = "SELECT received_minor FROM allotment WHERE grantor = $1"
        assert await _rows(mesh, "odesa", "payments", money, "kyiv") == [(40_000,)]
        checked = await asyncio.to_thread(mesh.aidmesh, "topology", "check")
        assert checked.returncode == 0, checked.stdout
        twice = await asyncio.to_thread(mesh.aidmesh, "topology", "join", "odesa")
        assert twice.returncode == 2
        for staff in (kyiv, lviv, odesa):
            await staff.close()
    finally:
        await asyncio.to_thread(mesh.stop)


@asynccontextmanager
async def _receipts(staff: Staff) -> AsyncIterator[list[UUID]]:
    """Goods come in all the time, and people ask for them."""
    taken: list[UUID] = []
    over = asyncio.Event()
    await staff.item("food_parcel")
    site = await staff.site(f"center-{uuid4().hex[:6]}")

    async def take_in() -> None:
        while not over.is_set() or len(taken) < RECEIPTS:
            await staff.receive(site, "food_parcel", 3)
            taken.append(await staff.ask("food_parcel"))
            await asyncio.sleep(PAUSE_S)

    work = asyncio.create_task(take_in())
    try:
        yield taken
    finally:
        over.set()
        await work


def _servers(mesh: RunningMesh) -> set[int]:
    """The servers and services that run."""
    below = psutil.Process(mesh.pid).children(recursive=True)
    named = {each.pid: " ".join(each.cmdline()) for each in below}
    return {
        pid
        for pid, line in named.items()
        if "keeper.py" not in line
        and any(name in line for name in ("nats-server", "aidmesh.host", "postgres -D"))
    }


async def _same(mesh: RunningMesh, owner: str, reader: str) -> bool:
    for name, (copy, own) in COPIES.items():
        service = "payments" if name == "grants" else name
        theirs = await _rows(mesh, reader, service, copy, owner)
        ours = await _rows(mesh, owner, service, own, owner)
        assert theirs == ours, (name, owner, reader)
    return True


async def _rows(
    mesh: RunningMesh, region: str, service: str, query: str, about: str
) -> list[tuple[object, ...]]:
    conn = await asyncpg.connect(mesh.file.regions[region].admin_dsn(service))
    try:
        return [tuple(row) for row in await conn.fetch(query, about)]
    finally:
        await conn.close()
