"""Cash, counseling that costs, and a bed: from request to service, money and places included."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

from support.funding import TODAY, fund
from support.running import Json, RunningMesh, Staff
from support.waiting import eventually


async def commitment_states(staff: Staff, need: UUID) -> list[str]:
    found = await staff.get("caseworker", "payments", f"/needs/{need}/commitment")
    return [each["state"] for each in found["commitments"]]


async def test_cash_is_held_committed_paid_by_two_people_and_counted(kyiv: Staff) -> None:
    area = "UA8011"
    need = await kyiv.ask(
        "financial_aid",
        place_area=area,
        payee={"mechanism": "cash", "legal_name": "Anna Testova"},
    )
    waiting = await kyiv.becomes(need, "waitlisted")
    assert waiting["blocked_by"]["code"] == "cash/UAH"
    money = await fund(kyiv, 400_000, area=area)
    await kyiv.becomes(need, "ready")
    assert await commitment_states(kyiv, need) == ["committed"]

    row = {"row_id": str(need), "need_id": str(need)}
    approved = await kyiv.post(
        "approver", "payments", "/payouts:approve", {"source": "e2e", "rows": [row]}
    )
    assert [each["status"] for each in approved["rows"]] == ["done"]
    paid = {**row, "bank_reference": "B-1", "served_on": str(TODAY)}
    body = {"source": "e2e-bank", "rows": [paid]}
    settled = await kyiv.post("finance", "payments", "/payouts:settle", body)
    assert [each["status"] for each in settled["rows"]] == ["done"]
    again = await kyiv.post("finance", "payments", "/payouts:settle", body)
    assert [each["status"] for each in again["rows"]] == ["skipped"]
    await kyiv.becomes(need, "fulfilled")

    async def spent() -> bool:
        summary = await kyiv.get("finance", "payments", "/grants/summary")
        (grant,) = [each for each in summary["grants"] if each["id"] == money["grant_id"]]
        (holder,) = grant["holders"]
        assert holder["spent_minor"] == 360_000
        return True

    await eventually(spent)


async def test_counseling_that_costs_takes_a_slot_and_money(kyiv: Staff) -> None:
    area = "UA8012"
    site = await kyiv.site(f"center-{uuid4().hex[:6]}", area=area)
    await fund(kyiv, 100_000, area=area)
    starts = datetime.now(UTC).replace(microsecond=0) + timedelta(days=2)
    slot = {
        "site_id": str(site),
        "code": "counseling_paid",
        "professional": f"p-{uuid4().hex[:6]}",
        "starts_at": starts.isoformat(),
        "minutes": 50,
        "seats": 1,
    }
    await kyiv.post("logistician", "inventory", "/slots", slot)
    first = await kyiv.ask("counseling_paid", place_area=area)
    await kyiv.becomes(first, "ready")
    second = await kyiv.ask("counseling_paid", place_area=area)
    await kyiv.becomes(second, "waitlisted")
    held = await kyiv.reservation(first)
    await kyiv.post(
        "caseworker",
        "inventory",
        f"/reservations/{held['reservation_id']}:attend",
        {"served_on": str(TODAY)},
    )
    await kyiv.becomes(first, "fulfilled")

    async def spent() -> bool:
        return await commitment_states(kyiv, first) == ["spent"]

    await eventually(spent)


async def test_a_bed_is_booked_once_and_the_guest_checks_in_and_out(kyiv: Staff) -> None:
    area = "UA8013"
    site = await kyiv.site(f"shelter-{uuid4().hex[:6]}", area=area)
    bed = {"site_id": str(site), "label": "A1", "room": "A", "code": "shelter"}
    await kyiv.post("logistician", "inventory", "/beds", bed)
    night: Json = {"from_on": str(TODAY), "to_on": str(TODAY + timedelta(days=3))}
    first = await kyiv.ask("shelter_night", place_area=area, **night)
    await kyiv.becomes(first, "ready")
    second = await kyiv.ask("shelter_night", place_area=area, **night)
    await kyiv.becomes(second, "waitlisted")
    reservation = (await kyiv.reservation(first))["reservation_id"]
    came = {"from_on": str(TODAY - timedelta(days=1))}
    await kyiv.post("caseworker", "inventory", f"/reservations/{reservation}:check-in", came)
    await kyiv.becomes(first, "fulfilled")
    left = f"/reservations/{reservation}:check-out"
    for day, status in ((1, 422), (-2, 422), (0, None)):
        body = {"left_on": str(TODAY + timedelta(days=day))}
        await kyiv.post("caseworker", "inventory", left, body, status=status)


async def test_aid_entered_as_given_by_mistake_gives_stock_and_money_back(kyiv: Staff) -> None:
    area = "UA8014"
    site = await kyiv.site(f"center-{uuid4().hex[:6]}", area=area)
    await kyiv.item("food_parcel")
    await kyiv.receive(site, "food_parcel", 3)
    money = await fund(kyiv, 360_000, area=area)
    given: Json = {"place_area": area, "given": True, "served_on": str(TODAY)}
    parcel = await kyiv.ask("food_parcel", **given)
    cash = await kyiv.ask("financial_aid", **given)

    async def booked(free: int, spent_minor: int) -> None:
        async def there() -> bool:
            stock = await kyiv.get("logistician", "inventory", f"/stock?site_id={site}")
            assert [each["free"] for each in stock["own"]] == [free]
            summary = await kyiv.get("finance", "payments", "/grants/summary")
            (grant,) = [each for each in summary["grants"] if each["id"] == money["grant_id"]]
            (holder,) = grant["holders"]
            assert holder["spent_minor"] == spent_minor
            return True

        await eventually(there)

    await booked(2, 360_000)
    for need in (parcel, cash):
        await kyiv.post("lead", "intake", f"/needs/{need}:reverse", {"reason": "wrong_person"})
    await booked(3, 0)
    again = await kyiv.ask("financial_aid", **given)
    await booked(3, 360_000)
    assert (await kyiv.need(again))["state"] == "fulfilled"


async def test_whoever_leaves_a_rented_bed_early_is_charged_for_the_nights_there_were(
    kyiv: Staff,
) -> None:
    area = "UA8014"
    site = await kyiv.site(f"guest-house-{uuid4().hex[:6]}", area=area)
    bed = {"site_id": str(site), "label": "A1", "room": "A", "code": "outside"}
    await kyiv.post("logistician", "inventory", "/beds", bed)
    await fund(kyiv, 500_000, area=area)
    need = await kyiv.ask("shelter_outside", place_area=area)
    await kyiv.becomes(need, "ready")
    reservation = (await kyiv.reservation(need))["reservation_id"]
    # Here since the day before yesterday, while the house was not entered yet.
    came = {"served_on": str(TODAY - timedelta(days=2))}
    await kyiv.post("caseworker", "inventory", f"/reservations/{reservation}:check-in", came)
    await kyiv.becomes(need, "fulfilled")

    async def charged(amount_minor: int) -> bool:
        found = await kyiv.get("caseworker", "payments", f"/needs/{need}/commitment")
        states = [(each["state"], each["amount_minor"]) for each in found["commitments"]]
        assert states == [("spent", amount_minor)]
        return True

    await eventually(lambda: charged(7 * 70_000))
    await kyiv.post(
        "caseworker",
        "inventory",
        f"/reservations/{reservation}:check-out",
        {"left_on": str(TODAY)},
    )
    await eventually(lambda: charged(2 * 70_000))


async def test_nothing_is_received_for_goods_whose_order_was_given_up(kyiv: Staff) -> None:
    area = "UA8015"
    site = await kyiv.site(f"warehouse-{uuid4().hex[:6]}", area=area)
    await kyiv.item("blanket")
    money = await fund(kyiv, 100_000, area=area)
    wish = {
        "allotment_id": money["allotment_id"],
        "supplier": "Wholesale 7",
        "cost_category": "goods",
        "programme": "relief",
        "area": area,
        "lines": [
            {"item": "blanket", "description": "blanket", "quantity": 5, "unit_value_minor": 7_000}
        ],
    }
    purchase = (await kyiv.post("finance", "payments", "/purchases", wish))["purchase_id"]
    path = f"/purchases/{purchase}"
    await kyiv.post("approver", "payments", f"{path}:order")

    async def stands(received: int | None, committed_minor: int) -> None:
        """How much came of what inventory waits for, which may be nothing, and what it costs."""

        async def there() -> bool:
            listed = await kyiv.get("logistician", "inventory", "/purchases/expected?item=blanket")
            rows = [each for each in listed["rows"] if each["purchase_id"] == purchase]
            assert [each["received"] for each in rows] == ([] if received is None else [received])
            shown = await kyiv.get("finance", "payments", path)
            assert shown["lines"][0]["received"] == (received or 0)
            summary = await kyiv.get("finance", "payments", "/grants/summary")
            (grant,) = [each for each in summary["grants"] if each["id"] == money["grant_id"]]
            (holder,) = grant["holders"]
            assert holder["committed_minor"] == committed_minor
            return True

        await eventually(there)

    async def receive(status: int | None = None) -> Json:
        lines = [{"item": "blanket", "quantity": 2}]
        body = {"site_id": str(site), "lines": lines, "purchase_id": purchase}
        answer: Json = await kyiv.post("logistician", "inventory", "/receipts", body, status=status)
        return answer

    await stands(0, 35_000)
    receipt = (await receive())["receipt_id"]
    await stands(2, 35_000)
    await kyiv.post("finance", "payments", f"{path}:cancel", status=409)
    undo = {"reason": "wrong_purchase"}
    await kyiv.post("logistician", "inventory", f"/receipts/{receipt}:reverse", undo)
    await stands(0, 35_000)
    await kyiv.post("finance", "payments", f"{path}:cancel")
    await stands(None, 0)
    assert (await receive(409))["type"].endswith(":purchase-canceled")


async def test_a_warehouse_equips_a_center_in_another_area(kyiv: Staff) -> None:
    warehouse = await kyiv.site(f"warehouse-{uuid4().hex[:6]}", area="UA80")
    center = await kyiv.site(f"center-{uuid4().hex[:6]}", area="UA6315")
    await kyiv.item("furniture_set")
    await kyiv.receive(warehouse, "furniture_set", 1)
    body = {
        "for_whom": "site",
        "site_id": str(center),
        "needs": [{"kind": "furniture_center", "place_area": "UA6315"}],
    }
    done = await kyiv.post("caseworker", "intake", "/requests", body)
    need = UUID(done["needs"][0]["need_id"])
    await kyiv.post("lead", "intake", f"/needs/{need}:approve")
    await kyiv.becomes(need, "ready")
    held = await kyiv.reservation(need)
    assert (held["site_id"], held["to_site_id"]) == (str(warehouse), str(center))
    path = f"/reservations/{held['reservation_id']}:issue"
    await kyiv.post("logistician", "inventory", path)
    served = await kyiv.becomes(need, "fulfilled")
    assert served["at_site_id"] == str(center)


async def test_a_grant_of_one_region_pays_in_another(kyiv: Staff, lviv: Staff) -> None:
    area = "UA4611"
    need = await lviv.ask(
        "travel",
        {"client_code": uuid4().hex, "area": area},
        place_area=area,
        payee={"mechanism": "cash", "legal_name": "Olena Probna"},
    )
    await lviv.becomes(need, "waitlisted")
    money = await fund(kyiv, 200_000, to_region="lviv", area=area)
    await lviv.becomes(need, "ready", deadline_s=30)

    async def arrived() -> bool:
        summary = await kyiv.get("finance", "payments", "/grants/summary")
        (grant,) = [each for each in summary["grants"] if each["id"] == money["grant_id"]]
        (holder,) = grant["holders"]
        assert holder["received_minor"] == 200_000
        assert holder["committed_minor"] == 150_000
        return True

    await eventually(arrived, 30)


async def test_free_stock_of_a_region_shows_in_the_other_with_its_time(
    kyiv: Staff, lviv: Staff
) -> None:
    site = await lviv.site(f"center-{uuid4().hex[:6]}", area="UA46")
    await lviv.item("food_voucher")
    await lviv.receive(site, "food_voucher", 7)

    async def seen() -> bool:
        stock = await kyiv.get("logistician", "inventory", "/stock")
        rows = [each for each in stock["others"] if each["site_id"] == str(site)]
        assert [(row["region"], row["free"]) for row in rows] == [("lviv", 7)]
        assert datetime.fromisoformat(rows[0]["as_of"]).date() >= date(2024, 1, 1)
        return True

    await eventually(seen, 30)


async def test_after_all_that_everything_promised_holds(mesh: RunningMesh) -> None:
    result = mesh.aidmesh("verify")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "checks hold" in result.stdout
