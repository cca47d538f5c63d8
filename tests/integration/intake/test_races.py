"""Answers of two services about one need that come at the same moment, to two replicas."""

import asyncio
from typing import TypeVar

import asyncpg
import pytest

from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import NeedId
from aidmesh_contracts.intake import NeedApprovedV1, NeedConfirmedV1, NeedWithdrawnV1
from aidmesh_contracts.values import BlockedBy
from aidmesh_intake.store import waitlist
from aidmesh_intake.store.waitlist import Key
from integration.intake.test_one_person import started
from integration.intake.world import KYIV, World, grew, held, money_held, only, refused

E = TypeVar("E", NeedConfirmedV1, NeedWithdrawnV1)
ROUNDS = 20
AMOUNT_MINOR = 80_000


async def taken(world: World, event: Event) -> None:
    """Take an answer in as a consumer does: again when another transaction is in the way."""
    while True:
        try:
            await world.feed(event)
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            await asyncio.sleep(0)
        else:
            return


async def asked(world: World) -> NeedApprovedV1:
    """A need of an hour that costs money, being asked for."""
    need_id = await world.request("counseling_paid")
    (approved,) = only(await world.published(), NeedApprovedV1)
    assert approved.need_id == NeedId(need_id)
    assert approved.capacity is not None
    assert approved.money is not None
    return approved


async def told(world: World, cls: type[E], need_id: NeedId) -> list[E]:
    """All that was ever published of one class about a need."""
    found = only(await world.published(from_start=True), cls)
    return [each for each in found if each.need_id == need_id]


async def test_a_refusal_against_what_would_confirm(world: World) -> None:
    for number in range(ROUNDS):
        approved = await asked(world)
        answers: list[Event] = [money_held(approved.need_id, AMOUNT_MINOR), refused(approved)]
        await asyncio.gather(*(taken(world, each) for each in answers[:: 1 - 2 * (number % 2)]))
        assert await world.state(approved.need_id) == "waitlisted"
        assert await told(world, NeedConfirmedV1, approved.need_id) == []
        (withdrawn,) = await told(world, NeedWithdrawnV1, approved.need_id)
        assert withdrawn.attempt_no == 1
        # In the next round nobody queues behind it, or is offered its place in line.
        await world.post(f"/v1/needs/{approved.need_id}:cancel", {"reason": "moved_away"})
        async with world.db.transaction() as tx:
            await tx.conn.execute("DELETE FROM growth")


async def test_both_halves_at_once_confirm_once(world: World) -> None:
    for _ in range(ROUNDS):
        approved = await asked(world)
        await asyncio.gather(
            taken(world, held(approved.need_id)),
            taken(world, money_held(approved.need_id, AMOUNT_MINOR)),
        )
        assert len(await told(world, NeedConfirmedV1, approved.need_id)) == 1


@pytest.mark.parametrize("leaves", [False, True])
async def test_who_queues_while_what_frees_it_waits_for_another_queue(
    world: World, leaves: bool
) -> None:
    """What grows is newer than whoever stood in line when the line was locked, however early the
    transaction began that brings it.
    """
    first = await world.request("condoms_lubricant")
    (asked,) = only(await world.published(), NeedApprovedV1)
    short = BlockedBy(resource="stock", code="lubricant", area=KYIV, quantity=5)
    await world.feed(refused(asked).model_copy(update={"blocked_by": short}))
    if leaves:
        step = world.post(f"/v1/needs/{first}:cancel", {"reason": "moved_away"})
    else:
        step = world.feed(grew("condom", 10), grew("lubricant", 10))
    async with world.db.transaction() as tx:
        await waitlist.lock_keys(tx.conn, [Key("stock", "condom")])
        freeing = await started(world, step)
        second = await world.request("condoms_lubricant")
        assert (await world.need(second))["wait"] == "behind"
    await freeing
    assert await world.state(first) == ("cancelled" if leaves else "approved")
    assert await world.state(second) == "approved"
