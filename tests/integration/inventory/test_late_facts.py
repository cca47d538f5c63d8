"""Aid that is entered late: its lot has expired since, or its site has closed."""

from datetime import date, timedelta
from uuid import UUID

import pytest

from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import SiteId
from aidmesh_contracts.intake import AidGivenV1
from aidmesh_contracts.inventory import AidBookedV1, SupplyGrewV1
from aidmesh_contracts.values import CapacityDemand
from aidmesh_inventory.handlers import sites, sweeps
from integration.inventory.test_facts import given, undone
from integration.inventory.world import World, night

LIVE = """
    SELECT (SELECT count(*) FROM bed_booking WHERE live)
         + (SELECT count(*) FROM slot_booking WHERE live)
"""


@pytest.fixture
async def today(world: World) -> date:
    async with world.database.transaction() as tx:
        return day_of(tx.now)


async def odd(world: World) -> list[tuple[str, str, int]]:
    """Open discrepancies: why, of what, how much."""
    rows = await world.rows(
        "SELECT why, about, quantity FROM discrepancy WHERE status = 'open' ORDER BY 1, 2, 3"
    )
    return [(row["why"], row["about"], row["quantity"]) for row in rows]


async def close(world: World, site_id: UUID, closed_on: date | None = None) -> None:
    """Close a site for good; on a day gone by, if one is named."""
    async with world.database.transaction() as tx:
        assert await sites.close(tx, site_id, "shelling", keeps=False) is not None
    if closed_on is not None:
        await world.execute(
            "UPDATE site SET closed_at = ($2::date + time '12:00') AT TIME ZONE 'Europe/Kyiv'"
            " WHERE id = $1",
            site_id,
            closed_on,
        )


@pytest.mark.parametrize("is_swept", [False, True])
async def test_what_was_given_on_the_last_good_day_is_booked(
    world: World, today: date, *, is_swept: bool
) -> None:
    site_id = await world.site()
    await world.item()
    yesterday = today - timedelta(days=1)
    lot_id = await world.stock(site_id, 9)
    await world.goes_off(lot_id, yesterday)
    if is_swept:
        assert await world.run(sweeps.expire_lots) == 1
    fact = given(quantity=3, served_on=yesterday)
    await world.take(fact)
    assert await odd(world) == []
    assert await world.value("SELECT on_hand FROM lot") == 6
    assert await world.value("SELECT on_hand FROM stock_state") == 6
    # The day after it was no good any more: the books can't say where that came from.
    await world.take(given(quantity=1, served_on=today))
    assert await odd(world) == [("not_in_books", "stock", 1)]
    assert await world.value("SELECT on_hand FROM lot") == 6
    await world.run(sweeps.expire_lots)
    before = len(await world.emitted(SupplyGrewV1))
    await world.take(undone(fact))
    assert await world.value("SELECT on_hand FROM lot") == 9
    assert await world.value("SELECT free FROM stock_state") == 0
    assert len(await world.emitted(SupplyGrewV1)) == before
    await world.books_are_right()


async def test_goods_that_came_in_late_are_there_for_facts(world: World, today: date) -> None:
    site_id = await world.site()
    await world.item()
    days = [today - timedelta(days=number) for number in (5, 3)]
    await world.stock(site_id, 2, expiry=days[1])
    await world.stock(site_id, 2, expiry=days[0])
    await world.take(given(quantity=1, served_on=days[1]), given(quantity=2, served_on=days[0]))
    assert await odd(world) == []
    left = await world.rows("SELECT on_hand FROM lot ORDER BY expiry")
    assert [lot["on_hand"] for lot in left] == [0, 1]
    await world.books_are_right()


def places(world: World, resource: str, day: date) -> CapacityDemand:
    """A bed for a night, or a seat, of a day."""
    if resource == "bed":
        return night(day, 1)
    return CapacityDemand(resource="slot", code="counseling", from_on=day, to_on=day)


async def ready(world: World, resource: str, site_id: UUID, day: date) -> None:
    if resource == "bed":
        await world.beds(site_id, 1)
    else:
        await world.slot(site_id, day)


def at(fact: AidGivenV1, site_id: UUID | None) -> AidGivenV1:
    return fact.model_copy(update={"site_id": None if site_id is None else SiteId(site_id)})


@pytest.mark.parametrize("is_named", [False, True])
@pytest.mark.parametrize("resource", ["bed", "slot"])
async def test_a_place_at_a_site_that_closed_since_is_booked(
    world: World, today: date, resource: str, *, is_named: bool
) -> None:
    site_id = await world.site()
    day = today - timedelta(days=3)
    await ready(world, resource, site_id, day)
    await close(world, site_id)
    fact = at(given(capacity=places(world, resource, day), served_on=day), None)
    if is_named:
        fact = at(fact, site_id)
    await world.take(fact)
    assert await odd(world) == []
    assert await world.value(LIVE) == 1
    (booked,) = await world.emitted(AidBookedV1)
    assert booked.site_id == site_id
    # It is taken, as it was.
    await world.take(at(given(capacity=places(world, resource, day), served_on=day), site_id))
    assert await odd(world) == [("not_in_books", resource, 1)]
    await world.take(undone(fact))
    assert await world.value(LIVE) == 0
    await world.books_are_right()


@pytest.mark.parametrize("resource", ["bed", "slot"])
async def test_a_site_that_was_closed_by_then_is_booked_only_if_it_is_named(
    world: World, today: date, resource: str
) -> None:
    site_id = await world.site()
    day = today - timedelta(days=3)
    await ready(world, resource, site_id, day)
    await close(world, site_id, closed_on=day - timedelta(days=1))
    await world.take(given(capacity=places(world, resource, day), served_on=day))
    assert await odd(world) == [("not_in_books", resource, 1)]
    await world.take(at(given(capacity=places(world, resource, day), served_on=day), site_id))
    assert await odd(world) == [("not_in_books", resource, 1), ("site_closed", resource, 1)]
    assert await world.value(LIVE) == 1


async def test_goods_of_a_site_that_was_closed_by_then_are_booked_only_if_it_is_named(
    world: World, today: date
) -> None:
    closed, there = await world.site(), await world.site("other")
    await world.item()
    await world.stock(closed, 8)
    await world.stock(there, 3)
    await close(world, closed, closed_on=today - timedelta(days=1))
    await world.take(given(quantity=4, served_on=today))
    assert await odd(world) == [("not_in_books", "stock", 1)]
    await world.take(given(quantity=2, served_on=today - timedelta(days=1)))
    assert await odd(world) == [("not_in_books", "stock", 1)]
    await world.take(at(given(quantity=4, served_on=today), closed))
    assert await odd(world) == [("not_in_books", "stock", 1), ("site_closed", "stock", 4)]
    booked = await world.emitted(AidBookedV1)
    assert [each.site_id for each in booked] == [there, closed, closed]
    left = await world.rows("SELECT site_id, on_hand FROM lot")
    assert {lot["site_id"]: lot["on_hand"] for lot in left} == {closed: 2, there: 0}
    await world.books_are_right()


@pytest.mark.parametrize("resource", ["bed", "slot"])
async def test_an_open_site_goes_before_one_that_has_closed_since(
    world: World, today: date, resource: str
) -> None:
    day = today - timedelta(days=3)
    closed, there = await world.site(), await world.site("other")
    for site_id in (closed, there):
        await ready(world, resource, site_id, day)
    await close(world, closed)
    for _ in range(2):
        await world.take(given(capacity=places(world, resource, day), served_on=day))
    booked = await world.emitted(AidBookedV1)
    assert [each.site_id for each in booked] == [there, closed]
    assert await odd(world) == []
