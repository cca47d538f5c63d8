"""Batches that meet at the same goods and reservations wait for each other, never in a circle."""

import asyncio
from collections.abc import Awaitable

import asyncpg

from aidmesh_contracts.ids import NeedId
from aidmesh_inventory.handlers import sites
from integration.inventory.world import World, approved, confirmed, withdrawn
from support.waiting import eventually

ROUNDS = 15


async def in_a_circle(*steps: Awaitable[object]) -> int:
    """Run at once; how many were cut off since they waited for each other."""
    found = await asyncio.gather(*steps, return_exceptions=True)
    for each in found:
        if isinstance(each, BaseException) and not isinstance(each, asyncpg.DeadlockDetectedError):
            raise each
    return sum(isinstance(each, asyncpg.DeadlockDetectedError) for each in found)


async def two_kinds_of_goods(world: World) -> None:
    site_id = await world.site()
    for item in ("blanket", "parcel"):
        await world.item(item)
        await world.stock(site_id, 500, item=item)


async def held(world: World, item: str) -> NeedId:
    """A need that has something set aside."""
    need = approved(items=(item,))
    await world.take(need)
    return need.need_id


async def test_what_is_given_back_and_what_is_asked_for_in_one_batch(world: World) -> None:
    await two_kinds_of_goods(world)
    deadlocks = 0
    for _ in range(ROUNDS):
        blanket, parcel = [await held(world, each) for each in ("blanket", "parcel")]
        deadlocks += await in_a_circle(
            world.take(withdrawn(parcel), approved(items=("blanket",))),
            world.take(withdrawn(blanket), approved(items=("parcel",))),
            world.take(approved(items=("blanket", "parcel"))),
        )
    assert deadlocks == 0


async def test_a_hold_that_ran_out_is_confirmed_beside_one_that_is_withdrawn(world: World) -> None:
    await two_kinds_of_goods(world)
    deadlocks = 0
    for _ in range(ROUNDS):
        good, over = [await held(world, "parcel") for _ in range(2)]
        await world.expire(over)
        deadlocks += await in_a_circle(
            world.take(confirmed(good), confirmed(over)),
            world.take(withdrawn(good)),
            world.take(withdrawn(over), approved(items=("parcel",))),
        )
    assert deadlocks == 0


async def test_what_makes_way_for_a_later_attempt_waits_for_its_site_first(world: World) -> None:
    """Whoever opens or closes the site comes to its mutexes, and holds the site already."""
    site_id = await world.site()
    await world.item()
    await world.stock(site_id, 1)
    need = approved()
    await world.take(need)
    async with world.database.transaction() as tx:
        assert await sites.close(tx, site_id, "shelling", keeps=True) is not None

    async with world.database.transaction() as tx:
        await tx.conn.execute("SELECT FROM site WHERE id = $1 FOR NO KEY UPDATE", site_id)
        later = asyncio.create_task(world.take(approved(need_id=need.need_id, attempt_no=2)))

        async def waits() -> bool:
            return bool(
                await world.value(
                    "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                    " AND datname = current_database())"
                )
            )

        await eventually(waits)
        assert await sites.reopen(tx, site_id, "repaired") is not None
    await later
    assert await world.state(need.need_id, 2) == "held"
