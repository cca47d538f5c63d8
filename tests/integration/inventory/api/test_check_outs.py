"""Check-outs over HTTP."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from aidmesh_chassis.auth import Role
from aidmesh_chassis.service import Service
from aidmesh_contracts.days import day_of
from aidmesh_contracts.intake import NeedApprovedV1
from aidmesh_inventory.handlers import sweeps
from aidmesh_inventory.handlers.hold import reservation_id_of
from integration.inventory.office import Api, new_site
from integration.inventory.world import World, approved, confirmed, night


async def guest(world: World, came_on: date, *, sensitive: bool = False) -> NeedApprovedV1:
    """Someone who was checked in for two nights, two days ago by the books."""
    need = approved(items=(), capacity=night(came_on, 2), sensitive=sensitive)
    await world.take(need)
    await world.take(confirmed(need.need_id))
    assert await world.issue(need.need_id, "check_in", came_on) is None
    await world.execute("UPDATE reservation SET state_at = now() - interval '2 days'")
    return need


async def test_overdue_check_outs_are_listed_until_somebody_looked(
    api: Api, service: Service, world: World
) -> None:
    site_id = UUID(await new_site(api))
    await world.beds(site_id, 2)
    came_on = day_of(datetime.now(UTC)) - timedelta(days=5)
    plain, secret = await guest(world, came_on), await guest(world, came_on, sensitive=True)

    listed = (await api.get("check-outs", site_id=site_id))["rows"]
    assert {row["need_id"] for row in listed} == {str(plain.need_id), str(secret.need_id)}
    assert not any(row["by_clock"] for row in listed)
    await world.run(sweeps.check_out_overdue)
    logistician = Api(service, Role.LOGISTICIAN)
    (row,) = (await logistician.get("check-outs"))["rows"]
    assert row == {
        "reservation_id": str(reservation_id_of(plain.need_id, 1)),
        "need_id": str(plain.need_id),
        "site_id": str(site_id),
        "code": "shelter",
        "beds": row["beds"],
        "from_on": came_on.isoformat(),
        "to_on": (came_on + timedelta(days=2)).isoformat(),
        "by_clock": True,
    }
    path = f"reservations/{row['reservation_id']}"
    booked = (await api.get(f"needs/{plain.need_id}/reservation"))["booking"]
    assert booked["left_by_clock"] is True
    await logistician.post(f"{path}:check-out", {"left_on": row["to_on"]})
    assert (await logistician.get("check-outs"))["rows"] == []

    hidden = f"reservations/{reservation_id_of(secret.need_id, 1)}:undo-check-out"
    await logistician.post(hidden, {"reason": "still_here"}, status=404)
    await api.post(hidden, {"reason": "still_here"})
    assert (await api.get("check-outs"))["rows"] == []
    refused = await api.post(hidden, {"reason": "still_here"}, status=409)
    assert refused["type"].endswith(":not-checked-out")
    past = await api.post(
        f"{path}:undo-check-out", {"reason": "mistake", "until": row["to_on"]}, status=422
    )
    assert past["type"].endswith(":day-gone-by")
    await world.books_are_right()


async def test_the_wrong_guest_who_was_checked_out_is_found_and_is_still_there(
    api: Api, service: Service, world: World
) -> None:
    site_id = UUID(await new_site(api))
    await world.beds(site_id, 4)
    today = day_of(datetime.now(UTC))
    came_on = today - timedelta(days=5)
    wrong, other = await guest(world, came_on), await guest(world, came_on)
    secret = await guest(world, came_on, sensitive=True)
    forgotten = await guest(world, came_on)
    for need, left_on in [
        (wrong, came_on),
        (secret, today),
        (other, came_on + timedelta(days=1)),
    ]:
        path = f"reservations/{reservation_id_of(need.need_id, 1)}"
        await api.post(f"{path}:check-out", {"left_on": left_on.isoformat()})

    assert await world.run(sweeps.check_out_overdue) == 1

    async def left(since: date, *roles: Role) -> dict[str, str]:
        listed = await Api(service, *roles).get(
            "check-outs", site_id=site_id, left_since=since.isoformat()
        )
        assert not any(row["by_clock"] or row["from_on"] != str(came_on) for row in listed["rows"])
        return {row["need_id"]: row["to_on"] for row in listed["rows"]}

    everybody = {
        str(wrong.need_id): str(came_on),
        str(other.need_id): str(came_on + timedelta(days=1)),
        str(secret.need_id): str(today),
    }
    assert await left(came_on, Role.CASEWORKER) == everybody
    del everybody[str(wrong.need_id)]
    assert await left(came_on + timedelta(days=1), Role.CASEWORKER) == everybody
    assert set(await left(came_on, Role.LOGISTICIAN)) == {str(wrong.need_id), str(other.need_id)}
    (overdue,) = (await api.get("check-outs"))["rows"]
    assert overdue["need_id"] == str(forgotten.need_id), "the clock's are apart"

    path = f"reservations/{reservation_id_of(wrong.need_id, 1)}"
    await api.post(f"{path}:undo-check-out", {"reason": "still_here"})
    assert set(await left(came_on, Role.CASEWORKER)) == everybody.keys()
    await world.books_are_right()
