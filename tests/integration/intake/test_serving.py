"""The form for services and confirmed starts: rows count once, the good ones stay."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from aidmesh_chassis.auth import Role
from aidmesh_contracts.days import day_of
from aidmesh_contracts.intake import NeedFulfilledV1
from aidmesh_intake.handlers import acting
from integration.intake.world import World, confirmed, held, issued, only
from support.waiting import eventually


def row(need_id: UUID, row_id: str, served_on: str | None = "2024-05-10") -> dict[str, Any]:
    """One row of the form."""
    return {"row_id": row_id, "need_id": str(need_id), "served_on": served_on}


async def serve(world: World, *rows: dict[str, Any]) -> list[tuple[str, str | None, str | None]]:
    """Send rows; of each its status, problem and rule."""
    answer = await world.post("/v1/needs:serve", {"source": "week-1", "rows": list(rows)})
    assert [each["row"] for each in answer["rows"]] == list(range(len(rows)))
    return [(each["status"], each["problem"], each["rule"]) for each in answer["rows"]]


async def attended(world: World) -> UUID:
    """A need of PrEP whose appointment was kept."""
    need_id = await world.request("prep_navigation")
    kept = issued(need_id).model_copy(
        update={"how": "attendance", "quantity": 30, "unit": "minute"}
    )
    await world.feed(held(need_id), confirmed(need_id), kept)
    await world.published()
    return need_id


async def test_good_rows_stay_and_each_bad_one_says_why(world: World) -> None:
    started = await attended(world)
    navigated = await world.request("pep_navigation")
    parcel = await world.request("food_parcel")
    await world.feed(held(parcel), confirmed(parcel))
    to_come = await world.request("prep_navigation")
    tomorrow = day_of(datetime.now(UTC)) + timedelta(days=1)
    await world.published()
    found = await serve(
        world,
        row(started, "1"),
        row(navigated, "2", None),
        row(parcel, "3"),
        row(to_come, "4"),
        row(uuid4(), "5"),
        row(navigated, "6", tomorrow.isoformat()),
        row(started, "7", "2024-05-11"),
    )
    assert found == [
        ("done", None, None),
        ("done", None, None),
        ("rejected", "step-not-allowed", "handed_over_elsewhere"),
        ("rejected", "step-not-allowed", "not_ready"),
        ("rejected", "not-found", None),
        ("rejected", "invalid-request", "in_the_future"),
        ("rejected", "step-not-allowed", "not_ready"),
    ]
    services = only(await world.published(), NeedFulfilledV1)
    assert {each.need_id for each in services} == {started, navigated}
    assert [each.served_on.isoformat() for each in services if each.need_id == started] == [
        "2024-05-10"
    ]


async def test_the_same_row_counts_once_and_a_rejected_one_may_come_again(world: World) -> None:
    need_id = await world.request("prep_navigation")
    both = await serve(world, row(need_id, "1"), row(need_id, "1"))
    assert both == [("rejected", "step-not-allowed", "not_ready")] * 2
    kept = issued(need_id).model_copy(
        update={"how": "attendance", "quantity": 30, "unit": "minute"}
    )
    await world.feed(held(need_id), confirmed(need_id), kept)
    assert (await serve(world, row(need_id, "1"), row(need_id, "1"))) == [
        ("done", None, None),
        ("skipped", None, "taken_before"),
    ]
    assert (await serve(world, row(need_id, "1"))) == [("skipped", None, "taken_before")]
    assert (await serve(world, row(need_id, "1", "2024-05-11"))) == [
        ("rejected", "row-changed", "row_changed")
    ]
    # Taken back by a lead, it is not served again by the same row that comes once more.
    await world.post(f"/v1/needs/{need_id}:reverse", {"reason": "mistake"}, Role.LEAD)
    assert (await serve(world, row(need_id, "1")))[0][0] == "skipped"
    assert await world.state(need_id) == "ready"
    assert len(only(await world.published(from_start=True), NeedFulfilledV1)) == 1


async def test_two_senders_of_the_same_rows_serve_each_need_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs = [await attended(world) for _ in range(3)]
    rows = [row(need_id, str(number)) for number, need_id in enumerate(needs)]
    reached, opened = asyncio.Event(), asyncio.Event()
    real = acting.act

    async def slowly(*args: Any, **kwargs: Any) -> Any:
        reached.set()
        await asyncio.wait_for(opened.wait(), 30)
        return await real(*args, **kwargs)

    async def somebody_waits() -> bool:
        async with world.db.read() as conn:
            return bool(
                await conn.fetchval(
                    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
                    " AND database = (SELECT oid FROM pg_database"
                    " WHERE datname = current_database())"
                )
            )

    monkeypatch.setattr(acting, "act", slowly)
    async with asyncio.TaskGroup() as group:
        one = group.create_task(serve(world, *rows))
        await asyncio.wait_for(reached.wait(), 30)
        other = group.create_task(serve(world, *rows))
        await eventually(somebody_waits)
        opened.set()
    assert {status for status, _, _ in one.result()} == {"done"}
    assert {status for status, _, _ in other.result()} == {"skipped"}
    assert len(only(await world.published(), NeedFulfilledV1)) == len(needs)


async def test_the_answer_comes_again_under_its_key(world: World) -> None:
    need_id = await attended(world)
    body = {"rows": [row(need_id, "1")]}
    key = str(uuid4())
    first = await world.post("/v1/needs:serve", body, key=key)
    assert await world.post("/v1/needs:serve", body, key=key) == first
    assert first["rows"][0]["id"] == str(need_id)
