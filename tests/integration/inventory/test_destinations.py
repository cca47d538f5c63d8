"""Goods that go from one site to another."""

from uuid import uuid4

from aidmesh_contracts.ids import NeedId, SiteId
from aidmesh_contracts.intake import AidGivenV1
from aidmesh_contracts.inventory import (
    ReservationHeldV1,
    ReservationIssuedV1,
    ReservationRefusedV1,
)
from aidmesh_contracts.values import StockDemand
from integration.inventory.world import DAY, World, approved, confirmed


async def test_a_warehouse_equips_a_center_in_another_area(world: World) -> None:
    center = await world.site("center", "UA63")
    await world.item("laptop", "serial")
    need = approved(items=("laptop",), area="UA63", to_site_id=center)
    await world.take(need)
    (refused,) = await world.emitted(ReservationRefusedV1)
    assert refused.blocked_by is not None
    assert (refused.blocked_by.site_id, refused.blocked_by.area) == (None, None)

    warehouse = await world.site("warehouse", "UA80")
    await world.stock(warehouse, 1, "laptop", unit_value_minor=900)
    await world.take(
        approved(need_id=need.need_id, attempt_no=2, items=("laptop",), area="UA63",
                 to_site_id=center)
    )  # fmt: skip
    (held,) = await world.emitted(ReservationHeldV1)
    assert held.site_id == warehouse
    await world.take(confirmed(need.need_id, 2))
    assert await world.issue(need.need_id, attempt_no=2, to_site_id=uuid4()) == "unknown-site"
    assert await world.issue(need.need_id, attempt_no=2) is None

    (asset,) = await world.rows("SELECT site_id, unit_value_minor FROM asset")
    assert asset == {"site_id": center, "unit_value_minor": 900}
    (issued,) = await world.emitted(ReservationIssuedV1)
    # Counted where it is of use, whoever gave it.
    assert (issued.site_id, issued.area) == (center, "UA63")
    await world.books_are_right()


async def test_goods_for_a_site_come_from_the_nearest_shelf(world: World) -> None:
    far = await world.site("far", "UA80")
    near = await world.site("near", "UA63")
    center = await world.site("center", "UA6301")
    await world.item("desk")
    for site_id in (far, near, center):
        await world.stock(site_id, 1, "desk")
    needs = [approved(items=("desk",), area="UA63", to_site_id=center) for _ in range(3)]
    for need in needs:
        await world.take(need)
    givers = [each.site_id for each in await world.emitted(ReservationHeldV1)]
    assert givers == [center, near, far]
    # Nobody else is served from outside the area.
    await world.stock(far, 1, "desk")
    person = approved(items=("desk",), area="UA63")
    await world.take(person)
    assert await world.state(person.need_id) is None


async def test_a_site_that_nobody_knows_waits_for_its_own_goods(world: World) -> None:
    await world.item("desk")
    await world.stock(await world.site(), 1, "desk")
    unknown = uuid4()
    need = approved(items=("desk",), to_site_id=unknown)
    await world.take(need)
    (refused,) = await world.emitted(ReservationRefusedV1)
    assert refused.blocked_by is not None
    assert refused.blocked_by.site_id == unknown


async def test_goods_that_a_site_was_given_are_booked_from_any_shelf(world: World) -> None:
    warehouse, center = await world.site("warehouse"), await world.site("center", "UA63")
    await world.item("desk")
    await world.stock(warehouse, 1, "desk")
    fact = AidGivenV1(
        need_id=NeedId(uuid4()),
        kind="furniture_center",
        programme="centers",
        served_on=DAY,
        place_area="UA63",
        to_site_id=SiteId(center),
        stock=(StockDemand(item="desk", quantity=1),),
    )
    await world.take(fact)
    assert await world.value("SELECT on_hand FROM lot") == 0
    (row,) = await world.rows("SELECT site_id, to_site_id FROM reservation")
    assert row == {"site_id": warehouse, "to_site_id": center}
