"""What those who may not see it are shown of what is sensitive."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from aidmesh_chassis.auth import Role
from aidmesh_chassis.service import Service
from aidmesh_contracts.ids import NeedId
from aidmesh_contracts.intake import AidGivenV1
from aidmesh_contracts.inventory import CapacityChangedV1
from aidmesh_contracts.values import CapacityDemand, StockDemand
from aidmesh_inventory.handlers import capacity
from aidmesh_inventory.handlers.hold import reservation_id_of
from integration.inventory.office import Api, new_item, new_site
from integration.inventory.world import DAY, World, approved, confirmed, night


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
        ("undo-check-out", {"reason": "mistake"}),
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
    await world.run(capacity.tell_capacity)
    told = (await world.emitted(CapacityChangedV1))[-1]
    assert sum(told.free_by_day) == 8 - 5, "other regions are told what most here are shown"
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
