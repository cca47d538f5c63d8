"""Beds and slots from hold to check-out, and what other regions tell."""

from datetime import datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest

from aidmesh_chassis.db import Tx
from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import NeedId, SiteId
from aidmesh_contracts.intake import AidGivenV1, NeedApprovedV1
from aidmesh_contracts.inventory import (
    CapacityChangedV1,
    DiscrepancyOpenedV1,
    ReservationConfirmedV1,
    ReservationHeldV1,
    ReservationIssuedV1,
    ReservationRefusedV1,
    ReservationReleasedV1,
    SiteChangedV1,
    StaySettledV1,
    StockChangedV1,
    SupplyGrewV1,
)
from aidmesh_contracts.values import CapacityDemand, Visit
from aidmesh_inventory.handlers import capacity, stays, sweeps
from aidmesh_inventory.handlers import world as world_handlers
from aidmesh_inventory.handlers.hold import reservation_id_of
from aidmesh_inventory.handlers.release import release
from aidmesh_inventory.store import beds as bed_store
from integration.inventory.world import DAY, World, approved, confirmed, night, received
from support.loglines import written


async def check_out(world: World, need_id: NeedId, days: int) -> str | None:
    reservation_id = reservation_id_of(need_id, 1)
    async with world.database.transaction() as tx:
        faults = await stays.check_out(tx, {reservation_id: DAY + timedelta(days=days)})
    return faults.get(reservation_id)


async def test_a_guest_from_hold_to_check_out(world: World) -> None:
    await world.beds(await world.site(), 1)
    guest, waiting = (approved(items=(), capacity=night()) for _ in range(2))
    await world.take(guest, waiting)
    (held,) = await world.emitted(ReservationHeldV1)
    first = guest if held.need_id == guest.need_id else waiting
    assert held.booking is not None
    assert (held.booking.from_on, held.booking.to_on) == (DAY, DAY + timedelta(days=3))
    (refused,) = await world.emitted(ReservationRefusedV1)
    assert refused.blocked_by is not None
    assert (refused.blocked_by.resource, refused.blocked_by.code) == ("bed", "shelter")

    assert await check_out(world, first.need_id, 1) == "not-checked-in"
    await world.take(confirmed(first.need_id))
    assert await world.issue(first.need_id, "handover") == "wrong-way"
    assert await world.issue(first.need_id, "check_in") is None
    (issued,) = await world.emitted(ReservationIssuedV1)
    assert (issued.how, issued.quantity, issued.unit) == ("check_in", 3, "night")
    assert await check_out(world, first.need_id, -1) == "left-before-arrival"
    assert await check_out(world, first.need_id, 1) is None
    assert await check_out(world, first.need_id, 1) == "already-checked-out"

    (settled,) = await world.emitted(StaySettledV1)
    assert (settled.nights, settled.from_on) == (1, DAY)
    grown = (await world.emitted(SupplyGrewV1))[-1]
    assert (grown.resource, grown.quantity, grown.freed_by) == ("bed", 1, first.need_id)
    later = approved(items=(), capacity=night(DAY + timedelta(days=1)))
    await world.take(later)
    assert await world.state(later.need_id) == "held"
    await world.books_are_right()


async def test_a_confirmed_place_says_when_to_come(world: World) -> None:
    site_id = await world.site()
    await world.item()
    await world.stock(site_id, 1)
    await world.beds(site_id, 1)
    await world.slot(site_id, DAY, seats=1)
    seat = CapacityDemand(
        resource="slot", code="counseling", from_on=DAY, to_on=DAY, as_written=True
    )
    parcel, guest, visitor = (
        approved(), approved(items=(), capacity=night()), approved(items=(), capacity=seat)
    )  # fmt: skip
    for need in (parcel, guest, visitor):
        await world.take(need)
        await world.take(confirmed(need.need_id))
    told = {each.need_id: each.visit for each in await world.emitted(ReservationConfirmedV1)}
    starts_at = await world.value("SELECT starts_at FROM slot")
    kept_until = await world.value(
        "SELECT collect_by FROM reservation WHERE need_id = $1", guest.need_id
    )
    assert told == {
        parcel.need_id: None,
        guest.need_id: Visit(from_on=DAY, until_at=kept_until),
        visitor.need_id: Visit(starts_at=starts_at),
    }


async def test_a_family_sleeps_in_one_shelter(world: World) -> None:
    small, large = await world.site("small"), await world.site("large")
    await world.beds(small, 2)
    await world.beds(large, 3, "ground_floor")
    family = approved(items=(), capacity=night(DAY, 3, 3))
    too_many = approved(items=(), capacity=night(DAY, 3, 4))
    single = approved(items=(), capacity=night(DAY, 3, 1, "ground_floor"))

    await world.take(family, too_many)
    await world.take(single)

    (held,) = await world.emitted(ReservationHeldV1)
    assert (held.need_id, held.site_id) == (family.need_id, large)
    assert await world.state(single.need_id) is None
    easy = approved(items=(), capacity=night())
    await world.take(easy)
    assert (await world.emitted(ReservationHeldV1))[-1].site_id == small
    await world.books_are_right()


async def test_an_open_ended_stay_keeps_the_bed_until_check_out(world: World) -> None:
    await world.beds(await world.site(), 1)
    guest = approved(items=(), capacity=night(DAY, None))
    next_year = approved(items=(), capacity=night(DAY + timedelta(days=365)))
    await world.take(guest)
    await world.take(next_year)
    assert await world.state(next_year.need_id) is None
    await world.take(confirmed(guest.need_id))
    assert await world.issue(guest.need_id, "check_in") is None
    assert await check_out(world, guest.need_id, 10) is None
    (settled,) = await world.emitted(StaySettledV1)
    assert settled.nights == 10
    again = approved(need_id=next_year.need_id, attempt_no=2, items=(), capacity=night())
    await world.take(again)
    assert await world.state(next_year.need_id, 2) is None
    free = approved(items=(), capacity=night(DAY + timedelta(days=10)))
    await world.take(free)
    assert await world.state(free.need_id) == "held"


async def test_nobody_can_be_booked_into_a_bed_that_is_taken(world: World) -> None:
    (bed_id,) = await world.beds(await world.site(), 1)
    guest = approved(items=(), capacity=night())
    await world.take(guest)
    other = reservation_id_of(guest.need_id, 1)

    async def book(tx: Tx) -> None:
        await tx.conn.execute(
            "INSERT INTO reservation (id, need_id, attempt_no, way, state, site_id, planned_on,"
            " hold_until) SELECT $1, $1, 1, way, state, site_id, planned_on, hold_until"
            " FROM reservation WHERE id = $2",
            need_id := uuid4(),
            other,
        )
        await bed_store.book(tx.conn, [(need_id, bed_id, DAY + timedelta(days=2), None)])

    async def attempt() -> None:
        async with world.database.transaction() as tx:
            await book(tx)

    with pytest.raises(asyncpg.ExclusionViolationError):
        await attempt()


async def test_early_and_late_guests(world: World) -> None:
    await world.beds(await world.site(), 1)
    guest = approved(items=(), capacity=night(DAY + timedelta(days=2), 2))
    before = approved(items=(), capacity=night(DAY, 2))
    await world.take(guest, before)
    for each in (guest, before):
        await world.take(confirmed(each.need_id))
    assert await world.issue(before.need_id, "check_in") is None

    # The bed of the night before is taken: the stay begins as booked, and a person looks at it.
    assert await world.issue(guest.need_id, "check_in", DAY + timedelta(days=1)) is None
    assert [each.about for each in await world.emitted(DiscrepancyOpenedV1)] == ["bed"]
    # The first guest stays a night too long.
    assert await check_out(world, before.need_id, 3) is None
    settled = (await world.emitted(StaySettledV1))[-1]
    assert settled.nights == 3
    assert len(await world.emitted(DiscrepancyOpenedV1)) == 2

    late = approved(items=(), capacity=night(DAY + timedelta(days=10), 2))
    await world.take(late)
    await world.take(confirmed(late.need_id))
    too_late = DAY + timedelta(days=12)
    assert await world.issue(late.need_id, "check_in", too_late) == "stay-over"
    assert await world.issue(late.need_id, "check_in", too_late - timedelta(days=1)) is None
    assert (await world.emitted(ReservationIssuedV1))[-1].quantity == 1
    await world.books_are_right()


async def test_no_shows_lose_their_place_but_not_before_they_could_come(world: World) -> None:
    site_id = await world.site()
    await world.beds(site_id, 1)
    await world.slot(site_id, DAY)
    guest = approved(items=(), capacity=night())
    demand = CapacityDemand(
        resource="slot", code="counseling", from_on=DAY, to_on=DAY, as_written=True
    )
    visitor = approved(items=(), capacity=demand)
    await world.take(guest, visitor)
    await world.take(confirmed(guest.need_id), confirmed(visitor.need_id))

    assert await world.run(sweeps.release_no_shows) == 0  # though the day has long passed
    await world.execute("UPDATE reservation SET collect_by = now() - interval '1 s'")
    assert await world.run(sweeps.release_no_shows) == 2
    causes = [each.cause for each in await world.emitted(ReservationReleasedV1)]
    assert causes == ["no_show", "no_show"]
    grown = {(each.resource, each.code) for each in (await world.emitted(SupplyGrewV1))[-2:]}
    assert grown == {("bed", "shelter"), ("slot", "counseling")}
    await world.books_are_right()


async def test_a_guest_who_is_sent_on_goes_elsewhere(world: World) -> None:
    full, other = await world.site("full"), await world.site("other")
    await world.beds(full, 1)
    await world.beds(other, 1, "ground_floor")
    guest = approved(items=(), capacity=night())
    await world.take(guest)
    assert (await world.emitted(ReservationHeldV1))[-1].site_id == full

    async with world.database.transaction() as tx:
        await release(tx, [reservation_id_of(guest.need_id, 1)], "relocated")
    await world.take(approved(need_id=guest.need_id, attempt_no=2, items=(), capacity=night()))

    assert (await world.emitted(ReservationHeldV1))[-1].site_id == other


async def test_goods_and_a_seat_come_from_one_site(world: World) -> None:
    with_seat, with_both = await world.site("seat"), await world.site("both")
    await world.item("test_kit")
    await world.stock(with_both, 1, "test_kit")
    await world.slot(with_seat, DAY, 9)
    await world.slot(with_both, DAY, 15)
    demand = CapacityDemand(
        resource="slot", code="counseling", from_on=DAY, to_on=DAY, as_written=True
    )
    visit, second = (approved(items=("test_kit",), capacity=demand) for _ in range(2))
    await world.take(visit)
    await world.take(second)

    (held,) = await world.emitted(ReservationHeldV1)
    assert held.site_id == with_both
    (refused,) = await world.emitted(ReservationRefusedV1)
    assert refused.blocked_by is not None
    assert refused.blocked_by.resource == "stock"
    await world.take(confirmed(visit.need_id))
    assert await world.issue(visit.need_id, "attendance") is None
    (issued,) = await world.emitted(ReservationIssuedV1)
    assert (issued.quantity, issued.unit) == (50, "minute")
    (lot,) = await world.rows("SELECT on_hand, held FROM lot")
    assert lot == {"on_hand": 0, "held": 0}
    await world.books_are_right()


async def test_refusals_and_lapses_are_told_by_the_batch(world: World) -> None:
    site_id = await world.site()
    await world.beds(site_id, 1)
    guests = [approved(items=(), capacity=night()) for _ in range(3)]
    with written("inventory") as lines:
        await world.take(*guests)
        await world.take(alone := approved(items=(), capacity=night()))
        await world.execute("UPDATE reservation SET hold_until = now() WHERE state = 'held'")
        assert await world.run(sweeps.expire_holds) == 1
    several, one = lines.of("reservation.refused")
    assert (several["needs"], several["reasons"], "need_id" in several) == (2, {"short": 2}, False)
    assert (one["need_id"], one["resources"]) == (str(alone.need_id), {"bed": 1})
    (lapsed,) = lines.of("reservation.lapsed")
    assert (lapsed["needs"], lapsed["cause"]) == (1, "hold_expired")
    assert lines.of("reservation.held") == []  # of interest only with the level `debug`


async def test_where_hours_count_a_slot_has_to_start_before_they_run_out(world: World) -> None:
    site_id = await world.site()
    now = await world.value("SELECT now()")
    tomorrow = day_of(now) + timedelta(days=1)
    early = await world.slot(site_id, tomorrow, 9)
    await world.slot(site_id, tomorrow, 15)
    starts_at = await world.value("SELECT starts_at FROM slot WHERE id = $1", early)
    window = CapacityDemand(resource="slot", code="counseling", from_on=tomorrow, to_on=tomorrow)

    def until(moment: datetime) -> NeedApprovedV1:
        capacity = window.model_copy(update={"starts_before": moment})
        return approved(items=(), capacity=capacity)

    await world.take(until(starts_at))
    assert len(await world.emitted(ReservationRefusedV1)) == 1
    await world.take(until(starts_at + timedelta(minutes=1)))
    (held,) = await world.emitted(ReservationHeldV1)
    assert held.booking is not None
    assert held.booking.starts_at == starts_at
    # The one at three is left, too late for whoever has until noon.
    await world.take(until(starts_at + timedelta(hours=3)))
    assert len(await world.emitted(ReservationRefusedV1)) == 2


async def test_a_night_that_was_given_is_booked_as_a_fact(world: World) -> None:
    site_id = await world.site()
    await world.beds(site_id, 1)
    facts = [
        AidGivenV1(
            need_id=NeedId(uuid4()),
            kind="shelter_night",
            programme="shelter",
            served_on=DAY,
            place_area="UA80",
            site_id=SiteId(site_id),
            capacity=night(),
        )
        for _ in range(2)
    ]
    await world.take(*facts)
    assert len(await world.emitted(DiscrepancyOpenedV1)) == 1
    assert await world.value("SELECT count(*) FROM bed_booking") == 1
    await world.books_are_right()


async def test_other_regions_are_told_of_free_beds_for_two_weeks(world: World) -> None:
    site_id = await world.site()
    await world.beds(site_id, 2)
    assert await world.run(capacity.tell_capacity) == 1
    async with world.database.transaction() as tx:
        today = day_of(tx.now)
    await world.take(
        approved(items=(), capacity=night(today, 2), planned_on=today),
    )
    assert len(await world.emitted(CapacityChangedV1)) == 1, "not with the booking"
    assert await world.run(capacity.tell_capacity) == 1
    told = await world.emitted(CapacityChangedV1)
    assert [(each.total, each.version) for each in told] == [(2, 1), (2, 2)]
    assert told[-1].first_on == today
    assert told[-1].free_by_day == (1, 1, *[2] * 12)
    assert await world.run(capacity.new_day) == 0
    await world.execute("UPDATE capacity_state SET first_on = first_on - 1, told_on = told_on - 1")
    assert await world.run(capacity.new_day) == 1
    assert await world.run(capacity.tell_capacity) == 1
    assert await world.run(capacity.tell_capacity) == 0
    assert len(await world.emitted(CapacityChangedV1)) == 3


async def test_the_newest_word_of_another_region_is_kept(world: World) -> None:
    site_id = SiteId(uuid4())

    def told(free: int, version: int) -> StockChangedV1:
        return StockChangedV1(
            stock_key=f"{site_id}/parcel",
            site_id=site_id,
            area="UA46",
            item="parcel",
            on_hand=9,
            free=free,
            version=version,
            as_of=now,
        )

    async with world.database.transaction() as tx:
        now = tx.now
        batch = [received(tx, told(free, version)) for free, version in ((1, 1), (3, 3), (2, 2))]
        await world_handlers.copy_stock(tx, batch)
    await world.take(told(1, 1))
    (row,) = await world.rows("SELECT free, version FROM world_stock")
    assert row == {"free": 3, "version": 3}
    # A region that was restored begins a new epoch, in which versions may be lower.
    async with world.database.transaction() as tx:
        (again,) = [received(tx, told(7, 1))]
        object.__setattr__(again, "epoch", 2)
        await world_handlers.copy_stock(tx, [again])
    assert await world.value("SELECT free FROM world_stock") == 7

    await world.take(
        CapacityChangedV1(
            capacity_key=f"{site_id}/bed/shelter",
            site_id=site_id,
            area="UA46",
            resource="bed",
            code="shelter",
            first_on=DAY,
            free_by_day=(1, 0, 2),
            total=2,
            version=1,
            as_of=now,
        )
    )
    assert await world.value("SELECT free_by_day FROM world_capacity") == [1, 0, 2]
    await world.take(
        SiteChangedV1(site_id=site_id, area="UA46", site_type="shelter", status="closed", version=2)
    )
    assert await world.value("SELECT status FROM world_site") == "closed"
