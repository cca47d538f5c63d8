"""Whatever is killed, whenever: what was accepted is there, once, and everything promised holds."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import psutil
import pytest

from support.running import RunningMesh, Staff
from support.waiting import eventually

NEEDS = 120


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[RunningMesh]:
    """A mesh that is killed piece by piece, so nobody else's."""
    mesh = RunningMesh(tmp_path / "m", "kyiv")
    await asyncio.to_thread(mesh.start)
    yield mesh
    await asyncio.to_thread(mesh.stop)


def processes_of(mesh: RunningMesh) -> dict[str, int]:
    """The region's processes by what they are: postgres, nats, host."""
    found: dict[str, int] = {}
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        text = " ".join(line)
        if "keeper.py" in text:
            continue
        if "aidmesh.host" in text and str(mesh.data.parent) in _environment(process):
            found["host"] = process.pid
        elif str(mesh.data) in text and "nats-server" in line[0]:
            found["nats"] = process.pid
        elif process.pid == _postmaster(mesh):
            found["postgres"] = process.pid
    return found


def _environment(process: psutil.Process) -> str:
    try:
        return " ".join(process.environ().values())
    except psutil.Error:
        return ""


def _postmaster(mesh: RunningMesh) -> int | None:
    files = list((mesh.data / "kyiv" / "postgres").rglob("postmaster.pid"))
    return int(files[0].read_text().splitlines()[0]) if files else None


async def stubbornly(staff: Staff, role: str, service: str, path: str, body: object) -> object:
    """Post with one key until it is accepted, as a good client does."""
    key = str(uuid4())

    async def accepted() -> object:
        try:
            return await staff.post(role, service, path, body, key=key)
        except httpx.HTTPError as error:
            raise AssertionError(type(error).__name__) from None

    return await eventually(accepted, 60)


@pytest.mark.timeout(280)
async def test_killing_everything_in_turn_loses_and_doubles_nothing(own: RunningMesh) -> None:
    staff = own.staff("kyiv")
    site = await staff.site("center", area="UA80")
    await staff.item("food_parcel")
    await staff.receive(site, "food_parcel", NEEDS // 2)
    asked: list[UUID] = []

    async def ask(number: int) -> None:
        body = {
            "for_whom": "person",
            "person": {"client_code": f"k-{number}", "area": "UA80"},
            "needs": [{"kind": "food_parcel", "place_area": "UA80", "site_id": str(site)}],
        }
        done = await stubbornly(staff, "caseworker", "intake", "/requests", body)
        assert isinstance(done, dict)
        asked.append(UUID(done["needs"][0]["need_id"]))

    async def load() -> None:
        limit = asyncio.Semaphore(4)

        async def one(number: int) -> None:
            async with limit:
                await ask(number)

        await asyncio.gather(*(one(number) for number in range(NEEDS)))

    loading = asyncio.create_task(load())
    for victim in ("host", "nats", "postgres", "host"):
        seen = len(asked)

        async def went_on(seen: int = seen) -> bool:
            return loading.done() or len(asked) >= seen + NEEDS // 8

        await eventually(went_on, 60)
        pid = await eventually(lambda victim=victim: processes_of(own).get(victim), 30)
        assert isinstance(pid, int)
        os.kill(pid, signal.SIGKILL)
    await loading
    await staff.receive(site, "food_parcel", NEEDS // 4)

    async def settled() -> bool:
        counts = await staff.get("lead", "intake", "/needs-by-state")
        assert counts.get("ready") == NEEDS // 2 + NEEDS // 4, counts
        assert counts.get("waitlisted") == NEEDS // 4, counts
        return True

    await eventually(settled, 90)
    assert len(set(asked)) == NEEDS
    result = await asyncio.to_thread(own.aidmesh, "verify")
    assert result.returncode == 0, result.stdout
    await staff.close()
