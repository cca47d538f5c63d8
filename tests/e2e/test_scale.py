"""Three copies of each service on a cluster of three NATS servers share the work, die and lose
nothing; and a region of that size is restored with what its own log tells."""

import asyncio
import json
import os
import re
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import count, cycle
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import psutil
import pytest

from aidmesh.credentials import seed_file
from aidmesh.topology.api import JetStreamApi, section
from aidmesh.topology.connections import connect_as
from aidmesh.topology.rights import READER
from e2e.test_restore import back_up, restore
from support.running import RunningMesh, Staff
from support.waiting import eventually

COPIES = 3
AT_ONCE = 6
PARCELS, PARCELS_MORE = 60, 30
BETWEEN_KILLS = 15
NEEDS_MAX = 5000
HANDLED = re.compile(r"^aidmesh_inbox_events_handled_total\{.*\} ([0-9.e+]+)$", re.MULTILINE)


@pytest.fixture
async def tripled(tmp_path: Path) -> AsyncIterator[RunningMesh]:
    """One region, everything in it three times but PostgreSQL."""
    running = RunningMesh(tmp_path / "m", "kyiv", "--nodes", "3", "--replicas", str(COPIES))
    await asyncio.to_thread(running.start)
    yield running
    await asyncio.to_thread(running.stop)


async def stubbornly(
    copies: Sequence[Staff], role: str, service: str, path: str, body: object
) -> dict[str, object]:
    """Post with one key, to one copy after the other, until one accepts it."""
    key, turns = str(uuid4()), cycle(copies)

    async def accepted() -> object:
        try:
            return await next(turns).post(role, service, path, body, key=key)
        except httpx.HTTPError as error:
            raise AssertionError(type(error).__name__) from None

    done = await eventually(accepted, 90)
    assert isinstance(done, dict)
    return done


async def handled(staff: Staff, service: str) -> float:
    """Events that one copy has handled."""
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        text = (await client.get(f"{staff.url(service)}/metrics")).text
    return sum(float(number) for number in HANDLED.findall(text))


async def leader_of(mesh: RunningMesh, stream: str) -> str:
    """Which server leads a stream."""
    entry = mesh.file.regions["kyiv"]
    client = await connect_as(entry.nats.url, seed_file(entry.keys, READER))
    try:
        info = await JetStreamApi(client).stream_info(stream) or {}
    finally:
        await client.close()
    return str(section(info, "cluster")["leader"])


async def more_than(asked: Sequence[UUID], number: int) -> None:
    """Wait until so many have their answer."""

    async def there() -> bool:
        assert len(asked) > number, f"{len(asked)} have an answer"
        return True

    await eventually(there, 90)


def server_process(mesh: RunningMesh, name: str) -> int | None:
    """The process of a NATS server by its name."""
    folder = mesh.data / "kyiv" / ("nats" if name == "kyiv-1" else f"nats-{name[-1]}")
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if str(folder / "nats.conf") in line and "keeper.py" not in " ".join(line):
            return process.pid
    return None


def copy_process(mesh: RunningMesh, number: int) -> int | None:
    """The process that runs one copy of every service."""
    port = mesh.file.regions["kyiv"].services["intake"].urls[number - 1].rpartition(":")[2]
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or [])
        if "aidmesh.host" not in line or "keeper.py" in line:
            continue
        try:
            if process.environ().get("AIDMESH_INTAKE_HTTP_PORT") == port:
                return process.pid
        except psutil.Error:
            continue
    return None


async def test_what_is_killed_among_copies_loses_and_doubles_nothing(
    tripled: RunningMesh, tmp_path: Path
) -> None:
    copies = [tripled.staff("kyiv", copy) for copy in range(COPIES)]
    staff = copies[0]
    site = await staff.site("center", area="UA80")
    await staff.item("food_parcel")
    await staff.receive(site, "food_parcel", PARCELS)
    backup = await back_up(tripled, tmp_path)
    before = [await handled(copy, "inventory") for copy in copies]
    asked: list[UUID] = []
    asking: set[int] = set()
    numbers = count()
    over = asyncio.Event()

    async def ask() -> None:
        """One person after the other, until all victims are dead."""
        while not over.is_set():
            number = next(numbers)
            assert number < NEEDS_MAX
            body = {
                "for_whom": "person",
                "person": {"client_code": f"k-{number}", "area": "UA80"},
                "needs": [{"kind": "food_parcel", "place_area": "UA80", "site_id": str(site)}],
            }
            turns = [*copies[number % COPIES :], *copies[: number % COPIES]]
            asking.add(number)
            done = await stubbornly(turns, "caseworker", "intake", "/requests", body)
            asking.remove(number)
            needs = done["needs"]
            assert isinstance(needs, list)
            asked.append(UUID(needs[0]["need_id"]))

    async def each_takes_part() -> bool:
        counts = [await handled(copy, "inventory") for copy in copies]
        assert all(now > then for now, then in zip(counts, before, strict=True)), counts
        return True

    async with asyncio.TaskGroup() as work:
        load = [work.create_task(ask()) for _ in range(AT_ONCE)]
        await eventually(each_takes_part, 60)
        leader = await leader_of(tripled, "LOCAL")
        victims: list[Callable[[], int | None]] = [
            lambda: copy_process(tripled, 2),
            lambda: server_process(tripled, leader),
            lambda: copy_process(tripled, 1),
        ]
        for victim in victims:
            await more_than(asked, len(asked) + BETWEEN_KILLS)
            pid = victim()
            assert pid is not None
            # Under load: every one who asks waits for an answer.
            assert not any(each.done() for each in load)
            assert len(asking) == AT_ONCE
            os.kill(pid, signal.SIGKILL)
        await more_than(asked, max(len(asked), PARCELS + PARCELS_MORE) + BETWEEN_KILLS)
        over.set()
    assert len(set(asked)) == len(asked) == next(numbers)
    lines = [{"item": "food_parcel", "quantity": PARCELS_MORE}]
    body = {"site_id": str(site), "lines": lines}
    await stubbornly(copies, "logistician", "inventory", "/receipts", body)

    async def settled() -> bool:
        try:
            counts = await staff.get("lead", "intake", "/needs-by-state")
        except httpx.HTTPError as error:
            raise AssertionError(type(error).__name__) from None
        assert counts.get("ready") == PARCELS + PARCELS_MORE, counts
        assert counts.get("waitlisted") == len(asked) - PARCELS - PARCELS_MORE, counts
        return True

    await eventually(settled, 120)
    for each in copies:
        await each.close()
    assert await eventually(lambda: server_process(tripled, leader), 60)
    result = await asyncio.to_thread(tripled.aidmesh, "verify")
    assert result.returncode == 0, result.stdout
    await what_hangs_is_named(tripled, leader)
    await asyncio.to_thread(tripled.stop)
    await is_restored(tripled, tmp_path, backup)


async def what_hangs_is_named(mesh: RunningMesh, server: str) -> None:
    """A copy, and a server of the cluster, that stand still are seen among those that work."""
    stopped = [copy_process(mesh, COPIES), server_process(mesh, server)]
    assert None not in stopped
    try:
        for pid in stopped:
            os.kill(pid or 0, signal.SIGSTOP)
        status, doctor = await asyncio.gather(
            *(asyncio.to_thread(mesh.aidmesh, name, "--json") for name in ("status", "doctor"))
        )
    finally:
        for pid in stopped:
            os.kill(pid or 0, signal.SIGCONT)
    assert status.returncode == doctor.returncode == 1
    number = server.partition("-")[2]
    assert f"kyiv: NATS server {number} of 3 is away" in status.stdout
    assert f"kyiv: intake (copy {COPIES} of {COPIES}) is away" in status.stdout
    (intake,) = [
        each
        for each in json.loads(status.stdout)["regions"][0]["services"]
        if each["service"] == "intake"
    ]
    # Others may be connected to the server that hangs, and are not ready before they have left it.
    assert [each["state"] == "away" for each in intake["copies"]] == [False, False, True]
    found = {each["where"]: each["what"] for each in json.loads(doctor.stdout)}
    assert found[f"kyiv intake (copy {COPIES} of {COPIES})"].startswith("does not answer")


async def is_restored(mesh: RunningMesh, folder: Path, backup: Path) -> None:
    """Its disks are there: the servers' own log tells what was done after the backup."""
    told = await restore(mesh, folder, backup)
    assert told["told_by"]["own log"] > 0
    assert sorted(Path(each).parent.name for each in told["aside"]) == [
        "kyiv", "nats", "nats-2", "nats-3",
    ]  # fmt: skip
    small = RunningMesh(folder / "m", "kyiv", "--replicas", "1")
    try:
        await asyncio.to_thread(small.start)
        settled = await asyncio.to_thread(small.aidmesh, "verify", "--wait", "90")
        assert settled.returncode == 0, settled.stdout + settled.stderr
        checked = await asyncio.to_thread(small.aidmesh, "topology", "check")
        assert checked.returncode == 0, checked.stdout
    finally:
        await asyncio.to_thread(small.stop)
