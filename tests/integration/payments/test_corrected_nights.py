"""The last settlement of a stay holds for everything that was booked for it."""

import asyncio
from uuid import UUID

import pytest

from aidmesh_chassis.problems import Problem
from aidmesh_contracts.ids import AllotmentId
from aidmesh_contracts.payments import CommitmentReversedV1, CommitmentSpentV1
from integration.payments.billing import bill
from integration.payments.offices import Desk, approved, withdrawn
from integration.payments.test_nights import (
    BOOKED,
    NIGHT,
    books,
    came,
    given,
    guest,
    left,
    settle,
    undone,
)
from support.waiting import eventually


async def odds(desk: Desk) -> dict[UUID, int]:
    """The discrepancies that are open, and how many nights each is about."""
    async with desk.db.read() as conn:
        rows = await conn.fetch("SELECT id, amount_minor FROM discrepancy WHERE settled_at IS NULL")
    return {row["id"]: row["amount_minor"] // NIGHT for row in rows}


async def find_money(desk: Desk, source: AllotmentId) -> None:
    [odd] = await odds(desk)
    await settle(desk, odd, source)


@pytest.mark.parametrize("nights", [0, 3, BOOKED, 9])
async def test_nights_that_were_found_money_for_are_corrected_like_others(
    desk: Desk, nights: int
) -> None:
    await desk.purse(BOOKED * NIGHT)
    need = await guest(desk)
    await desk.feed(left(need.need_id, 0, settle_no=1))  # the wrong guest was checked out
    await desk.feed(left(need.need_id, BOOKED, settle_no=2))  # still here
    source = await desk.purse(10 * NIGHT)
    await find_money(desk, source)
    assert await books(desk) == (0, BOOKED * NIGHT)
    await desk.told()

    await desk.feed(left(need.need_id, nights, settle_no=3))
    if nights == BOOKED:
        assert await desk.told() == []
        assert await odds(desk) == {}
    else:
        assert await books(desk) == (0, 0)
        assert [e.spend_no for e in await desk.told_of(CommitmentReversedV1)] == [1]
        assert list((await odds(desk)).values()) == ([nights] if nights else [])
        if nights:
            # Found elsewhere this time.
            await find_money(desk, await desk.purse(10 * NIGHT))
            assert [e.spend_no for e in await desk.told_of(CommitmentSpentV1)] == [2]
    assert await books(desk) == (0, nights * NIGHT)
    await desk.feed(left(need.need_id, BOOKED, settle_no=2))
    assert await books(desk) == (0, nights * NIGHT)
    await desk.feed(left(need.need_id, 2, settle_no=4))
    assert list((await odds(desk)).values()) == [2]
    assert await books(desk) == (0, 0)


@pytest.mark.parametrize(("nights", "spent", "lacking"), [(6, 6, []), (9, 3, [6]), (2, 2, [])])
async def test_nights_on_two_allotments_are_not_charged_twice(
    desk: Desk, nights: int, spent: int, lacking: list[int]
) -> None:
    await desk.purse(6 * NIGHT)
    other = approved(3 * NIGHT)
    need = await guest(desk, 3)
    await desk.feed(other)
    await desk.feed(left(need.need_id, 5, settle_no=1))
    await find_money(desk, await desk.purse(2 * NIGHT))
    assert await books(desk) == (0, 5 * NIGHT)
    # A person says the same as the clock.
    await desk.told()
    await desk.feed(left(need.need_id, 5, settle_no=2))
    assert await desk.told() == []

    await desk.feed(withdrawn(other))
    await desk.feed(left(need.need_id, nights, settle_no=3))
    assert await books(desk) == (0, spent * NIGHT)
    assert list((await odds(desk)).values()) == lacking
    await desk.feed(left(need.need_id, 3, settle_no=4))
    assert await books(desk) == (0, 3 * NIGHT)
    assert await odds(desk) == {}


async def test_a_check_in_that_is_undone_takes_along_what_was_found_for_it(desk: Desk) -> None:
    await desk.purse(3 * NIGHT)
    need = await guest(desk, 3)
    await desk.feed(left(need.need_id, 5, settle_no=1))
    await find_money(desk, await desk.purse(2 * NIGHT))
    await desk.feed(undone(need))
    assert await books(desk) == (3 * NIGHT, 0)
    await desk.feed(came(need, 2))
    await desk.feed(left(need.need_id, 4, 2, settle_no=2))
    [nights] = (await odds(desk)).values()
    assert nights == 1
    # Undone again, before anybody found money.
    await desk.feed(undone(need, 2))
    assert await odds(desk) == {}
    assert await books(desk) == (3 * NIGHT, 0)


@pytest.mark.parametrize("was_found", [True, False])
async def test_a_bill_is_for_all_nights_wherever_money_was_found(
    desk: Desk, was_found: bool
) -> None:
    purse = await desk.purse(4 * NIGHT)
    need = await guest(desk, 3)
    await desk.feed(left(need.need_id, 5, settle_no=1))
    if was_found:
        await find_money(desk, await desk.purse(2 * NIGHT))
    commitment_id = await desk.value("SELECT id FROM commitment WHERE allotment_id = $1", purse)
    await desk.run(lambda tx: bill(desk, tx, commitment_id, 4 * NIGHT))
    assert await books(desk) == (0, 4 * NIGHT)
    assert await odds(desk) == {}


async def test_a_service_that_was_late_and_its_nights_are_booked_once(desk: Desk) -> None:
    purse = await desk.purse(BOOKED * NIGHT)
    need = await guest(desk)
    await desk.feed(undone(need))
    await desk.feed(withdrawn(need))
    other = approved(BOOKED * NIGHT)
    await desk.feed(other)
    await desk.feed(came(need, 2))
    assert list((await odds(desk)).values()) == [BOOKED]
    await desk.feed(left(need.need_id, 5, 2, settle_no=1))
    assert list((await odds(desk)).values()) == [5]
    await desk.feed(withdrawn(other))
    await find_money(desk, purse)
    assert await books(desk) == (0, 5 * NIGHT)


async def test_nights_of_a_fact_without_any_can_be_paid_after_all(desk: Desk) -> None:
    purse = await desk.purse(BOOKED * NIGHT)
    fact = given()
    await desk.feed(fact)
    await desk.feed(left(fact.need_id, 0, 0, 0, settle_no=1))
    assert await books(desk) == (0, 0)
    await desk.feed(left(fact.need_id, 3, 0, 0, settle_no=2))
    await find_money(desk, purse)
    assert await books(desk) == (0, 3 * NIGHT)
    await desk.feed(left(fact.need_id, 2, 0, 0, settle_no=3))
    assert await books(desk) == (0, 2 * NIGHT)


async def waiting(desk: Desk, transactions: int) -> None:
    """Wait until so many transactions wait for a lock."""

    async def are_waiting() -> bool:
        found: int = await desk.value(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return found >= transactions

    await eventually(are_waiting)


async def test_a_correction_and_the_money_that_is_found_come_one_after_the_other(
    desk: Desk,
) -> None:
    """Both want the stay, its commitment and what it lacks, from different allotments."""
    await desk.purse(3 * NIGHT)
    need = await guest(desk, 3)
    source = await desk.purse(20 * NIGHT)
    await desk.feed(left(need.need_id, 5, settle_no=1))
    [odd] = await odds(desk)
    async with asyncio.TaskGroup() as tasks, desk.db.transaction() as tx:
        await tx.conn.execute("SELECT FROM discrepancy WHERE id = $1 FOR UPDATE", odd)
        tasks.create_task(settle(desk, odd, source))
        await waiting(desk, 1)
        tasks.create_task(desk.feed(left(need.need_id, 4, settle_no=2)))
        await waiting(desk, 2)
    assert list((await odds(desk)).values()) == [1]
    assert await books(desk) == (0, 3 * NIGHT)
    with pytest.raises(Problem):
        await settle(desk, odd, source)
