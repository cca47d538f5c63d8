"""Beds, slots and assets over HTTP."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

from aidmesh_contracts.inventory import SupplyGrewV1
from aidmesh_contracts.values import CapacityDemand
from aidmesh_inventory.handlers.hold import reservation_id_of
from integration.inventory.office import Api, new_site
from integration.inventory.world import DAY, World, approved, confirmed, night


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


async def test_a_row_with_an_impossible_day_rejects_itself_alone(api: Api, world: World) -> None:
    await new_site(api)
    row = {"site_code": "kyiv-1", "code": "counseling", "professional": "p", "minutes": 50}
    days = ("2026-03-02", "1014-02-03", "9999-12-31")
    rows = [
        {**row, "row_id": day, "starts_at": f"{day}T23:00:00Z", "professional": f"p{number}"}
        for number, day in enumerate(days)
    ]
    told = await api.post("slots:bulk", {"rows": rows})
    assert [each["status"] for each in told["rows"]] == ["done", "rejected", "rejected"]
    for each in told["rows"][1:]:
        assert each["errors"] == [
            {
                "field": "starts_at",
                "rule": "day_out_of_range",
                "ge": "2000-01-01T00:00:00+02:00",
                "le": "2099-12-31T23:59:59.999999+02:00",
            }
        ]


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
    for day, problem in (("2026-03-01", "left-before-arrival"), ("2099-01-01", "day-in-future")):
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


async def test_a_reservation_tells_what_is_set_aside(api: Api, world: World) -> None:
    site_id = UUID(await new_site(api))
    await world.item("soap")
    await world.beds(site_id, 2)
    slot_id = await world.slot(site_id, DAY)
    lot_id = await world.stock(site_id, 1, "soap", expiry=date(2099, 1, 1))
    other_id = await world.stock(site_id, 1, "soap")

    async def told(**asked: Any) -> tuple[Any, Any]:
        need = approved(**{"items": (), **asked})
        await world.take(need)
        shown = await api.get(f"needs/{need.need_id}/reservation")
        return shown["allocations"], shown["booking"]

    assert await told(items=("soap",), quantity=2) == (
        [
            {"lot_id": str(lot_id), "item": "soap", "quantity": 1, "expiry": "2099-01-01"},
            {"lot_id": str(other_id), "item": "soap", "quantity": 1, "expiry": None},
        ],
        None,
    )
    stay = {
        "resource": "bed", "code": "shelter", "left_on": None, "left_by_clock": False, "places": 1,
    }  # fmt: skip
    nothing, bed = await told(capacity=night())
    assert nothing == []
    assert len(bed.pop("beds")) == 1
    assert bed == stay | {"from_on": f"{DAY}", "to_on": f"{DAY + timedelta(days=3)}"}
    _, bed = await told(capacity=night(nights=None))
    assert (bed["from_on"], bed["to_on"]) == (f"{DAY}", None)
    _, seat = await told(
        capacity=CapacityDemand(
            resource="slot", code="counseling", from_on=DAY, to_on=DAY, as_written=True
        )
    )
    assert seat == {
        "resource": "slot", "code": "counseling", "slot_id": str(slot_id), "places": 1,
        "starts_at": f"{DAY}T10:00:00Z", "minutes": 50,
    }  # fmt: skip


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
