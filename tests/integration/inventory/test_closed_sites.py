"""What a closed site still seems to have."""

from uuid import UUID, uuid4

from aidmesh_contracts.ids import SiteId
from aidmesh_contracts.inventory import CapacityChangedV1, SiteChangedV1, StockChangedV1
from aidmesh_inventory.handlers import sites
from aidmesh_inventory.store import world as world_store
from integration.inventory.world import DAY, World


async def free(world: World) -> dict[UUID, tuple[int, tuple[int, ...]]]:
    """What can be had at each site, own and others': pieces, and places by day."""
    async with world.database.read() as conn:
        stock = [
            *await world_store.own_stock(conn, site_id=None, items=None, sensitive_too=True),
            *await world_store.others_stock(conn, items=None),
        ]
        places = [
            *await world_store.own_capacity(conn, resource=None),
            *await world_store.others_capacity(conn, resource=None),
        ]
    by_day = {row["site_id"]: tuple(row["free_by_day"]) for row in places}
    return {row["site_id"]: (row["free"], by_day[row["site_id"]]) for row in stock}


async def test_nothing_is_free_at_a_closed_site(world: World) -> None:
    own, theirs = await world.site(), SiteId(uuid4())
    await world.item()
    await world.stock(own, 5)
    await world.beds(own, 2)
    async with world.database.transaction() as tx:
        now = tx.now
    await world.take(
        StockChangedV1(
            stock_key=f"{theirs}/parcel", site_id=theirs, area="UA46", item="parcel",
            on_hand=9, free=7, version=1, as_of=now,
        )
    )  # fmt: skip
    await world.take(
        CapacityChangedV1(
            capacity_key=f"{theirs}/bed/shelter", site_id=theirs, area="UA46", resource="bed",
            code="shelter", first_on=DAY, free_by_day=(1, 2), total=2, version=1, as_of=now,
        )
    )  # fmt: skip
    assert await free(world) == {own: (5, (2,) * 14), theirs: (7, (1, 2))}

    async with world.database.transaction() as tx:
        assert await sites.close(tx, own, "strike", keeps=True) is not None

    def told(status: str, version: int) -> SiteChangedV1:
        return SiteChangedV1.model_validate(
            {"site_id": theirs, "area": "UA46", "site_type": "shelter", "status": status,
             "version": version}
        )  # fmt: skip

    await world.take(told("closed", 1))
    assert await free(world) == {own: (0, (0,) * 14), theirs: (0, (0, 0))}

    async with world.database.transaction() as tx:
        assert await sites.reopen(tx, own, "repaired") is not None
    await world.take(told("open", 2))
    assert await free(world) == {own: (5, (2,) * 14), theirs: (7, (1, 2))}
