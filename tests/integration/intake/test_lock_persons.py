"""Requests, approvals, merges and households that meet at one person never wait in a circle.

What is cut off is not run again here: every deadlock shows as an answer 503.
"""

import asyncio
from collections.abc import Mapping
from itertools import count
from typing import Any
from uuid import UUID

import pytest

from aidmesh_chassis import retrying
from aidmesh_chassis.auth import Role
from aidmesh_intake.store import households as household_store
from aidmesh_intake.store import persons as person_store
from integration.intake.test_one_person import ask, person, started
from integration.intake.world import World

ROUNDS = 30
Call = tuple[str, Mapping[str, Any] | None]
_numbers = count()


@pytest.fixture(autouse=True)
def _once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "CONTENTION_RETRIES_MAX", 1)


async def cut_off(world: World, *calls: Call) -> int:
    """POST all of them at once; how many were cut off since they waited for each other."""
    answers = await asyncio.gather(
        *(
            world.client.post(path, json=body, headers=world.headers(Role.CASEWORKER, Role.LEAD))
            for path, body in calls
        )
    )
    statuses = [each.status_code for each in answers]
    assert set(statuses) <= {200, 201, 409, 503}, statuses
    return statuses.count(503)


async def merged(world: World, order: int) -> tuple[str, str]:
    """A record that was merged into another, with the greater id (1) or the smaller one (-1)."""
    made = [await person(world, f"c-{next(_numbers)}") for _ in range(2)]
    root, behind = sorted(made)[::order]
    await world.merge(behind, root)
    return behind, root


def asking(person_id: str) -> Call:
    """A request by the id of a record."""
    needs = [{"kind": "food_parcel", "place_area": "UA80"}]
    return "/v1/requests", {"person_id": person_id, "needs": needs}


@pytest.mark.parametrize("order", [1, -1])
async def test_requests_for_a_merged_record_and_merges_of_who_stands_for_it(
    world: World, order: int
) -> None:
    behind, root = await merged(world, order)
    other = await person(world, "other")
    proposing = (f"/v1/persons/{root}:merge", {"into_person_id": other})
    deadlocks = 0
    for _ in range(ROUNDS):
        deadlocks += await cut_off(
            world, asking(behind), proposing, asking(behind), proposing, asking(root)
        )
    assert deadlocks == 0


@pytest.mark.parametrize("order", [1, -1])
async def test_a_merge_taken_back_among_requests_for_both_records(world: World, order: int) -> None:
    behind, root = await merged(world, order)
    other = await person(world, "other")
    deadlocks = 0
    for _ in range(ROUNDS // 2):
        deadlocks += await cut_off(
            world,
            asking(behind),
            (f"/v1/persons/{root}:merge", {"into_person_id": other}),
            (f"/v1/persons/{behind}:unmerge", None),
            asking(root),
            asking(behind),
        )
        found = (await world.get(f"/v1/persons/{behind}"))["person_id"]
        if found == behind:
            await world.merge(behind, root)
    assert deadlocks == 0


@pytest.mark.parametrize("order", [1, -1])
async def test_whoever_parts_records_waits_for_who_acts_for_both(world: World, order: int) -> None:
    behind, root = await merged(world, order)
    async with world.db.transaction() as tx:
        await person_store.by_ids(tx.conn, [UUID(root)], lock=True)
        path = f"/v1/persons/{behind}:unmerge"
        parting = await started(world, world.post(path, None, Role.LEAD))
    await parting
    assert (await world.get(f"/v1/persons/{behind}"))["person_id"] == behind


async def test_a_merged_record_changes_with_who_stands_for_it(world: World) -> None:
    """Parted while it waits, a request by the id of either record does not mix them up."""
    behind, root = await merged(world, 1)
    async with world.db.transaction() as tx:
        await person_store.by_ids(tx.conn, [UUID(root)], lock=True)
        path, body = asking(behind)
        waiting = await started(world, world.post(path, body, status=409))
        await person_store.part(tx.conn, UUID(behind), [])
    await waiting


async def test_needs_of_two_records_of_one_person_are_approved_one_after_the_other(
    world: World,
) -> None:
    """Each counts for the limit of the other."""
    behind, root = [await person(world, f"c-{next(_numbers)}") for _ in range(2)]
    needs = [
        (await ask(world, "rent_support", person_id=each))["need_id"] for each in (behind, root)
    ]
    await world.merge(behind, root)
    async with world.db.transaction() as tx:
        await person_store.by_ids(tx.conn, [UUID(root)], lock=True)
        path = f"/v1/needs/{needs[0]}:approve"
        approving = await started(world, world.post(path))
    await approving
    assert await world.state(UUID(needs[0])) != "requested"


@pytest.mark.parametrize("is_merged", [True, False])
async def test_a_need_waits_for_the_households_of_all_records_of_its_person(
    world: World, is_merged: bool
) -> None:
    """What these households are promised at this moment counts for its limit."""
    asks, lives = [await person(world, f"c-{next(_numbers)}") for _ in range(2)]
    need_id = (await ask(world, "rent_support", person_id=asks))["need_id"]
    home = (await world.post("/v1/households", {"person_ids": [lives]}, status=201))["household_id"]
    await (world.merge(asks, lives) if is_merged else world.merge(lives, asks))
    async with world.db.transaction() as tx:
        await household_store.lock(tx.conn, [UUID(home)], [])
        approving = await started(world, world.post(f"/v1/needs/{need_id}:approve"))
    await approving


async def test_a_household_made_of_who_asks_with_its_code(world: World) -> None:
    code = "somebody"
    known = await person(world, code)
    deadlocks = 0
    for _ in range(ROUNDS):
        home = f"h-{next(_numbers)}"
        needs = [{"kind": "food_parcel", "place_area": "UA80"}]
        who = {"client_code": code, "household_code": home}
        deadlocks += await cut_off(
            world,
            ("/v1/households", {"code": home, "person_ids": [known]}),
            ("/v1/requests", {"person": who, "needs": needs}),
            ("/v1/requests", {"person": who, "needs": needs}),
        )
    assert deadlocks == 0


async def test_somebody_new_of_a_new_household_comes_twice(world: World) -> None:
    deadlocks = 0
    for _ in range(ROUNDS):
        who = {"client_code": f"c-{next(_numbers)}", "household_code": f"h-{next(_numbers)}"}
        needs = [{"kind": "food_parcel", "place_area": "UA80"}]
        deadlocks += await cut_off(
            world,
            ("/v1/persons", who),
            ("/v1/requests", {"person": who, "needs": needs}),
            ("/v1/persons", who),
        )
    assert deadlocks == 0
