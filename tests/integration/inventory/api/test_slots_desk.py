"""A slot that is canceled at the desk, before a real inventory."""

from datetime import UTC, datetime, timedelta

import httpx

from aidmesh_chassis.auth import Role
from aidmesh_chassis.service import Service
from aidmesh_contracts.days import day_of
from aidmesh_contracts.inventory import ReservationReleasedV1
from aidmesh_contracts.values import CapacityDemand
from integration.inventory.office import Api, new_site
from integration.inventory.world import World, approved, confirmed
from support.desk import at_desk

PAGE = "/stock/slots"


async def test_who_had_a_seat_is_placed_anew(api: Api, world: World, service: Service) -> None:
    day = day_of(datetime.now(UTC)) + timedelta(days=1)
    site_id = await new_site(api)
    slot = {"site_id": site_id, "code": "group_session", "professional": "psy-1",
            "starts_at": f"{day}T10:00:00+02:00", "minutes": 90, "seats": 8}  # fmt: skip
    slot_id = (await api.post("slots", slot))["slot_id"]
    demand = CapacityDemand(resource="slot", code="group_session", from_on=day, to_on=day)
    visits = [approved(items=(), capacity=demand) for _ in range(2)]
    await world.take(*visits)
    await world.take(*(confirmed(visit.need_id) for visit in visits))
    inventory = httpx.ASGITransport(service.app)
    async with at_desk(inventory, service.settings.keys_dir, Role.LEAD) as lead:
        page = await lead.page(PAGE)
        assert "2 of 8 taken" in page
        assert "2 seats are taken" in page
        page = await lead.send(PAGE, f"{PAGE}/{slot_id}/cancel")
        assert "The slot is canceled" in page
        assert f'action="{PAGE}/{slot_id}/cancel' not in page
    assert {await world.state(visit.need_id) for visit in visits} == {"relocated"}
    released = await world.emitted(ReservationReleasedV1)
    assert {(each.need_id, each.cause) for each in released} == {
        (visit.need_id, "relocated") for visit in visits
    }
    # The professional's hour is free again: another slot may be entered in its place.
    await api.post("slots", slot)
    await world.books_are_right()
