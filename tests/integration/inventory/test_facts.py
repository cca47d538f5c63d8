"""Aid entered as given, reversed: what it booked goes back, in whichever order the news comes."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date, timedelta
from itertools import permutations
from typing import Literal
from uuid import uuid4

import pytest

from aidmesh_chassis.db import Database
from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import NeedId
from aidmesh_contracts.intake import AidGivenV1, NeedReversedV1
from aidmesh_contracts.inventory import CapacityChangedV1, StockChangedV1, SupplyGrewV1
from aidmesh_contracts.values import CapacityDemand, StockDemand
from aidmesh_inventory.handlers import capacity, changes
from integration.inventory.world import DAY, World, approved, confirmed, night


@pytest.fixture
async def replica(world: World) -> AsyncIterator[World]:
    """Another process of the same service on the same database."""
    opened = Database(world.database._dsn, world.database.origin)
    await opened.open()
    yield World(opened)
    await opened.close()


def given(
    quantity: int = 0, capacity: CapacityDemand | None = None, served_on: date = DAY
) -> AidGivenV1:
    return AidGivenV1(
        need_id=NeedId(uuid4()),
        kind="food_parcel",
        programme="food",
        served_on=served_on,
        place_area="UA80",
        stock=(StockDemand(item="parcel", quantity=quantity),) if quantity else (),
        capacity=capacity,
    )


def undone(fact: AidGivenV1) -> NeedReversedV1:
    return NeedReversedV1(need_id=fact.need_id, service_no=1, reason="entered_by_mistake")


async def today(world: World) -> date:
    async with world.database.transaction() as tx:
        return day_of(tx.now)


async def test_goods_go_back_to_their_lots_with_a_movement_that_says_why(world: World) -> None:
    site_id = await world.site()
    await world.item()
    await world.stock(site_id, 2)
    await world.stock(site_id, 2)
    fact = given(quantity=3)
    await world.take(fact)
    before = len(await world.emitted(SupplyGrewV1))

    await world.take(undone(fact))
    await world.take(undone(fact))

    assert await world.rows("SELECT on_hand, held FROM lot") == [{"on_hand": 2, "held": 0}] * 2
    moved = await world.rows(
        "SELECT sum(quantity) AS pieces, reason, happened_on FROM movement"
        " WHERE kind = 'reversal' GROUP BY 2, 3"
    )
    assert moved == [{"pieces": 3, "reason": "entered_by_mistake", "happened_on": DAY}]
    await world.run(changes.tell_stock)
    last = (await world.emitted(StockChangedV1))[-1]
    assert (last.on_hand, last.free) == (4, 4)
    (grown,) = (await world.emitted(SupplyGrewV1))[before:]
    assert (grown.quantity, grown.freed_by) == (3, fact.need_id)
    await world.books_are_right()


async def test_a_fact_entered_again_after_its_reversal_takes_what_came_back(world: World) -> None:
    site_id = await world.site()
    await world.item()
    await world.stock(site_id, 2)
    wrong, right = given(quantity=2), given(quantity=2)
    await world.take(wrong)
    await world.take(undone(wrong))
    await world.take(right)

    assert await world.state(right.need_id, 0) == "issued"
    assert await world.value("SELECT on_hand FROM lot") == 0
    assert await world.value("SELECT count(*) FROM discrepancy") == 0
    await world.books_are_right()


async def test_what_the_books_lacked_is_settled_with_the_fact(world: World) -> None:
    site_id = await world.site()
    await world.item()
    await world.stock(site_id, 1)
    wrong, right = given(quantity=3), given(quantity=4)
    await world.take(wrong)
    await world.take(right)
    await world.take(undone(wrong))

    found = await world.rows(
        "SELECT need_id, status, settled_reason, settled_by FROM discrepancy ORDER BY status"
    )
    assert [(each["need_id"], each["status"]) for each in found] == [
        (right.need_id, "open"),
        (wrong.need_id, "settled"),
    ]
    assert (found[1]["settled_reason"], found[1]["settled_by"]) == ("reversed", None)
    # Only what had been in the books came back; the two that were not there did not appear.
    assert await world.value("SELECT on_hand FROM lot") == 1
    await world.books_are_right()


async def test_in_any_order_and_any_number_of_times_the_fact_is_gone(world: World) -> None:
    site_id = await world.site()
    await world.item()
    await world.stock(site_id, 5)
    await world.beds(site_id, 1)
    for order in sorted(set(permutations(("fact", "fact", "reversal", "reversal")))):
        fact = given(quantity=5, capacity=night())
        for each in order:
            await world.take(fact if each == "fact" else undone(fact))
        assert await world.value("SELECT on_hand FROM lot") == 5, order
        assert await world.value("SELECT count(*) FROM bed_booking WHERE live") == 0, order
        assert await world.value("SELECT count(*) FROM discrepancy WHERE status = 'open'") == 0
        await world.books_are_right()


async def test_a_fact_and_its_reversal_at_once_leave_nothing(world: World, replica: World) -> None:
    site_id = await world.site()
    await world.item()
    await world.stock(site_id, 4)
    for _ in range(12):
        facts = [given(quantity=1) for _ in range(4)]
        await asyncio.gather(
            world.take(*facts), replica.take(*(undone(fact) for fact in reversed(facts)))
        )
        assert await world.value("SELECT on_hand FROM lot") == 4
    await world.books_are_right()


@pytest.mark.parametrize("resource", ["bed", "slot"])
async def test_places_are_free_again(world: World, resource: Literal["bed", "slot"]) -> None:
    site_id = await world.site()
    first_on = await today(world) + timedelta(days=1)
    if resource == "bed":
        await world.beds(site_id, 1)
        demand = night(first_on)
    else:
        await world.slot(site_id, first_on)
        demand = CapacityDemand(resource="slot", code="counseling", from_on=first_on)
    fact = given(capacity=demand)
    await world.take(fact)
    await world.run(capacity.tell_capacity)
    busy = (await world.emitted(CapacityChangedV1))[-1].free_by_day
    before = len(await world.emitted(SupplyGrewV1))

    await world.take(undone(fact))

    await world.run(capacity.tell_capacity)
    free = (await world.emitted(CapacityChangedV1))[-1].free_by_day
    assert sum(free) - sum(busy) == (3 if resource == "bed" else 1)
    (grown,) = (await world.emitted(SupplyGrewV1))[before:]
    assert (grown.resource, grown.quantity, grown.freed_by) == (resource, 1, fact.need_id)
    again = given(capacity=demand)
    await world.take(again)
    assert await world.value("SELECT count(*) FROM discrepancy") == 0
    await world.books_are_right()


async def test_nights_gone_by_serve_nobody_who_waits(world: World) -> None:
    site_id = await world.site()
    await world.beds(site_id, 1)
    fact = given(capacity=night())
    await world.take(fact)
    before = len(await world.emitted(SupplyGrewV1))
    await world.take(undone(fact))
    assert len(await world.emitted(SupplyGrewV1)) == before
    assert await world.value("SELECT count(*) FROM bed_booking WHERE live") == 0


async def test_what_was_handed_over_here_is_not_undone_by_intakes_word(world: World) -> None:
    site_id = await world.site()
    await world.item()
    await world.stock(site_id, 1)
    need = approved()
    await world.take(need)
    await world.take(confirmed(need.need_id))
    assert await world.issue(need.need_id) is None
    await world.take(NeedReversedV1(need_id=need.need_id, service_no=1, reason="mistake"))
    assert await world.state(need.need_id) == "issued"
    assert await world.value("SELECT on_hand FROM lot") == 0
    await world.books_are_right()
