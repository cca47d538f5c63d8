"""Races on purpose: two transactions at once, and exactly one of them wins."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date
from uuid import uuid4

import pytest

from aidmesh_chassis.db import Database, Tx
from aidmesh_contracts.inventory import (
    ReservationConfirmedV1,
    ReservationHeldV1,
    ReservationIssuedV1,
    ReservationRefusedV1,
    ReservationReleasedV1,
    SupplyGrewV1,
)
from aidmesh_inventory.handlers import handover, sites, sweeps, terms
from aidmesh_inventory.handlers.hold import reservation_id_of
from aidmesh_inventory.handlers.release import release
from aidmesh_inventory.handlers.terms import Correction
from integration.inventory.world import DAY, World, approved, confirmed, night, received, withdrawn
from support.waiting import eventually


@pytest.fixture
async def replica(world: World) -> AsyncIterator[World]:
    """Another process of the same service on the same database."""
    opened = Database(world.database._dsn, world.database.origin)
    await opened.open()
    yield World(opened)
    await opened.close()


async def second_waits_for_first(
    world: World,
    first: Callable[[Tx], Awaitable[object]],
    second: Callable[[], Awaitable[object]],
) -> None:
    """Run `second` while `first` has done its work and not committed yet."""
    async with world.database.transaction() as tx:
        await first(tx)
        task = asyncio.ensure_future(second())

        async def is_waiting() -> bool:
            return task.done() or bool(
                await world.value(
                    "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                    " AND datname = current_database())"
                )
            )

        await eventually(is_waiting)
    await task


async def test_two_replicas_on_the_last_parcel(world: World, replica: World) -> None:
    site_id = await world.site()
    await world.item()
    await world.stock(site_id, 1)
    first, second = approved(), approved()

    await second_waits_for_first(
        world, lambda tx: world.handle(tx, first), lambda: replica.take(second)
    )

    (held,) = await world.emitted(ReservationHeldV1)
    (refused,) = await world.emitted(ReservationRefusedV1)
    assert (held.need_id, refused.need_id) == (first.need_id, second.need_id)
    await world.books_are_right()


async def test_two_replicas_on_the_last_bed(world: World, replica: World) -> None:
    await world.beds(await world.site(), 1)
    first, second = (approved(items=(), capacity=night()) for _ in range(2))

    await second_waits_for_first(
        world, lambda tx: world.handle(tx, first), lambda: replica.take(second)
    )

    assert len(await world.emitted(ReservationHeldV1)) == 1
    assert len(await world.emitted(ReservationRefusedV1)) == 1
    await world.books_are_right()


async def test_many_needs_in_two_replicas_never_share_a_piece(world: World, replica: World) -> None:
    site_id = await world.site()
    for item in ("parcel", "kit"):
        await world.item(item)
        for _ in range(3):
            await world.stock(site_id, 7, item)
    batches = [
        [approved(items=("parcel", "kit") if number % 3 else ("kit",)) for number in range(10)]
        for _ in range(6)
    ]

    await asyncio.gather(
        *((world if number % 2 else replica).take(*batch) for number, batch in enumerate(batches))
    )

    (totals,) = await world.rows("SELECT sum(held) AS held, sum(on_hand) AS on_hand FROM lot")
    assert totals["on_hand"] == 42
    kits = await world.value("SELECT sum(held) FROM lot WHERE item = 'kit'")
    assert kits == 21
    await world.books_are_right()


@pytest.mark.parametrize("first", ["confirm", "expire"])
async def test_confirmation_against_expiry(world: World, replica: World, first: str) -> None:
    site_id = await world.site()
    await world.item()
    await world.stock(site_id, 1)
    need = approved()
    await world.take(need)
    reservation_id = reservation_id_of(need.need_id, 1)

    if first == "confirm":
        await second_waits_for_first(
            world,
            lambda tx: world.handle(tx, confirmed(need.need_id)),
            lambda: _force_expiry(replica, need.need_id),
        )
        assert await world.state(need.need_id) == "confirmed"
        assert await world.emitted(ReservationReleasedV1) == []
    else:
        await world.expire(need.need_id)
        await second_waits_for_first(
            world,
            lambda tx: release(tx, [reservation_id], "hold_expired"),
            lambda: replica.take(confirmed(need.need_id)),
        )
        assert await world.state(need.need_id) == "expired"
        assert await world.emitted(ReservationConfirmedV1) == []
        assert len(await world.emitted(ReservationReleasedV1)) == 2
    await world.books_are_right()


async def _force_expiry(replica: World, need_id: object) -> None:
    async with replica.database.transaction() as tx:
        await release(tx, [reservation_id_of(need_id, 1)], "hold_expired")  # type: ignore[arg-type]


async def test_goods_that_are_found_good_while_they_are_about_to_expire_stay(
    world: World, replica: World
) -> None:
    site_id = await world.site()
    await world.item()
    lots = [await world.stock(site_id, 1) for _ in range(2)]
    needs = [approved() for _ in lots]
    await world.take(*needs)
    for need in needs:
        await world.take(confirmed(need.need_id))
    for lot_id in lots:
        await world.goes_off(lot_id)
    good, bad = lots
    wanted = Correction(good, 1, date(2999, 1, 1), None, 0, "UAH", "entry_error")

    async def correct(tx: Tx) -> None:
        assert await terms.correct(tx, wanted, uuid4()) is None

    await second_waits_for_first(world, correct, lambda: replica.run(sweeps.expire_lots))
    states = await world.rows(
        "SELECT l.id, l.status, r.state FROM lot l JOIN allocation a ON a.lot_id = l.id"
        " JOIN reservation r ON r.id = a.reservation_id"
    )
    assert {row["id"]: (row["status"], row["state"]) for row in states} == {
        good: ("available", "confirmed"),
        bad: ("expired", "relocated"),
    }
    await world.books_are_right()


@pytest.mark.parametrize("first", ["issue", "expire"])
async def test_handover_against_expiry(world: World, replica: World, first: str) -> None:
    site_id = await world.site()
    await world.item()
    await world.stock(site_id, 1)
    need = approved()
    await world.take(need)
    await world.take(confirmed(need.need_id))
    await world.execute("UPDATE reservation SET collect_by = now() - interval '1 s'")
    await world.execute("INSERT INTO pickup_clock (seen_at) VALUES (now())")
    wanted = handover.Issue(reservation_id_of(need.need_id, 1), "handover", DAY)

    if first == "issue":
        await second_waits_for_first(
            world,
            lambda tx: handover.issue(tx, [wanted], None),
            lambda: replica.run(sweeps.take_back_uncollected),
        )
        assert await world.state(need.need_id) == "issued"
        assert await world.emitted(ReservationReleasedV1) == []
    else:
        await second_waits_for_first(
            world,
            sweeps.take_back_uncollected,
            lambda: replica.issue(need.need_id),
        )
        assert await world.state(need.need_id) == "released"
        assert await world.emitted(ReservationIssuedV1) == []
    await world.books_are_right()


@pytest.mark.parametrize("first", ["hold", "withdraw"])
async def test_a_hold_against_the_end_of_its_attempt(
    world: World, replica: World, first: str
) -> None:
    """Whoever did not see the other is cleared up after, and no hold of a later attempt is."""
    site_id = await world.site()
    await world.item()
    await world.stock(site_id, 2)
    need, later = approved(), uuid4()
    await world.take(withdrawn(later))
    await world.take(approved(need_id=later, attempt_no=2))
    steps = [need, withdrawn(need.need_id)][:: 1 if first == "hold" else -1]

    await second_waits_for_first(
        world, lambda tx: world.handle(tx, steps[0]), lambda: replica.take(steps[1])
    )
    assert await world.run(sweeps.release_withdrawn) == 1

    assert await world.state(need.need_id) == "released"
    (released,) = await world.emitted(ReservationReleasedV1)
    assert (released.need_id, released.cause) == (need.need_id, "withdrawn")
    assert (await world.emitted(SupplyGrewV1))[-1].freed_by == need.need_id
    assert await world.state(later, 2) == "held"
    assert await world.run(sweeps.release_withdrawn) == 0
    await world.books_are_right()


async def test_a_refusal_has_seen_all_growth_before_it_or_growth_comes_after(
    world: World, replica: World
) -> None:
    """Whichever commits first: intake can tell from the two instants whether to ask again."""
    site_id = await world.site()
    await world.item()
    await world.stock(site_id, 1)
    holder, asker = approved(), approved()
    await world.take(holder)

    async def refuse_first(tx: Tx) -> None:
        await world.handle(tx, asker)

    async def grow() -> None:
        async with replica.database.transaction() as tx:
            await release(tx, [reservation_id_of(holder.need_id, 1)], "withdrawn")

    await second_waits_for_first(world, refuse_first, grow)
    (refused,) = await world.emitted(ReservationRefusedV1)
    grown = (await world.emitted(SupplyGrewV1))[-1]
    assert grown.freed_by == holder.need_id
    assert grown.grew_at > refused.decided_at


async def test_a_hold_against_the_closing_of_its_site(world: World, replica: World) -> None:
    site_id = await world.site()
    await world.item()
    await world.stock(site_id, 1)
    need = approved()

    async def close() -> None:
        async with replica.database.transaction() as tx:
            assert await sites.close(tx, site_id, "shelling", keeps=False) is not None

    await second_waits_for_first(world, lambda tx: world.handle(tx, need), close)
    assert await world.state(need.need_id) == "relocated"
    await world.books_are_right()


@pytest.mark.parametrize("first", ["release", "reopen"])
@pytest.mark.parametrize("code", ["parcel", "shelter"])
async def test_what_is_freed_at_a_site_that_opens_is_told(
    world: World, replica: World, first: str, code: str
) -> None:
    """By whoever frees it, or by whoever opens the site."""
    site_id = await world.site()
    await world.item()
    await world.stock(site_id, 1)
    await world.beds(site_id, 1)
    for_good = approved(items=(), capacity=night(nights=None))
    need = approved() if code == "parcel" else for_good
    await world.take(need)
    async with world.database.transaction() as tx:
        assert await sites.close(tx, site_id, "shelling", keeps=True) is not None
    before = len(await world.emitted(SupplyGrewV1))

    async def free(tx: Tx) -> None:
        assert await release(tx, [reservation_id_of(need.need_id, 1)], "withdrawn")

    async def reopen(tx: Tx) -> None:
        assert await sites.reopen(tx, site_id, "repaired") is not None

    async def meanwhile() -> None:
        async with replica.database.transaction() as tx:
            await (reopen if first == "release" else free)(tx)

    await second_waits_for_first(world, free if first == "release" else reopen, meanwhile)
    assert code in [each.code for each in (await world.emitted(SupplyGrewV1))[before:]]
    await world.books_are_right()


async def test_a_failed_batch_leaves_nothing_behind(world: World) -> None:
    site_id = await world.site()
    await world.item()
    await world.stock(site_id, 1)

    async def fail() -> None:
        async with world.database.transaction() as tx:
            await world.handlers[type(approved())](tx, [received(tx, approved())])
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        await fail()
    assert await world.emitted(ReservationHeldV1) == []
    await world.books_are_right()
