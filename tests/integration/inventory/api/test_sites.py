"""Sites, items and alerts over HTTP."""

from uuid import UUID, uuid4

from aidmesh_chassis.auth import Role
from aidmesh_chassis.service import Service
from aidmesh_inventory.handlers.hold import reservation_id_of
from integration.inventory.office import CANARY, Api, new_item, new_site
from integration.inventory.world import World, approved, confirmed
from support.paging import walk


async def test_sites_keep_their_address_to_themselves(api: Api, world: World) -> None:
    site_id = await new_site(api)
    assert await new_site(api) == site_id
    listed = await api.get("sites")
    assert [(row["code"], row["iso_code"]) for row in listed["rows"]] == [("kyiv-1", "UA-30")]
    assert CANARY not in str(listed)
    assert (await api.get(f"sites/{site_id}"))["address"] == CANARY
    (stored,) = await world.rows("SELECT address FROM site")
    assert CANARY.encode() not in stored["address"]
    body = {"code": "kyiv-1", "name": "another", "area": "UA80", "site_type": "shelter"}
    problem = await api.post("sites", body, status=409)
    assert problem["type"].endswith(":code-taken")
    body = {"code": "mars", "name": "mars", "area": "UA99", "site_type": "shelter"}
    assert (await api.post("sites", body, status=422))["type"].endswith(":unknown-area")


async def test_a_sites_name_and_address_are_corrected_at_home(api: Api, world: World) -> None:
    site_id = await new_site(api)
    told = await world.value("SELECT count(*) FROM outbox")
    path, moved = f"sites/{site_id}:correct", "вул. Інша, 9"
    changed = await api.post(path, {"version": 1, "name": "Тепло", "address": moved})
    assert (changed["name"], changed["version"]) == ("Тепло", 2)
    assert moved not in str(changed)
    stale = await api.post(path, {"version": 1, "name": "Холод"}, status=409)
    assert stale["type"].endswith(":version-changed")
    await api.post(path, {"version": 2, "name": "Дім"})
    detail = await api.get(f"sites/{site_id}")
    assert (detail["name"], detail["address"]) == ("Дім", moved)
    await api.post(path, {"version": 3, "address": None})
    assert (await api.get(f"sites/{site_id}"))["address"] is None
    await api.post(f"sites/{uuid4()}:correct", {"version": 1, "name": "x"}, status=404)
    # Neither is anything that other regions know.
    assert await world.value("SELECT count(*) FROM outbox") == told


async def test_an_item_turns_out_to_need_a_prescription(api: Api, world: World) -> None:
    site_id = UUID(await new_site(api))
    await new_item(api)
    await world.stock(site_id, 1)
    need = approved()
    await world.take(need)
    await world.take(confirmed(need.need_id))
    changed = await api.post("items/parcel:correct", {"version": 1, "prescription": True})
    assert (changed["prescription"], changed["version"]) == (True, 2)
    assert changed["names"]["en"] == "parcel"
    path = f"reservations/{reservation_id_of(need.need_id, 1)}:issue"
    assert (await api.post(path, status=409))["type"].endswith(":prescription-not-seen")
    names = {"uk": "ліки", "en": "medicine", "de": "Arznei"}
    await api.post("items/parcel:correct", {"version": 1, "names": names}, status=409)
    await api.post("items/parcel:correct", {"version": 2, "names": names})
    (item,) = (await api.get("items"))["rows"]
    assert (item["names"], item["prescription"], item["version"]) == (names, True, 3)
    again = {"code": "parcel", "names": names, "prescription": True}
    assert await api.post("items", again) == item
    await api.post("items/nothing:correct", {"version": 1, "names": names}, status=404)


async def test_alerts_are_for_leads_and_on_call(api: Api, service: Service) -> None:
    body = {"area": "UA80", "reason": "air_raid"}
    await Api(service, Role.LOGISTICIAN).post("alerts", body, status=403)
    assert (await api.post("alerts", body | {"area": "UA99"}, status=422))["type"].endswith(
        "unknown-area"
    )
    alert = await Api(service, Role.ONCALL).post("alerts", body)
    assert await Api(service, Role.LEAD).post("alerts", body) == alert
    listed = await Api(service, Role.CASEWORKER).get("alerts")
    assert listed["rows"] == [alert]
    other = await api.post("alerts", body | {"area": "UA46"})
    lasting = await walk(lambda query: api.get("alerts", 200, **query), "rows")
    assert [each["alert_id"] for each in lasting] == [alert["alert_id"], other["alert_id"]]
    await api.post(f"alerts/{other['alert_id']}:end")
    path = f"alerts/{alert['alert_id']}"
    await Api(service, Role.CASEWORKER).post(f"{path}:end", status=403)
    ended = await api.post(f"{path}:end")
    assert ended["ended_at"] > alert["began_at"]
    assert await api.post(f"{path}:end") == await api.get(path) == ended
    assert (await api.get("alerts"))["rows"] == []
    await api.post(f"alerts/{uuid4()}:end", status=404)
    assert (await api.post("alerts", body))["alert_id"] != alert["alert_id"]


async def test_closing_and_opening(api: Api) -> None:
    site_id = await new_site(api)
    assert (await api.post(f"sites/{site_id}:close", {"reason": "alert"}))["status"] == "closed"
    problem = await api.post(f"sites/{site_id}:close", {"reason": "alert"}, status=409)
    assert problem["type"].endswith(":not-open")
    assert (await api.post(f"sites/{site_id}:reopen", {"reason": "over"}))["status"] == "open"
    await api.post(f"sites/{uuid4()}:reopen", {"reason": "over"}, status=404)
