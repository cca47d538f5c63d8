"""Holds, commitments and what ends them, on real PostgreSQL."""

import asyncio
from datetime import date
from functools import partial
from uuid import UUID, uuid4

import asyncpg
import pytest

from aidmesh_contracts.ids import NeedId, ReservationId, SiteId
from aidmesh_contracts.intake import AidGivenV1
from aidmesh_contracts.inventory import ReservationIssuedV1, ReservationReversedV1
from aidmesh_contracts.payments import (
    CommitmentHeldV1,
    CommitmentMadeV1,
    CommitmentRefusedV1,
    CommitmentReleasedV1,
    CommitmentReversedV1,
    CommitmentSpentV1,
    FundsGrewV1,
    PayoutChangedV1,
)
from aidmesh_contracts.payments_grants import AllotmentChangedV1
from aidmesh_contracts.restriction import Restriction
from aidmesh_contracts.values import MoneyDemand
from aidmesh_payments.domain.payout import Verb
from aidmesh_payments.handlers import book, sweeps
from aidmesh_payments.handlers.needs import hold
from aidmesh_payments.handlers.payouts import Step, take_steps
from integration.payments.offices import (
    CHECKER,
    MAKER,
    Desk,
    approved,
    confirmed,
    received,
    withdrawn,
)
from integration.payments.paying import take_step
from support.loglines import written


def issued(need_id: NeedId, issue_no: int = 1, attempt_no: int = 1) -> ReservationIssuedV1:
    return ReservationIssuedV1(
        reservation_id=ReservationId(uuid4()),
        need_id=need_id,
        attempt_no=attempt_no,
        issue_no=issue_no,
        how="attendance",
        served_on=date(2024, 6, 12),
        site_id=SiteId(uuid4()),
        area="UA80",
        quantity=60,
        unit="minute",
    )


def undone(need_id: NeedId, issue_no: int = 1) -> ReservationReversedV1:
    return ReservationReversedV1(
        reservation_id=ReservationId(uuid4()),
        need_id=need_id,
        attempt_no=1,
        issue_no=issue_no,
        reason="mistake",
    )


async def test_refusals_are_told_by_the_batch_and_without_amounts(desk: Desk) -> None:
    await desk.purse(5_000)
    needs = [approved(4_321) for _ in range(3)]
    with written("payments") as lines:
        await desk.feed(*needs)
        await desk.feed(alone := approved(4_321))
        await desk.execute("UPDATE commitment SET hold_until = now()")
        await desk.run(partial(sweeps.expire_holds, desk.office))
    several, one = lines.of("commitment.refused")
    assert (several["needs"], several["reasons"], "need_id" in several) == (2, {"short": 2}, False)
    assert (one["needs"], one["need_id"]) == (1, str(alone.need_id))
    (lapsed,) = lines.of("commitment.lapsed")
    assert (lapsed["needs"], lapsed["cause"]) == (1, "hold_expired")
    assert "4321" not in lines.text


async def test_hold_commit_pay(desk: Desk) -> None:
    allotment_id = await desk.purse(20_000)
    await desk.told()
    need = approved(5_000)
    await desk.feed(need)
    events = await desk.told()
    held = next(event for event in events if isinstance(event, CommitmentHeldV1))
    assert (held.amount_minor, held.allotment_id) == (5_000, allotment_id)
    tell = partial(book.tell_allotments, desk.office)
    assert (await desk.run(tell), await desk.run(tell)) == (1, 0)
    [state] = await desk.told_of(AllotmentChangedV1)  # once for all that happened
    assert (state.held_minor, state.received_minor) == (5_000, 20_000)

    await desk.feed(confirmed(need))
    events = await desk.told()
    assert [type(event) for event in events[:2]] == [CommitmentMadeV1, PayoutChangedV1]
    assert isinstance(events[0], CommitmentMadeV1)
    assert events[0].sent is False, "nobody said how: it is cash"
    draft = events[1]
    assert isinstance(draft, PayoutChangedV1)
    assert draft.state == "draft"

    await desk.run(
        lambda tx: take_step(
            desk.office,
            tx,
            "settle",
            Step(draft.payout_id, "bank-7", date(2024, 6, 11)),
            MAKER,
        )
    )
    spent = await desk.told_of(CommitmentSpentV1)
    assert [(each.fulfils, each.spend_no, each.amount_minor) for each in spent] == [
        (True, 1, 5_000)
    ]
    # One person paid alone, below the float limit: somebody has to look at it.
    assert await desk.value("SELECT review_due_at IS NOT NULL FROM payout")


async def test_a_repeated_approval_or_confirmation_changes_nothing(desk: Desk) -> None:
    await desk.purse(20_000)
    need = approved(5_000)
    await desk.feed(need)
    await desk.feed(need)
    await desk.feed(confirmed(need))
    await desk.told()
    await desk.feed(confirmed(need))
    assert await desk.told() == []
    assert await desk.value("SELECT committed_minor FROM allotment") == 5_000


async def test_the_most_urgent_are_served_and_the_rest_told_why(desk: Desk) -> None:
    await desk.purse(10_000)
    await desk.told()
    low, high = approved(6_000, priority=1), approved(6_000, priority=9)
    small = approved(4_000, priority=1, asked_on=date(2024, 6, 2))
    await desk.feed(low, small, high)
    events = await desk.told()
    held = {event.need_id for event in events if isinstance(event, CommitmentHeldV1)}
    assert held == {high.need_id, small.need_id}
    [refused] = [event for event in events if isinstance(event, CommitmentRefusedV1)]
    assert (refused.need_id, refused.reason) == (low.need_id, "short")
    assert refused.blocked_by is not None
    assert (refused.blocked_by.code, refused.blocked_by.quantity) == ("relief/UAH", 6_000)


async def test_no_donor_allows_it(desk: Desk) -> None:
    await desk.purse(10_000, restriction=Restriction(programmes=("health",)))
    await desk.feed(approved(100))
    [refused] = await desk.told_of(CommitmentRefusedV1)
    assert refused.reason == "restricted"


async def test_cancel_before_do_leaves_a_tombstone(desk: Desk) -> None:
    await desk.purse(10_000)
    need = approved(100)
    await desk.feed(withdrawn(need))
    await desk.feed(need)
    [refused] = await desk.told_of(CommitmentRefusedV1)
    assert refused.reason == "withdrawn"
    assert await desk.value("SELECT count(*) FROM commitment") == 0
    # The next attempt is another matter.
    await desk.feed(approved(100, need_id=need.need_id, attempt_no=2))
    assert len(await desk.told_of(CommitmentHeldV1)) == 1


async def test_withdrawing_frees_the_money_and_cancels_the_payout(desk: Desk) -> None:
    await desk.purse(10_000)
    need = approved(9_000)
    await desk.feed(need)
    await desk.feed(confirmed(need))
    await desk.told()
    await desk.feed(withdrawn(need))
    events = await desk.told()
    assert {type(event) for event in events} == {
        PayoutChangedV1,
        CommitmentReleasedV1,
        FundsGrewV1,
    }
    [grew] = [event for event in events if isinstance(event, FundsGrewV1)]
    assert (grew.amount_minor, grew.freed_by) == (9_000, need.need_id)
    await desk.feed(approved(9_000, need_id=need.need_id, attempt_no=2))
    assert len(await desk.told_of(CommitmentHeldV1)) == 1


async def test_an_unconfirmed_hold_expires_and_a_late_confirmation_is_refused(desk: Desk) -> None:
    await desk.purse(10_000)
    early, late = approved(4_000), approved(4_000)
    await desk.feed(early, late)
    await desk.execute("UPDATE commitment SET hold_until = now() - interval '1 second'")
    await desk.told()
    # Confirmed after its time, before any sweep.
    await desk.feed(confirmed(late))
    [refused] = await desk.told_of(CommitmentRefusedV1)
    assert refused.reason == "expired"
    assert await desk.run(partial(sweeps.expire_holds, desk.office)) == 1
    [released] = await desk.told_of(CommitmentReleasedV1)
    assert (released.need_id, released.cause) == (early.need_id, "hold_expired")
    await desk.feed(confirmed(early))
    assert [event.reason for event in await desk.told_of(CommitmentRefusedV1)] == ["expired"]
    assert await desk.value("SELECT held_minor + committed_minor FROM allotment") == 0


async def test_two_replicas_on_the_last_money(desk: Desk) -> None:
    await desk.purse(10_000)
    await desk.told()
    await asyncio.gather(*(desk.feed(*(approved(1_000) for _ in range(4))) for _ in range(6)))
    events = await desk.told()
    assert sum(isinstance(event, CommitmentHeldV1) for event in events) == 10
    assert sum(isinstance(event, CommitmentRefusedV1) for event in events) == 14


async def test_expiry_against_confirmation_has_one_winner(desk: Desk) -> None:
    await desk.purse(100_000)
    for _ in range(5):
        need = approved(1_000)
        await desk.feed(need)
        await desk.execute(
            "UPDATE commitment SET hold_until = clock_timestamp() WHERE state = 'held'"
        )
        await desk.told()
        await asyncio.gather(
            desk.feed(confirmed(need)), desk.run(partial(sweeps.expire_holds, desk.office))
        )
        events = await desk.told()
        assert not [event for event in events if isinstance(event, CommitmentMadeV1)]
        assert len([event for event in events if isinstance(event, CommitmentRefusedV1)]) == 1
        assert len([event for event in events if isinstance(event, FundsGrewV1)]) == 1
    assert await desk.value("SELECT held_minor FROM allotment") == 0


async def test_approval_and_withdrawal_at_once_leave_no_hold(desk: Desk) -> None:
    await desk.purse(100_000)
    for _ in range(8):
        need = approved(1_000)
        await asyncio.gather(desk.feed(need), desk.feed(withdrawn(need)))
    assert await desk.value("SELECT held_minor FROM allotment") == 0


async def test_providers_are_paid_once_per_service(desk: Desk) -> None:
    await desk.purse(10_000)
    need = approved(3_000, by="provider")
    await desk.feed(need)
    await desk.feed(confirmed(need))
    assert not [e for e in await desk.told() if isinstance(e, PayoutChangedV1)]
    await desk.feed(issued(need.need_id))
    [spent] = await desk.told_of(CommitmentSpentV1)
    assert (spent.fulfils, spent.spent_on) == (False, date(2024, 6, 12))
    await desk.feed(issued(need.need_id))
    assert await desk.told() == []
    await desk.feed(undone(need.need_id))
    [reversal] = await desk.told_of(CommitmentReversedV1)
    assert (reversal.spend_no, reversal.fulfils) == (1, False)
    # The undoing of the second service overtakes it: it is never paid.
    await desk.feed(undone(need.need_id, 2))
    await desk.feed(issued(need.need_id, 2))
    assert await desk.told_of(CommitmentSpentV1) == []
    await desk.feed(issued(need.need_id, 3))
    [again] = await desk.told_of(CommitmentSpentV1)
    assert again.spend_no == 2
    assert await desk.value("SELECT spent_minor FROM allotment") == 3_000


async def test_a_service_given_after_release_is_a_fact(desk: Desk) -> None:
    await desk.purse(5_000)
    first, second = approved(3_000, by="provider"), approved(3_000, by="provider")
    await desk.feed(first)
    await desk.feed(withdrawn(first))
    await desk.feed(issued(first.need_id))
    assert len(await desk.told_of(CommitmentSpentV1)) == 1
    await desk.feed(second)  # refused, 2,000 are left
    third = approved(2_000, by="provider")
    await desk.feed(third)
    await desk.feed(withdrawn(third))
    taken = approved(2_000)
    await desk.feed(taken)
    await desk.feed(issued(third.need_id))
    assert await desk.value("SELECT about FROM discrepancy") == "late_service"


def given(amount_minor: int, served_on: date = date(2024, 5, 1)) -> AidGivenV1:
    return AidGivenV1(
        need_id=NeedId(uuid4()),
        kind="financial_aid",
        programme="relief",
        served_on=served_on,
        place_area="UA80",
        site_id=None,
        money=MoneyDemand(
            amount_minor=amount_minor, currency="UAH", cost_category="cash", by="payout"
        ),
    )


async def test_aid_already_given_is_booked_or_asked_about(desk: Desk) -> None:
    await desk.purse(5_000)
    fact = given(3_000)
    await desk.feed(fact, given(4_000, date(2024, 5, 2)))
    spent = await desk.told_of(CommitmentSpentV1)
    assert [(each.need_id, each.attempt_no, each.fulfils) for each in spent] == [
        (fact.need_id, 0, False)
    ]
    assert await desk.value("SELECT about FROM discrepancy") == "no_money"
    await desk.feed(fact)
    assert await desk.told_of(CommitmentSpentV1) == []


async def test_a_returned_payment_is_reversed_and_can_be_paid_again(desk: Desk) -> None:
    await desk.purse(50_000)
    need = approved(30_000)
    await desk.feed(need)
    await desk.feed(confirmed(need))
    payout_id = await desk.value("SELECT id FROM payout")
    # Above the float limit two people are needed.
    ways: list[tuple[Verb, UUID, Step]] = [
        ("approve", MAKER, Step(payout_id)),
        ("export", MAKER, Step(payout_id)),
        ("accept", MAKER, Step(payout_id)),
        ("settle", CHECKER, Step(payout_id, "bank-1", date(2024, 6, 2))),
    ]
    for verb, by, order in ways:
        async with desk.db.transaction() as tx:
            assert await take_steps(desk.office, tx, verb, [order], by) == {payout_id: None}
    await desk.told()
    await desk.run(
        lambda tx: take_step(desk.office, tx, "return", Step(payout_id, reason="AC04"), MAKER)
    )
    events = await desk.told()
    [reversal] = [event for event in events if isinstance(event, CommitmentReversedV1)]
    assert (reversal.fulfils, reversal.reason) == (True, "ac04")
    assert await desk.value("SELECT committed_minor FROM allotment") == 30_000


async def test_a_need_is_never_paid_twice(desk: Desk) -> None:
    await desk.purse(50_000)
    need = approved(1_000)
    await desk.feed(need)
    await desk.feed(confirmed(need))
    with pytest.raises(asyncpg.UniqueViolationError):
        await desk.execute(
            """
            INSERT INTO payout (id, payout_no, commitment_id, need_id, allotment_id, amount_minor,
                                currency, state)
            SELECT gen_random_uuid(), 2, commitment_id, need_id, allotment_id, amount_minor,
                   currency, 'draft' FROM payout
            """
        )


async def test_a_batch_is_a_handful_of_statements(desk: Desk) -> None:
    await desk.purse(10_000_000)
    needs = [approved(1_000) for _ in range(256)]
    counted: list[str] = []
    async with desk.db.transaction() as tx:
        tx.conn.add_query_logger(lambda record: counted.append(record.query))
        await hold(desk.office, tx, [received(need, "kyiv") for need in needs])
    ours = [query for query in counted if "pg_catalog" not in query and "set_config" not in query]
    assert len(ours) <= 10, ours
    assert await desk.value("SELECT count(*) FROM commitment WHERE state = 'held'") == 256
