"""Nothing has happened on a day that has not come: refused wherever somebody enters a day."""

from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from uuid import UUID, uuid4

import pytest

from aidmesh_chassis.db import Tx
from aidmesh_contracts.days import day_of
from aidmesh_contracts.inventory import StaySettledV1
from aidmesh_contracts.values import CapacityDemand
from aidmesh_inventory.domain.requests import Way
from aidmesh_inventory.handlers import adjustments, handover, receipts, stays
from aidmesh_inventory.handlers.hold import reservation_id_of
from integration.inventory.world import World, approved, confirmed, night, withdrawn


@pytest.fixture
async def today(world: World) -> date:
    async with world.database.transaction() as tx:
        return day_of(tx.now)


async def ready(world: World, way: Way, today: date) -> UUID:
    """A reservation that can be issued now."""
    site_id = await world.site()
    capacity = None
    if way == "handover":
        await world.item()
        await world.stock(site_id, 1)
    elif way == "check_in":
        await world.beds(site_id, 1)
        capacity = night(today)
    else:
        await world.slot(site_id, today, hour=23)
        capacity = CapacityDemand(resource="slot", code="counseling", from_on=today)
    items = ("parcel",) if way == "handover" else ()
    need = approved(items=items, capacity=capacity, planned_on=today)
    await world.take(need)
    await world.take(confirmed(need.need_id))
    return reservation_id_of(need.need_id, 1)


async def act(world: World, step: Callable[[Tx], Awaitable[object]]) -> object:
    async with world.database.transaction() as tx:
        return await step(tx)


@pytest.mark.parametrize("way", ["handover", "check_in", "attendance"])
async def test_what_is_handed_out_was_handed_out_by_today(
    world: World, today: date, way: Way
) -> None:
    reservation_id = await ready(world, way, today)

    async def issue(day: date) -> object:
        wanted = handover.Issue(reservation_id, way, day)
        return await act(world, lambda tx: handover.issue(tx, [wanted], None))

    assert await issue(today + timedelta(days=1)) == {reservation_id: "day-in-future"}
    assert await world.value("SELECT state FROM reservation") == "confirmed"
    assert await issue(today) == {}
    await world.books_are_right()


async def test_a_guest_leaves_between_arrival_and_today(world: World, today: date) -> None:
    reservation_id = await ready(world, "check_in", today)
    came_on = today - timedelta(days=2)
    came = handover.Issue(reservation_id, "check_in", came_on)
    assert await act(world, lambda tx: handover.issue(tx, [came], None)) == {}

    async def leave(day: date) -> object:
        return await act(world, lambda tx: stays.check_out(tx, {reservation_id: day}))

    assert await leave(today + timedelta(days=1)) == {reservation_id: "day-in-future"}
    assert await leave(came_on - timedelta(days=1)) == {reservation_id: "left-before-arrival"}
    assert await world.emitted(StaySettledV1) == []
    assert await leave(today) == {}
    (settled,) = await world.emitted(StaySettledV1)
    assert (settled.nights, settled.from_on, settled.to_on) == (2, came_on, today)
    await world.books_are_right()


async def test_goods_came_in_or_were_lost_by_today(world: World, today: date) -> None:
    site_id = await world.site()
    await world.item()
    tomorrow = today + timedelta(days=1)
    goods = (receipts.Line("parcel", 1),)
    early = receipts.Receipt(uuid4(), site_id, tomorrow, goods)
    now = receipts.Receipt(uuid4(), site_id, today, goods)
    faults = await act(world, lambda tx: receipts.receive(tx, [early, now], None))
    assert faults == {early.receipt_id: "day-in-future"}

    lot_id = await world.value("SELECT id FROM lot")
    loss = adjustments.Adjustment(uuid4(), lot_id, "loss", 1, "stolen", tomorrow)
    assert await act(world, lambda tx: adjustments.adjust(tx, loss, None)) == "day-in-future"
    assert await world.value("SELECT on_hand FROM lot") == 1


@pytest.mark.parametrize("first_on", [date.min, date.max])
async def test_a_bed_from_any_day_that_was_told_is_kept_and_given_up(
    world: World, first_on: date
) -> None:
    """Intake took such days before they had bounds, and other regions may tell of them."""
    await world.beds(await world.site(), 1)
    stay = CapacityDemand(
        resource="bed", code="shelter", from_on=first_on, as_written=first_on == date.min
    )
    need = approved(items=(), capacity=stay, planned_on=first_on)
    await world.take(need)
    await world.take(confirmed(need.need_id))
    assert await world.state(need.need_id) == "confirmed"
    await world.take(withdrawn(need.need_id))
    assert await world.state(need.need_id) == "released"
    await world.books_are_right()
