"""A store that is older than the databases, after the power went."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import psutil
import pytest

from support.running import RunningMesh, Staff
from support.waiting import eventually

SETTLED_S_MAX = 90.0


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[RunningMesh]:
    """Two regions of which one loses its store, so nobody else's."""
    mesh = RunningMesh(tmp_path / "m", "kyiv,lviv")
    await asyncio.to_thread(mesh.start)
    yield mesh
    await asyncio.to_thread(mesh.stop)


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def nats_of(mesh: RunningMesh, region: str) -> int:
    """The process of a region's NATS server."""
    config = str(mesh.data / region / "nats" / "nats.conf")
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or [""]
        if "nats-server" in line[0] and config in line:
            return process.pid
    raise AssertionError(f"{region} has no NATS server")


async def ask(staff: Staff, site: UUID, count: int) -> None:
    for _ in range(count):
        await staff.ask("food_parcel", site_id=str(site))


async def agree(kyiv: Staff, lviv: Staff, ready: int, free: int) -> None:
    """So many needs are ready in kyiv, and lviv sees what is left there."""

    async def settled() -> bool:
        counts = await kyiv.get("lead", "intake", "/needs-by-state")
        assert counts == {"ready": ready}, counts
        others = (await lviv.get("logistician", "inventory", "/stock"))["others"]
        assert [row["free"] for row in others] == [free], others
        return True

    await eventually(settled, SETTLED_S_MAX)


async def test_a_store_that_is_older_than_the_databases_is_rebuilt_from_them(
    own: RunningMesh, tmp_path: Path
) -> None:
    kyiv, lviv = own.staff("kyiv"), own.staff("lviv")
    store, saved = own.data / "kyiv" / "nats" / "jetstream", tmp_path / "saved"
    for staff in (kyiv, lviv):
        await staff.item("food_parcel")
    site = await kyiv.site("center")
    await kyiv.receive(site, "food_parcel", 30)
    await ask(kyiv, site, 4)
    await agree(kyiv, lviv, ready=4, free=26)
    with frozen(nats_of(own, "kyiv")):
        shutil.copytree(store, saved)

    await ask(kyiv, site, 6)
    await agree(kyiv, lviv, ready=10, free=20)
    with frozen(own.pid):  # or the server were started again before its store is put back
        psutil.Process(nats_of(own, "kyiv")).kill()
        await ask(kyiv, site, 5)  # it takes no NATS to ask for something
        shutil.rmtree(store)
        shutil.copytree(saved, store)

    await agree(kyiv, lviv, ready=15, free=15)
    for staff in (kyiv, lviv):
        await staff.close()
    result = await asyncio.to_thread(own.aidmesh, "verify")
    assert result.returncode == 0, result.stdout
    log = (own.data / "mesh.log").read_text(encoding="utf-8")
    assert "stream.recovery_finished" in log
