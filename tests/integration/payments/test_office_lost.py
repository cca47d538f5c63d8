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
from aidmesh_chassis.standings import News, Stand
from aidmesh_contracts.ids import PayoutId
from aidmesh_contracts.intake import PayeeErasedV1
from aidmesh_contracts.payments import CommitmentReleasedV1, CommitmentSpentV1, PayoutOutcomeV1
from aidmesh_contracts.payments_regions import RegionChangedV1
from aidmesh_payments.domain.payout import PayoutRefusal, Verb
from aidmesh_payments.handlers import assigning, lost, payouts
from aidmesh_payments.handlers.commitments import settle_discrepancy
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
        state, None, ["kyiv"],
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
    assert await of_payout(sides, "(assigned_to, taken_from)", payout_id) == (None, ["kyiv"])


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


async def exported_and_withdrawn(sides: Two) -> PayoutId:
    """A payout that Kyiv put on its list before Lviv's need was over."""
    need = await sides.need()
    payout_id = await sides.approve(need)
    await sides.exchange()
    assert await sides.pay(payout_id, "export") is None
    await sides.exchange()
    await sides.lviv.desk.feed(withdrawn(need))
    return payout_id


async def test_what_left_for_a_need_that_is_over_asks_nobody_once_it_is_rejected(
    sides: Two,
) -> None:
    lviv, payout_id = sides.lviv.desk, await exported_and_withdrawn(sides)
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
    await lviv.execute("UPDATE payout SET taken_from = '{kyiv}', withdrawal = 'corrected'"
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


async def questions(sides: Two) -> list[tuple[object, ...]]:
    """Whether each question about money that may have gone out twice is open, oldest first."""
    async with sides.lviv.desk.db.read() as conn:
        rows = await conn.fetch(
            "SELECT about, settled_at IS NULL FROM discrepancy ORDER BY opened_at"
        )
    return [tuple(row) for row in rows]


async def answer(sides: Two) -> None:
    """Somebody says what they found out."""
    lviv = sides.lviv.desk
    question = await lviv.value("SELECT id FROM discrepancy WHERE settled_at IS NULL")
    await lviv.run(
        lambda tx: settle_discrepancy(lviv.office, tx, question, None, CHECKER, "not paid there")
    )


async def comes_back(sides: Two) -> None:
    await sides.lviv.desk.run(lambda tx: lost.readmit(tx, "kyiv"))


OPEN, ANSWERED = ("withdrawn_after_export", True), ("withdrawn_after_export", False)


async def test_whether_it_was_paid_twice_is_asked_again_at_each_new_word_once_it_was_answered(
    sides: Two,
) -> None:
    lviv, payout_id = sides.lviv.desk, await exported_and_withdrawn(sides)
    assert await questions(sides) == [OPEN]
    await kyiv_is_lost(sides)
    await answer(sides)
    await step(sides, "settle", Step(payout_id, bank_reference="bank-8", is_forgotten=True))
    await comes_back(sides)
    heard = await of_payout(sides, "outcome_version", payout_id)
    for state, after, seen in (
        ("settled", 1, [ANSWERED, OPEN]),
        ("returned", 2, [ANSWERED, OPEN]),  # they are being asked
        ("settled", 1, [ANSWERED, ANSWERED]),  # said already
        ("returned", 3, [ANSWERED, ANSWERED, OPEN]),
    ):
        said = PayoutOutcomeV1(payout_id=payout_id, state=state, version=heard + after)
        if seen[-1] == ANSWERED:
            await answer(sides)
        await lviv.feed(said, region="kyiv", epoch=2)
        assert await questions(sides) == seen


async def test_that_it_was_paid_is_asked_about_though_that_it_left_was_answered(
    sides: Two,
) -> None:
    need = await sides.need()
    payout_id = await sides.approve(need)
    await sides.exchange()
    assert await sides.pay(payout_id, "export") is None
    await sides.lviv.desk.feed(withdrawn(need))
    await sides.exchange()
    assert await questions(sides) == [OPEN]
    await answer(sides)
    assert await sides.pay(payout_id, "settle") is None
    await sides.exchange()
    assert await questions(sides) == [ANSWERED, OPEN]


async def test_what_was_drawn_up_anew_is_not_settled_by_what_was_given_back(sides: Two) -> None:
    """Both are of one commitment, whoever is asked to pay them."""
    lviv, need = sides.lviv.desk, await sides.need()
    old = await sides.approve(need)
    await sides.exchange()
    await lviv.feed(sides.details(need, version=1))
    await sides.exchange()
    assert (await sides.states(old))[0] == "cancelled"
    new = await lviv.value("SELECT id FROM payout WHERE state = 'draft'")
    with pytest.raises(Problem, match="paid-elsewhere"):
        await step(sides, "settle", Step(old, bank_reference="bank-8", is_forgotten=True))
    await lviv.execute("UPDATE payout SET assigned_to = NULL, taken_from = '{kyiv}'"
                       " WHERE id = $1", old)  # fmt: skip
    await lviv.run(lambda tx: restoring.doubt(tx.conn, "need", [need.need_id]))
    for is_settled in (False, True):
        with pytest.raises(Problem, match="wrong-state"):
            await step(sides, "settle", Step(old, bank_reference="bank-8", is_forgotten=True))
        if not is_settled:
            await step(sides, "settle", Step(new, bank_reference="bank-9", is_forgotten=True))
    assert await lviv.value("SELECT spent_minor FROM allotment") == 5_000


async def test_every_office_that_ever_had_it_is_heard(sides: Two) -> None:
    lviv = sides.lviv.desk
    payout_id = await with_office(sides, "approved")
    heard = await of_payout(sides, "outcome_version", payout_id)
    await kyiv_is_lost(sides)
    await comes_back(sides)
    # Another office has it next, has said more of it than that one, and is lost too.
    await lviv.execute("UPDATE payout SET assigned_to = 'odesa', outcome_version = 7")
    stand = Stand("lost", 1, await lviv.value("SELECT now()"))
    await lviv.run(lambda tx: lost.follow(tx, {"odesa": News(None, stand)}))
    offices = await of_payout(sides, "(assigned_to, taken_from, outcome_version)", payout_id)
    assert offices == (None, ["kyiv", "odesa"], 7)
    async with lviv.db.read() as conn:
        assert [row["region"] for row in await unproven(conn, None, 100)] == ["odesa"]
    await lviv.run(lambda tx: restoring.clear(tx.conn, [payout_id], "nothing", CHECKER))
    await sides.lviv.sweep()
    assert await of_payout(sides, "assigned_to", payout_id) is None
    settled = PayoutOutcomeV1(payout_id=payout_id, state="settled", version=heard + 1)
    with pytest.raises(Poison):
        await lviv.feed(settled, region="kharkiv")
    await lviv.feed(settled, region="kyiv", epoch=2)
    assert await questions(sides) == [OPEN]


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
