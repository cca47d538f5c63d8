"""Nights and hours that have passed while somebody waited."""

from datetime import date, timedelta
from uuid import UUID, uuid4

import pytest

from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import NeedId, SiteId
from aidmesh_contracts.intake import AidGivenV1, NeedApprovedV1
from aidmesh_contracts.inventory import (
    DiscrepancyOpenedV1,
    ReservationHeldV1,
    ReservationIssuedV1,
    ReservationRefusedV1,
    StaySettledV1,
    SupplyGrewV1,
)
from aidmesh_contracts.values import CapacityDemand
from aidmesh_inventory.handlers import places, stays
from aidmesh_inventory.handlers.hold import reservation_id_of
from aidmesh_inventory.store.beds import NewBed
from integration.inventory.world import World, approved, confirmed


@pytest.fixture
async def today(world: World) -> date:
    async with world.database.transaction() as tx:
        return day_of(tx.now)


def bed(from_on: date, to_on: date | None) -> CapacityDemand:
    return CapacityDemand(resource="bed", code="shelter", from_on=from_on, to_on=to_on)


async def check_in(world: World, guest: NeedApprovedV1, on: date) -> None:
    await world.take(guest)
    await world.take(confirmed(guest.need_id))
    assert await world.issue(guest.need_id, "check_in", on) is None


async def check_out(world: World, guest: NeedApprovedV1, on: date) -> None:
    async with world.database.transaction() as tx:
        assert await stays.check_out(tx, {reservation_id_of(guest.need_id, 1): on}) == {}


@pytest.mark.parametrize("nights_left", [None, 3])
async def test_whoever_waited_for_a_full_house_gets_the_bed_of_who_leaves(
    world: World, today: date, nights_left: int | None
) -> None:
    await world.beds(await world.site(), 1)
    weeks_ago = today - timedelta(days=14)
    until = None if nights_left is None else today + timedelta(days=nights_left)
    guest = approved(
        items=(), capacity=bed(weeks_ago, today).model_copy(update={"as_written": True})
    )
    await check_in(world, guest, weeks_ago)
    waiting = approved(items=(), capacity=bed(weeks_ago, until))
    grown = len(await world.emitted(SupplyGrewV1))

    # As booked, to the day: that makes room for whoever wants the nights from now on.
    await check_out(world, guest, today)

    (left,) = (await world.emitted(SupplyGrewV1))[grown:]
    assert (left.resource, left.quantity, left.freed_by) == ("bed", 1, guest.need_id)
    await world.take(waiting)
    held = (await world.emitted(ReservationHeldV1))[-1]
    assert held.need_id == waiting.need_id
    assert held.booking is not None
    assert (held.booking.from_on, held.booking.to_on) == (today, until)
    await world.books_are_right()


async def test_a_stay_whose_last_night_is_past_is_not_tried(world: World, today: date) -> None:
    await world.beds(await world.site(), 2)
    over = approved(items=(), capacity=bed(today - timedelta(days=5), today))
    last_night = approved(
        items=(), capacity=bed(today - timedelta(days=5), today + timedelta(days=1))
    )
    await world.take(over, last_night)
    (refused,) = await world.emitted(ReservationRefusedV1)
    assert (refused.need_id, refused.reason) == (over.need_id, "withdrawn")
    assert await world.state(last_night.need_id) == "held"


async def test_facts_and_what_was_written_keep_their_days(world: World, today: date) -> None:
    site_id = await world.site()
    await world.beds(site_id, 1)
    first = today - timedelta(days=9)
    fact = AidGivenV1(
        need_id=NeedId(uuid4()),
        kind="shelter_night",
        programme="shelter",
        served_on=first,
        place_area="UA80",
        capacity=bed(first, first + timedelta(days=2)),
    )
    await world.take(fact)
    paper = bed(first + timedelta(days=2), first + timedelta(days=4))
    await world.take(approved(items=(), capacity=paper.model_copy(update={"as_written": True})))
    rows = await world.rows("SELECT lower(stay) AS first FROM bed_booking ORDER BY 1")
    assert [row["first"] for row in rows] == [first, first + timedelta(days=2)]


async def test_an_appointment_never_lies_in_the_past_unless_it_was_written_down(
    world: World, today: date
) -> None:
    site_id = await world.site()
    past_slot = await world.slot(site_id, today - timedelta(days=3))
    window = CapacityDemand(
        resource="slot",
        code="counseling",
        from_on=today - timedelta(days=5),
        to_on=today + timedelta(days=5),
    )
    woken = approved(items=(), capacity=window)
    await world.take(woken)
    (refused,) = await world.emitted(ReservationRefusedV1)
    assert (refused.need_id, refused.reason) == (woken.need_id, "short")
    to_come = await world.slot(site_id, today + timedelta(days=2))
    relocated = approved(need_id=woken.need_id, attempt_no=2, items=(), capacity=window)
    await world.take(relocated)
    booked = await world.value(
        "SELECT slot_id FROM slot_booking WHERE reservation_id = $1",
        reservation_id_of(woken.need_id, 2),
    )
    assert booked == to_come

    fact = AidGivenV1(
        need_id=NeedId(uuid4()),
        kind="counseling",
        programme="psychosocial",
        served_on=today - timedelta(days=3),
        place_area="UA80",
        site_id=SiteId(site_id),
        capacity=window.model_copy(update={"from_on": today - timedelta(days=3)}),
    )
    await world.take(fact)
    assert await world.emitted(DiscrepancyOpenedV1) == []
    assert await world.value("SELECT taken FROM slot WHERE id = $1", past_slot) == 1


async def test_check_out_tells_whose_nights_they_were_and_who_bore_them(
    world: World, today: date
) -> None:
    site_id, grant_id = await world.site(), uuid4()
    own = NewBed(uuid4(), site_id, "a", "1", "shelter", "own", grant_id, 300, "UAH")
    await world.item("kit")
    kit_grant = uuid4()
    await world.stock(site_id, 1, "kit", grant_id=kit_grant, unit_value_minor=50)
    async with world.database.transaction() as tx:
        assert await places.add_beds(tx, [(own, ())]) == {}
    came_on = today - timedelta(days=2)
    week = bed(came_on, today + timedelta(days=5)).model_copy(update={"as_written": True})
    guest = approved(items=("kit",), capacity=week)
    await check_in(world, guest, came_on)
    assert await world.undo(guest.need_id)
    assert await world.issue(guest.need_id, "check_in", came_on) is None
    booked = (await world.emitted(ReservationIssuedV1))[-1]
    await check_out(world, guest, today)

    (settled,) = await world.emitted(StaySettledV1)
    assert (settled.attempt_no, settled.issue_no, settled.nights) == (1, 2, 2)

    def borne(event: ReservationIssuedV1 | StaySettledV1) -> dict[UUID | None, int]:
        return {each.grant_id: each.amount_minor for each in event.shares or ()}

    assert borne(booked) == {grant_id: 7 * 300, kit_grant: 50}
    assert borne(settled) == {grant_id: 2 * 300, kit_grant: 50}
