"""Receipts, lots and handovers over HTTP."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from aidmesh_chassis.auth import Role
from aidmesh_chassis.service import Service
from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import PurchaseId
from aidmesh_contracts.payments import PurchaseCanceledV1, PurchaseChangedV1
from integration.inventory.office import Api, new_item, new_site
from integration.inventory.world import World, approved, confirmed, ordered


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
    future = await api.post(path, {"prescription_seen_on": "2099-01-01"}, status=422)
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


async def test_goods_that_expired_are_entered_as_that(api: Api, world: World) -> None:
    site_id = await new_site(api)
    await new_item(api)
    async with world.database.transaction() as tx:
        today = day_of(tx.now)
    body = {
        "site_id": site_id,
        "lines": [
            {"item": "parcel", "quantity": n, "expiry": str(today - timedelta(days=days))}
            for n, days in ((2, 1), (3, 0))
        ],
    }
    receipt = await api.post("receipts", body)
    assert receipt["expired_lot_ids"] == receipt["lot_ids"][:1]
    (own,) = (await api.get("stock"))["own"]
    assert (own["on_hand"], own["free"], own["expiry"]) == (5, 3, str(today))


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

    future = await api.post(f"{path}:issue", {"served_on": "2099-01-01"}, status=422)
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


async def test_what_came_of_a_purchase_is_found(api: Api, service: Service, world: World) -> None:
    site_id = await new_site(api)
    await new_item(api)
    bought, other = PurchaseId(uuid4()), PurchaseId(uuid4())
    await world.take(ordered(bought, parcel=9), ordered(other, parcel=9))
    lots: list[str] = []
    for purchase_id, quantity in ((bought, 2), (bought, 3), (other, 1), (bought, 4), (None, 1)):
        line = {"item": "parcel", "quantity": quantity}
        body = {"site_id": site_id, "purchase_id": purchase_id and str(purchase_id)}
        lots += (await api.post("receipts", {**body, "lines": [line]}))["lot_ids"]
    # One is all gone, one was entered by mistake, of one the price is another.
    gone, cheap, *_, wrong, given = lots
    loss = {"lot_id": gone, "kind": "loss", "quantity": 2, "reason": "theft"}
    await api.post("adjustments", loss)
    price = {"version": 1, "reason": "other_bill", "unit_value_minor": 650}
    await api.post(f"lots/{cheap}:correct", price)
    shown = await api.get(f"lots/{wrong}")
    assert shown["purchase_id"] == str(bought)
    assert (await api.get(f"lots/{given}"))["purchase_id"] is None
    await api.post(f"receipts/{shown['receipt_id']}:reverse", {"reason": "wrong_item"})
    # Whoever pays sees it as well, page by page.
    finance = Api(service, Role.FINANCE)
    rows: list[dict[str, Any]] = []
    after: str | None = ""
    while after is not None:
        asked: dict[str, Any] = {"limit": 1} | ({"after": after} if after else {})
        page = await finance.get(f"purchases/{bought}/lots", **asked)
        rows += page["rows"]
        after = page["next"]
    assert [(row["lot_id"], row["on_hand"], row["unit_value_minor"]) for row in rows] == sorted(
        [(gone, 0, 700), (cheap, 3, 650)]
    )
    assert {row["held"] for row in rows} == {None}
    # Its lines are shown also when no more is expected.
    await world.take(PurchaseChangedV1(purchase_id=bought, is_to_come=False, version=4))
    expected = (await finance.get("purchases/expected"))["rows"]
    assert [row["purchase_id"] for row in expected] == [str(other)]
    [line] = (await finance.get(f"purchases/{bought}/lines"))["rows"]
    assert (line["ordered"], line["received"], line["unit_value_minor"]) == (9, 5, 650)
    assert (await finance.get(f"purchases/{uuid4()}/lines"))["rows"] == []
    # Nothing is received for one that was given up.
    await world.take(PurchaseCanceledV1(purchase_id=other))
    assert (await finance.get(f"purchases/{other}/lines"))["rows"] == []


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
    line = {"item": "parcel", "quantity": 3, "restriction": terms, "expiry": "2099-01-31"}
    await api.post("receipts", {"site_id": site_id, "lines": [line]})
    (lot,) = (await api.get("lots"))["rows"]
    path = f"lots/{lot['lot_id']}:correct"
    why = {"version": 1, "reason": "entry_error"}
    changed = await api.post(path, {**why, "expiry": "2098-01-31"})
    assert changed == {**lot, "expiry": "2098-01-31", "version": 2}
    stale = await api.post(path, {**why, "restriction": None}, status=409)
    assert stale["type"].endswith(":version-changed")
    freed = await api.post(path, {**why, "version": 2, "restriction": None, "expiry": None})
    assert freed == {**lot, "restriction": None, "expiry": None, "version": 3}
    assert (await api.get("lots"))["rows"] == [freed]
    worth = {"unit_value_minor": 4_990, "currency": "EUR"}
    valued = await api.post(path, {**why, "version": 3, **worth})
    assert valued == {**freed, **worth, "version": 4}
    assert await api.get(f"lots/{lot['lot_id']}") == valued
    await api.get(f"lots/{uuid4()}", status=404)
    await api.post(f"lots/{uuid4()}:correct", why, status=404)
    # Of what was bought only what a piece cost.
    await world.execute("UPDATE lot SET terms_version = 0")
    costs = await api.post(path, {**why, "version": 4, "unit_value_minor": 5_120})
    assert costs == {**valued, "unit_value_minor": 5_120, "is_bought": True, "version": 5}
    hryvnia = await api.post(path, {**why, "version": 5, "currency": "UAH"}, status=409)
    assert hryvnia["type"].endswith(":terms-of-purchase")


async def test_goods_are_moved_to_another_site_once(
    api: Api, service: Service, world: World
) -> None:
    warehouse, center = await new_site(api), await new_site(api, "kyiv-2", "UA32")
    await new_item(api)
    line = {"item": "parcel", "quantity": 5, "batch": "B-7", "expiry": "2098-01-31"}
    await api.post("receipts", {"site_id": warehouse, "lines": [line]})
    (lot,) = (await api.get("lots"))["rows"]
    need = approved(quantity=2)
    await world.take(need)
    path = f"lots/{lot['lot_id']}:move"
    body = {"quantity": 3, "to_site_id": center, "moved_on": "2026-03-02", "reason": "evacuation"}
    await Api(service, Role.CASEWORKER).post(path, body, status=403)
    key = uuid4().hex
    done = await api.post(path, body, key=key)
    assert await api.post(path, body, key=key) == done
    changed = await api.post(path, {**body, "quantity": 1}, status=422, key=key)
    assert changed["type"].endswith(":idempotency-key-reused")
    assert (done["from_lot"]["on_hand"], done["from_lot"]["held"]) == (2, 2)
    new = done["to_lot"]
    assert (new["site_id"], new["on_hand"], new["held"]) == (center, 3, 0)
    moved = await api.get(f"lots/{new['lot_id']}")
    own = {"lot_id": new["lot_id"], "site_id": center, "on_hand": 3, "held": 0}
    assert moved == {**lot, **own}

    refused = await api.post(path, {"quantity": 1, "to_site_id": center}, status=409)
    assert refused["type"].endswith(":fewer-free")
    assert "Move what is free" in refused["detail"]
    back = f"lots/{new['lot_id']}:move"
    for wrong, status, fault in (
        ({"to_site_id": center}, 422, "same-site"),
        ({"to_site_id": str(uuid4())}, 422, "unknown-site"),
        ({"to_site_id": warehouse, "moved_on": "2098-01-01"}, 422, "day-in-future"),
    ):
        answer = await api.post(back, {"quantity": 1, **wrong}, status=status)
        assert answer["type"].endswith(f":{fault}")
    await api.post(f"sites/{warehouse}:close", {"reason": "power_cut", "keep": True})
    closed = await api.post(back, {"quantity": 1, "to_site_id": warehouse}, status=409)
    assert closed["type"].endswith(":site-closed")
    await api.post(f"lots/{uuid4()}:move", body, status=404)
    await api.post(path, {**body, "quantity": 0}, status=422)
    # Who may not see what is sensitive is not told what is held, and may move all the same.
    keeper = Api(service, Role.LOGISTICIAN)
    await api.post(f"sites/{warehouse}:reopen", {"reason": "power_back"})
    last = await keeper.post(back, {"quantity": 3, "to_site_id": warehouse})
    assert (last["from_lot"]["on_hand"], last["from_lot"]["held"]) == (0, None)
    assert last["to_lot"]["lot_id"] == lot["lot_id"]
    assert [row["lot_id"] for row in (await api.get("lots"))["rows"]] == [lot["lot_id"]]
    stock = {row["site_id"]: row for row in (await api.get("stock", item="parcel"))["own"]}
    assert {site: (row["on_hand"], row["free"]) for site, row in stock.items()} == {
        warehouse: (5, 3),
        center: (0, 0),
    }
    await world.books_are_right()


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
    early = [{**row, "served_on": "2099-01-01"} for row in handed]
    told = await api.post("handovers:bulk", {"source": "week-1", "rows": early})
    problems = [row["problem"] for row in told["rows"]]
    assert problems == ["day-in-future"] * 5 + ["unknown-reservation"]
    told = await api.post("handovers:bulk", {"source": "week-1", "rows": handed})
    assert (told["done"], told["rejected"]) == (4, 2)
    assert [row["problem"] for row in told["rows"][4:]] == ["not-confirmed", "unknown-reservation"]
    told = await api.post("handovers:bulk", {"source": "week-1", "rows": handed})
    assert (told["skipped"], told["rejected"]) == (4, 2)
    await world.books_are_right()


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
