"""Rules for asks over HTTP."""

from uuid import UUID, uuid4

from aidmesh_chassis.auth import Role
from aidmesh_chassis.service import Service
from integration.inventory.office import Api, new_item, new_site
from integration.inventory.test_accepting import ask
from integration.inventory.world import World


async def test_a_rule_is_set_used_and_ended(api: Api, world: World, service: Service) -> None:
    site_id = await new_site(api)
    await new_item(api)
    await world.stock(UUID(site_id), 30)
    body = {"item": "parcel", "site_id": site_id, "regions": ["lviv"], "keep_pieces": 5,
            "ask_max": 10, "week_max": 20}  # fmt: skip
    caseworker = Api(service, Role.CASEWORKER)
    await caseworker.post("accept-rules", body, status=403)
    for wrong, problem in (
        ({"week_max": 9}, "week-below-ask"),
        ({"item": "nothing"}, "unknown-item"),
        ({"site_id": str(uuid4())}, "unknown-site"),
    ):
        refused = await api.post("accept-rules", body | wrong, 422)
        assert refused["type"].endswith(f":{problem}")
    made = await api.post("accept-rules", body)
    await world.take(ask(8), region="lviv")
    await world.take(ask(8, "odesa"), region="odesa")
    (rule,) = (await api.get("accept-rules"))["rows"]
    assert (rule["rule_id"], rule["given"], rule["keep_days"]) == (made["rule_id"], 8, 0)
    rows = (await api.get("transfers", direction="out"))["rows"]
    assert {(row["to_region"], row["state"], row["accept_rule_id"]) for row in rows} == {
        ("lviv", "accepted", made["rule_id"]),
        ("odesa", "asked", None),
    }
    page = await api.get("transfers", direction="out", limit=1)
    assert page["rows"] == rows[:1]
    following = await api.get("transfers", direction="out", limit=1, after=page["next"])
    assert following["rows"] == rows[1:]
    end = f"accept-rules/{made['rule_id']}:end"
    await api.post(end)
    assert (await api.get("accept-rules"))["rows"] == []
    assert (await api.post(end, None, 404))["type"].endswith(":unknown-rule")
