"""Holds that end because their goods are gone: nobody who waits is woken for those."""

from datetime import date, timedelta
from uuid import UUID, uuid4

import pytest

from aidmesh_contracts.days import day_of
from aidmesh_contracts.inventory import SupplyGrewV1
from aidmesh_inventory.handlers.adjustments import Adjustment, adjust
from aidmesh_inventory.handlers.reversals import reverse_receipt
from aidmesh_inventory.handlers.terms import Correction, correct
from aidmesh_inventory.store.stock import LotState
from integration.inventory.world import DAY, World, approved

Grown = list[tuple[int, UUID | None]]


async def grown(world: World) -> Grown:
    """By how much stock grew, and by whose release."""
    return [(each.quantity, each.freed_by) for each in await world.emitted(SupplyGrewV1)]


async def held_for(world: World, quantity: int, planned_on: date = DAY) -> UUID:
    need = approved(quantity=quantity, planned_on=planned_on)
    await world.take(need)
    assert await world.state(need.need_id) == "held"
    return need.need_id


async def test_goods_that_never_came_make_nobody_hope(world: World) -> None:
    site_id = await world.site()
    await world.item()
    wrong = await world.stock(site_id, 3)
    both = await held_for(world, 2)
    await world.stock(site_id, 2)
    over_two = await held_for(world, 3)
    before = await grown(world)
    receipt_id = await world.value("SELECT receipt_id FROM lot WHERE id = $1", wrong)
    async with world.database.transaction() as tx:
        assert await reverse_receipt(tx, receipt_id, "entry_error", None) == [wrong]
    assert await world.state(both) == "relocated"
    assert await world.state(over_two) == "relocated"
    assert (await grown(world))[len(before) :] == [(2, over_two)]
    await world.books_are_right()


async def test_goods_that_turn_out_expired_make_nobody_hope(world: World) -> None:
    async with world.database.transaction() as tx:
        today = day_of(tx.now)
    site_id = await world.site()
    await world.item()
    lot_id = await world.stock(site_id, 4)
    need_id = await held_for(world, 3, today + timedelta(days=1))
    before = await grown(world)
    wanted = Correction(lot_id, 1, today - timedelta(days=1), None, 0, "UAH", "entry_error")
    async with world.database.transaction() as tx:
        assert await correct(tx, wanted, uuid4()) is None
    assert await world.state(need_id) == "relocated"
    assert await grown(world) == before
    assert await world.value("SELECT free FROM stock_state") == 0
    await world.books_are_right()


@pytest.mark.parametrize(
    ("came", "left", "growth"),
    [
        (10, 6, 1),  # 4 pieces short of 10 held: the last hold of 5 ends, 1 of it is there
        (10, 5, 0),  # all of the last hold is missing
        (10, 4, 4),  # both end; what is there of the first is free
        (12, 7, 0),  # 2 pieces were free before, and 2 are now
        (12, 9, 2),  # 2 pieces were free before, and 4 are now
        (12, 10, 0),  # nothing ends
        (10, 13, 3),
    ],
)
async def test_of_goods_that_a_count_misses_only_what_is_left_is_told(
    world: World, came: int, left: int, growth: int
) -> None:
    site_id = await world.site()
    await world.item()
    lot_id = await world.stock(site_id, came)
    first, last = await held_for(world, 5), await held_for(world, 5)
    before = await grown(world)
    async with world.database.transaction() as tx:
        done = await adjust(tx, Adjustment(uuid4(), lot_id, "count", left, "counted", DAY), None)
    assert isinstance(done, LotState)
    ended = [each for each in (last, first) if await world.state(each) == "relocated"]
    assert done.free == left - 10 + 5 * len(ended)
    freed_by = ended[-1] if ended else None
    assert (await grown(world))[len(before) :] == ([(growth, freed_by)] if growth else [])
    await world.books_are_right()
