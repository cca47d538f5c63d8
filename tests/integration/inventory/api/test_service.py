"""What the service as a whole promises over HTTP."""

from typing import Any
from uuid import UUID, uuid4

from aidmesh_chassis.auth import Role
from aidmesh_chassis.service import Service
from aidmesh_contracts.consumers import CONSUMERS
from integration.inventory.office import Api, new_item, new_site
from integration.inventory.world import World
from support.bodies import lax_bodies, misread_routes
from support.routes import posts_without_key


async def test_every_post_honors_the_idempotency_key(service: Service) -> None:
    assert posts_without_key(service.app) == []


async def test_no_field_of_a_body_is_ignored(service: Service) -> None:
    assert lax_bodies(service.app) == set()
    assert misread_routes(service.app) == []


async def test_roles_and_unknown_fields_are_checked(service: Service, api: Api) -> None:
    caseworker = Api(service, Role.CASEWORKER)
    body = {"code": "x", "name": "x", "area": "UA80", "site_type": "center"}
    await caseworker.post("sites", body, status=403)
    await api.post("sites", {**body, "surprise": 1}, status=422)


async def test_long_lists_go_on_page_by_page(api: Api, world: World) -> None:
    for number in range(3):
        await new_site(api, f"kyiv-{number}")
    await new_item(api)
    await new_item(api, "soap")
    sites = [UUID(row["site_id"]) for row in (await api.get("sites"))["rows"]]
    for site_id in sites:
        await world.beds(site_id, 1)
        for item in ("parcel", "soap"):
            await world.stock(site_id, 2, item)
    away = [uuid4(), uuid4()]
    for site_id in away:
        await world.execute(
            "INSERT INTO world_site VALUES ('lviv', $1, 'UA46', 'center', 'open', 1, 1, now())",
            site_id,
        )
        await world.execute(
            "INSERT INTO world_stock VALUES ('lviv', $1, 'soap', 'UA46', 4, 4, 1, 1, now())",
            site_id,
        )
        await world.execute(
            "INSERT INTO world_capacity VALUES"
            " ('lviv', $1, 'bed', 'shelter', 'UA46', current_date, '{1}', 1, 1, 1, now())",
            site_id,
        )
    purchases = [uuid4() for _ in range(3)]
    for purchase_id in purchases:
        await world.execute(
            "INSERT INTO purchase VALUES ($1, $2, '{}', 'UAH')", purchase_id, uuid4()
        )
        await world.execute("INSERT INTO purchase_line VALUES ($1, 'soap', 2, 0, 1)", purchase_id)

    async def every(path: str, *lists: str, **query: object) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        after: str | None = ""
        while after is not None:
            asked = {**query, "limit": 2} | ({"after": after} if after else {})
            page = await api.get(path, 200, **asked)
            rows = [row for name in lists for row in page[name]]
            assert len(rows) <= 2
            found += rows
            after = page["next"]
        return found

    stock = await every("stock", "own", "others")
    keys = [(row["item"], row["site_id"]) for row in stock]
    here = sorted((item, str(each)) for item in ("parcel", "soap") for each in sites)
    assert keys == here + sorted(("soap", str(each)) for each in away)
    at_one = await every("stock", "own", "others", site_id=sites[0])
    assert [row["item"] for row in at_one] == ["parcel", "soap"]
    free = await every("stock/free", "rows", item="soap")
    assert [row["site_id"] for row in free] == sorted(map(str, sites)) + sorted(map(str, away))
    capacity = await every("capacity", "rows", resource="bed")
    assert [row["site_id"] for row in capacity] == [row["site_id"] for row in free]
    expected = await every("purchases/expected", "rows")
    assert [row["purchase_id"] for row in expected] == sorted(map(str, purchases))
    assert await every("purchases/expected", "rows", item="soap") == expected
    assert await every("purchases/expected", "rows", item="parcel") == []
    others = await every("sites/others", "rows")
    assert [row["site_id"] for row in others] == sorted(map(str, away))
    for row in (*stock, *free, *capacity, *others):
        from_away = row["site_id"] in set(map(str, away))
        assert ((row.get("link") or {}).get("state") == "dark") == from_away
    await api.get("stock", status=422, after="nonsense")


async def test_subscriptions_are_those_of_the_contracts(service: Service) -> None:
    durables = [each.consumer_of("inventory").durable for each in service.subscriptions]
    assert set(durables) == {each.durable for each in CONSUMERS if each.service == "inventory"}
    assert len(set(durables)) == len(durables)
