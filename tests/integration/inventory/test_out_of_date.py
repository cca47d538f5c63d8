"""Goods that keep until somebody comes are picked first; what is out of date is given up."""

from datetime import date, timedelta
from uuid import UUID

import pytest

from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import SiteId
from aidmesh_contracts.inventory import (
    ReservationReleasedV1,
    StockChangedV1,
    SupplyGrewV1,
)
from aidmesh_inventory.handlers import changes, sweeps
from aidmesh_inventory.store import views
from aidmesh_inventory.store import world as world_store
from integration.inventory.sides import Side
from integration.inventory.world import World, approved, confirmed

LOT = """
    SELECT a.lot_id FROM allocation a JOIN reservation r ON r.id = a.reservation_id
    WHERE r.need_id = $1 ORDER BY r.attempt_no DESC LIMIT 1
"""


@pytest.fixture
async def today(world: World) -> date:
    async with world.database.transaction() as tx:
        return day_of(tx.now)


async def set_aside(
    world: World, need_id: UUID, day: date, collect_days: int | None = None
) -> None:
    """Hold for a need, for good."""
    need = approved(need_id=need_id, planned_on=day)
    await world.take(need.model_copy(update={"collect_days": collect_days}))
    await world.take(confirmed(need.need_id))
    assert await world.state(need.need_id) == "confirmed"


async def test_goods_that_keep_until_the_last_day_of_pick_up_are_picked(
    world: World, today: date
) -> None:
    site_id = await world.site()
    await world.item()
    soon = await world.stock(site_id, 9, expiry=today + timedelta(days=6))
    enough = await world.stock(site_id, 1, expiry=today + timedelta(days=7))
    needs = [UUID(int=number) for number in range(1, 5)]
    await set_aside(world, needs[0], today)  # intake of before does not say how long it is kept
    for need_id in needs[1:3]:
        await set_aside(world, need_id, today, 7)
    await set_aside(world, needs[3], today, 6)
    # The third gets the rest: there is no other, and the desk shows until when it is good.
    assert [await world.value(LOT, each) for each in needs] == [soon, enough, soon, soon]
    async with world.database.read() as conn:
        ids = [row["id"] for row in await conn.fetch("SELECT id FROM reservation")]
        shown = await views.by_ids(conn, ids, sensitive_too=True)
    assert all(f'"expiry": "{today + timedelta(days=6)}"' in str(row["allocations"])
               for row in shown if row["need_id"] != needs[1])  # fmt: skip


async def test_what_expires_while_it_is_set_aside_is_given_up_for_what_is_good(
    world: World, today: date
) -> None:
    site_id, other = await world.site(), await world.site("other")
    await world.item()
    yesterday = today - timedelta(days=1)
    old = await world.stock(site_id, 2, expiry=today)
    need_id = UUID(int=1)
    await set_aside(world, need_id, yesterday)
    await world.goes_off(old, yesterday)
    assert await world.value(LOT, need_id) == old
    good = await world.stock(site_id, 1, expiry=today + timedelta(days=300))
    await world.stock(other, 1, expiry=today + timedelta(days=100))
    before = len(await world.emitted(SupplyGrewV1))
    assert await world.run(sweeps.expire_lots) == 1
    assert await world.run(sweeps.expire_lots) == 0
    assert await world.state(need_id) == "relocated"
    (released,) = await world.emitted(ReservationReleasedV1)
    assert (released.need_id, released.cause) == (need_id, "relocated")
    # Nobody is told of what is no good.
    assert len(await world.emitted(SupplyGrewV1)) == before
    assert await world.issue(need_id, on=today) == "reservation-over"
    await world.run(changes.tell_stock)
    last = {each.site_id: each for each in await world.emitted(StockChangedV1)}[SiteId(site_id)]
    assert (last.on_hand, last.free) == (3, 1)
    # The person was told to come here: here is another, though one elsewhere would go first.
    again = approved(need_id=need_id, attempt_no=2, planned_on=yesterday)
    await world.take(again)
    assert await world.value(LOT, need_id) == good
    await world.books_are_right()


async def test_what_is_good_on_its_last_day_stays_set_aside(world: World, today: date) -> None:
    site_id = await world.site()
    await world.item()
    await world.stock(site_id, 1, expiry=today)
    await set_aside(world, UUID(int=1), today)
    assert await world.run(sweeps.expire_lots) == 0
    assert await world.issue(UUID(int=1), on=today) is None


async def test_lots_that_were_found_out_of_date_before_are_given_up_too(
    world: World, today: date
) -> None:
    """Until now what was set aside of them had stayed so."""
    site_id = await world.site()
    await world.item()
    await world.item("soap")
    yesterday = today - timedelta(days=1)
    parcel = await world.stock(site_id, 1)
    soap = await world.stock(site_id, 1, "soap")
    need = approved(items=("parcel", "soap"), planned_on=yesterday)
    await world.take(need)
    await world.take(confirmed(need.need_id))
    await world.goes_off(parcel, yesterday)
    await world.execute("UPDATE lot SET status = 'expired' WHERE id <> $1", soap)
    await world.execute("UPDATE stock_state SET free = 0")
    assert await world.run(sweeps.expire_lots) == 1
    assert await world.state(need.need_id) == "relocated"
    # What went with it is free for others.
    assert [(each.code, each.quantity) for each in await world.emitted(SupplyGrewV1)][-1:] == [
        ("soap", 1)
    ]
    assert await world.run(sweeps.expire_lots) == 0
    await world.books_are_right()


async def test_goods_that_come_in_expired_are_there_for_nobody(world: World, today: date) -> None:
    site_id = await world.site()
    await world.item()
    yesterday = today - timedelta(days=1)
    await world.stock(site_id, 2, expiry=yesterday)
    await world.stock(site_id, 1, expiry=today)
    # Whoever waits is told of what is good, and of a day gone by gets no more than others.
    assert [each.quantity for each in await world.emitted(SupplyGrewV1)] == [1]
    lots = await world.rows("SELECT status, on_hand FROM lot ORDER BY expiry")
    assert [tuple(lot.values()) for lot in lots] == [("expired", 2), ("available", 1)]
    needs = [UUID(int=number) for number in (1, 2)]
    await set_aside(world, needs[0], yesterday)
    await world.take(approved(need_id=needs[1], planned_on=yesterday))
    assert await world.state(needs[1]) is None
    await world.run(changes.tell_stock)
    last = (await world.emitted(StockChangedV1))[-1]
    assert (last.on_hand, last.free) == (3, 0)
    await world.books_are_right()


async def test_what_expired_today_is_given_to_nobody_before_the_sweep(
    world: World, today: date
) -> None:
    site_id = await world.site()
    await world.item()
    yesterday = today - timedelta(days=1)
    await world.goes_off(await world.stock(site_id, 2), yesterday)
    need = approved(planned_on=yesterday)
    await world.take(need)
    assert await world.state(need.need_id) is None
    async with world.database.read() as conn:
        (own,) = await world_store.own_stock(conn, site_id=None, items=None, sensitive_too=True)
    assert (own["on_hand"], own["free"], own["left"], own["expiry"]) == (2, 0, 0, None)
    assert await world.run(sweeps.expire_lots) == 1
    await world.books_are_right()


async def test_what_expired_today_is_sent_to_nobody(pair: tuple[Side, Side], today: date) -> None:
    kyiv, lviv = pair
    lot_id = await kyiv.world.stock(kyiv.site_id, 2, expiry=today)
    book = await kyiv.send(lviv, (lot_id, 2))
    await kyiv.world.goes_off(lot_id, today - timedelta(days=1))
    assert await kyiv.dispatch(book.shipment_id) == "not-free"
    assert await kyiv.prepare(lviv, (lot_id, 1)) == "not-free"
    assert await kyiv.on_hand() == 2
