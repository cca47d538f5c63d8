"""Payouts whose paying office is lost come back, and can be settled, whatever it had done."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from aidmesh.quiet import RegionProbe
from aidmesh.verification.payouts import payouts_agree
from aidmesh_chassis import restoring
from aidmesh_chassis.errors import Poison
from aidmesh_chassis.problems import Problem
from aidmesh_contracts.ids import PayoutId
from aidmesh_contracts.intake import PayeeErasedV1
from aidmesh_contracts.payments import CommitmentReleasedV1, CommitmentSpentV1, PayoutOutcomeV1
from aidmesh_contracts.payments_regions import RegionChangedV1
from aidmesh_payments.domain.payout import PayoutRefusal, Verb
from aidmesh_payments.handlers import assigning, lost, payouts
from aidmesh_payments.handlers.payouts import Step
from aidmesh_payments.store import payouts as store
from aidmesh_payments.store.queries.unproven import unproven
from integration.payments.offices import CHECKER, MAKER, Desk, withdrawn
from integration.payments.paying import PURPOSE, Two, take_step, two
from support.waiting import eventually

ABOVE_LIMIT = 20_000
WAIT_S = 60.0


@pytest.fixture
async def sides(pair: tuple[Desk, Desk], tmp_path: Path) -> Two:
    """lviv holds, kyiv pays."""
    return await two(*pair, tmp_path)


async def kyiv_is_lost(sides: Two) -> None:
    lviv = sides.lviv.desk
    await lviv.run(lambda tx: lost.declare(lviv.office, tx, "kyiv", "flooded", MAKER))
    await lviv.run(lambda tx: lost.confirm(tx, "kyiv", CHECKER))


async def doubtful(sides: Two) -> Sequence[tuple[object, object]]:
    """What a person has to look up, as finance sees it."""
    async with sides.lviv.desk.db.read() as conn:
        rows = await unproven(conn, None, 100)
    assert {row["region"] for row in rows} <= {"kyiv"}
    return [(row["id"], row["state"]) for row in rows]


async def clear(sides: Two, payout_id: PayoutId) -> None:
    async with sides.lviv.desk.db.transaction() as tx:
        assert await restoring.clear(tx.conn, [payout_id], "not on the statement", CHECKER) == 1


async def step(sides: Two, verb: Verb, taken: Step) -> None:
    lviv = sides.lviv.desk
    await lviv.run(lambda tx: take_step(lviv.office, tx, verb, taken, CHECKER))


async def of_payout(sides: Two, column: str, payout_id: PayoutId) -> Any:
    query = f"SELECT {column} FROM payout WHERE id = $1"  # noqa: S608 - named in the tests
    return await sides.lviv.desk.value(query, payout_id)


async def with_office(sides: Two, state: str) -> PayoutId:
    """A payout that the office was asked to pay, as it told of it last."""
    payout_id = await sides.approve(await sides.need(ABOVE_LIMIT))
    await sides.exchange()
    if state != "approved":
        assert await sides.pay(payout_id, "export") is None
        await sides.exchange()
    assert (await sides.states(payout_id))[0] == state
    return payout_id


@pytest.mark.parametrize(
    ("state", "asked_back"), [("approved", False), ("approved", True), ("exported", False)]
)
async def test_what_a_lost_office_had_is_looked_up_and_settled_by_a_second_person(
    sides: Two, state: str, asked_back: bool
) -> None:
    payout_id = await with_office(sides, state)
    if asked_back:
        assert await sides.hold(payout_id, "cancel") is None
    await kyiv_is_lost(sides)
    assert await of_payout(sides, "(state, assigned_to, taken_from)", payout_id) == (
        state, None, "kyiv",
    )  # fmt: skip
    assert await doubtful(sides) == [(payout_id, state)]
    export = await sides.hold(payout_id, "export")
    assert export is PayoutRefusal.UNPROVEN
    # Who approved it is the first of two people, in doubt or not.
    assert await sides.hold(payout_id, "settle", MAKER) is PayoutRefusal.SECOND_PERSON
    await step(sides, "settle", Step(payout_id, bank_reference="statement 7", is_forgotten=True))
    assert await of_payout(sides, "(state, bank_reference)", payout_id) == (
        "settled", "statement 7",
    )  # fmt: skip
    assert await doubtful(sides) == []
    assert await sides.lviv.desk.value("SELECT spent_minor FROM allotment") == ABOVE_LIMIT
    assert len(await sides.lviv.desk.told_of(CommitmentSpentV1)) == 1


async def test_what_was_not_paid_is_rejected_and_drawn_up_again(sides: Two) -> None:
    payout_id = await with_office(sides, "exported")
    await kyiv_is_lost(sides)
    await clear(sides, payout_id)
    await step(sides, "reject", Step(payout_id, reason="AC04"))
    lviv = sides.lviv.desk
    again = await lviv.run(lambda tx: payouts.redo(lviv.office, tx, payout_id, CHECKER, None))
    assert await sides.hold(again, "approve") is None
    await sides.lviv.sweep()
    assert await of_payout(sides, "assigned_to", again) is None
    await step(sides, "settle", Step(again, bank_reference="bank-8"))
    assert await lviv.value("SELECT spent_minor FROM allotment") == ABOVE_LIMIT


async def test_what_is_handed_over_at_that_moment_comes_back_too(sides: Two) -> None:
    lviv = sides.lviv.desk
    payout_id = await sides.approve(await sides.need())

    async def waits() -> bool:
        return bool(await lviv.value("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"))

    async with lviv.db.transaction() as tx:
        assert await assigning.assign(lviv.office, sides.lviv.keys, PURPOSE, tx) == 1
        losing = asyncio.create_task(kyiv_is_lost(sides))
        await eventually(waits, WAIT_S)
    await losing
    assert await of_payout(sides, "(assigned_to, taken_from)", payout_id) == (None, "kyiv")


@pytest.mark.parametrize("why", ["withdrawn", "returned", "erased"])
async def test_what_was_asked_back_and_not_paid_lets_its_money_go(sides: Two, why: str) -> None:
    lviv, need = sides.lviv.desk, await sides.need()
    payout_id = await sides.approve(need)
    await sides.exchange()
    if why == "withdrawn":
        await lviv.feed(withdrawn(need))
    elif why == "returned":
        assert await sides.hold(payout_id, "cancel") is None
    else:
        await lviv.feed(PayeeErasedV1(need_id=need.need_id, payee_ref=need.payee_ref))
    await kyiv_is_lost(sides)
    assert await lviv.value("SELECT committed_minor FROM allotment") == 5_000
    await clear(sides, payout_id)
    await step(sides, "reject", Step(payout_id, reason="AC01"))
    assert await lviv.value("SELECT committed_minor FROM allotment") == 0
    (released,) = await lviv.told_of(CommitmentReleasedV1)
    assert released.cause == ("returned" if why == "returned" else "withdrawn")


async def test_what_left_for_a_need_that_is_over_asks_nobody_once_it_is_rejected(
    sides: Two,
) -> None:
    lviv, need = sides.lviv.desk, await sides.need()
    payout_id = await sides.approve(need)
    await sides.exchange()
    assert await sides.pay(payout_id, "export") is None
    await sides.exchange()
    await lviv.feed(withdrawn(need))
    assert await lviv.value("SELECT about FROM discrepancy") == "withdrawn_after_export"
    await kyiv_is_lost(sides)
    await step(sides, "reject", Step(payout_id, reason="AM04"))
    assert await lviv.value("SELECT note FROM discrepancy") == "rejected"
    assert await lviv.value("SELECT committed_minor FROM allotment") == 0
    assert await doubtful(sides) == []


async def test_old_details_are_paid_by_nobody(sides: Two) -> None:
    lviv, need = sides.lviv.desk, await sides.need()
    payout_id = await sides.approve(need)
    await sides.exchange()
    await lviv.feed(sides.details(need, version=1, mechanism="post"))
    await kyiv_is_lost(sides)
    await clear(sides, payout_id)
    # From now on this office pays what the grant is for.
    await lviv.execute("UPDATE grant_terms SET paying_office = 'lviv'")
    async with lviv.db.read() as conn:
        for mechanism in ("iban", "post"):
            assert await store.exportable(conn, "lviv", "UAH", mechanism, 10) == []
    await step(sides, "reject", Step(payout_id, reason="AC01"))
    again = await lviv.run(lambda tx: payouts.redo(lviv.office, tx, payout_id, CHECKER, None))
    assert await of_payout(sides, "mechanism", again) == "post"
    # Corrected once more while it waits here, it is drawn up anew by itself.
    other = await sides.need()
    second = await sides.approve(other)
    await lviv.execute("UPDATE payout SET taken_from = 'kyiv', withdrawal = 'corrected'"
                       " WHERE id = $1", second)  # fmt: skip
    await lviv.feed(sides.details(other, version=2))
    assert await of_payout(sides, "(state, withdrawal)", second) == ("draft", None)


async def test_what_the_office_says_too_late_settles_nothing(sides: Two) -> None:
    lviv = sides.lviv.desk
    payout_id = await with_office(sides, "exported")
    heard = await of_payout(sides, "outcome_version", payout_id)
    await kyiv_is_lost(sides)
    settled = PayoutOutcomeV1(payout_id=payout_id, state="settled", version=heard + 1)
    with pytest.raises(Poison):
        await lviv.feed(settled, region="odesa")
    await lviv.feed(settled, region="kyiv")
    assert await lviv.value("SELECT count(*) FROM conflict") == 1
    assert await lviv.value("SELECT count(*) FROM discrepancy") == 0
    await lviv.execute("UPDATE conflict SET closed_at = now(), closed_by = $1, note = 'x'", MAKER)
    await lviv.run(lambda tx: lost.readmit(tx, "kyiv"))
    again = PayoutOutcomeV1(payout_id=payout_id, state="exported", version=heard)
    await lviv.feed(again, region="kyiv", epoch=2)
    assert await lviv.value("SELECT count(*) FROM discrepancy") == 0
    await lviv.feed(settled, region="kyiv", epoch=2)
    assert await lviv.value("SELECT about FROM discrepancy") == "withdrawn_after_export"
    assert await doubtful(sides) == [(payout_id, "exported")]


async def test_what_came_back_is_not_handed_to_that_office_again(sides: Two) -> None:
    lviv = sides.lviv.desk
    payout_id = await with_office(sides, "approved")
    await kyiv_is_lost(sides)
    await lviv.run(lambda tx: lost.readmit(tx, "kyiv"))
    await clear(sides, payout_id)
    await sides.lviv.sweep()
    # It would know the order, as one that was asked back, and answer nothing.
    assert await of_payout(sides, "assigned_to", payout_id) is None
    await step(sides, "settle", Step(payout_id, bank_reference="bank-9"))
    # Nor is it one that `aidmesh verify` expects both to agree about.
    other = await with_office(sides, "approved")
    assert await of_payout(sides, "assigned_to", other) == "kyiv"
    for desk in (lviv, sides.kyiv.desk):
        await desk.execute("UPDATE handoff SET status = 'settled', settled_at = now()")
    async with lviv.db.read() as ours, sides.kyiv.desk.db.read() as theirs:
        probes = [
            RegionProbe(name, Mock(), Mock(), {"payments": conn})
            for name, conn in (("lviv", ours), ("kyiv", theirs))
        ]
        assert (await payouts_agree(probes)).ok
        await lviv.execute("UPDATE payout SET assigned_to = NULL WHERE id = $1", other)
        assert not (await payouts_agree(probes)).ok


async def test_a_payment_of_a_lost_office_may_still_come_back(sides: Two) -> None:
    lviv = sides.lviv.desk
    payout_id = await with_office(sides, "exported")
    assert await sides.pay(payout_id, "settle") is None
    await sides.exchange()
    with pytest.raises(Problem, match="paid-elsewhere"):
        await step(sides, "return", Step(payout_id, reason="AC04"))
    await kyiv_is_lost(sides)
    assert await doubtful(sides) == []
    await step(sides, "return", Step(payout_id, reason="AC04"))
    assert await lviv.value("SELECT spent_minor FROM allotment") == 0
    assert await of_payout(sides, "state", payout_id) == "returned"


async def test_an_office_that_retired_leaves_nothing_in_doubt(sides: Two) -> None:
    lviv = sides.lviv.desk
    payout_id = await with_office(sides, "approved")
    retired = RegionChangedV1(region="kyiv", standing="retired", epoch=1, since=await lviv.value(
        "SELECT now()"))  # fmt: skip
    await lviv.feed(retired, region="kyiv")
    assert await of_payout(sides, "(state, assigned_to)", payout_id) == ("approved", None)
    assert await doubtful(sides) == []
    await step(sides, "settle", Step(payout_id, bank_reference="bank-9"))
