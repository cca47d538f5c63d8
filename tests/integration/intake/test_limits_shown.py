"""A limit holds until a person decides, who sees what it counted, unless that is kept from them."""

import json
from datetime import UTC, datetime
from typing import Final

from aidmesh_chassis.auth import Role
from aidmesh_contracts.days import day_of
from integration.intake.world import World


async def test_a_limit_holds_until_a_person_decides(world: World) -> None:
    await world.request("food_parcel", "twice")
    second = await world.request("food_parcel", "twice")
    shown = await world.need(second)
    assert (shown["state"], shown["reason"]) == ("requested", "limit")
    await world.post(f"/v1/needs/{second}:approve", status=409)
    await world.post(f"/v1/needs/{second}:approve", None, Role.LOGISTICIAN, status=403)
    why = {"override_reason": "family_grew"}
    await world.post(f"/v1/needs/{second}:approve", why, Role.LEAD, key="k" * 16)
    again = await world.post(f"/v1/needs/{second}:approve", why, Role.LEAD, key="k" * 16)
    assert again["state"] == "approved"


async def test_who_decides_sees_which_limit_and_what_was_counted(world: World) -> None:
    first = await world.request("food_parcel", "twice")
    second = await world.request("food_parcel", "twice")
    shown = await world.need(second)
    (limit,) = [
        each for each in (await world.get("/v1/kinds/food_parcel"))["limits"] if not each["kinds"]
    ]
    today = day_of(datetime.now(UTC)).isoformat()
    counted = {
        "need_id": str(first), "kind": "food_parcel", "quantity": 1, "on": today, "served": False,
    }  # fmt: skip
    assert shown["objection"] == {
        "what": "limit", "limit": limit, "earlier": [counted], "hidden": 0,
    }  # fmt: skip
    assert (await world.need(first))["objection"] is None, "it is approved"
    await world.post(f"/v1/needs/{first}:cancel", {"reason": "entry_error"})
    assert (await world.need(second))["objection"] is None, "nothing counts any more"


WITH_TESTS: Final = {
    "per": "person", "count": 1, "days": 30, "kinds": ["food_parcel", "self_test"],
}  # fmt: skip


async def put(world: World, code: str, **changed: object) -> str | None:
    """Change a kind as a lead; None, or the field and the rule that speak against it."""
    kind = await world.get(f"/v1/kinds/{code}")
    body = {**kind, "version": kind["version"] + 1, **changed}
    answer = await world.client.put(
        f"/v1/kinds/{code}", json=body, headers=world.headers(Role.LEAD)
    )
    if answer.status_code == 200:
        return None
    (error,) = answer.json()["errors"]
    return f"{error['field']}: {error['rule']}"


async def test_limits_that_everybody_sees_count_nothing_sensitive(world: World) -> None:
    rule = "counts_sensitive_kinds"
    assert await put(world, "food_parcel", limits=[WITH_TESTS]) == f"limits: {rule}"
    # Nor by way of the other, sooner or later; among sensitive kinds nobody learns anything.
    both = {**WITH_TESTS, "kinds": ["food_parcel", "hygiene_kit"]}
    assert await put(world, "food_parcel", limits=[both]) is None
    assert await put(world, "hygiene_kit", sensitivity="health") == f"sensitivity: {rule}"
    assert await put(world, "self_test", limits=[WITH_TESTS]) is None
    assert await put(world, "self_test", sensitivity="none") is None
    assert await put(world, "self_test", sensitivity="hiv") is None
    medicine = {**WITH_TESTS, "kinds": ["medicine", "self_test"]}
    assert await put(world, "medicine", limits=[medicine]) is None
    assert await put(world, "medicine", sensitivity="none") == f"limits: {rule}"


async def test_sensitive_needs_that_count_are_hidden_from_others(world: World) -> None:
    await world.get("/v1/kinds")
    # As a catalogue that was edited before may have it.
    async with world.db.transaction() as tx:
        await tx.conn.execute(
            "UPDATE kind SET version = version + 1, body = body || jsonb_build_object("
            "'limits', jsonb_build_array($1::text::jsonb), 'version', version + 1)"
            " WHERE code = 'food_parcel'",
            json.dumps(WITH_TESTS),
        )
    assert (await world.get("/v1/kinds/self_test"))["sensitivity"] != "none"
    assert await put(world, "food_parcel", base_points=5) is None, "it can still be changed"
    test = await world.request("self_test", "both")
    parcel = await world.request("food_parcel", "both")
    seen = (await world.need(parcel))["objection"]
    assert ([each["need_id"] for each in seen["earlier"]], seen["hidden"]) == ([str(test)], 0)
    unseen = (await world.get(f"/v1/needs/{parcel}", Role.LOGISTICIAN))["objection"]
    assert unseen == seen | {"earlier": [], "limit": seen["limit"] | {"kinds": ["food_parcel"]}}
