"""Beds that were retired under a stay that should be over, slots that were cancelled.

Nobody is sent to them.
"""

from datetime import date, timedelta
from uuid import UUID

import pytest

from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import derive_id
from aidmesh_contracts.inventory import SupplyGrewV1
from aidmesh_contracts.values import CapacityDemand
from aidmesh_inventory.handlers import places, stays, sweeps
from integration.inventory.test_check_outs import check_out, guest
from integration.inventory.test_facts import given, undone
from integration.inventory.world import World, approved, night, withdrawn


@pytest.fixture
async def today(world: World) -> date:
    async with world.database.transaction() as tx:
        return day_of(tx.now)


async def retire(world: World, bed_id: UUID) -> str | None:
    async with world.database.transaction() as tx:
        return await places.retire_bed(tx, bed_id)


async def grown(world: World) -> int:
    return sum(each.quantity for each in await world.emitted(SupplyGrewV1))


@pytest.mark.parametrize("by_clock", [True, False])
async def test_who_leaves_a_retired_bed_makes_no_room(
    world: World, today: date, by_clock: bool
) -> None:
    site_id = await world.site()
    (bed_id,) = await world.beds(site_id, 1)
    overdue = await guest(world, today - timedelta(days=5), 3)
    assert await retire(world, bed_id) is None
    before = await grown(world)
    if by_clock:
        assert await world.run(sweeps.check_out_overdue) == 1
    else:
        assert await check_out(world, overdue.need_id, today) is None
    assert await grown(world) == before
    await world.books_are_right()


async def test_of_beds_that_were_booked_together_only_those_in_use_make_room(
    world: World, today: date
) -> None:
    site_id = await world.site()
    (bed_id, _) = await world.beds(site_id, 2)
    family = approved(items=(), capacity=night(today - timedelta(days=5), 3, 2))
    await world.take(family)
    assert await retire(world, bed_id) is None
    before = await grown(world)
    await world.take(withdrawn(family.need_id))
    assert await grown(world) == before + 1
    await world.books_are_right()


async def test_a_fact_that_is_reversed_frees_no_retired_bed(world: World, today: date) -> None:
    (bed_id,) = await world.beds(await world.site(), 1)
    fact = given(capacity=night(today - timedelta(days=5), 3))
    await world.take(fact)
    await world.execute("UPDATE reservation SET state_at = now() - interval '2 days'")
    assert await world.run(sweeps.check_out_overdue) == 1
    assert await retire(world, bed_id) is None
    async with world.database.transaction() as tx:
        fact_id = derive_id("fact", fact.need_id)
        assert await stays.undo_check_out(tx, fact_id, "still_here") is None
    before = await grown(world)
    await world.take(undone(fact))
    assert await grown(world) == before
    await world.books_are_right()


async def test_seats_in_a_slot_that_is_cancelled_are_nobodys(world: World, today: date) -> None:
    day = today + timedelta(days=2)
    slot_id = await world.slot(await world.site(), day, seats=3)
    demand = CapacityDemand(resource="slot", code="counseling", from_on=day, to_on=day)
    need = approved(items=(), capacity=demand)
    await world.take(need)
    before = await grown(world)
    async with world.database.transaction() as tx:
        assert await places.cancel_slot(tx, slot_id) is None
    assert await world.state(need.need_id) == "relocated"
    assert await grown(world) == before
    await world.books_are_right()
