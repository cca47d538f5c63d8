"""What other regions are told of free places, and when: not by whoever takes one."""

from datetime import date, timedelta

from aidmesh_contracts.days import day_of
from aidmesh_contracts.intake import NeedApprovedV1
from aidmesh_contracts.inventory import CapacityChangedV1
from aidmesh_contracts.values import CapacityDemand
from aidmesh_inventory.handlers import capacity
from integration.inventory.world import World, approved, confirmed, withdrawn


async def day_after_tomorrow(world: World) -> date:
    async with world.database.transaction() as tx:
        return day_of(tx.now) + timedelta(days=2)


def seat(day: date, *, sensitive: bool) -> NeedApprovedV1:
    """A need for an appointment on a day."""
    place = CapacityDemand(resource="slot", code="counseling", from_on=day, to_on=day)
    return approved(items=(), capacity=place, planned_on=day, sensitive=sensitive)


async def told_in_all(world: World) -> int:
    """How often other regions were told of anything."""
    return int(await world.value("SELECT count(*) FROM outbox WHERE stream = 'EVENTS'"))


async def told(world: World) -> list[tuple[int, int]]:
    """Free seats of all days that were told, and the version of that, one after the other."""
    await world.run(capacity.tell_capacity)
    return [
        (sum(each.free_by_day), each.version) for each in await world.emitted(CapacityChangedV1)
    ]


async def test_who_comes_for_what_is_sensitive_is_told_to_no_other_region(world: World) -> None:
    day = await day_after_tomorrow(world)
    await world.slot(await world.site(), day, seats=8)
    assert await told(world) == [(8, 1)]
    await world.take(seat(day, sensitive=True))
    assert await told(world) == [(8, 1), (3, 2)], "up to the next step"

    before = await told_in_all(world)
    need = seat(day, sensitive=True)
    await world.take(need)
    await world.take(confirmed(need.need_id))
    assert await world.value("SELECT sum(taken) FROM slot") == 2
    assert await told_in_all(world) == before, "nothing is told with it"
    assert await world.value("SELECT untold FROM capacity_state"), "the sweep looks at it"
    assert await told(world) == [(8, 1), (3, 2)]
    await world.take(withdrawn(need.need_id))
    assert await world.value("SELECT sum(taken) FROM slot") == 1
    assert await told(world) == [(8, 1), (3, 2)]
    assert await told_in_all(world) == before, "nor by the sweep: nothing that is shown changed"


async def test_one_of_many_is_told_with_what_happened_besides(world: World) -> None:
    day = await day_after_tomorrow(world)
    await world.slot(await world.site(), day, seats=8)
    for _ in range(3):
        await world.take(seat(day, sensitive=False))
    assert await told_in_all(world) == 1, "the site"
    assert await told(world) == [(5, 1)], "once for all"
    assert await world.run(capacity.tell_capacity) == 0


async def test_seats_told_follow_whom_they_are_for(world: World) -> None:
    """As many are taken as before, by others: what is to look taken is another number."""
    day = await day_after_tomorrow(world)
    await world.slot(await world.site(), day, seats=8)
    open_to_all = seat(day, sensitive=False)
    await world.take(open_to_all)
    assert await told(world) == [(7, 1)]
    await world.take(withdrawn(open_to_all.need_id))
    await world.take(seat(day, sensitive=True))
    assert await world.value("SELECT sum(taken) FROM slot") == 1
    assert await told(world) == [(7, 1), (3, 2)]
