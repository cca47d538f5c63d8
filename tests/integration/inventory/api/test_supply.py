"""What could be had now, in one answer."""

from uuid import UUID, uuid4

from aidmesh_chassis.auth import Role
from aidmesh_chassis.service import Service
from aidmesh_contracts.ids import SiteId
from aidmesh_contracts.inventory import CapacityChangedV1, StockChangedV1
from integration.inventory.office import Api, new_item, new_site
from integration.inventory.world import DAY, World, approved


async def test_every_kind_is_told_of_at_once_here_and_elsewhere(
    service: Service, api: Api, world: World
) -> None:
    big, small, closed = [UUID(await new_site(api, f"kyiv-{number}")) for number in range(3)]
    for item in ("parcel", "kit", "soap"):
        await new_item(api, item)
    for site_id, item, pieces in [
        (big, "parcel", 50), (big, "kit", 3), (small, "parcel", 9), (small, "kit", 40),
        (closed, "parcel", 100), (closed, "kit", 100),
    ]:  # fmt: skip
        await world.stock(site_id, pieces, item)
    await world.beds(small, 2)
    await api.post(f"sites/{closed}:close", {"reason": "damage", "keep": True})
    theirs = SiteId(uuid4())
    async with world.database.transaction() as tx:
        now = tx.now
    await world.take(
        *(
            StockChangedV1(
                stock_key=f"{theirs}/{item}", site_id=theirs, area="UA46", item=item,
                on_hand=9, free=pieces, version=1, as_of=now,
            )
            for item, pieces in [("parcel", 8), ("kit", 9), ("soap", 5)]
        ),
        region="lviv",
    )  # fmt: skip
    await world.take(
        CapacityChangedV1(
            capacity_key=f"{theirs}/bed/shelter", site_id=theirs, area="UA46", resource="bed",
            code="shelter", first_on=DAY, free_by_day=(4, 0), total=9, version=1, as_of=now,
        ),
        region="lviv",
    )  # fmt: skip
    wanted = [
        {"code": "set", "stock": [{"item": "parcel", "quantity": 4},
                                  {"item": "kit", "quantity": 1}]},
        {"code": "soap", "stock": [{"item": "soap", "quantity": 1}]},
        {"code": "night", "place": {"resource": "bed", "code": "shelter"}},
        {"code": "talk", "place": {"resource": "slot", "code": "counseling"}},
        {"code": "advice"},
    ]  # fmt: skip
    rows = (await api.post("supply:lookup", {"wanted": wanted}))["rows"]
    assert [(each["code"], each["free"]) for each in rows] == [
        ("set", 5), ("soap", 0), ("night", 2), ("talk", 0), ("advice", 0),
    ]  # fmt: skip
    assert rows[0]["sites"] == [
        {"site_id": str(big), "free": 3},
        {"site_id": str(small), "free": 2},
    ]
    assert [[(each["region"], each["free"]) for each in row["elsewhere"]] for row in rows] == [
        [("lviv", 2)],
        [("lviv", 5)],
        [("lviv", 4)],
        [],
        [],
    ]

    first = await api.get("stock/totals", limit=1)
    rest = await api.get("stock/totals", after=first["next"])
    assert (first["rows"], rest["rows"], rest["next"]) == (
        [{"item": "kit", "free": 43}],
        [{"item": "parcel", "free": 59}],
        None,
    )


async def test_what_is_sensitive_is_counted_in_steps(
    service: Service, api: Api, world: World
) -> None:
    site_id = UUID(await new_site(api))
    await new_item(api)
    await world.stock(site_id, 20)
    await world.take(approved(sensitive=True))
    wanted = {"wanted": [{"code": "parcel", "stock": [{"item": "parcel", "quantity": 1}]}]}
    for role, free in [(Role.LOGISTICIAN, 15), (Role.CASEWORKER, 19)]:
        staff = Api(service, role)
        assert (await staff.post("supply:lookup", wanted))["rows"][0]["free"] == free
        assert (await staff.get("stock/totals"))["rows"] == [{"item": "parcel", "free": free}]
