"""A file that is cut off, sent again or sent by two at once is taken in once, and goes on."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aidmesh_chassis.auth import Role
from aidmesh_contracts.days import day_of
from aidmesh_contracts.intake import NeedApprovedV1
from aidmesh_intake.handlers import importing, registering
from integration.intake.files import HEAD, jobs, line, post, send
from integration.intake.world import World, only


async def test_an_import_goes_on_where_it_was_cut_off(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "CHUNK_ROWS", 3)
    file = "\n".join([HEAD, *(line(n) for n in range(10))])
    real = registering.register_fitting
    calls = 0

    async def breaking(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise ConnectionResetError("the power went")
        return await real(*args)

    monkeypatch.setattr(importing, "register_fitting", breaking)
    with pytest.raises(AssertionError):
        await send(world, file)
    assert len(only(await world.published(), NeedApprovedV1)) == 6
    done = await send(world, file)
    assert (done["state"], done["accepted"], done["skipped"]) == ("done", 10, 0)
    assert len(only(await world.published(), NeedApprovedV1)) == 4


async def test_what_was_rejected_is_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "CHUNK_ROWS", 2)
    tomorrow = day_of(datetime.now(UTC)) + timedelta(days=1)
    early = line(3).replace("2024-02-03", tomorrow.isoformat())
    bad = line(4, quantity="0")
    file = "\n".join([HEAD, line(1), line(2, kind="firewood"), early, bad, line(5)])
    done = await send(world, file)
    assert (done["accepted"], done["skipped"], done["rejected"]) == (2, 0, 3)
    assert {"line": 3, "column": "kind", "rule": "unknown"} in done["problems"]

    kind = await world.get("/v1/kinds/food_parcel")
    answer = await world.client.put(
        "/v1/kinds/firewood",
        json=kind | {"code": "firewood", "version": 1},
        headers=world.headers(Role.LEAD),
    )
    assert answer.status_code == 200, answer.text
    tried = await send(world, file, dry_run="true")
    again = await send(world, file)
    for each in (tried, again):
        assert (each["accepted"], each["skipped"], each["rejected"]) == (1, 2, 2)
    assert again["import_id"] == done["import_id"]
    assert again["by_state"] == {"approved": 1}
    # Its day comes.
    monkeypatch.setattr(importing, "day_of", lambda _: tomorrow)
    late = await send(world, file)
    assert (late["accepted"], late["skipped"], late["rejected"]) == (1, 3, 1)
    assert [each["rule"] for each in late["problems"]] == ["too_small"]
    assert (await send(world, file))["skipped"] == 4
    assert len(only(await world.published(), NeedApprovedV1)) == 4
    assert await jobs(world) == 1


async def test_a_file_that_is_sent_again_may_be_cut_off(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "CHUNK_ROWS", 2)
    file = "\n".join([HEAD, *(line(n, kind="firewood") for n in range(6))])
    done = await send(world, file)
    assert (done["accepted"], done["rejected"]) == (0, 6)
    kind = await world.get("/v1/kinds/food_parcel")
    await world.client.put(
        "/v1/kinds/firewood",
        json=kind | {"code": "firewood", "version": 1},
        headers=world.headers(Role.LEAD),
    )
    real, calls = registering.register_fitting, 0

    async def breaking(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls in (1, 3):
            raise ConnectionResetError("the power went")
        return await real(*args)

    monkeypatch.setattr(importing, "register_fitting", breaking)
    with pytest.raises(AssertionError):
        await send(world, file)
    # Before its first rows it is as done as it was.
    job = await world.get(f"/v1/imports/{done['import_id']}")
    assert (job["state"], job["accepted"], job["rejected"]) == ("done", 0, 6)
    with pytest.raises(AssertionError):
        await send(world, file)
    job = await world.get(f"/v1/imports/{done['import_id']}")
    assert (job["state"], job["accepted"], job["rejected"]) == ("running", 2, 0)
    ended = await send(world, file)
    assert (ended["state"], ended["accepted"], ended["skipped"]) == ("done", 6, 0)
    assert len(only(await world.published(), NeedApprovedV1)) == 6


class Gate:
    """Stops an import in its first chunk, or after it (`_keep`), until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, where: str = "register_fitting") -> None:
        self.reached, self.opened = asyncio.Event(), asyncio.Event()
        self._real = getattr(importing, where)
        monkeypatch.setattr(importing, where, self._wait)

    async def _wait(self, *args: Any) -> Any:
        self.reached.set()
        await asyncio.wait_for(self.opened.wait(), 30)
        return await self._real(*args)


KEY = "0123456789abcdef"


@pytest.mark.parametrize("dry_run", ["true", "false"])
async def test_the_same_request_is_not_begun_while_it_runs(
    world: World, monkeypatch: pytest.MonkeyPatch, dry_run: str
) -> None:
    file, other = "\n".join([HEAD, line(1), line(2)]), "\n".join([HEAD, line(3)])
    gate = Gate(monkeypatch)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(post(world, file, KEY, dry_run=dry_run))
        await asyncio.wait_for(gate.reached.wait(), 30)
        for meanwhile in (file, other):
            refused = await post(world, meanwhile, KEY, dry_run=dry_run)
            assert refused.status_code == 409, refused.text
            assert refused.json()["type"].endswith(":in-progress")
            assert int(refused.headers["Retry-After"]) > 0
        gate.opened.set()
    again = await post(world, file, KEY, dry_run=dry_run)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json() == first.result().json()
    assert (await post(world, other, KEY, dry_run=dry_run)).status_code == 422
    assert await jobs(world) == (dry_run == "false")
    taken = 2 if dry_run == "false" else 0
    assert len(only(await world.published(), NeedApprovedV1)) == taken


@pytest.mark.parametrize("where", ["register_fitting", "_keep"])
async def test_a_file_is_taken_in_by_one_at_a_time(
    world: World, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr(importing, "CHUNK_ROWS", 1)
    file = "\n".join([HEAD, line(1), line(2)])
    gate = Gate(monkeypatch, where)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(post(world, file))
        await asyncio.wait_for(gate.reached.wait(), 30)
        assert (await post(world, file, KEY)).status_code == 409  # under another key too
        gate.opened.set()
    again = (await post(world, file, KEY)).json()
    assert again["import_id"] == first.result().json()["import_id"]
    assert (again["accepted"], again["skipped"]) == (0, 2)
    assert first.result().json()["by_state"] == {"approved": 2}
    assert await jobs(world) == 1
    assert len(only(await world.published(), NeedApprovedV1)) == 2


async def test_two_who_send_a_file_again_double_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "CHUNK_ROWS", 2)
    file = "\n".join([HEAD, *(line(n) for n in range(5))])
    await send(world, file)
    for _ in range(2):
        answers = await asyncio.gather(*(post(world, file) for _ in range(6)))
        read = [answer.json() for answer in answers if answer.status_code == 200]
        assert read
        assert {answer.status_code for answer in answers} <= {200, 409}
        for each in read:
            assert (each["accepted"], each["skipped"], each["rejected"]) == (0, 5, 0)
    assert len(only(await world.published(), NeedApprovedV1)) == 5


async def test_many_equal_requests_at_once_make_one_import(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "CHUNK_ROWS", 2)
    file = "\n".join([HEAD, *(line(n) for n in range(9))])
    answers = await asyncio.gather(*(post(world, file, KEY) for _ in range(8)))
    done = [answer.json() for answer in answers if answer.status_code == 200]
    assert done
    assert all(answer == done[0] for answer in done)
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert (done[0]["accepted"], done[0]["by_state"]) == (9, {"approved": 9})
    assert await jobs(world) == 1
    assert len(only(await world.published(), NeedApprovedV1)) == 9
