"""Somebody who is known by a name alone asks twice at the desk, before a real intake."""

import re
from pathlib import Path

import httpx

from aidmesh_chassis.auth import Role
from integration.intake.world import World
from support.desk import at_desk

ASKED = {"place_area": "UA80", "need_food_parcel": "1"}


async def test_a_second_request_of_who_has_no_code_is_theirs_and_limited(
    world: World, tmp_path: Path
) -> None:
    intake = httpx.ASGITransport(world.service.app)
    async with at_desk(intake, tmp_path / "keys", Role.CASEWORKER) as visitor:
        page = await visitor.send("/register", "/register", chosen_name="Оля", **ASKED)
        assert "<h1>Оля</h1>" in page
        found = re.search(r'href="(/people/[0-9a-f-]{36})/request"', page)
        assert found is not None
        path = f"{found[1]}/request"
        page = await visitor.send(path, path, **ASKED)
        assert "<h1>Оля</h1>" in page
    rows = (await world.get("/v1/needs"))["needs"]
    assert {row["person_id"] for row in rows} == {found[1].removeprefix("/people/")}
    assert sorted((row["state"], row["reason"]) for row in rows) == [
        ("approved", None),
        ("requested", "limit"),
    ]
