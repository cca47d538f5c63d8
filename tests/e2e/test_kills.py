"""Whatever is killed, whenever: what was accepted is there, once, and everything promised holds."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import psutil
import pytest

from aidmesh.meshfile import SERVICES
from aidmesh_chassis.auth import Role
from support.running import RunningMesh, Staff
from support.waiting import eventually

NEEDS = 120


IMPORT_ROWS, PARCELS = 8_000, 800
"""Enough rows to be killed twice in their midst; what of them a rule approves goes all the way."""


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[RunningMesh]:
    """A mesh that is killed piece by piece, so nobody else's."""
    async for mesh in _mesh(tmp_path):
        yield mesh


@pytest.fixture
async def apart(tmp_path: Path) -> AsyncIterator[RunningMesh]:
    """The same with each service in a process of its own."""
    async for mesh in _mesh(tmp_path, "--apart"):
        yield mesh


async def _mesh(folder: Path, *options: str) -> AsyncIterator[RunningMesh]:
    mesh = RunningMesh(folder / "m", "kyiv", *options)
    await asyncio.to_thread(mesh.start)
    yield mesh
    await asyncio.to_thread(mesh.stop)


def processes_of(mesh: RunningMesh) -> dict[str, int]:
    """The region's processes by what they are: postgres, nats, host; or each service's name."""
    found: dict[str, int] = {}
    postmaster = _postmaster(mesh)
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        text = " ".join(line)
        if "keeper.py" in text:
            continue
        if "aidmesh.host" in text and str(mesh.data.parent) in _environment(process):
            services = line[line.index("aidmesh.host") + 1 :]
            found[services[0] if len(services) == 1 else "host"] = process.pid
        elif str(mesh.data) in text and "nats-server" in line[0]:
            found["nats"] = process.pid
        elif process.pid == postmaster:
            found["postgres"] = process.pid
    return found


def _environment(process: psutil.Process) -> str:
    try:
        return " ".join(process.environ().values())
    except psutil.Error:
        return ""


def _postmaster(mesh: RunningMesh) -> int | None:
    try:
        lines = (mesh.data / "kyiv" / "postgres" / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return None
    return int(lines[0]) if lines else None


async def stubbornly(staff: Staff, role: str, service: str, path: str, body: object) -> object:
    """Post with one key until it is accepted, as a good client does."""
    key = str(uuid4())

    async def accepted() -> object:
        try:
            return await staff.post(role, service, path, body, key=key)
        except httpx.HTTPError as error:
            raise AssertionError(type(error).__name__) from None

    return await eventually(accepted, 60)


async def _kill(mesh: RunningMesh, victim: str) -> None:
    pid = await eventually(lambda: processes_of(mesh).get(victim), 60)
    assert isinstance(pid, int)
    os.kill(pid, signal.SIGKILL)


async def _killed_under_load(mesh: RunningMesh, victims: Sequence[str]) -> None:
    """Ask for parcels while one part after another is killed; then count."""
    staff = mesh.staff("kyiv")
    site = await staff.site("center", area="UA80")
    await staff.item("food_parcel")
    await staff.receive(site, "food_parcel", NEEDS // 2)
    asked: list[UUID] = []
    limit = asyncio.Semaphore(4)

    async def ask(number: int) -> None:
        body = {
            "for_whom": "person",
            "person": {"client_code": f"k-{number}", "area": "UA80"},
            "needs": [{"kind": "food_parcel", "place_area": "UA80", "site_id": str(site)}],
        }
        async with limit:
            done = await stubbornly(staff, "caseworker", "intake", "/requests", body)
        assert isinstance(done, dict)
        asked.append(UUID(done["needs"][0]["need_id"]))

    loading = asyncio.gather(*(ask(number) for number in range(NEEDS)))
    for victim in victims:
        seen = len(asked)

        async def went_on(seen: int = seen) -> bool:
            return loading.done() or len(asked) >= seen + NEEDS // (2 * len(victims))

        await eventually(went_on, 60)
        await _kill(mesh, victim)
    await loading
    body = {
        "site_id": str(site),
        "lines": [{"item": "food_parcel", "quantity": NEEDS // 4}],
    }
    await stubbornly(staff, "logistician", "inventory", "/receipts", body)

    async def settled() -> bool:
        counts = await staff.get("lead", "intake", "/needs-by-state")
        assert counts.get("ready") == NEEDS // 2 + NEEDS // 4, counts
        assert counts.get("waitlisted") == NEEDS // 4, counts
        return True

    await eventually(settled, 90)
    assert len(set(asked)) == NEEDS
    await staff.close()
    await _verified(mesh)


async def _verified(mesh: RunningMesh) -> None:
    result = await asyncio.to_thread(mesh.aidmesh, "verify")
    assert result.returncode == 0, result.stdout


async def test_killing_everything_in_turn_loses_and_doubles_nothing(own: RunningMesh) -> None:
    await _killed_under_load(own, ("host", "nats", "postgres", "host"))


async def test_killing_one_service_among_others_loses_and_doubles_nothing(
    apart: RunningMesh,
) -> None:
    assert set(processes_of(apart)) == {*SERVICES, "nats", "postgres"}
    await _killed_under_load(apart, SERVICES)


async def test_an_import_that_was_killed_goes_on_when_the_file_is_sent_again(
    own: RunningMesh,
) -> None:
    staff = own.staff("kyiv")
    site = await staff.site("center", area="UA80")
    await staff.item("food_parcel")
    await staff.receive(site, "food_parcel", PARCELS // 2)
    kinds = ["medicine"] * IMPORT_ROWS
    kinds[:: IMPORT_ROWS // PARCELS] = ["food_parcel"] * PARCELS
    rows = "\n".join(
        ["row_id,client_code,kind,area", *(f"{n},i-{n},{kind},UA80"
                                           for n, kind in enumerate(kinds))]
    )  # fmt: skip
    reports: list[dict[str, Any]] = []

    async def send() -> bool:
        async with httpx.AsyncClient(timeout=120, trust_env=False) as client:
            answer = await client.post(
                f"{staff.url('intake')}/v1/requests:import",
                params={"source": "killed", "format": "csv"},
                content=rows,
                headers={
                    "Authorization": f"Bearer {staff.tokens[Role.CASEWORKER]}",
                    "Content-Type": "text/csv",
                },
            )
        if answer.is_success:
            reports.append(answer.json())
        return answer.is_success

    async def entered() -> int:
        try:
            counts = await staff.get("lead", "intake", "/needs-by-state")
        except httpx.HTTPError as error:
            raise AssertionError(type(error).__name__) from None
        return sum(counts.values())

    for _ in range(2):
        host = await eventually(lambda: processes_of(own).get("host"), 60)
        assert isinstance(host, int)
        before = await entered()
        sending = asyncio.create_task(send())

        async def some_came(before: int = before, sending: asyncio.Task[bool] = sending) -> bool:
            return sending.done() or await entered() > before

        await eventually(some_came, 60)
        assert not sending.done(), "the import was over before it could be killed"
        os.kill(host, signal.SIGKILL)
        with pytest.raises(httpx.HTTPError):
            await sending
        await eventually(entered, 60)
    assert 0 < await entered() < IMPORT_ROWS
    assert await eventually(send, 120)
    assert await send()
    assert [(each["state"], each["rejected"]) for each in reports] == [("done", 0)] * 2
    assert await entered() == IMPORT_ROWS

    async def settled() -> bool:
        counts = await staff.get("lead", "intake", "/needs-by-state")
        assert counts == {
            "ready": PARCELS // 2,
            "waitlisted": PARCELS // 2,
            "requested": IMPORT_ROWS - PARCELS,
        }, counts
        return True

    await eventually(settled, 90)
    await staff.close()
    await _verified(own)
