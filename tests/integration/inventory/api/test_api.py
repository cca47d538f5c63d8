"""The HTTP API on a real database."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from aidmesh_chassis.auth import Role
from aidmesh_chassis.idempotency import posts_without_key
from aidmesh_chassis.service import Service
from aidmesh_contracts.ids import NeedId
from aidmesh_contracts.intake import AidGivenV1
from aidmesh_contracts.inventory import SupplyGrewV1
from aidmesh_contracts.values import CapacityDemand, StockDemand
from aidmesh_inventory.handlers.hold import reservation_id_of
from integration.inventory.office import CANARY, Api, new_item, new_site
from integration.inventory.world import DAY, World, approved, confirmed, night


async def test_every_post_honors_the_idempotency_key(service: Service) -> None:
    assert posts_without_key(service.app) == []


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


async def test_a_bed_that_was_retired_comes_back(api: Api, world: World) -> None:
    site_id = await new_site(api)
    bed = {"site_id": site_id, "label": "b1", "room": "1", "code": "shelter"}
    bed_id = (await api.post("beds", bed))["bed_id"]
    assert (await api.post(f"beds/{bed_id}:restore", status=409))["type"].endswith(":still-in-use")
    await api.post(f"beds/{bed_id}:retire")
    guest = approved(items=(), capacity=night())
    await world.take(guest)
    assert await world.state(guest.need_id) is None
    await api.post(f"beds/{bed_id}:restore")
    grown = (await world.emitted(SupplyGrewV1))[-1]
    assert (grown.resource, grown.code, grown.quantity) == ("bed", "shelter", 1)
    await world.take(approved(need_id=guest.need_id, attempt_no=2, items=(), capacity=night()))
    assert await world.state(guest.need_id, 2) == "held"
    await api.post(f"beds/{uuid4()}:restore", status=404)
    # Its label is free for another bed while it is out of use.
    old, new = [(await api.post("beds", {**bed, "label": label}))["bed_id"] for label in "xy"]
    await api.post(f"beds/{old}:retire")
    await api.post(f"beds/{new}:retire")
    await api.post("beds", {**bed, "label": "x"})
    assert (await api.post(f"beds/{old}:restore", status=409))["type"].endswith(":code-taken")
    await api.post(f"beds/{new}:restore")
    await world.books_are_right()


async def test_roles_and_unknown_fields_are_checked(service: Service, api: Api) -> None:
    caseworker = Api(service, Role.CASEWORKER)
    body = {"code": "x", "name": "x", "area": "UA80", "site_type": "center"}
    await caseworker.post("sites", body, status=403)
    await api.post("sites", {**body, "surprise": 1}, status=422)


async def test_what_needs_a_prescription_is_not_handed_over_without(api: Api, world: World) -> None:
    site_id = await new_site(api)
    names = {"uk": "гормони", "en": "hormones", "de": "Hormone"}
    await api.post("items", {"code": "hormone_pack", "names": names, "prescription": True})
    await new_item(api)
    for item in ("hormone_pack", "parcel"):
        await world.stock(UUID(site_id), 5, item)
    needs = [approved(items=("hormone_pack",)) for _ in range(3)] + [approved()]
    await world.take(*needs)
    early = await api.get(f"needs/{needs[0].need_id}/reservation")
    path = f"reservations/{early['reservation_id']}:issue"
    assert (await api.post(path, status=409))["type"].endswith(":not-confirmed")
    await world.take(*(confirmed(need.need_id) for need in needs))

    refused = await api.post(path, status=409)
    assert refused["type"].endswith(":prescription-not-seen")
    assert "prescription_seen_on" in refused["detail"]
    future = await api.post(path, {"prescription_seen_on": "2999-01-01"}, status=422)
    assert future["type"].endswith(":day-in-future")
    assert await world.state(needs[0].need_id) == "confirmed"
    await api.post(path, {"prescription_seen_on": "2024-05-01"})

    rows = [{"row_id": str(n), "need_id": str(need.need_id)} for n, need in enumerate(needs[1:])]
    rows[1]["prescription_seen_on"] = "2024-05-02"
    done = await api.post("handovers:bulk", {"rows": rows})
    assert [(row["status"], row.get("problem")) for row in done["rows"]] == [
        ("rejected", "prescription-not-seen"),
        ("done", None),
        ("done", None),
    ]
    rows[0]["prescription_seen_on"] = "2024-05-03"
    again = await api.post("handovers:bulk", {"rows": rows[:1]})
    assert again["rows"][0]["status"] == "done"
    kept = await world.rows("SELECT seen_on, role, issue_no FROM prescription_seen ORDER BY 1")
    assert [(str(row["seen_on"]), row["issue_no"]) for row in kept] == [
        ("2024-05-01", 1), ("2024-05-02", 1), ("2024-05-03", 1),
    ]  # fmt: skip
    assert {row["role"] for row in kept} == {"caseworker"}
    await world.books_are_right()


async def test_receive_hand_over_undo(api: Api, world: World) -> None:
    site_id = await new_site(api)
    await new_item(api)
    body = {"site_id": site_id, "lines": [{"item": "parcel", "quantity": 3}]}
    key = uuid4().hex
    receipt = await api.post("receipts", body, key=key)
    assert await api.post("receipts", body, key=key) == receipt
    unknown = {"site_id": site_id, "lines": [{"item": "gold", "quantity": 3}]}
    assert (await api.post("receipts", unknown, status=422))["type"].endswith(":unknown-item")
    need = approved()
    await world.take(need)
    held = await api.get(f"needs/{need.need_id}/reservation")
    path = f"reservations/{held['reservation_id']}"
    assert held["state"] == "held"
    early = await api.post(f"{path}:issue", status=409)
    assert early["type"].endswith(":not-confirmed")
    await world.take(confirmed(need.need_id))
    (waiting,) = (await api.get("reservations", site_id=site_id, resource="stock"))["rows"]
    assert waiting["reservation_id"] == held["reservation_id"]
    stock = await api.get("stock", item="parcel")
    assert [(row["on_hand"], row["held"], row["free"]) for row in stock["own"]] == [(3, 1, 2)]

    future = await api.post(f"{path}:issue", {"served_on": "2999-01-01"}, status=422)
    assert future["type"].endswith(":day-in-future")
    assert "today in Kyiv at the latest" in future["detail"]
    await api.post(f"{path}:issue", {"served_on": "2026-03-02"})
    assert (await api.post(f"{path}:issue", status=409))["type"].endswith(":already-issued")
    await api.post(f"{path}:undo", {"reason": "wrong_person"})
    assert (await api.post(f"{path}:undo", {"reason": "again"}, status=409))["type"].endswith(
        ":not-issued"
    )
    looked_up = await api.post("reservations:lookup", {"need_ids": [str(need.need_id)]})
    assert [row["state"] for row in looked_up["rows"]] == ["confirmed"]
    free = await api.get("stock/free", item="parcel")
    assert [(row["region"], row["free"]) for row in free["rows"]] == [("kyiv", 2)]
    (lot,) = (await api.get("lots"))["rows"]
    assert (lot["on_hand"], lot["held"]) == (3, 1)
    loss = {"lot_id": lot["lot_id"], "kind": "loss", "quantity": 1, "reason": "damaged"}
    assert (await api.post("adjustments", loss))["on_hand"] == 2
    await world.books_are_right()


async def test_a_receipt_is_taken_back(api: Api, service: Service, world: World) -> None:
    site_id = await new_site(api)
    await new_item(api)
    body = {"site_id": site_id, "lines": [{"item": "parcel", "quantity": 3}]}
    receipt = await api.post("receipts", body)
    (lot,) = (await api.get("lots"))["rows"]
    assert lot["receipt_id"] == receipt["receipt_id"]
    path, why = f"receipts/{receipt['receipt_id']}:reverse", {"reason": "wrong_item"}
    await Api(service, Role.CASEWORKER).post(path, why, status=403)
    assert await api.post(path, why) == receipt
    assert (await api.get("lots"))["rows"] == []
    assert (await api.post(path, why, status=409))["type"].endswith(":already-reversed")
    count = {"lot_id": lot["lot_id"], "kind": "count", "quantity": 3, "reason": "found"}
    assert (await api.post("adjustments", count, status=409))["type"].endswith(":already-reversed")
    await api.post(f"receipts/{uuid4()}:reverse", why, status=404)
    await world.books_are_right()


async def test_a_lot_is_corrected_with_its_version(api: Api, world: World) -> None:
    site_id = await new_site(api)
    await new_item(api)
    terms = {"programmes": ["food"]}
    line = {"item": "parcel", "quantity": 3, "restriction": terms, "expiry": "2999-01-31"}
    await api.post("receipts", {"site_id": site_id, "lines": [line]})
    (lot,) = (await api.get("lots"))["rows"]
    path = f"lots/{lot['lot_id']}:correct"
    why = {"version": 1, "reason": "entry_error"}
    changed = await api.post(path, {**why, "expiry": "2998-01-31"})
    assert changed == {**lot, "expiry": "2998-01-31", "version": 2}
    stale = await api.post(path, {**why, "restriction": None}, status=409)
    assert stale["type"].endswith(":version-changed")
    freed = await api.post(path, {**why, "version": 2, "restriction": None, "expiry": None})
    assert freed == {**lot, "restriction": None, "expiry": None, "version": 3}
    assert (await api.get("lots"))["rows"] == [freed]
    await api.post(f"lots/{uuid4()}:correct", why, status=404)


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
    others = await every("sites/others", "rows")
    assert [row["site_id"] for row in others] == sorted(map(str, away))
    await api.get("stock", status=422, after="nonsense")


async def test_bulk_receipts_and_handovers(api: Api, world: World) -> None:
    await new_site(api)
    await new_item(api)
    rows: list[dict[str, object]] = [
        {"row_id": f"r{number}", "site_code": "kyiv-1", "item": "parcel", "quantity": 10}
        for number in range(3)
    ]
    rows += [
        {"row_id": "bad", "site_code": "kyiv-1", "item": "parcel", "quantity": "many"},
        {"row_id": "lost", "site_code": "nowhere", "item": "parcel", "quantity": 1},
        {"row_id": "r0", "site_code": "kyiv-1", "item": "parcel", "quantity": 10},
    ]
    first = await api.post("receipts:bulk", {"source": "week-1", "rows": rows})
    assert [row["status"] for row in first["rows"]] == [
        *["done"] * 3,
        "rejected",
        "rejected",
        "skipped",
    ]
    assert first["rows"][3]["errors"][0]["field"] == "quantity"
    assert "many" not in str(first)
    rows[1]["quantity"] = 11
    again = await api.post("receipts:bulk", {"source": "week-1", "rows": rows[:3]})
    # Neither ids nor contents of rows can be read from the database, the kept answers included.
    assert not await world.value(
        "SELECT EXISTS (SELECT FROM taken_row t WHERE t::text ~ 'week-1') OR EXISTS ("
        " SELECT FROM idempotency WHERE convert_from(body, 'UTF8') ~ 'row_id')"
    )
    assert [row["status"] for row in again["rows"]] == ["skipped", "rejected", "skipped"]
    assert again["rows"][1]["problem"] == "row-changed"
    assert await world.value("SELECT sum(on_hand) FROM lot") == 30

    needs = [approved() for _ in range(5)]
    await world.take(*needs)
    await world.take(*(confirmed(need.need_id) for need in needs[:4]))
    handed = [
        {"row_id": str(number), "need_id": str(need.need_id), "served_on": "2026-03-03"}
        for number, need in enumerate(needs)
    ]
    handed.append({"row_id": "x", "need_id": str(uuid4())})
    early = [{**row, "served_on": "2999-01-01"} for row in handed]
    told = await api.post("handovers:bulk", {"source": "week-1", "rows": early})
    problems = [row["problem"] for row in told["rows"]]
    assert problems == ["day-in-future"] * 5 + ["unknown-reservation"]
    told = await api.post("handovers:bulk", {"source": "week-1", "rows": handed})
    assert (told["done"], told["rejected"]) == (4, 2)
    assert [row["problem"] for row in told["rows"][4:]] == ["not-confirmed", "unknown-reservation"]
    told = await api.post("handovers:bulk", {"source": "week-1", "rows": handed})
    assert (told["skipped"], told["rejected"]) == (4, 2)
    await world.books_are_right()


async def test_beds_by_the_night(api: Api, world: World) -> None:
    site_id = await new_site(api)
    beds = [
        {"row_id": str(n), "site_code": "kyiv-1", "label": f"b{n}", "room": "1", "code": "shelter"}
        for n in range(2)
    ]
    assert (await api.post("beds:bulk", {"rows": beds}))["done"] == 2
    taken = {"site_id": site_id, "label": "b1", "room": "1", "code": "shelter"}
    assert (await api.post("beds", taken, status=409))["type"].endswith(":code-taken")
    guests = [approved(items=(), capacity=night()) for _ in range(2)]
    await world.take(*guests)
    await world.take(*(confirmed(guest.need_id) for guest in guests))
    rows = [
        {"row_id": str(n), "need_id": str(guest.need_id), "served_on": DAY.isoformat()}
        for n, guest in enumerate(guests)
    ]
    assert (await api.post("checkins:bulk", {"rows": rows}))["done"] == 2
    board = await api.get("beds", site_id=site_id, from_=DAY, days=4)
    assert [bed["nights"] for bed in board["beds"]] == [["occupied"] * 3 + ["free"]] * 2
    first = await api.get("beds", site_id=site_id, from_=DAY, days=4, limit=1)
    rest = await api.get("beds", site_id=site_id, from_=DAY, days=4, limit=1, after=first["next"])
    assert first["beds"] + rest["beds"] == board["beds"]
    assert rest["next"] is None
    left = [{"row_id": "1", "need_id": str(guests[0].need_id), "to_on": "2026-03-03"}]
    for day, problem in (("2026-03-01", "left-before-arrival"), ("2999-01-01", "day-in-future")):
        told = await api.post("checkouts:bulk", {"rows": [{**left[0], "to_on": day}]})
        assert told["rows"][0]["problem"] == problem
        path = f"reservations/{reservation_id_of(guests[0].need_id, 1)}:check-out"
        assert (await api.post(path, {"on": day}, status=422))["type"].endswith(problem)
    assert (await api.post("checkouts:bulk", {"rows": left}))["done"] == 1
    assert (await api.post("checkouts:bulk", {"rows": left}))["skipped"] == 1
    board = await api.get("beds", site_id=site_id, from_=DAY, days=4)
    assert sorted(bed["nights"].count("free") for bed in board["beds"]) == [1, 3]
    assert (await world.emitted(SupplyGrewV1))[-1].resource == "bed"
    assert (await api.get("capacity", resource="bed"))["rows"][0]["total"] == 2
    for bed in board["beds"]:
        # The second guest should have left long ago as well.
        await api.post(f"beds/{bed['bed_id']}:retire")
    await world.books_are_right()


async def test_slots_and_attendance(api: Api, world: World) -> None:
    await new_site(api)
    slots: list[dict[str, object]] = [
        {
            "row_id": str(hour),
            "site_code": "kyiv-1",
            "code": "counseling",
            "professional": "psy-1",
            "starts_at": f"2026-03-02T{hour}:00:00+02:00",
            "minutes": 50,
        }
        for hour in (10, 11)
    ]
    clash = {**slots[0], "row_id": "clash", "starts_at": "2026-03-02T10:30:00+02:00"}
    told = await api.post("slots:bulk", {"rows": [*slots, clash]})
    assert [row["status"] for row in told["rows"]] == ["done", "done", "rejected"]
    assert told["rows"][2]["problem"] == "professional-busy"
    demand = CapacityDemand(
        resource="slot", code="counseling", from_on=DAY, to_on=DAY, as_written=True
    )
    visits = [approved(items=(), capacity=demand) for _ in range(2)]
    await world.take(*visits)
    await world.take(*(confirmed(visit.need_id) for visit in visits))
    rows: list[dict[str, object]] = [
        {"row_id": str(n), "need_id": str(visit.need_id), "attended": n == 0}
        for n, visit in enumerate(visits)
    ]
    assert (await api.post("attendance:bulk", {"rows": rows}))["done"] == 2
    assert {await world.state(visit.need_id) for visit in visits} == {"issued", "released"}
    listed = (await api.get("slots", from_=DAY))["rows"]
    assert [slot["taken"] for slot in listed] in ([1, 0], [0, 1])
    for slot in listed:
        await api.post(f"slots/{slot['slot_id']}:cancel")
    await api.post(f"slots/{listed[0]['slot_id']}:cancel", status=409)
    await world.books_are_right()


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


async def test_assets_by_center_and_by_grant(api: Api, world: World) -> None:
    store, center, grant_id = await new_site(api), await new_site(api, "center"), uuid4()
    names = {"uk": "ноутбук", "en": "laptop", "de": "Laptop"}
    await api.post("items", {"code": "laptop", "names": names, "tracking": "serial"})
    line = {"item": "laptop", "quantity": 1, "grant_id": str(grant_id), "unit_value_minor": 5}
    await api.post("receipts", {"site_id": store, "lines": [line]})
    need = approved(items=("laptop",))
    await world.take(need)
    await world.take(confirmed(need.need_id))
    reservation = await api.get(f"needs/{need.need_id}/reservation")
    for digits in (need.need_id.hex[:8], need.need_id.hex.upper()):
        found = await api.post("reservations:lookup", {"need_number": digits})
        assert found["rows"] == [reservation]
    other = f"{int(need.need_id.hex[:8], 16) ^ 1:08x}"
    assert (await api.post("reservations:lookup", {"need_number": other}))["rows"] == []
    await api.post("reservations:lookup", {"need_number": "1234"}, status=422)
    await api.post(
        f"reservations/{reservation['reservation_id']}:issue",
        {"to_site_id": center, "serials": ["SN-1"]},
    )
    (asset,) = (await api.get("assets", site_id=center))["rows"]
    assert (await api.get("assets", grant_id=grant_id))["rows"] == [asset]
    await api.post(f"assets/{asset['asset_id']}:move", {"site_id": store, "reason": "needed"})
    assert (await api.get("assets", site_id=center))["rows"] == []
    end = {"status": "lost", "reason": "shelling"}
    await api.post(f"assets/{asset['asset_id']}:end", end)
    await api.post(f"assets/{asset['asset_id']}:end", end, status=404)
    restore = f"assets/{asset['asset_id']}:restore"
    await api.post(restore, {"reason": "found"})
    (back,) = (await api.get("assets", site_id=store))["rows"]
    assert (back["status"], back["status_reason"]) == ("in_use", "found")
    await api.post(restore, {"reason": "found"}, status=404)
    # Given back and handed over again it is another entry; the old one stays ended.
    await api.post(f"assets/{asset['asset_id']}:end", end)
    path = f"reservations/{reservation['reservation_id']}"
    await api.post(f"{path}:undo", {"reason": "mistake"})
    await api.post(restore, {"reason": "found"}, status=404)
    await api.post(f"{path}:issue", {"to_site_id": center, "serials": ["SN-1"]})
    await api.post(restore, {"reason": "found"}, status=404)


async def test_discrepancies_are_settled_once(api: Api, world: World) -> None:
    site_id = await new_site(api)
    await new_item(api)
    lot_id = await world.stock(UUID(site_id), 1)
    await world.take(approved())
    body = {"lot_id": str(lot_id), "kind": "count", "quantity": 0, "reason": "stolen"}
    await api.post("adjustments", body)
    (found,) = (await api.get("discrepancies"))["rows"]
    assert (found["why"], found["quantity"]) == ("count_below_held", 1)
    path = f"discrepancies/{found['discrepancy_id']}:settle"
    await api.post(path, {"reason": "reported"})
    await api.post(path, {"reason": "reported"}, status=404)
    assert (await api.get("discrepancies"))["rows"] == []


async def test_sensitive_reservations_are_not_there_for_those_who_may_not_see_them(
    service: Service, api: Api, world: World
) -> None:
    site_id = UUID(await new_site(api))
    await new_item(api)
    await world.stock(site_id, 4)
    plain, secret = approved(), approved(sensitive=True)
    # Published before approvals said it: nobody knows, so it is taken to be sensitive.
    old = secret.model_validate(approved().model_dump(exclude={"sensitive"}))
    assert old.sensitive
    needs = [plain, secret, old]
    await world.take(*needs)
    await world.take(*(confirmed(need.need_id) for need in needs))
    names = {"need_ids": [str(need.need_id) for need in needs]}
    ids = {"reservation_ids": [str(reservation_id_of(need.need_id, 1)) for need in needs]}
    for roles, seen in [
        ((Role.LOGISTICIAN,), {str(plain.need_id)}),
        ((Role.FINANCE, Role.APPROVER, Role.ONCALL), {str(plain.need_id)}),
        ((Role.CASEWORKER,), set(names["need_ids"])),
        ((Role.LOGISTICIAN, Role.LEAD), set(names["need_ids"])),
    ]:
        staff = Api(service, *roles)
        for answer in (
            await staff.get("reservations"),
            await staff.post("reservations:lookup", names),
            await staff.post("reservations:lookup", ids),
        ):
            assert {row["need_id"] for row in answer["rows"]} == seen
        for need in needs:
            number = {"need_number": need.need_id.hex[:8]}
            found = (await staff.post("reservations:lookup", number))["rows"]
            assert {row["need_id"] for row in found} == {str(need.need_id)} & seen
            status = 200 if str(need.need_id) in seen else 404
            await staff.get(f"needs/{need.need_id}/reservation", status)


async def test_nobody_acts_on_a_reservation_that_is_not_there_for_them(
    service: Service, api: Api, world: World
) -> None:
    site_id = UUID(await new_site(api))
    await new_item(api)
    await world.stock(site_id, 2)
    secret, plain = approved(sensitive=True), approved()
    await world.take(secret, plain)
    await world.take(confirmed(secret.need_id), confirmed(plain.need_id))
    logistician = Api(service, Role.LOGISTICIAN)
    path = f"reservations/{reservation_id_of(secret.need_id, 1)}"
    nowhere = f"reservations/{uuid4()}"
    for step, body in [
        ("issue", {}),
        ("check-in", {}),
        ("attend", {}),
        ("check-out", {}),
        ("undo", {"reason": "mistake"}),
        ("no-show", {}),
        ("relocate", {}),
    ]:
        refused = await logistician.post(f"{path}:{step}", body, status=404)
        unknown = await logistician.post(f"{nowhere}:{step}", body, status=404)
        assert refused["type"] == unknown["type"], "as if it were not there"
    rows = [
        {"row_id": "1", "need_id": str(secret.need_id)},
        {"row_id": "2", "reservation_id": str(reservation_id_of(secret.need_id, 1))},
        {"row_id": "3", "need_id": str(plain.need_id)},
    ]
    for form, done in [("handovers", 1), ("checkins", 0), ("checkouts", 0), ("attendance", 0)]:
        told = await logistician.post(f"{form}:bulk", {"rows": rows})
        assert [row.get("problem") for row in told["rows"][:2]] == ["unknown-reservation"] * 2
        assert told["done"] == done
    assert await world.state(secret.need_id) == "confirmed"
    await Api(service, Role.CASEWORKER).post(f"{path}:issue")
    assert await world.state(secret.need_id) == "issued"


async def test_a_bed_of_a_sensitive_need_is_taken_and_no_more_is_shown(
    service: Service, api: Api, world: World
) -> None:
    site_id = UUID(await new_site(api))
    await world.beds(site_id, 2)
    plain = approved(items=(), capacity=night())
    secret = approved(items=(), capacity=night(), sensitive=True)
    await world.take(plain, secret)
    for role, seen in [
        (Role.LOGISTICIAN, {str(plain.need_id)}),
        (Role.CASEWORKER, {str(plain.need_id), str(secret.need_id)}),
    ]:
        board = await Api(service, role).get("beds", site_id=site_id, from_=DAY, days=3)
        assert [bed["nights"] for bed in board["beds"]] == [["held"] * 3] * 2
        shown = {each["need_id"] for bed in board["beds"] for each in bed["bookings"]}
        assert shown == seen


async def test_how_much_is_taken_for_sensitive_needs_is_shown_in_steps(
    service: Service, api: Api, world: World
) -> None:
    site_id = UUID(await new_site(api))
    await new_item(api)
    await world.stock(site_id, 20)
    day = datetime.now(UTC).date() + timedelta(days=2)
    await world.slot(site_id, day, seats=8)
    seat = CapacityDemand(resource="slot", code="counseling", from_on=day, to_on=day)
    await world.take(approved(), approved(sensitive=True), approved(quantity=2, sensitive=True))
    await world.take(approved(items=(), capacity=seat, sensitive=True, planned_on=day))
    for role, held, taken in [
        (Role.CASEWORKER, 4, 1),
        (Role.LEAD, 4, 1),
        (Role.LOGISTICIAN, 6, 5),
        (Role.FINANCE, 6, 5),
    ]:
        client = Api(service, role)
        (row,) = (await client.get("stock"))["own"]
        assert (row["on_hand"], row["held"], row["free"]) == (20, held, 20 - held)
        (row,) = (await client.get("stock/free", item="parcel"))["rows"]
        assert row["free"] == 20 - held
        (lot,) = (await client.get("lots"))["rows"]
        assert lot["held"] == (4 if held == 4 else None)
        (slot,) = (await client.get("slots"))["rows"]
        assert (slot["seats"], slot["taken"]) == (8, taken)
        (places,) = (await client.get("capacity", resource="slot"))["rows"]
        assert sum(places["free_by_day"]) == 8 - taken


async def test_discrepancies_of_sensitive_needs_are_settled_by_those_who_see_them(
    service: Service, api: Api, world: World
) -> None:
    await new_site(api)
    await new_item(api)
    fact = AidGivenV1(
        need_id=NeedId(uuid4()),
        kind="hiv_test",
        programme="health",
        served_on=DAY,
        place_area="UA80",
        stock=(StockDemand(item="parcel", quantity=1),),
    )
    plain = fact.model_copy(update={"need_id": NeedId(uuid4()), "sensitive": False})
    await world.take(fact, plain)
    logistician = Api(service, Role.LOGISTICIAN)
    (seen,) = (await logistician.get("discrepancies"))["rows"]
    assert seen["need_id"] == str(plain.need_id)
    both = (await Api(service, Role.LEAD).get("discrepancies"))["rows"]
    (hidden,) = (row["discrepancy_id"] for row in both if row["need_id"] != seen["need_id"])
    path, body = f"discrepancies/{hidden}:settle", {"reason": "entered_later"}
    await logistician.post(path, body, status=404)
    await Api(service, Role.LEAD).post(path, body)


async def test_subscriptions_are_those_of_the_contracts(service: Service) -> None:
    durables = [each.consumer_of("inventory").durable for each in service.subscriptions]
    assert durables == ["inventory-local", "inventory-world"]
