"""Guests whose leaving nobody entered, and check-outs that were entered by mistake."""

import asyncio
from datetime import date, timedelta
from uuid import UUID

import pytest

from aidmesh_contracts.days import day_of
from aidmesh_contracts.intake import NeedApprovedV1
from aidmesh_contracts.inventory import (
    DiscrepancyOpenedV1,
    ReservationHeldV1,
    StaySettledV1,
    SupplyGrewV1,
)
from aidmesh_inventory.handlers import places, stays, sweeps
from aidmesh_inventory.handlers.hold import reservation_id_of
from aidmesh_inventory.store import check_outs
from integration.inventory.test_facts import given
from integration.inventory.world import World, approved, confirmed, night


@pytest.fixture
async def today(world: World) -> date:
    async with world.database.transaction() as tx:
        return day_of(tx.now)


async def guest(world: World, from_on: date, nights: int, *, hours_ago: int = 48) -> NeedApprovedV1:
    """Someone who was checked in that long ago."""
    need = approved(items=(), capacity=night(from_on, nights))
    await world.take(need)
    await world.take(confirmed(need.need_id))
    assert await world.issue(need.need_id, "check_in", from_on) is None
    await entered_ago(world, need.need_id, hours_ago)
    return need


async def entered_ago(world: World, need_id: UUID, hours: int) -> None:
    await world.execute(
        "UPDATE reservation SET state_at = now() - make_interval(hours => $2) WHERE need_id = $1",
        need_id,
        hours,
    )


async def check_out(world: World, need_id: UUID, on: date) -> str | None:
    reservation_id = reservation_id_of(need_id, 1)
    async with world.database.transaction() as tx:
        return (await stays.check_out(tx, {reservation_id: on})).get(reservation_id)


async def undo(world: World, need_id: UUID, until: date | None = None) -> str | None:
    async with world.database.transaction() as tx:
        return await stays.undo_check_out(tx, reservation_id_of(need_id, 1), "still_here", until)


async def settled(world: World) -> list[tuple[int | None, int, bool]]:
    """What was told of nights, in order."""
    told = await world.emitted(StaySettledV1)
    return [(each.settle_no, each.nights, each.is_open) for each in told]


async def test_a_forgotten_check_out_frees_the_bed_for_who_waits(world: World, today: date) -> None:
    site_id = await world.site()
    (bed_id,) = await world.beds(site_id, 1)
    forgotten = await guest(world, today - timedelta(days=5), 3)
    before = len(await world.emitted(SupplyGrewV1))

    assert await world.run(sweeps.check_out_overdue) == 1
    assert await world.run(sweeps.check_out_overdue) == 0

    (grown,) = (await world.emitted(SupplyGrewV1))[before:]
    assert (grown.resource, grown.quantity, grown.freed_by) == ("bed", 1, forgotten.need_id)
    (told,) = await world.emitted(StaySettledV1)
    assert (told.nights, told.to_on) == (3, today - timedelta(days=2))
    assert await world.rows("SELECT left_on, left_by_clock FROM bed_booking") == [
        {"left_on": today - timedelta(days=2), "left_by_clock": True}
    ]
    waiting = approved(items=(), capacity=night(today, 2))
    await world.take(waiting)
    assert (await world.emitted(ReservationHeldV1))[-1].need_id == waiting.need_id
    await world.books_are_right()
    async with world.database.transaction() as tx:
        assert await places.retire_bed(tx, bed_id) == "in-use"


@pytest.mark.parametrize("days_left", [1, None])
async def test_nobody_is_checked_out_before_the_stay_is_over(
    world: World, today: date, days_left: int | None
) -> None:
    await world.beds(await world.site(), 1)
    need = approved(
        items=(),
        capacity=night(today - timedelta(days=3), None if days_left is None else 3 + days_left),
    )
    await world.take(need)
    await world.take(confirmed(need.need_id))
    assert await world.issue(need.need_id, "check_in", today - timedelta(days=3)) is None
    await entered_ago(world, need.need_id, 48)
    assert await world.run(sweeps.check_out_overdue) == 0


async def test_who_enters_the_past_has_a_day_to_enter_the_check_out(
    world: World, today: date
) -> None:
    await world.beds(await world.site(), 1)
    need = await guest(world, today - timedelta(days=9), 3, hours_ago=23)
    assert await world.run(sweeps.check_out_overdue) == 0
    await entered_ago(world, need.need_id, 25)
    assert await world.run(sweeps.check_out_overdue) == 1


async def test_entered_history_keeps_no_other_guest_from_being_checked_out(
    world: World, today: date, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeps, "LIMIT", 2)
    await world.beds(await world.site(), 1)
    history = [given(capacity=night(today - timedelta(days=30 + 3 * ago), 2)) for ago in range(4)]
    await world.take(*history)
    forgotten = await guest(world, today - timedelta(days=5), 3)
    assert await world.run(sweeps.check_out_overdue) == 1
    assert [each.need_id for each in await world.emitted(StaySettledV1)] == [forgotten.need_id]
    await world.execute("UPDATE reservation SET state_at = now() - interval '25 hours'")
    assert [await world.run(sweeps.check_out_overdue) for _ in range(3)] == [2, 2, 0]


async def test_a_bed_with_an_old_stay_can_be_retired(world: World, today: date) -> None:
    site_id = await world.site()
    (bed_id,) = await world.beds(site_id, 1)
    await guest(world, today - timedelta(days=5), 3, hours_ago=1)
    async with world.database.transaction() as tx:
        assert await places.retire_bed(tx, bed_id) is None
    (other_id,) = await world.beds(site_id, 1)
    await guest(world, today - timedelta(days=3), 3, hours_ago=1)  # leaves today
    async with world.database.transaction() as tx:
        assert await places.retire_bed(tx, other_id) == "in-use"


async def test_a_person_overrules_the_clock_once(world: World, today: date) -> None:
    await world.beds(await world.site(), 1)
    came = today - timedelta(days=6)
    confirmed_as_told = await guest(world, came, 2)
    await world.run(sweeps.check_out_overdue)
    assert await check_out(world, confirmed_as_told.need_id, came + timedelta(days=2)) is None
    assert await settled(world) == [(1, 2, False)]
    later = await guest(world, came + timedelta(days=2), 1)
    await world.run(sweeps.check_out_overdue)
    before = len(await world.emitted(SupplyGrewV1))
    assert await check_out(world, later.need_id, today) is None
    assert (await settled(world))[1:] == [(1, 1, False), (2, 4, False)]
    assert len(await world.emitted(SupplyGrewV1)) == before
    assert await check_out(world, later.need_id, today) == "already-checked-out"
    assert await world.value("SELECT count(*) FROM bed_booking WHERE left_by_clock") == 0
    await world.books_are_right()


async def test_only_the_check_out_is_taken_back(world: World, today: date) -> None:
    await world.beds(await world.site(), 1)
    came = today - timedelta(days=2)
    need = await guest(world, came, 7)
    assert await undo(world, need.need_id) == "not-checked-out"
    assert await check_out(world, need.need_id, came) is None  # the wrong guest
    assert await undo(world, need.need_id, today) == "day-gone-by"

    assert await undo(world, need.need_id) is None

    assert await world.state(need.need_id) == "issued"
    assert await settled(world) == [(1, 0, False), (2, 7, True)]
    assert (await world.emitted(StaySettledV1))[-1].reason == "still_here"
    assert await world.value("SELECT upper(stay) FROM bed_booking") == came + timedelta(days=7)
    assert await world.run(sweeps.check_out_overdue) == 0
    assert await check_out(world, need.need_id, today) is None
    assert (await settled(world))[-1] == (3, 2, False)
    await world.books_are_right()


async def test_who_is_still_there_has_the_night_to_come(world: World, today: date) -> None:
    await world.beds(await world.site(), 1)
    need = await guest(world, today - timedelta(days=3), 2)
    await world.run(sweeps.check_out_overdue)
    assert await undo(world, need.need_id) is None
    assert await world.value("SELECT upper(stay) FROM bed_booking") == today + timedelta(days=1)
    assert await world.run(sweeps.check_out_overdue) == 0
    assert await check_out(world, need.need_id, today) is None
    assert await undo(world, need.need_id, today + timedelta(days=9)) is None
    assert await world.value("SELECT upper(stay) FROM bed_booking") == today + timedelta(days=9)
    await world.books_are_right()


async def test_nights_that_somebody_else_has_by_now_are_a_discrepancy(
    world: World, today: date
) -> None:
    await world.beds(await world.site(), 1)
    need = await guest(world, today - timedelta(days=3), 2)
    await world.run(sweeps.check_out_overdue)
    next_guest = approved(items=(), capacity=night(today, 2))
    await world.take(next_guest)
    assert await undo(world, need.need_id) is None
    (odd,) = await world.emitted(DiscrepancyOpenedV1)
    assert odd.about == "bed"
    await world.books_are_right()
    # Somebody said that the guest is here: the clock says nothing to that, and wakes nobody.
    told = [(1, 2, False), (2, 4, True)]
    grown = await world.emitted(SupplyGrewV1)
    assert await world.run(sweeps.check_out_overdue) == 0
    assert await settled(world) == told
    assert await world.emitted(SupplyGrewV1) == grown
    async with world.database.read() as conn:
        (listed,) = await check_outs.overdue(
            conn, site_id=None, today=today, sensitive_too=True, after=None, limit=9
        )
    assert (listed["need_id"], listed["by_clock"]) == (need.need_id, False)
    # Each time that it is said, somebody has to look.
    assert await check_out(world, need.need_id, today - timedelta(days=1)) is None
    assert await undo(world, need.need_id) is None
    assert len({each.discrepancy_id for each in await world.emitted(DiscrepancyOpenedV1)}) == 2
    assert await world.run(sweeps.check_out_overdue) == 0
    assert await check_out(world, need.need_id, today) is None
    assert await settled(world) == [*told, (3, 2, False), (4, 4, True), (5, 3, False)]
    await world.books_are_right()


async def test_a_guest_of_whom_somebody_said_they_are_here_is_left_to_people(
    world: World, today: date
) -> None:
    (bed_id,) = await world.beds(await world.site(), 1)
    need = await guest(world, today - timedelta(days=3), 2)
    ended = today - timedelta(days=1)
    await world.run(sweeps.check_out_overdue)
    assert await undo(world, need.need_id) is None
    # A day later, and a sweep that had looked before.
    await world.execute("UPDATE bed_booking SET stay = daterange(lower(stay), $1)", ended)
    assert await world.run(sweeps.check_out_overdue) == 0
    async with world.database.transaction() as tx:
        late: dict[UUID, date] = {reservation_id_of(need.need_id, 1): ended}
        assert await stays.check_out(tx, late, by_clock=True) == {}
        assert await places.retire_bed(tx, bed_id) == "in-use"
    assert len(await settled(world)) == 2
    # Whoever is checked in anew is as anybody.
    assert await world.undo(need.need_id)
    assert await world.issue(need.need_id, "check_in", today - timedelta(days=3)) is None
    await entered_ago(world, need.need_id, 48)
    assert await world.run(sweeps.check_out_overdue) == 1


async def test_the_first_night_is_not_taken_from_who_has_it_now(world: World, today: date) -> None:
    await world.beds(await world.site(), 1)
    need = await guest(world, today, 2)
    assert await check_out(world, need.need_id, today) is None
    await world.take(approved(items=(), capacity=night(today, 2)))
    assert await undo(world, need.need_id) == "in-use"
    await world.books_are_right()


async def test_aid_that_was_given_is_settled_and_wakes_nobody(world: World, today: date) -> None:
    await world.beds(await world.site(), 2)
    past = given(capacity=night(today - timedelta(days=9), 4))
    lasting = given(capacity=night(today - timedelta(days=3), 2))
    await world.take(past, lasting)
    await entered_ago(world, past.need_id, 48)
    await entered_ago(world, lasting.need_id, 60)
    before = len(await world.emitted(SupplyGrewV1))
    assert await world.run(sweeps.check_out_overdue) == 2
    grown = (await world.emitted(SupplyGrewV1))[before:]
    assert [each.freed_by for each in grown] == [lasting.need_id]
    assert sorted(each.nights for each in await world.emitted(StaySettledV1)) == [2, 4]


async def test_whoever_comes_first_the_person_is_right(world: World, today: date) -> None:
    await world.beds(await world.site(), 4)
    for _ in range(4):
        came = today - timedelta(days=3)
        guests = [await guest(world, came, 2) for _ in range(4)]
        answers = await asyncio.gather(
            world.run(sweeps.check_out_overdue),
            *(check_out(world, each.need_id, today) for each in guests),
            world.run(sweeps.check_out_overdue),
        )
        assert set(answers[1:-1]) == {None}
        told = await world.emitted(StaySettledV1)
        for each in guests:
            last = max(
                (one for one in told if one.need_id == each.need_id),
                key=lambda one: one.settle_no or 0,
            )
            assert (last.nights, last.to_on) == (3, today)
        await world.books_are_right()
        await world.execute("UPDATE bed_booking SET live = false")
        await world.execute("UPDATE reservation SET state = 'released', cause = 'reversed'")
    assert await world.value("SELECT count(*) FROM bed_booking WHERE left_by_clock") == 0
