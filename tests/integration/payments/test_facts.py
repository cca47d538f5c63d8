"""Aid entered as given, reversed: its money comes back, in whichever order the news comes."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

import pytest

from aidmesh_chassis.problems import Problem
from aidmesh_contracts.ids import AllotmentId, NeedId
from aidmesh_contracts.intake import AidGivenV1, NeedReversedV1
from aidmesh_contracts.payments import CommitmentReversedV1, CommitmentSpentV1, FundsGrewV1
from aidmesh_contracts.payments_grants import AllotmentReturnedV1
from aidmesh_contracts.values import MoneyDemand
from aidmesh_payments.handlers import allotting
from aidmesh_payments.handlers.commitments import settle_discrepancy
from integration.payments.callers import Api
from integration.payments.offices import CHECKER, MAKER, Desk, approved, confirmed


def given(amount_minor: int, by: UUID | None = None) -> AidGivenV1:
    return AidGivenV1(
        need_id=NeedId(uuid4()),
        kind="financial_aid",
        programme="relief",
        served_on=date(2024, 5, 1),
        place_area="UA80",
        money=MoneyDemand(
            amount_minor=amount_minor, currency="UAH", cost_category="cash", by="payout"
        ),
        entered_by=by,
    )


def undone(need_id: NeedId) -> NeedReversedV1:
    return NeedReversedV1(need_id=need_id, service_no=1, reason="entered_by_mistake")


async def free(desk: Desk) -> tuple[int, int]:
    """What is spent, and what is free."""
    return (
        await desk.value("SELECT sum(spent_minor)::bigint FROM allotment"),
        await desk.value(
            "SELECT sum(received_minor - returned_minor - held_minor - committed_minor"
            " - spent_minor)::bigint FROM allotment"
        ),
    )


async def test_the_money_comes_back_by_a_journal_of_its_own(desk: Desk) -> None:
    await desk.purse(5_000)
    fact = given(3_000)
    await desk.feed(fact)
    await desk.told()

    await desk.feed(undone(fact.need_id))
    events = await desk.told()
    await desk.feed(undone(fact.need_id))
    assert await desk.told() == []

    [reversal] = [event for event in events if isinstance(event, CommitmentReversedV1)]
    assert (reversal.need_id, reversal.attempt_no, reversal.spend_no) == (fact.need_id, 0, 1)
    assert (reversal.fulfils, reversal.reason) == (False, "entered_by_mistake")
    [grew] = [event for event in events if isinstance(event, FundsGrewV1)]
    assert (grew.amount_minor, grew.freed_by) == (3_000, fact.need_id)
    assert await free(desk) == (0, 5_000)
    assert await desk.value("SELECT count(*) FROM journal WHERE kind = 'spending'") == 1
    assert await desk.value("SELECT reason FROM journal WHERE kind = 'spending_reversed'") == (
        "entered_by_mistake"
    )


async def test_in_any_order_and_any_number_of_times_the_fact_is_gone(desk: Desk) -> None:
    await desk.purse(5_000)
    for order in sorted(set(permutations(("fact", "fact", "reversal", "reversal")))):
        fact, lacking = given(5_000), given(6_000)
        for each in order:
            if each == "fact":
                await desk.feed(fact, lacking)
            else:
                await desk.feed(undone(fact.need_id), undone(lacking.need_id))
        assert await free(desk) == (0, 5_000), order
        assert await desk.value("SELECT count(*) FROM discrepancy WHERE settled_at IS NULL") == 0
        await desk.check()


async def test_a_fact_and_its_reversal_at_once_leave_nothing(desk: Desk) -> None:
    await desk.purse(50_000)
    for _ in range(8):
        facts = [given(1_000) for _ in range(4)]
        await asyncio.gather(
            desk.feed(*facts), desk.feed(*(undone(fact.need_id) for fact in reversed(facts)))
        )
        assert await free(desk) == (0, 50_000)


async def test_a_fact_entered_again_after_its_reversal_is_booked(desk: Desk) -> None:
    await desk.purse(5_000)
    wrong, right = given(4_000), given(4_000)
    await desk.feed(wrong)
    await desk.feed(right)  # asked about: there is too little
    await desk.feed(undone(wrong.need_id))
    again = given(4_000)
    await desk.feed(again)
    spent = {event.need_id for event in await desk.told_of(CommitmentSpentV1)}
    assert spent == {wrong.need_id, again.need_id}
    assert await free(desk) == (4_000, 1_000)
    assert await desk.value("SELECT need_id FROM discrepancy WHERE settled_at IS NULL") == (
        right.need_id
    )


async def test_what_was_booked_by_hand_comes_back_too(desk: Desk) -> None:
    fact = given(4_000)
    await desk.feed(fact)
    allotment_id = await desk.purse(5_000)
    odd = await desk.value("SELECT id FROM discrepancy")

    async def settle(allotment: AllotmentId | None) -> None:
        await desk.run(
            lambda tx: settle_discrepancy(desk.office, tx, odd, allotment, CHECKER, "late entry")
        )

    await settle(allotment_id)
    assert await free(desk) == (4_000, 1_000)
    await desk.feed(undone(fact.need_id))
    assert await free(desk) == (0, 5_000)
    # What a person wrote when settling it stays.
    assert await desk.value("SELECT note FROM discrepancy") == "late entry"


async def test_a_reversed_fact_is_not_settled_any_more(desk: Desk) -> None:
    allotment_id = await desk.purse(5_000)

    async def settle(odd: UUID) -> None:
        await desk.run(
            lambda tx: settle_discrepancy(desk.office, tx, odd, allotment_id, CHECKER, "late entry")
        )

    for _ in range(6):
        fact = given(6_000)
        await desk.feed(fact)
        odd = await desk.value("SELECT id FROM discrepancy WHERE need_id = $1", fact.need_id)
        await desk.execute("UPDATE discrepancy SET amount_minor = 1000 WHERE id = $1", odd)
        results = await asyncio.gather(
            settle(odd), desk.feed(undone(fact.need_id)), return_exceptions=True
        )
        assert all(each is None or isinstance(each, Problem) for each in results), results
        # Whoever was first, nothing of it is spent.
        assert await free(desk) == (0, 5_000)
        with pytest.raises(Problem):
            await settle(odd)


async def test_money_of_a_recalled_allotment_goes_on_to_its_grantor(desk: Desk) -> None:
    grant_id = await desk.grant(5_000)
    allotment_id = await desk.allot(grant_id, 5_000)
    fact = given(3_000)
    await desk.feed(fact)
    await desk.run(lambda tx: allotting.recall(desk.office, tx, allotment_id, "donor_cut"))
    await desk.feed(undone(fact.need_id))
    assert await desk.told_of(AllotmentReturnedV1) == []  # its grantor is this region itself
    assert await desk.value("SELECT unallotted_minor FROM donor_grant") == 5_000


async def test_a_reversed_service_of_an_attempt_is_none_of_this(desk: Desk) -> None:
    await desk.purse(5_000)
    need = approved(3_000)
    await desk.feed(need)
    await desk.feed(confirmed(need))
    await desk.told()
    await desk.feed(undone(need.need_id))
    assert await desk.told() == []
    assert await desk.value("SELECT committed_minor FROM allotment") == 3_000


async def reviews(api: Api) -> dict[str, Any]:
    """What a second person has to look at, by id, the most urgent first."""
    rows = (await api.get("/v1/payouts/reviews"))["payouts"]
    return {row["id"]: row for row in rows}


async def test_cash_that_one_person_enters_as_given_is_looked_at_by_another(api: Api) -> None:
    await api.purse()
    desk = api.desk
    limit = desk.office.float_limit_minor("UAH")
    little, much = given(limit, by=CHECKER), given(limit + 1, by=CHECKER)
    nobody_bears = given(9_000_000, by=MAKER)
    money = MoneyDemand(amount_minor=1, currency="UAH", cost_category="cash", by="provider")
    served = little.model_copy(update={"need_id": NeedId(uuid4()), "money": money})
    await desk.feed(little, much, nobody_bears, served)
    assert await desk.value("SELECT count(*) FROM commitment WHERE state = 'spent'") == 3

    found = await reviews(api)
    assert {row["need_id"] for row in found.values()} == {
        str(fact.need_id) for fact in (little, much, nobody_bears)
    }, "not what a provider is paid: that is by bill"
    assert list(found)[-1] == str(little.need_id), "what is much comes first"
    overdue = {need_id for need_id, row in found.items() if row["review_overdue"]}
    assert overdue == {str(much.need_id), str(nobody_bears.need_id)}
    row = found[str(little.need_id)]
    assert (row["given"], row["amount_minor"], row["settler"]) == (True, limit, str(CHECKER))
    days = datetime.fromisoformat(row["review_due_at"]) - datetime.now(UTC)
    assert timedelta(days=6, hours=23) < days <= timedelta(days=7)

    path = f"/v1/payouts/{much.need_id}:review"
    refused = await api.post_as(api.checker, path, 409)
    assert refused["type"] == "urn:aidmesh:problem:second-person-needed"
    await api.post(path)
    assert (await api.post(path, 409))["type"] == "urn:aidmesh:problem:already-reviewed"
    await api.post(f"/v1/payouts/{uuid4()}:review", 404)
    assert set(await reviews(api)) == {str(little.need_id), str(nobody_bears.need_id)}
    pages: list[Any] = []
    after = ""
    while not pages or pages[-1]["next"]:
        pages.append(await api.get(f"/v1/payouts/reviews?limit=1{after}"))
        after = f"&after={pages[-1]['next']}"
    assert [page["payouts"][0]["id"] for page in pages] == list(await reviews(api))


async def test_nobody_looks_at_what_was_not_given(api: Api) -> None:
    await api.purse()
    fact, early, seen = given(5_000), given(5_000), given(5_000)
    await api.desk.feed(undone(early.need_id))
    await api.desk.feed(fact, early, seen)
    await api.post(f"/v1/payouts/{seen.need_id}:review")
    await api.desk.feed(fact)
    assert set(await reviews(api)) == {str(fact.need_id)}
    await api.desk.feed(undone(fact.need_id), undone(seen.need_id))
    assert await reviews(api) == {}
    assert await api.desk.value("SELECT need_id FROM given_review") == seen.need_id
