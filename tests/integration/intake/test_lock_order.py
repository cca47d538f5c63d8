"""People, answers and growth that meet at one queue wait for each other, and never in a circle."""

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime
from uuid import UUID, uuid4

import asyncpg
import pytest

from aidmesh_contracts.ids import AllotmentId, NeedId, ReservationId
from aidmesh_contracts.intake import NeedApprovedV1
from aidmesh_contracts.inventory import ReservationReleasedV1
from aidmesh_contracts.payments import FundsGrewV1
from aidmesh_intake.domain import commands
from aidmesh_intake.domain.need import State
from aidmesh_intake.handlers import acting
from aidmesh_intake.store import households as household_store
from aidmesh_intake.store import needs as need_store
from aidmesh_intake.store import persons as person_store
from aidmesh_intake.store import waitlist
from aidmesh_intake.store.waitlist import Key
from integration.intake.test_one_person import ask, person, started
from integration.intake.world import World, grew, held, only, refused
from support.waiting import eventually

ROUNDS = 30


async def pair(world: World) -> tuple[NeedApprovedV1, UUID]:
    """A need that is being asked for, and one that waits for the same."""
    asked, waiting = [await world.request("food_parcel") for _ in range(2)]
    approved = {each.need_id: each for each in only(await world.published(), NeedApprovedV1)}
    await world.feed(refused(approved[NeedId(waiting)]))
    return approved[NeedId(asked)], waiting


async def approve(world: World, needs: list[UUID]) -> None:
    async with world.db.transaction() as tx:
        kinds = await world.service.app.state.context.catalogue.current(tx.conn)
        await acting.approve(tx, needs, kinds, world.staff_id)


async def cancel(world: World, need_id: UUID) -> None:
    async with world.db.transaction() as tx:
        await acting.act(
            tx,
            [need_id],
            lambda need: commands.end(need, State.CANCELLED, "moved_away"),
            world.staff_id,
        )


def money_grew() -> FundsGrewV1:
    return FundsGrewV1(
        allotment_id=AllotmentId(uuid4()),
        currency="UAH",
        amount_minor=100,
        grew_at=datetime.now(UTC),
    )


async def in_a_circle(*steps: Awaitable[object]) -> int:
    """Run at once; how many were cut off since they waited for each other."""
    found = await asyncio.gather(*steps, return_exceptions=True)
    broken = [each for each in found if isinstance(each, BaseException)]
    for each in broken:
        # To be run again is no fault; to be cut off is.
        if not isinstance(each, asyncpg.DeadlockDetectedError | asyncpg.LockNotAvailableError):
            raise each
    return sum(isinstance(each, asyncpg.DeadlockDetectedError) for each in broken)


async def test_approving_and_a_refusal_for_the_same_queue(world: World) -> None:
    deadlocks = 0
    for _ in range(ROUNDS):
        asked, waiting = await pair(world)
        needs: list[UUID] = [asked.need_id, waiting]
        deadlocks += await in_a_circle(
            approve(world, needs),
            world.feed(refused(asked, decided_at=datetime.now(UTC))),
            approve(world, needs),
            world.feed(grew("food_parcel", 1)),
        )
        for need_id in needs:
            await world.post(f"/v1/needs/{need_id}:cancel", {"reason": "moved_away"})
        await world.published()
        async with world.db.transaction() as tx:
            await tx.conn.execute("DELETE FROM growth")
    assert deadlocks == 0


async def test_an_answer_and_growth_of_what_it_got_in_one_batch(world: World) -> None:
    """The desk cancels a need while a batch moves it on and brings more of the same."""
    deadlocks = 0
    for _ in range(ROUNDS):
        asked, waiting = await pair(world)
        deadlocks += await in_a_circle(
            world.feed(held(asked.need_id), grew("food_parcel", 1)),
            cancel(world, asked.need_id),
        )
        await cancel(world, waiting)
        await cancel(world, asked.need_id)
        await world.published()
        async with world.db.transaction() as tx:
            await tx.conn.execute("DELETE FROM growth")
    assert deadlocks == 0


async def test_growth_of_goods_and_of_money_in_one_batch(world: World) -> None:
    """The queue of money comes before that of goods for everybody, whatever a batch begins with."""
    deadlocks = 0
    both = [Key("stock", "food_parcel"), Key("money", "UAH")]

    async def lock() -> None:
        async with world.db.transaction() as tx:
            await waitlist.lock_keys(tx.conn, both)

    for _ in range(ROUNDS):
        deadlocks += await in_a_circle(
            world.feed(grew("food_parcel", 1), money_grew()),
            lock(),
            world.feed(money_grew(), grew("food_parcel", 1)),
            lock(),
        )
    assert deadlocks == 0


async def with_a_need(world: World, order: int) -> tuple[str, str, UUID, str]:
    """A record merged into another, that one, an open need of the first, and their household."""
    home = (await world.post("/v1/households", {"code": "home"}, status=201))["household_id"]
    made = [await person(world, code, household_code="home") for code in ("one", "two")]
    behind, root = sorted(made)[::order]
    need_id = UUID((await ask(world, "rent_support", person_id=behind))["need_id"])
    await world.merge(behind, root)
    return behind, root, need_id, home


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("moves_to", [None, "households", "join"])
async def test_changing_household_with_a_merged_record(
    world: World, order: int, moves_to: str | None
) -> None:
    """Whoever moves a person holds their other records before any household or need."""
    behind, root, need_id, home = await with_a_need(world, order)
    path = f"/v1/households/{home}:leave"
    if moves_to is not None:
        path = "/v1/households"
    if moves_to == "join":
        other = (await world.post(path, {}, status=201))["household_id"]
        path = f"/v1/households/{other}:join"
    async with world.db.transaction() as tx:
        await person_store.by_ids(tx.conn, [UUID(behind)], lock=True)
        status = 201 if path == "/v1/households" else 200
        moving = await started(world, world.post(path, {"person_ids": [root]}, status=status))
        await household_store.lock(tx.conn, [UUID(home)], [])
        assert len(await need_store.lock_free(tx.conn, [need_id])) == 1
    answer = await moving
    home_now = None if moves_to is None else answer["household_id"]
    assert (await world.need(need_id))["household_id"] == home_now


@pytest.mark.parametrize("leaves", [True, False])
async def test_whoever_moves_waits_for_the_household_before_they_hold_a_need(
    world: World, leaves: bool
) -> None:
    """Nor does anybody move while limits of the household that they leave are counted."""
    _, root, need_id, home = await with_a_need(world, 1)
    other = (await world.post("/v1/households", {}, status=201))["household_id"]
    path = f"/v1/households/{home}:leave" if leaves else f"/v1/households/{other}:join"
    async with world.db.transaction() as tx:
        await household_store.lock(tx.conn, [UUID(home)], [])
        moving = await started(world, world.post(path, {"person_ids": [root]}))
        assert len(await need_store.lock_free(tx.conn, [need_id])) == 1
    await moving


async def test_a_refusal_takes_the_queue_before_its_need(world: World) -> None:
    """While somebody holds the queue, whoever needs it holds no need that others wait for."""
    asked, waiting = await pair(world)
    async with world.db.transaction() as tx:
        await waitlist.lock_keys(tx.conn, [Key("stock", "food_parcel")])
        steps = [
            asyncio.create_task(world.feed(refused(asked))),
            asyncio.create_task(approve(world, [asked.need_id, waiting])),
        ]

        async def both_wait() -> bool:
            async with world.db.read() as conn:
                return bool(
                    await conn.fetchval(
                        "SELECT count(*) = 2 FROM pg_locks"
                        " WHERE locktype = 'advisory' AND NOT granted"
                        " AND database = (SELECT oid FROM pg_database"
                        " WHERE datname = current_database())"
                    )
                )

        await eventually(both_wait)
        ids = [asked.need_id, waiting]
        assert len(await need_store.lock_free(tx.conn, ids)) == 2
    await asyncio.gather(*steps)


async def test_a_need_that_somebody_holds_is_woken_a_moment_later(world: World) -> None:
    _, waiting = await pair(world)
    async with world.db.transaction() as tx:
        await need_store.lock(tx.conn, [waiting])
        async with asyncio.timeout(5):
            assert await world.feed(grew("food_parcel", 1)) == []
    assert await world.sweep("pending_growth") == 1
    (woken,) = only(await world.published(), NeedApprovedV1)
    assert woken.need_id == waiting


async def test_a_queue_that_turns_out_late_is_not_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, _ = await pair(world)

    async def overlook(*_: object, **__: object) -> set[Key]:
        return set()

    monkeypatch.setattr(waitlist, "keys_of", overlook)
    over = ReservationReleasedV1(
        reservation_id=ReservationId(uuid4()),
        need_id=asked.need_id,
        attempt_no=1,
        cause="hold_expired",
    )
    async with world.db.transaction() as tx:
        await waitlist.lock_keys(tx.conn, [Key("stock", "food_parcel")])
        with pytest.raises(asyncpg.LockNotAvailableError):
            await world.feed(over)
    await world.feed(over)
    assert await world.state(asked.need_id) == "waitlisted"
