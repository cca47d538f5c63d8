"""Batches, sweeps and people that meet at one purse wait for each other, and never in a circle."""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from functools import partial
from uuid import uuid4

import asyncpg
import pytest

from aidmesh_contracts.ids import PayeeRef, PayoutId
from aidmesh_contracts.intake import NeedApprovedV1
from aidmesh_contracts.restriction import Restriction
from aidmesh_payments.domain.payout import Verb
from aidmesh_payments.handlers import allotting, sweeps
from aidmesh_payments.handlers.payouts import Step, take_steps
from integration.payments import test_periods as on_days
from integration.payments.offices import CHECKER, DAYS, Desk, approved, confirmed, withdrawn
from integration.payments.test_payees import corrected, sealed
from integration.payments.test_pickup import ago, alert, waiting
from support.waiting import eventually

ROUNDS = 12
WAIT_S = 60.0


async def in_a_circle(*steps: Awaitable[object]) -> int:
    """Run at once; how many were cut off since they waited for each other."""
    found = await asyncio.gather(*steps, return_exceptions=True)
    for each in found:
        if isinstance(each, BaseException) and not isinstance(each, asyncpg.DeadlockDetectedError):
            raise each
    return sum(isinstance(each, asyncpg.DeadlockDetectedError) for each in found)


async def committed(desk: Desk, *needs: NeedApprovedV1) -> None:
    """Money is committed for these needs."""
    await desk.feed(*needs)
    await desk.feed(*(confirmed(need) for need in needs))


async def step(desk: Desk, verb: Verb, *needs: NeedApprovedV1) -> None:
    """Take a step with the payouts of these needs, at once."""
    ids = await desk.value(
        "SELECT array_agg(id) FROM payout WHERE need_id = ANY($1::uuid[])",
        [need.need_id for need in needs],
    )
    orders = [Step(PayoutId(each), bank_reference="b") for each in ids]
    await desk.run(partial(take_steps, desk.office, verb=verb, steps=orders, by=CHECKER))


async def test_a_batch_of_several_kinds_and_payments_from_several_purses(desk: Desk) -> None:
    """A batch frees money of one purse, then looks at all of them."""
    purses = {
        await desk.purse(900_000, restriction=Restriction(programmes=(each,))): each
        for each in ("relief", "winter")
    }
    first, last = (purses[each] for each in sorted(purses))
    deadlocks = 0
    for _ in range(ROUNDS):
        paid = [approved(1_000, programme=each) for each in (first, last)]
        gone = [approved(1_000, programme=each) for each in (last, last)]
        await committed(desk, *paid, *gone)
        deadlocks += await in_a_circle(
            desk.feed(withdrawn(gone[0]), approved(1_000, programme=first)),
            step(desk, "approve", *paid),
            desk.feed(withdrawn(gone[1]), approved(1_000, programme=first)),
            step(desk, "approve", *paid),
        )
    assert deadlocks == 0


async def test_batches_about_the_same_needs_in_opposite_parts(desk: Desk) -> None:
    """What one batch says of the first need and then of the second, another says the other way."""
    await desk.purse(900_000)
    deadlocks = 0
    for _ in range(ROUNDS):
        one, two = approved(1_000), approved(1_000)
        await committed(desk, one, two)
        again = [each.model_copy(update={"attempt_no": 2}) for each in (one, two)]
        deadlocks += await in_a_circle(
            desk.feed(withdrawn(one), again[1]),
            desk.feed(withdrawn(two), again[0]),
        )
    assert deadlocks == 0


async def test_cash_whose_time_grew_and_its_payment(desk: Desk) -> None:
    """The sweep looks at cash that nobody fetched while it is being paid out."""
    await desk.purse(900_000)
    await desk.feed(*alert(ago(days=2), ago(days=1)))
    deadlocks = 0
    for _ in range(ROUNDS):
        over, later = approved(1_000, area="UA46"), approved(1_000)
        await waiting(desk, over, later, passed=timedelta(days=DAYS, hours=6))
        deadlocks += await in_a_circle(
            desk.run(partial(sweeps.expire_collections, desk.office)),
            step(desk, "approve", later),
            step(desk, "approve", later, over),
            desk.run(partial(sweeps.expire_collections, desk.office)),
        )
    assert deadlocks == 0


async def test_details_that_come_for_one_need_and_are_corrected_for_it(desk: Desk) -> None:
    """How somebody is paid is learned, and corrected, while they are paid."""
    await desk.purse(900_000)
    deadlocks = 0
    for _ in range(ROUNDS):
        refs = [PayeeRef(uuid4()) for _ in range(4)]
        needs = [approved(1_000, payee_ref=each) for each in refs]
        await committed(desk, *needs)
        first = [sealed(need, ref, "iban") for need, ref in zip(needs, refs, strict=True)]
        deadlocks += await in_a_circle(
            desk.feed(*first, *(corrected(each) for each in needs)),
            step(desk, "approve", *needs),
            step(desk, "approve", *needs),
        )
    assert deadlocks == 0


async def test_discrepancies_come_before_grants(desk: Desk) -> None:
    """Of a recalled allotment what is reversed goes back to its grant, and ends a question."""
    purse = await desk.purse(5_000, restriction=on_days.JUNE)
    need_id = await on_days.committed(desk, "provider")
    await desk.feed(on_days.issued(need_id, on_days.TOO_LATE, 1))
    await desk.run(lambda tx: allotting.recall(desk.office, tx, purse, "not_needed"))

    async def waits() -> bool:
        return bool(await desk.value("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"))

    async with desk.db.transaction() as tx:
        await tx.conn.execute("SELECT FROM donor_grant FOR UPDATE")
        reversing = asyncio.create_task(desk.feed(on_days.undone(need_id, 1)))
        await eventually(waits, WAIT_S)
        with pytest.raises(asyncpg.LockNotAvailableError):
            async with tx.conn.transaction():
                await tx.conn.execute("SELECT FROM discrepancy FOR UPDATE NOWAIT")
    await reversing
    assert await desk.value("SELECT note FROM discrepancy") == "reversed"
    await desk.check()
