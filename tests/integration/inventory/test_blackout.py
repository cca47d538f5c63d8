"""After a blackout nothing has run out that people could not have come for, and all is kept once.

Time is not waited for: whatever happened so far is put that much further back.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from aidmesh_contracts.intake import NeedToldV1
from aidmesh_contracts.inventory import ReservationReleasedV1
from aidmesh_contracts.pickup import ends_at
from aidmesh_contracts.values import CapacityDemand
from aidmesh_inventory.handlers import sites, sweeps
from integration.inventory.world import DAY, World, approved, confirmed, night

BLACKOUT = timedelta(hours=30)
LEFT_H = 2.0
"""How long people still had to come when the power went."""
CLOCKS = (sweeps.take_back_uncollected, sweeps.release_no_shows)


class Office:
    """A site where a parcel, a bed and a seat wait, each for somebody who knows of it."""

    def __init__(self, world: World, site_id: UUID) -> None:
        self.world, self.site_id = world, site_id
        self.needs: list[UUID] = []

    @classmethod
    async def open(cls, world: World) -> "Office":
        office = cls(world, await world.site())
        await world.item()
        await world.stock(office.site_id, 5)
        await world.beds(office.site_id, 2)
        await world.slot(office.site_id, DAY, seats=2)
        await office.look()
        seat = CapacityDemand(
            resource="slot", code="counseling", from_on=DAY, to_on=DAY, as_written=True
        )
        for need in (
            approved(site_id=office.site_id),
            approved(site_id=office.site_id, items=(), capacity=night()),
            approved(site_id=office.site_id, items=(), capacity=seat),
        ):
            await world.take(need)
            await world.take(confirmed(need.need_id))
            office.needs.append(need.need_id)
        await world.execute(
            "UPDATE reservation SET told_at = state_at,"
            " collect_by = clock_timestamp() + make_interval(hours => $1)",
            int(LEFT_H),
        )
        return office

    async def passes(self, time: timedelta, *, running: bool = False) -> None:
        """Time goes by; `running`: and the service looked at its clocks till the end of it."""
        for table, columns in (
            ("reservation", ("collect_by", "state_at", "told_at")),
            ("site", ("still_since", "closed_at")),
            ("alert", ("began_at",)),
            *(() if running else (("pickup_clock", ("seen_at",)),)),
        ):
            earlier = ", ".join(f"{column} = {column} - $1::interval" for column in columns)
            await self.world.execute(f"UPDATE {table} SET {earlier}", time)  # noqa: S608

    async def look(self) -> int:
        """What the sweeps let go of."""
        return sum([await self.world.run(sweep) for sweep in CLOCKS])

    async def left_h(self) -> list[float]:
        """How long each is still kept."""
        rows = await self.world.rows(
            "SELECT collect_by - clock_timestamp() AS time FROM reservation"
            " WHERE state = 'confirmed' ORDER BY told_at"
        )
        return [round(row["time"] / timedelta(hours=1), 1) for row in rows]


@pytest.mark.parametrize("sweeps_in_order", [CLOCKS, CLOCKS[::-1]])
async def test_parcels_beds_and_seats_outlast_a_blackout(
    world: World, sweeps_in_order: tuple[Callable[..., Awaitable[int]], ...]
) -> None:
    office = await Office.open(world)
    await office.passes(BLACKOUT)
    assert [await world.run(sweep) for sweep in sweeps_in_order] == [0, 0]
    assert await office.left_h() == [LEFT_H] * 3
    # It is over: what nobody comes for now does run out.
    await office.passes(timedelta(hours=LEFT_H, minutes=5), running=True)
    assert await office.look() == 3
    assert len(await world.emitted(ReservationReleasedV1)) == 3
    await world.books_are_right()


async def test_a_blackout_is_given_back_once_however_often_the_service_starts(
    world: World,
) -> None:
    office = await Office.open(world)
    await office.passes(BLACKOUT)
    for _ in range(2):  # and two replicas of it
        done = await asyncio.gather(*(world.run(sweep) for sweep in CLOCKS * 2))
        assert sum(done) == 0
    await office.passes(timedelta(hours=1))
    assert await office.look() == 0
    assert await office.left_h() == [LEFT_H] * 3


async def test_who_could_come_all_the_time_gets_nothing_back(world: World) -> None:
    """The other regions could not be heard: that keeps nobody from coming."""
    office = await Office.open(world)
    await office.passes(BLACKOUT, running=True)
    assert await office.look() == 3


@pytest.mark.parametrize("stopped", ["before", "after"])
@pytest.mark.parametrize("by", ["closing", "alert"])
async def test_a_closing_or_an_alert_beside_a_blackout_is_given_back_once(
    world: World, stopped: str, by: str
) -> None:
    """Staff end or begin it before any sweep has run: requests are served first."""
    office = await Office.open(world)
    alert_ids: list[UUID] = []

    async def stop() -> None:
        async with world.database.transaction() as tx:
            if by == "closing":
                assert await sites.close(tx, office.site_id, "shelling", keeps=True)
            else:
                alert, _ = await sites.begin_alert(tx, "UA80", "air_raid", uuid4())
                alert_ids.append(alert.alert_id)

    async def go_on() -> None:
        async with world.database.transaction() as tx:
            if by == "closing":
                assert await sites.reopen(tx, office.site_id, "over")
            else:
                assert await sites.end_alert(tx, alert_ids[0], uuid4())

    if stopped == "before":
        await stop()
        await office.passes(BLACKOUT)
        await go_on()
    else:
        await office.passes(BLACKOUT)
        await stop()
        assert await office.look() == 0
        await office.passes(timedelta(hours=3), running=True)
        await go_on()
    assert await office.look() == 0
    assert await office.left_h() == [LEFT_H] * 3


async def test_a_clock_that_starts_after_a_blackout_was_not_stopped_by_it(world: World) -> None:
    office = await Office.open(world)
    late, told_before = approved(site_id=office.site_id), approved(site_id=office.site_id)
    await world.take(late, told_before)
    await world.take(confirmed(told_before.need_id))
    await office.passes(BLACKOUT)
    now = await world.value("SELECT now()")
    await world.execute("UPDATE reservation SET hold_until = now() + interval '1 hour'"
                        " WHERE state = 'held'")  # fmt: skip
    # The messages that were on their way are taken in before any sweep has run.
    await world.take(confirmed(late.need_id))
    for need, told_at in ((late, now), (told_before, now - BLACKOUT)):
        told = NeedToldV1(
            need_id=need.need_id, attempt_no=1, told_at=told_at, how="message", collect_days=1
        )
        await world.take(told)
    assert await office.look() == 0
    assert (await office.left_h()).count(LEFT_H) == 3
    # Word that came late starts the clock when it came.
    started = await world.rows(
        "SELECT collect_by FROM reservation WHERE need_id = ANY($1::uuid[])",
        [late.need_id, told_before.need_id],
    )
    assert {row["collect_by"] for row in started} <= {
        ends_at(now, 1),
        ends_at(now + timedelta(minutes=5), 1),
    }


async def test_what_is_taken_back_after_a_blackout_is_kept_for_a_day(world: World) -> None:
    office = await Office.open(world)
    assert await world.issue(office.needs[0]) is None
    await office.passes(BLACKOUT)
    assert await world.undo(office.needs[0])
    assert await office.look() == 0
    assert sorted(await office.left_h()) == [LEFT_H, LEFT_H, 24.0]
