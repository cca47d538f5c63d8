"""Leaving and changing a household: limits part ways, what was given stays where it was."""

from uuid import UUID, uuid4

import pytest

from aidmesh_chassis.auth import Role
from integration.intake.test_one_person import ask, family, merge, person
from integration.intake.world import World


async def join(world: World, home: str, *person_ids: str, status: int = 200) -> None:
    """Somebody moves in."""
    body = {"person_ids": list(person_ids)}
    await world.post(f"/v1/households/{home}:join", body, status=status)


async def leave(world: World, home: str, *person_ids: str, status: int = 200) -> None:
    """Somebody moves out."""
    body = {"person_ids": list(person_ids)}
    await world.post(f"/v1/households/{home}:leave", body, status=status)


async def test_limits_of_the_household_hit_who_left_no_more(world: World) -> None:
    members, home = await family(world)
    whole = {"for_whom": "household", "household_id": home}
    assert (await ask(world, "food_parcel", 3, **whole))["state"] == "approved"
    await leave(world, home, members[0])
    assert (await ask(world, "food_parcel", person_id=members[0]))["state"] == "approved"
    assert (await ask(world, "food_parcel", person_id=members[1]))["reason"] == "limit"
    shown = await world.get(f"/v1/persons/{members[0]}")
    assert shown["household_id"] is None
    assert (await world.get(f"/v1/households/{home}"))["person_ids"] == sorted(members[1:])


async def test_what_is_open_goes_along_and_what_was_given_stays(world: World) -> None:
    members, home = await family(world)
    given = {"given": True, "served_on": "2026-01-02"}
    body = {
        "person_id": members[0],
        "needs": [{"kind": "rent_support", "place_area": "UA80"} | given],
    }
    served = (await world.post("/v1/requests", body, status=201))["needs"][0]["need_id"]
    waiting = (await ask(world, "rent_support", person_id=members[0]))["need_id"]
    assert await world.state(waiting) == "requested"
    await leave(world, home, members[0])
    assert (await world.need(served))["household_id"] == home
    assert (await world.need(served))["person_id"] == members[0]
    assert (await world.need(waiting))["household_id"] is None
    # One rent per household: the other's does not meet the one that went along.
    other = (await ask(world, "rent_support", person_id=members[1]))["need_id"]
    await world.post(f"/v1/needs/{waiting}:approve")
    await world.post(f"/v1/needs/{other}:approve")


async def test_a_merged_record_leaves_with_its_person(world: World) -> None:
    members, home = await family(world)
    root = await person(world, "elsewhere")
    await merge(world, members[0], root)
    body = {"person_ids": [root]}
    await world.post(f"/v1/households/{home}:join", body)
    whole = {"for_whom": "household", "household_id": home}
    assert (await ask(world, "food_parcel", 3, **whole))["state"] == "approved"
    await leave(world, home, root)
    assert (await ask(world, "food_parcel", person_id=root))["state"] == "approved"


async def test_who_belongs_to_a_household_by_a_merged_record_alone_leaves_it(
    world: World,
) -> None:
    members, home = await family(world)
    root = await person(world, "fled")
    assert (await world.get(f"/v1/persons/{root}"))["household_ids"] == []
    made = await world.post(f"/v1/persons/{members[1]}:merge", {"into_person_id": root})
    (proposed,) = (await world.get("/v1/merges"))["merges"]
    assert proposed["households_differ"]
    await world.post(f"/v1/merges/{made['merge_id']}:confirm", None, Role.LEAD, by=uuid4())
    shown = await world.get(f"/v1/persons/{root}")
    assert (shown["household_id"], shown["household_ids"]) == (None, [home])
    await leave(world, home, root)
    assert (await world.get(f"/v1/persons/{root}"))["household_ids"] == []
    who = (await world.get(f"/v1/households/{home}"))["person_ids"]
    assert who == sorted([members[0], members[2]])
    async with world.db.read() as conn:
        query = "SELECT household_id FROM person WHERE id = $1"
        assert await conn.fetchval(query, UUID(members[1])) is None


async def test_the_household_of_the_own_record_is_named_first(world: World) -> None:
    members, home = await family(world)
    root = await person(world, "root", household_code="own")
    own = (await world.get(f"/v1/persons/{root}"))["household_id"]
    # Two of one household are merged into somebody of another.
    for each in members[:2]:
        await world.merge(each, root)
    assert (await world.get(f"/v1/persons/{root}"))["household_ids"] == [own, home]
    await join(world, own, members[2])
    await world.post(f"/v1/persons/{members[2]}:merge", {"into_person_id": root})
    (proposed,) = (await world.get("/v1/merges"))["merges"]
    assert proposed["households_differ"]
    await join(world, own, root)
    (proposed,) = (await world.get("/v1/merges"))["merges"]
    assert not proposed["households_differ"]


async def test_only_members_leave(world: World) -> None:
    members, home = await family(world)
    stranger = await person(world, "stranger")
    await leave(world, home, members[0], stranger, status=422)
    assert len((await world.get(f"/v1/households/{home}"))["person_ids"]) == 3
    await leave(world, str(stranger), members[0], status=404)
    await leave(world, home, members[0])
    await leave(world, home, members[0], status=422)
    await world.post(f"/v1/households/{home}:join", {"person_ids": [members[0]]})
    assert len((await world.get(f"/v1/households/{home}"))["person_ids"]) == 3


async def test_who_moves_to_another_household_takes_along_what_is_open(world: World) -> None:
    members, home = await family(world)
    other = (await world.post("/v1/households", {}, status=201))["household_id"]
    given = {"given": True, "served_on": "2026-01-02", "place_area": "UA80"}
    body = {"person_id": members[0], "needs": [{"kind": "rent_support"} | given]}
    served = (await world.post("/v1/requests", body, status=201))["needs"][0]["need_id"]
    moving = (await ask(world, "rent_support", person_id=members[0]))["need_id"]
    staying = (await ask(world, "rent_support", person_id=members[1]))["need_id"]
    await join(world, other, members[0])
    assert (await world.need(served))["household_id"] == home
    assert (await world.need(moving))["household_id"] == other
    assert (await world.need(staying))["household_id"] == home
    # One rent per household: that of the one does not meet that of the other any more.
    await world.post(f"/v1/needs/{moving}:approve")
    await world.post(f"/v1/needs/{staying}:approve")
    await join(world, other, members[2])
    again = (await ask(world, "rent_support", person_id=members[2]))["need_id"]
    assert (await world.post(f"/v1/needs/{again}:approve", status=409))["rule"] == "limit"


@pytest.mark.parametrize("is_new", [True, False])
async def test_a_merged_record_moves_with_its_person(world: World, is_new: bool) -> None:
    members, home = await family(world)
    root = await person(world, "elsewhere")
    await merge(world, members[0], root)
    if is_new:
        await world.post("/v1/households", {"person_ids": [root]}, status=201)
    else:
        other = (await world.post("/v1/households", {}, status=201))["household_id"]
        await join(world, other, root)
    # The old household counts for them no more, nor they for it.
    whole = {"for_whom": "household", "household_id": home}
    assert (await ask(world, "food_parcel", 3, **whole))["reason"] == "limit"
    assert (await ask(world, "food_parcel", 2, **whole))["state"] == "approved"
    assert (await ask(world, "food_parcel", person_id=root))["state"] == "approved"


async def test_nobody_moves_by_a_record_that_was_merged_or_into_no_household(world: World) -> None:
    members, home = await family(world)
    root = await person(world, "elsewhere")
    await merge(world, members[0], root)
    await join(world, home, members[0], status=422)
    await join(world, root, members[1], status=404)
    who = (await world.get(f"/v1/households/{home}"))["person_ids"]
    assert who == sorted([root, *members[1:]])  # by the record that stands for them


async def test_a_household_ends_with_its_last_member_though_others_moved_away(
    world: World,
) -> None:
    members, home = await family(world)
    root = await person(world, "elsewhere")
    await merge(world, members[0], root)
    other = (await world.post("/v1/households", {}, status=201))["household_id"]
    await join(world, other, root, members[1])
    gone = await world.post(f"/v1/persons/{members[2]}:erase", None, Role.LEAD)
    assert gone["erased_household_ids"] == [home]
