"""A limit or a duplicate is overridden by somebody else, or a lead, and why stays readable."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from aidmesh_chassis.auth import Role
from aidmesh_contracts.intake import NeedApprovedV1
from integration.intake.world import World, only, refused

WHY = {"override_reason": "larger_household"}


async def hindered(world: World) -> UUID:
    """A second parcel of the same person, which the limit holds back."""
    code = f"c-{uuid4()}"
    await world.request("food_parcel", code)
    second = await world.request("food_parcel", code)
    assert (await world.need(second))["reason"] == "limit"
    return second


async def overrides(world: World, need_id: UUID) -> list[tuple[Any, ...]]:
    """What of a need's timeline says that something was overridden."""
    return [
        (each["overrode"], each["override_reason"], each["staff_id"], each["state"])
        for each in (await world.need(need_id))["timeline"]
        if each["overrode"] is not None
    ]


async def many(world: World, needs: list[UUID], *roles: Role, by: UUID | None = None) -> list[Any]:
    """Approve needs by the bulk form, with a reason; its rows."""
    body = {"rows": [{"need_id": str(each)} for each in needs]} | WHY
    rows: list[Any] = (await world.post("/v1/needs:approve", body, *roles, by=by))["rows"]
    return rows


async def test_why_a_limit_was_overridden_can_be_read_back(world: World) -> None:
    need_id, colleague = await hindered(world), uuid4()
    await world.post(f"/v1/needs/{need_id}:approve", WHY, by=colleague)
    assert await overrides(world, need_id) == [
        ("limit", "larger_household", str(colleague), "approved")
    ]


async def test_who_entered_a_request_does_not_override_alone(world: World) -> None:
    need_id = await hindered(world)
    problem = await world.post(f"/v1/needs/{need_id}:approve", WHY, status=409)
    assert problem["type"] == "urn:aidmesh:problem:second-person-needed"
    assert "colleague or a lead" in problem["detail"]
    assert problem["rule"] == "limit"
    assert await world.state(need_id) == "requested"
    (row,) = await many(world, [need_id])
    assert (row["status"], row["problem"], row["state"]) == (
        "rejected", "second-person-needed", "requested",
    )  # fmt: skip
    assert await overrides(world, need_id) == []


@pytest.mark.parametrize("bulk", [False, True])
async def test_a_lead_overrides_also_what_they_entered(world: World, bulk: bool) -> None:
    need_id = await hindered(world)
    if bulk:
        assert [row["status"] for row in await many(world, [need_id], Role.LEAD)] == ["done"]
    else:
        await world.post(f"/v1/needs/{need_id}:approve", WHY, Role.LEAD)
    assert await overrides(world, need_id) == [
        ("limit", "larger_household", str(world.staff_id), "approved")
    ]


async def test_of_many_only_what_was_held_back_is_marked(world: World) -> None:
    colleague = uuid4()
    held_back, plain = await hindered(world), await world.request("food_parcel", quantity=1)
    kept = await world.request("rent_support")
    rows = await many(world, [held_back, plain, kept], by=colleague)
    assert [row["status"] for row in rows] == ["done", "skipped", "done"]
    assert len(await overrides(world, held_back)) == 1
    assert await overrides(world, plain) == []
    assert await overrides(world, kept) == []


async def test_what_nothing_speaks_against_needs_nobody_else(world: World) -> None:
    need_id = await world.request("rent_support")
    assert await world.state(need_id) == "requested"
    await world.post(f"/v1/needs/{need_id}:approve", WHY)
    assert await overrides(world, need_id) == []


async def test_an_overridden_need_that_queues_says_so_too(world: World) -> None:
    await world.request("food_parcel")
    (approved,) = only(await world.published(), NeedApprovedV1)
    await world.feed(refused(approved))
    need_id = await hindered(world)
    await world.post(f"/v1/needs/{need_id}:approve", WHY, by=uuid4())
    ((overrode, why, _, state),) = await overrides(world, need_id)
    assert (overrode, why, state) == ("limit", "larger_household", "waitlisted")


async def test_the_same_request_twice_stays_so_on_the_next_day(world: World) -> None:
    code = f"c-{uuid4()}"
    await world.request("counseling", code)
    second = await world.request("counseling", code)
    assert (await world.need(second))["reason"] == "duplicate"
    async with world.db.begin() as conn:
        await conn.execute("UPDATE need SET planned_on = planned_on - 1, asked_on = asked_on - 1")
    assert (await world.need(second))["objection"]["what"] == "duplicate"
    problem = await world.post(f"/v1/needs/{second}:approve", by=uuid4(), status=409)
    assert problem["rule"] == "duplicate"
