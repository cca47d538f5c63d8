"""Two services for one need: a person looks at them and answers for how it ended."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from aidmesh_chassis.auth import Role
from integration.intake.world import World, held, issued


async def twice(world: World) -> UUID:
    """A need of which two attempts were handed over."""
    need_id = await world.request("food_parcel")
    async with world.db.transaction() as tx:
        await tx.conn.execute(
            "UPDATE need SET deadline_at = $2 WHERE id = $1",
            need_id,
            datetime.now(UTC) - timedelta(minutes=1),
        )
    assert await world.sweep("overdue_attempts") == 1
    await world.feed(held(need_id, 2), issued(need_id, 2))
    await world.feed(issued(need_id, 1))
    return need_id


async def conflicts(world: World) -> list[str]:
    return [row["need_id"] for row in (await world.get("/v1/needs", attention=True))["needs"]]


@pytest.mark.parametrize("reason", ["given_twice", "taken_back"])
async def test_a_conflict_is_settled_by_a_person(world: World, reason: str) -> None:
    need_id = await twice(world)
    path = f"/v1/needs/{need_id}:settle"
    assert await conflicts(world) == [str(need_id)]
    await world.post(path, {"reason": "never_mind"}, status=422)
    await world.post(path, {"reason": reason}, Role.LOGISTICIAN, status=403)
    before = await world.need(need_id)

    await world.post(path, {"reason": reason}, key="k" * 16)
    await world.post(path, {"reason": reason}, key="k" * 16)
    again = await world.post(path, {"reason": reason}, status=409)
    assert again["rule"] == "nothing_to_settle"

    after = await world.need(need_id)
    assert (after["state"], after["service_no"]) == (before["state"], before["service_no"])
    assert after["attention"] is None
    last = after["timeline"][-1]
    assert (last["note"], last["staff_id"]) == (f"settled_{reason}", str(world.staff_id))
    assert await conflicts(world) == []
    async with world.db.read() as conn:
        settled = await conn.fetchval("SELECT settled FROM need WHERE id = $1", need_id)
    assert settled == reason


async def test_the_next_conflict_is_open_again(world: World) -> None:
    need_id = await twice(world)
    await world.post(f"/v1/needs/{need_id}:settle", {"reason": "taken_back"})
    await world.feed(issued(need_id, 1, issue_no=2))
    assert await conflicts(world) == [str(need_id)]
    async with world.db.read() as conn:
        assert await conn.fetchval("SELECT settled FROM need WHERE id = $1", need_id) is None
