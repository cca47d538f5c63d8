"""Lists of needs and their counts, and what a page costs when there are many."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Final
from uuid import UUID, uuid4

import asyncpg
import pytest

from aidmesh_chassis.auth import Role
from aidmesh_contracts.ids import NeedId
from aidmesh_intake.domain.need import State
from aidmesh_intake.store import lists
from aidmesh_intake.store import needs as need_store
from integration.intake.test_one_person import ask, family
from integration.intake.world import World

Place = tuple[int, date, int, UUID]
MANY: Final = 2_000
PAGE: Final = 50


async def crowd(world: World, needs: int, chance: random.Random) -> list[Place]:
    """So many needs that ended, as one that is open; their places in the list."""
    first = await world.request("food_parcel")
    async with world.db.transaction() as tx:
        template = await need_store.read(tx.conn, NeedId(first))
        assert template is not None
        made = [
            replace(
                template,
                id=NeedId(uuid4()),
                state=State.CANCELLED,
                reason="moved_away",
                deadline_at=None,
                blocked_by=None,
                wait=None,
                priority=chance.choice([10, 20, 95]),
                asked_on=template.asked_on - timedelta(days=chance.randint(0, 9)),
                queue_no=chance.randint(1, 5),
            )
            for _ in range(needs)
        ]
        await need_store.insert(tx.conn, made)
        await tx.conn.execute("ANALYZE need")
    every = [template, *made]
    return [(each.priority, each.asked_on, each.queue_no, each.id) for each in every]


def in_order(places: Sequence[Place]) -> list[Place]:
    return sorted(places, key=lambda place: (-place[0], *place[1:]))


def place_of(row: asyncpg.Record) -> Place:
    return row["priority"], row["asked_on"], row["queue_no"], row["id"]


async def page_of(
    world: World, wanted: lists.Filter, after: Place | None = None
) -> tuple[list[asyncpg.Record], str]:
    """A page of what is wanted, and how it is found."""
    asked: list[asyncpg.connection.LoggedQuery] = []
    found: asyncio.Future[None] = asyncio.Future()

    def note(query: asyncpg.connection.LoggedQuery) -> None:
        asked.append(query)
        if "FROM need" in query.query:
            found.set_result(None)

    async with world.db.read() as conn:
        with conn.query_logger(note):
            rows = await lists.needs(conn, wanted, after, PAGE)
        await found
        lines = await conn.fetch(f"EXPLAIN {asked[-1].query}", *asked[-1].args)
    return rows, "\n".join(line[0] for line in lines)


async def test_pages_of_all_needs_follow_each_other_in_the_order_of_the_waitlist(
    world: World,
) -> None:
    places = await crowd(world, 150, random.Random(5))
    found: list[Place] = []
    async with world.db.read() as conn:
        while True:
            after = found[-1] if found else None
            rows = await lists.needs(conn, lists.Filter(sensitive_too=True), after, 40)
            if not rows:
                break
            found += [place_of(row) for row in rows]
    assert found == in_order(places)


@pytest.mark.parametrize("at", [None, MANY // 2])
async def test_a_page_of_all_needs_is_read_in_order_not_sorted_out_of_all(
    world: World, at: int | None
) -> None:
    places = in_order(await crowd(world, MANY, random.Random(5)))
    after = None if at is None else places[at]
    rows, plan = await page_of(world, lists.Filter(sensitive_too=True), after)
    begin = 0 if at is None else at + 1
    assert [place_of(row) for row in rows] == places[begin : begin + PAGE]
    assert "Index Scan using need_listed on need" in plan
    assert "Sort" not in plan


async def test_what_is_to_be_looked_at_is_found_without_reading_what_ended(world: World) -> None:
    places = await crowd(world, MANY, random.Random(5))
    odd = sorted(place[-1] for place in places[1:4])
    async with world.db.transaction() as tx:
        await tx.conn.execute(
            "UPDATE need SET attention = 'served_by_two_attempts' WHERE id = ANY($1::uuid[])", odd
        )
        await tx.conn.execute("ANALYZE need")
    rows, plan = await page_of(world, lists.Filter(attention=True, sensitive_too=True))
    assert sorted(row["id"] for row in rows) == odd
    assert "Bitmap Index Scan on need_attention" in plan
    assert "Bitmap Index Scan on need_last_day" in plan


@pytest.mark.parametrize("at_home", [True, False])
async def test_what_concerns_one_person_is_found_without_reading_all_others(
    world: World, *, at_home: bool
) -> None:
    await crowd(world, MANY, random.Random(5))
    members, home = await family(world)
    whole = {"for_whom": "household", "household_id": home, "person_id": members[0]}
    shared = UUID((await ask(world, "food_parcel", 3, **whole))["need_id"])
    async with world.db.transaction() as tx:
        await tx.conn.execute(
            "UPDATE need SET person_id = gen_random_uuid(), household_id = gen_random_uuid()"
            " WHERE state = 'cancelled'"
        )
        await tx.conn.execute("ANALYZE need")
    if not at_home:
        await world.post(f"/v1/households/{home}:leave", {"person_ids": [members[1]]})
    wanted = lists.Filter(person_id=UUID(members[1]), sensitive_too=True)
    rows, plan = await page_of(world, wanted)
    assert [row["id"] for row in rows] == ([shared] if at_home else [])
    assert "need_person" in plan
    assert ("Bitmap Index Scan on need_household" in plan) is at_home
    assert "Seq Scan on need" not in plan
    assert "need_listed" not in plan


async def test_needs_are_counted_in_the_states_that_are_asked_for(world: World) -> None:
    for _ in range(2):
        await world.request("food_parcel")
    await crowd(world, 3, random.Random(5))
    every = await world.get("/v1/needs-by-state", Role.CASEWORKER)
    assert every.pop("cancelled") == 3
    ((state, count),) = every.items()
    assert count == 3
    of_some = await world.get("/v1/needs-by-state", Role.CASEWORKER, state=[state, "ready"])
    assert of_some == {state: 3}
    async with world.db.read() as conn:
        assert await lists.counts(conn, ["cancelled"], sensitive_too=True) == {"cancelled": 3}
        assert await lists.counts(conn, [], sensitive_too=True) == {}
