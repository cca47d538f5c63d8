"""Whose check-out was taken back keeps the bed until somebody says that they left."""

import asyncio
from datetime import date, timedelta
from uuid import UUID

import pytest

from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import derive_id
from aidmesh_contracts.intake import NeedApprovedV1
from aidmesh_contracts.inventory import (
    CapacityChangedV1,
    DiscrepancyOpenedV1,
    ReservationRefusedV1,
    SupplyGrewV1,
)
from aidmesh_inventory.handlers import capacity, sites, stays, sweeps
from aidmesh_inventory.store import beds
from integration.inventory.test_check_outs import check_out, guest, undo
from integration.inventory.test_facts import given, undone
from integration.inventory.world import World, approved, confirmed, night


@pytest.fixture
async def today(world: World) -> date:
    async with world.database.transaction() as tx:
        return day_of(tx.now)


async def kept(world: World, today: date) -> NeedApprovedV1:
    """A guest whose nights are over, and of whom somebody said that they are still here."""
    need = await guest(world, today - timedelta(days=3), 2)
    assert await world.run(sweeps.check_out_overdue) == 1
    assert await undo(world, need.need_id) is None
    return need


async def days_pass(world: World, days: int) -> None:
    """The nights that a guest of whom somebody said so has in the books were over days ago."""
    await world.execute(
        "UPDATE bed_booking SET stay = daterange(lower(stay), upper(stay) - $1::int)"
        " WHERE still_here",
        days,
    )


async def wanted(world: World, from_on: date, nights: int | None = 2) -> NeedApprovedV1:
    """A need for a bed, as it is taken in."""
    need = approved(items=(), capacity=night(from_on, nights))
    await world.take(need)
    return need


async def free(world: World) -> tuple[int, ...]:
    """What others are told of the coming nights."""
    await world.run(capacity.tell_capacity)
    return (await world.emitted(CapacityChangedV1))[-1].free_by_day


async def grown(world: World) -> list[tuple[str, int, UUID | None]]:
    told = await world.emitted(SupplyGrewV1)
    return [(each.resource, each.quantity, each.freed_by) for each in told]


async def test_the_bed_of_who_is_still_there_is_promised_to_nobody(
    world: World, today: date
) -> None:
    await world.beds(await world.site(), 1)
    guest_of_old = await kept(world, today)
    days = [today + timedelta(days=ahead) for ahead in (0, 1, 2, 30)]
    for passed in (0, 1, 1):
        await days_pass(world, passed)
        for day in days:
            assert await world.state((await wanted(world, day)).need_id) is None
    assert {each.reason for each in await world.emitted(ReservationRefusedV1)} == {"short"}
    assert await free(world) == (0,) * 14

    before = await grown(world)
    assert await check_out(world, guest_of_old.need_id, today) is None
    assert (await grown(world))[len(before) :] == [("bed", 1, guest_of_old.need_id)]
    assert await free(world) == (1,) * 14
    for day in (days[0], days[2], days[3]):
        assert await world.state((await wanted(world, day)).need_id) == "held"
    await world.books_are_right()


async def test_not_even_after_the_end_that_was_booked(world: World, today: date) -> None:
    await world.beds(await world.site(), 2)
    need = await guest(world, today - timedelta(days=1), 4)
    assert await check_out(world, need.need_id, today) is None  # the wrong guest
    assert await undo(world, need.need_id) is None
    assert await free(world) == (1,) * 14
    end = today + timedelta(days=3)
    # There is another bed; for two of them there is not.
    assert await world.state((await wanted(world, end)).need_id) == "held"
    assert await world.state((await wanted(world, end, None)).need_id) is None
    await world.books_are_right()


async def test_who_was_booked_before_meets_them_and_somebody_has_to_look(
    world: World, today: date
) -> None:
    await world.beds(await world.site(), 1)
    need = await guest(world, today - timedelta(days=3), 2)
    await world.run(sweeps.check_out_overdue)
    tomorrow = today + timedelta(days=1)
    # Whoever is booked from tomorrow on has no night that the books give to the guest.
    next_guest = await wanted(world, tomorrow)
    await world.take(confirmed(next_guest.need_id))
    assert await undo(world, need.need_id) is None
    assert await world.emitted(DiscrepancyOpenedV1) == []
    await days_pass(world, 1)
    await world.execute(
        "UPDATE bed_booking SET stay = daterange($1, upper(stay)) WHERE NOT still_here", today
    )

    assert await world.issue(next_guest.need_id, "check_in", today) is None
    (odd,) = await world.emitted(DiscrepancyOpenedV1)
    assert (odd.about, odd.quantity) == ("bed", 1)

    # Once the first has left, nobody is in the way of who comes.
    assert await check_out(world, need.need_id, today) is None
    assert await world.undo(next_guest.need_id)
    assert await world.issue(next_guest.need_id, "check_in", today) is None
    assert len(await world.emitted(DiscrepancyOpenedV1)) == 1
    await world.books_are_right()


async def test_whose_check_in_is_taken_back_keeps_the_bed_no_longer(
    world: World, today: date
) -> None:
    await world.beds(await world.site(), 1)
    need = await kept(world, today)
    before = await grown(world)
    assert await world.undo(need.need_id)
    assert (await grown(world))[len(before) :] == [("bed", 1, need.need_id)]
    assert await free(world) == (0, *[1] * 13)
    assert await world.state((await wanted(world, today + timedelta(days=1))).need_id) == "held"
    await world.books_are_right()


async def test_nor_does_who_never_was_a_guest(world: World, today: date) -> None:
    await world.beds(await world.site(), 1)
    fact = given(capacity=night(today - timedelta(days=5), 3))
    await world.take(fact)
    await world.execute("UPDATE reservation SET state_at = now() - interval '2 days'")
    assert await world.run(sweeps.check_out_overdue) == 1
    async with world.database.transaction() as tx:
        fact_id = derive_id("fact", fact.need_id)
        assert await stays.undo_check_out(tx, fact_id, "still_here") is None
    await days_pass(world, 2)
    assert await world.state((await wanted(world, today)).need_id) is None
    before = await grown(world)
    await world.take(undone(fact))
    assert (await grown(world))[len(before) :] == [("bed", 1, fact.need_id)]
    assert await free(world) == (1,) * 14


async def test_the_board_shows_their_stay_with_an_open_end(world: World, today: date) -> None:
    site_id = await world.site()
    await world.beds(site_id, 1)
    need = await kept(world, today)
    await days_pass(world, 2)
    async with world.database.read() as conn:
        (row,) = await beds.board(conn, site_id, today, today + timedelta(days=14), None, 9)
    assert (row["need_id"], row["from_on"], row["to_on"], row["left_on"]) == (
        need.need_id, today - timedelta(days=3), None, None,
    )  # fmt: skip


async def test_a_site_that_reopens_offers_every_bed_that_somebody_will_leave(
    world: World, today: date
) -> None:
    site_id = await world.site()
    await world.beds(site_id, 2)
    await kept(world, today)
    assert await world.state((await wanted(world, today, 3)).need_id) == "held"
    async with world.database.transaction() as tx:
        assert await sites.close(tx, site_id, "alert", keeps=True) is not None
    before = await grown(world)
    async with world.database.transaction() as tx:
        assert await sites.reopen(tx, site_id, "over") is not None
    assert (await grown(world))[len(before) :] == [("bed", sites.NIGHTS, None)]
    assert await world.state((await wanted(world, today + timedelta(days=3))).need_id) == "held"


async def test_whoever_comes_first_nobody_is_promised_an_occupied_bed_unseen(
    world: World, today: date
) -> None:
    """Somebody says that the guest is still here at the moment at which the bed is given."""
    await world.beds(await world.site(), 4)
    for _ in range(4):
        guests = [await guest(world, today - timedelta(days=3), 2) for _ in range(4)]
        await world.run(sweeps.check_out_overdue)
        seen = {each.discrepancy_id for each in await world.emitted(DiscrepancyOpenedV1)}
        next_guests = [approved(items=(), capacity=night(today)) for _ in guests]
        await asyncio.gather(
            *(undo(world, each.need_id) for each in guests),
            *(world.take(each) for each in next_guests),
        )
        shared = await world.value(
            "SELECT count(*) FROM bed_booking g JOIN bed_booking o USING (bed_id)"
            " WHERE g.live AND o.live AND g.still_here AND NOT o.still_here AND o.left_on IS NULL"
        )
        opened = {each.discrepancy_id for each in await world.emitted(DiscrepancyOpenedV1)}
        assert len(opened - seen) == shared
        await world.execute("UPDATE bed_booking SET live = false")
        await world.execute("UPDATE reservation SET state = 'released', cause = 'reversed'")
