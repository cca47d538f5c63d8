"""Cash that was paid, and of which word came after it had been let go: always recorded."""

import asyncio
from datetime import date
from functools import partial
from uuid import UUID

import pytest

from aidmesh_chassis.problems import Problem
from aidmesh_contracts.ids import AllotmentId, PayoutId
from aidmesh_contracts.intake import NeedApprovedV1
from aidmesh_contracts.payments import (
    CommitmentHeldV1,
    CommitmentRefusedV1,
    CommitmentReleasedV1,
    CommitmentReversedV1,
    CommitmentSpentV1,
    FundsGrewV1,
)
from aidmesh_payments.domain.payout import PayoutRefusal, Verb
from aidmesh_payments.handlers import allotting
from aidmesh_payments.handlers.commitments import settle_discrepancy
from aidmesh_payments.handlers.needs import hold
from aidmesh_payments.handlers.payouts import Step, redo, take_steps
from integration.payments.offices import (
    CHECKER,
    MAKER,
    Desk,
    approved,
    confirmed,
    received,
    withdrawn,
)
from support.waiting import eventually

CASH = 3_000
PAID_ON = date(2024, 6, 12)


async def step(desk: Desk, verb: Verb, *payouts: PayoutId) -> list[PayoutRefusal | None]:
    """Take a step with some payouts; what was refused of it."""
    orders = [
        Step(each, bank_reference="desk", settled_on=PAID_ON, reason="AC04") for each in payouts
    ]
    outcomes = await desk.run(partial(take_steps, desk.office, verb=verb, steps=orders, by=CHECKER))
    return [outcomes[each] for each in payouts]


async def listed(desk: Desk, need: NeedApprovedV1, *verbs: Verb) -> PayoutId:
    """The payout of a need that was approved, after these steps."""
    await desk.feed(need)
    await desk.feed(confirmed(need))
    payout_id = PayoutId(
        await desk.value(
            "SELECT p.id FROM payout p JOIN commitment c ON c.id = p.commitment_id"
            " WHERE c.need_id = $1 AND c.attempt_no = $2",
            need.need_id,
            need.attempt_no,
        )
    )
    for verb in verbs:
        assert await step(desk, verb, payout_id) == [None]
    return payout_id


async def lapsed(desk: Desk, need: NeedApprovedV1) -> PayoutId:
    """Cash on a list that was given up as not collected."""
    return await listed(desk, need, "approve", "export", "not_collected")


def again(need: NeedApprovedV1, attempt_no: int = 2) -> NeedApprovedV1:
    return need.model_copy(update={"attempt_no": attempt_no})


async def open_odds(desk: Desk) -> list[str]:
    found: list[str] = await desk.value(
        "SELECT COALESCE(array_agg(about || ' ' || amount_minor ORDER BY about), '{}')"
        " FROM discrepancy WHERE settled_at IS NULL"
    )
    return found


async def spent_minor(desk: Desk) -> int:
    await desk.check()
    spent: int = await desk.value("SELECT sum(spent_minor)::bigint FROM allotment")
    return spent


async def find_money(desk: Desk, source: AllotmentId | None) -> None:
    """A person settles the one discrepancy that is open."""
    odd: UUID = await desk.value("SELECT id FROM discrepancy WHERE settled_at IS NULL")
    await desk.run(lambda tx: settle_discrepancy(desk.office, tx, odd, source, MAKER, "found"))


async def spoil(desk: Desk, how: str, purse: AllotmentId) -> None:
    """What became of the money meanwhile."""
    if how == "another need":
        await desk.feed(approved(CASH))
    else:
        await desk.run(lambda tx: allotting.recall(desk.office, tx, purse, "donor_cut"))


@pytest.mark.parametrize("how", ["another need", "recalled"])
async def test_cash_whose_money_is_gone_is_recorded_and_money_is_found_for_it(
    desk: Desk, how: str
) -> None:
    purse = await desk.purse(CASH)
    need = approved(CASH)
    payout_id = await lapsed(desk, need)
    await spoil(desk, how, purse)
    await desk.told()

    assert await step(desk, "settle", payout_id) == [None]
    assert await desk.value("SELECT bank_reference FROM payout WHERE state = 'settled'") == "desk"
    assert await open_odds(desk) == [f"no_money {CASH}"]
    assert await spent_minor(desk) == 0
    assert await step(desk, "settle", payout_id) == [PayoutRefusal.WRONG_STATE]
    # The need is served by it, at once.
    [fact] = await desk.told_of(CommitmentSpentV1)
    assert (fact.attempt_no, fact.fulfils, fact.unfunded) == (1, True, True)
    assert (fact.payout_id, fact.amount_minor, fact.spent_on) == (payout_id, CASH, PAID_ON)

    # Whoever has it is not given it again.
    other = await desk.purse(CASH)
    await desk.feed(again(need))
    assert [each.reason for each in await desk.told_of(CommitmentRefusedV1)] == ["withdrawn"]

    await find_money(desk, other)
    [spent] = await desk.told_of(CommitmentSpentV1)
    assert (spent.attempt_no, spent.fulfils, spent.unfunded) == (1, False, False)
    assert (spent.payout_id, spent.spent_on) == (payout_id, PAID_ON)
    assert spent.spend_no > fact.spend_no
    assert await spent_minor(desk) == CASH
    assert await desk.value("SELECT spent_minor FROM allotment WHERE id = $1", other) == CASH
    assert await step(desk, "return", payout_id) == [None]
    [back] = await desk.told_of(CommitmentReversedV1)
    assert (back.spend_no, back.fulfils) == (spent.spend_no, True)
    assert await spent_minor(desk) == 0


async def test_money_that_is_too_little_or_not_to_be_booked(desk: Desk) -> None:
    purse = await desk.purse(CASH)
    payout_id = await lapsed(desk, approved(CASH))
    await spoil(desk, "another need", purse)
    await step(desk, "settle", payout_id)
    with pytest.raises(Problem):
        await find_money(desk, await desk.purse(CASH - 1))
    assert await open_odds(desk) == [f"no_money {CASH}"]
    await find_money(desk, None)
    assert await spent_minor(desk) == 0
    assert await step(desk, "return", payout_id) == [None]


async def test_cash_that_comes_back_before_money_was_found_lacks_none(desk: Desk) -> None:
    purse = await desk.purse(CASH)
    need = approved(CASH)
    payout_id = await lapsed(desk, need)
    await spoil(desk, "another need", purse)
    await step(desk, "settle", payout_id)
    [fact] = await desk.told_of(CommitmentSpentV1)
    assert await step(desk, "return", payout_id) == [None]
    assert await open_odds(desk) == []
    [back] = await desk.told_of(CommitmentReversedV1)
    assert (back.attempt_no, back.spend_no, back.fulfils) == (1, fact.spend_no, True)
    await desk.purse(CASH)
    await desk.told()
    await desk.feed(again(need))
    assert len(await desk.told_of(CommitmentHeldV1)) == 1


@pytest.mark.parametrize("second", ["asked for", "draft", "approved", "rejected"])
@pytest.mark.parametrize("purses", [1, 2])
async def test_what_can_be_stopped_of_a_later_attempt_is_stopped(
    desk: Desk, second: str, purses: int
) -> None:
    """Its money serves the payment that was made; whoever has the cash is not paid again."""
    await desk.purse(purses * CASH)
    need = approved(CASH)
    first = await lapsed(desk, need)
    if second == "asked for":
        await desk.feed(again(need))
    else:
        ways: dict[str, tuple[Verb, ...]] = {
            "draft": (),
            "approved": ("approve",),
            "rejected": ("approve", "export", "reject"),
        }
        later = await listed(desk, again(need), *ways[second])
    await desk.told()

    assert await step(desk, "settle", first) == [None]
    assert await spent_minor(desk) == CASH
    assert await open_odds(desk) == []
    events = await desk.told()
    kinds = (CommitmentSpentV1, CommitmentReleasedV1)
    news = [event for event in events if isinstance(event, kinds)]
    assert [(type(each), each.attempt_no) for each in news] == [
        (CommitmentSpentV1, 1),
        (CommitmentReleasedV1, 2),
    ]
    # Nothing grew that was used at once.
    grown = [each.amount_minor for each in events if isinstance(each, FundsGrewV1)]
    assert grown == ([CASH] if purses == 2 else [])

    await desk.feed(confirmed(again(need)))
    assert await desk.value("SELECT sum(held_minor + committed_minor)::int FROM allotment") == 0
    if second == "rejected":
        with pytest.raises(Problem):
            await desk.run(lambda tx: redo(desk.office, tx, later, MAKER, None))
    await desk.feed(again(need, 3))
    assert not await desk.told_of(CommitmentHeldV1)


async def test_cash_stopped_for_an_earlier_payment_may_have_been_paid_as_well(desk: Desk) -> None:
    await desk.purse(2 * CASH)
    need = approved(CASH)
    first = await lapsed(desk, need)
    second = await listed(desk, again(need), "approve")
    assert await step(desk, "settle", first) == [None]
    assert await step(desk, "settle", second) == [None]
    assert await open_odds(desk) == [f"paid_twice {CASH}"]


async def test_both_payments_of_one_file_are_recorded(desk: Desk) -> None:
    """Whichever is read first: what is said to have been paid is not stopped."""
    await desk.purse(6 * CASH)
    pairs = []
    for _ in range(3):
        need = approved(CASH)
        pairs += [await lapsed(desk, need), await listed(desk, again(need), "approve")]
    assert await step(desk, "settle", *pairs) == [None] * 6
    assert await open_odds(desk) == [f"paid_twice {CASH}"] * 3
    assert await spent_minor(desk) == 3 * CASH


async def test_cash_paid_before_its_need_was_withdrawn_is_recorded(desk: Desk) -> None:
    await desk.purse(CASH)
    need = approved(CASH)
    payout_id = await listed(desk, need, "approve")
    await desk.feed(withdrawn(need))
    assert await step(desk, "settle", payout_id) == [None]
    assert await spent_minor(desk) == CASH
    assert [each.fulfils for each in await desk.told_of(CommitmentSpentV1)] == [True]


@pytest.mark.parametrize("paid_again", [False, True])
async def test_cash_that_was_cancelled_may_have_been_handed_over(
    desk: Desk, paid_again: bool
) -> None:
    """The desk had given it out, and finance stopped it before the paper was entered."""
    await desk.purse(2 * CASH)
    need = approved(CASH)
    first = await listed(desk, need, "approve", "cancel")
    verbs: tuple[Verb, ...] = ("approve", "settle") if paid_again else ("approve",)
    second = await listed(desk, again(need), *verbs)
    assert await step(desk, "settle", first) == [None]
    assert await desk.value("SELECT state FROM payout WHERE id = $1", second) == (
        "settled" if paid_again else "cancelled"
    )
    assert await open_odds(desk) == ([f"paid_twice {CASH}"] if paid_again else [])
    assert await spent_minor(desk) == CASH


async def test_what_a_bank_was_to_send_and_was_cancelled_nobody_has(desk: Desk) -> None:
    await desk.purse(CASH)
    payout_id = await listed(desk, approved(CASH), "approve")
    await desk.execute("UPDATE payout SET mechanism = 'iban'")
    assert await step(desk, "cancel", payout_id) == [None]
    assert await step(desk, "settle", payout_id) == [PayoutRefusal.WRONG_STATE]
    assert await spent_minor(desk) == 0


async def test_a_payment_that_may_have_left_is_not_drawn_up_again(desk: Desk) -> None:
    """The bank sends back the later one, and the earlier one was fetched."""
    await desk.purse(2 * CASH)
    need = approved(CASH)
    first = await lapsed(desk, need)
    second = await listed(desk, again(need), "approve", "export")
    assert await step(desk, "settle", first) == [None]
    assert await step(desk, "reject", second) == [None]
    with pytest.raises(Problem):
        await desk.run(lambda tx: redo(desk.office, tx, second, MAKER, None))


@pytest.mark.parametrize("second_is", ["settled before", "settled with it", "settled after"])
async def test_a_need_that_was_paid_twice_in_truth_is_so_in_the_books(
    desk: Desk, second_is: str
) -> None:
    await desk.purse(CASH)
    need = approved(CASH)
    first = await lapsed(desk, need)
    second = await listed(desk, again(need), "approve", "export")
    order = {
        "settled before": ([second], [first]),
        "settled with it": ([first, second],),
        "settled after": ([first], [second]),
    }[second_is]
    for together in order:
        assert await step(desk, "settle", *together) == [None] * len(together)
    # Intake sees two services for one need and has a person look.
    facts = [event for event in await desk.told_of(CommitmentSpentV1) if event.fulfils]
    assert {(each.attempt_no, each.unfunded) for each in facts} == {(1, True), (2, False)}
    assert await open_odds(desk) == [f"paid_twice {CASH}"]
    assert await spent_minor(desk) == CASH
    await desk.purse(CASH)
    await desk.told()
    await desk.feed(again(need, 3))
    assert [each.reason for each in await desk.told_of(CommitmentRefusedV1)] == ["withdrawn"]

    await find_money(desk, await desk.purse(CASH))
    assert await spent_minor(desk) == 2 * CASH
    [borne] = await desk.told_of(CommitmentSpentV1)
    assert (borne.attempt_no, borne.fulfils, borne.unfunded) == (1, False, False)


async def test_every_cash_of_a_need_that_was_fetched_late_is_recorded(desk: Desk) -> None:
    await desk.purse(CASH)
    need = approved(CASH)
    payouts = [await lapsed(desk, again(need, attempt_no)) for attempt_no in (1, 2, 3)]
    assert await step(desk, "settle", *payouts) == [None] * 3
    assert await open_odds(desk) == [f"paid_twice {CASH}"] * 2
    assert await spent_minor(desk) == CASH


async def test_cash_given_up_and_asked_for_again_while_its_payment_is_entered(desk: Desk) -> None:
    """What is read before the need is locked decides nothing."""
    await desk.purse(CASH)
    need = approved(CASH)
    payout_id = await listed(desk, need, "approve", "export")

    async def waits() -> bool:
        waiting = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"
        return bool(await desk.value(waiting))

    async with desk.db.transaction() as tx:
        given_up = [Step(payout_id)]
        await take_steps(desk.office, tx, "not_collected", given_up, CHECKER)
        await hold(desk.office, tx, [received(again(need), desk.office.region)])
        settling = asyncio.create_task(step(desk, "settle", payout_id))
        await eventually(waits)
    assert await settling == [None]
    # It is the one payment: what the second attempt held serves it.
    assert await open_odds(desk) == []
    assert await spent_minor(desk) == CASH
    assert [each.attempt_no for each in await desk.told_of(CommitmentReleasedV1)] == [1, 2]
