"""Answers and notes of a request are read by whoever may, with a trace, and leak nowhere."""

from typing import Any
from uuid import UUID

import pytest
import structlog
from structlog.testing import capture_logs

from aidmesh_chassis.auth import Role
from integration.intake.test_privacy import everything
from integration.intake.world import World

ANSWERS = {"violence_at_home": True, "with_children": True, "over_60": False}
SAID = {"note": "CanaryStory", "answers": ANSWERS}
NEED = {"kind": "hygiene_kit", "place_area": "UA80"}


async def ask(world: World, **who: object) -> dict[str, Any]:
    """A request of which something is said."""
    body = {"needs": [NEED]} | SAID | who
    made: dict[str, Any] = await world.post("/v1/requests", body, status=201)
    return made


async def of_person(world: World) -> dict[str, Any]:
    """For somebody new."""
    return await ask(world, person={"client_code": "CanaryCode", "area": "UA80"})


async def test_points_are_explained_and_the_note_is_kept(world: World) -> None:
    made = await of_person(world)
    shown = await world.get(f"/v1/requests/{made['request_id']}")
    assert shown["reasons"] == "shown"
    assert shown["answers"] == [
        {"answer": "violence_at_home", "yes": True, "points": 50},
        {"answer": "with_children", "yes": True, "points": 25},
        {"answer": "over_60", "yes": False, "points": 0},
    ]
    assert (shown["answer_points"], shown["note"]) == (75, "CanaryStory")
    (need,) = shown["needs"]
    assert need["need_id"] == made["needs"][0]["need_id"]
    assert need["points"] == need["kind_points"] + 75
    async with world.db.read() as conn:
        assert await conn.fetchval("SELECT priority FROM need") == need["points"]
    assert need["rule_version"] == 1


async def test_every_reading_leaves_a_trace(world: World) -> None:
    made = await of_person(world)
    path = f"/v1/requests/{made['request_id']}"
    for role in (Role.LOGISTICIAN, Role.FINANCE, Role.ONCALL):
        await world.get(path, role, status=403)
    await world.get(f"{path}/access", status=403)
    assert (await world.get(f"{path}/access", Role.LEAD))["entries"] == []
    await world.get(path)
    (entry,) = (await world.get(f"{path}/access", Role.LEAD))["entries"]
    assert (entry["staff_id"], entry["why"]) == (str(world.staff_id), "reasons")
    trace = await world.get(f"/v1/persons/{made['person_id']}/access", Role.LEAD)
    assert trace["entries"] == [entry]


async def test_the_trace_of_a_merged_record_is_the_persons(world: World) -> None:
    made = await of_person(world)
    other = (await world.post("/v1/persons", {"client_code": "other"}, status=201))["person_id"]
    async with world.db.transaction() as tx:
        await tx.conn.execute(
            "UPDATE person SET merged_into = $1 WHERE id = $2", UUID(other), UUID(made["person_id"])
        )
    assert (await world.get(f"/v1/requests/{made['request_id']}"))["note"] == "CanaryStory"
    (entry,) = (await world.get(f"/v1/persons/{other}/access", Role.LEAD))["entries"]
    assert entry["request_id"] == made["request_id"]


@pytest.mark.parametrize("whose", ["household", "group"])
async def test_what_is_no_single_persons_is_read_too(world: World, whose: str) -> None:
    if whose == "household":
        home = (await world.post("/v1/households", {}, status=201))["household_id"]
        made = await ask(world, for_whom="household", household_id=home)
    else:
        need = {"kind": "events", "headcount": 12, "place_area": "UA80"}
        kinds = (await world.get("/v1/kinds"))["kinds"]
        need["kind"] = next(each["code"] for each in kinds if "group" in each["for_whom"])
        made = await ask(world, for_whom="group", needs=[need])
    path = f"/v1/requests/{made['request_id']}"
    assert (await world.get(path))["note"] == "CanaryStory"
    assert len((await world.get(f"{path}/access", Role.LEAD))["entries"]) == 1


async def test_nothing_said_is_said_and_leaves_no_trace(world: World) -> None:
    made = await ask(world, person={"client_code": "quiet"}, note=None, answers={})
    path = f"/v1/requests/{made['request_id']}"
    shown = await world.get(path)
    assert (shown["reasons"], shown["answers"], shown["note"]) == ("none", [], None)
    assert shown["needs"][0]["points"] == shown["needs"][0]["kind_points"]
    assert (await world.get(f"{path}/access", Role.LEAD))["entries"] == []


@pytest.mark.parametrize("whose", ["person", "household"])
async def test_what_was_erased_says_so_and_no_more(world: World, whose: str) -> None:
    if whose == "person":
        made = await of_person(world)
        await world.post(f"/v1/persons/{made['person_id']}:erase", None, Role.LEAD)
    else:
        home = (await world.post("/v1/households", {}, status=201))["household_id"]
        made = await ask(world, for_whom="household", household_id=home)
        await world.post(f"/v1/households/{home}:erase", None, Role.LEAD)
    shown = await world.get(f"/v1/requests/{made['request_id']}")
    assert (shown["reasons"], shown["needs"], shown["answers"]) == ("erased", [], [])
    assert (shown["note"], shown["answer_points"]) == (None, None)


async def test_locked_keys_show_nothing(world: World) -> None:
    made = await of_person(world)
    world.service.app.state.context.vault.ring.lock()
    answer = await world.get(f"/v1/requests/{made['request_id']}", status=423)
    assert answer["type"] == "urn:aidmesh:problem:locked"


async def test_an_unknown_request_is_not_there(world: World) -> None:
    await world.get(f"/v1/requests/{UUID(int=7)}", status=404)


async def test_reading_leaks_into_no_log_table_event_or_number(world: World) -> None:
    made = await of_person(world)
    with capture_logs() as lines:
        structlog.get_logger().info("canary.test")
        shown = await world.get(f"/v1/requests/{made['request_id']}")
    assert shown["note"] == "CanaryStory"
    assert lines
    numbers = (await world.client.get("/metrics")).text
    assert "http" in numbers
    for text in (str(lines), await everything(world), numbers):
        for canary in ("canarystory", "violence_at_home", "canarycode"):
            assert canary not in text.lower(), canary
