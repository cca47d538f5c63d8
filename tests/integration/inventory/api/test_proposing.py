"""Proposals and rules that ask, over HTTP."""

from uuid import uuid4

from aidmesh_chassis.auth import Role
from aidmesh_chassis.service import Service
from integration.inventory.office import Api, new_item, new_site
from integration.inventory.test_proposing import told, waits
from integration.inventory.world import World
from support.paging import walk


def beat(service: Service) -> None:
    """However slow the machine is, odesa was heard just now."""
    assert service.peers is not None
    service.peers.heard("beat.odesa", b"inventory")


async def test_a_proposal_is_seen_by_role_taken_and_set_aside(
    api: Api, world: World, service: Service
) -> None:
    site_id = await new_site(api)
    await new_item(api)
    await world.take(waits(12), waits(3, sensitive=True))
    await world.take(told(40), region="odesa")
    keeper = Api(service, Role.LOGISTICIAN)
    assert (await keeper.get("proposals"))["rows"] == []
    beat(service)
    (row,) = (await keeper.get("proposals"))["rows"]
    assert (row["needs"], row["waiting"], row["quantity"], row["free"]) == (3, 12, 12, 40)
    assert (row["from_region"], row["area"], row["link"]["state"]) == ("odesa", "UA80", "up")
    beat(service)
    assert len((await api.get("proposals"))["rows"]) == 2
    await Api(service, Role.CASEWORKER).get("proposals", 403)
    body = {"item": "parcel", "from_region": "odesa", "quantity": 12, "to_site_id": site_id}
    much = await keeper.post("proposals:take", body | {"quantity": 13}, 409)
    assert much["type"].endswith(":no-proposal")
    beat(service)
    made = await keeper.post("proposals:take", body)
    (asked,) = (await keeper.get("transfers", direction="in"))["rows"]
    assert (asked["transfer_id"], asked["quantity"]) == (made["transfer_id"], 12)
    await world.take(waits(14, 2))
    which = {"item": "parcel", "from_region": "odesa"}
    beat(service)
    await keeper.post("proposals:set-aside", which)
    assert (await keeper.get("proposals"))["rows"] == []
    gone = await keeper.post("proposals:set-aside", which, 409)
    assert gone["type"].endswith(":no-proposal")


async def test_what_is_proposed_and_ruled_is_read_page_by_page(
    api: Api, world: World, service: Service
) -> None:
    site_id = await new_site(api)
    await new_item(api)
    await new_item(api, "soap")
    await world.take(waits(12), waits(3, sensitive=True), waits(2, item="soap"))
    await world.take(told(40), region="odesa")
    await world.execute(
        "INSERT INTO world_stock SELECT region, site_id, 'soap', area, 9, 9, epoch, version, as_of"
        " FROM world_stock"
    )
    beat(service)
    rows = await walk(lambda query: api.get("proposals", 200, **query), "rows")
    assert [(row["item"], row["sensitive"], row["quantity"]) for row in rows] == [
        ("parcel", False, 12), ("parcel", True, 3), ("soap", False, 2),
    ]  # fmt: skip
    for item in ("soap", "parcel"):
        await api.post("ask-rules", {"item": item, "to_site_id": site_id, "open_max": 20})
    rules = await walk(lambda query: api.get("ask-rules", 200, **query), "rows")
    assert [rule["item"] for rule in rules] == ["parcel", "soap"]
    bounds = {"keep_pieces": 0, "keep_days": 0, "ask_max": 5, "week_max": 9}
    for accepted in (None, "soap", "parcel"):
        await api.post("accept-rules", {**bounds, "item": accepted})
    rules = await walk(lambda query: api.get("accept-rules", 200, **query), "rows")
    assert [rule["item"] for rule in rules] == ["parcel", "soap", None]


async def test_an_item_is_asked_for_by_rule(api: Api, world: World, service: Service) -> None:
    site_id = await new_site(api)
    await new_item(api)
    body = {"item": "parcel", "to_site_id": site_id, "regions": ["odesa"], "open_max": 20}
    for wrong, status, problem in (
        ({"item": "nothing"}, 422, "unknown-item"),
        ({"to_site_id": str(uuid4())}, 422, "unknown-site"),
    ):
        refused = await api.post("ask-rules", body | wrong, status)
        assert refused["type"].endswith(f":{problem}")
    made = await api.post("ask-rules", body)
    assert (await api.post("ask-rules", body, 409))["type"].endswith(":rule-in-force")
    (rule,) = (await api.get("ask-rules"))["rows"]
    assert (rule["rule_id"], rule["open_max"]) == (made["rule_id"], 20)
    await world.take(waits(12), waits(3, sensitive=True))
    await world.take(told(40), region="odesa")
    beat(service)
    (sweep,) = (each for each in service.sweeps if each.name == "asks_by_rule")
    assert await world.run(sweep.run) == 2
    rows = (await api.get("transfers", direction="in"))["rows"]
    assert {row["ask_rule_id"] for row in rows} == {made["rule_id"]}
    assert sum(row["quantity"] for row in rows) == 15
    end = f"ask-rules/{made['rule_id']}:end"
    await api.post(end)
    assert (await api.post(end, None, 404))["type"].endswith(":unknown-rule")
