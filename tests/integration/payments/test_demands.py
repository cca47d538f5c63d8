"""Money that a donor wants back, or does not pay after all."""

from datetime import date
from functools import partial
from uuid import UUID

import pytest

from aidmesh_chassis.db import Tx
from aidmesh_chassis.problems import Problem
from aidmesh_contracts.ids import GrantId
from aidmesh_payments.domain.grants import GrantRefusal
from aidmesh_payments.handlers import allotting, correcting, grants, instalments
from integration.payments.offices import CHECKER, MAKER, Desk, approved, withdrawn


async def test_a_cut_grant_becomes_a_shortfall_that_returns_work_off(desk: Desk) -> None:
    grant_id = await desk.grant(10_000)
    allotment_id = await desk.allot(grant_id, 7_000)
    need = approved(2_000)
    await desk.feed(need)
    demand = UUID(int=77)
    missing = await desk.run(
        lambda tx: grants.demand_back(tx, demand, grant_id, 9_000, "cut", date(2024, 9, 1), CHECKER)
    )
    assert missing == 6_000
    await desk.run(lambda tx: allotting.recall(desk.office, tx, allotment_id, "grant_cut"))
    assert await desk.value("SELECT open_minor FROM shortfall") == 1_000
    assert await desk.value("SELECT refund_due_minor FROM donor_grant") == 8_000
    await desk.feed(withdrawn(need))
    assert await desk.value("SELECT open_minor FROM shortfall") == 0
    assert await desk.value("SELECT unallotted_minor FROM donor_grant") == 1_000
    refund = UUID(int=78)
    await desk.run(
        lambda tx: grants.refund(tx, refund, grant_id, 9_000, date(2024, 9, 9), "bank-9")
    )
    assert await desk.value("SELECT refunded_minor FROM donor_grant") == 9_000


async def test_an_instalment_serves_first_whoever_asked_money_back(desk: Desk) -> None:
    grant_id = await desk.grant(10_000)
    await desk.allot(grant_id, 10_000)
    demand = partial(_demand, grant_id)
    assert await desk.run(partial(demand, 5, 3_000)) == 3_000
    assert await desk.run(partial(demand, 6, 4_000)) == 7_000 - 3_000
    late, later = UUID(int=21), UUID(int=22)
    on = date(2024, 9, 2)
    expected = [instalments.Expected(each, grant_id, 5_000, on) for each in (late, later)]
    await desk.run(lambda tx: instalments.enter(tx, expected, (), MAKER))
    came = [instalments.Came(each, 5_000, on, "bank-7") for each in (late, later)]
    await desk.run(lambda tx: instalments.enter(tx, (), came, MAKER))
    assert await desk.value("SELECT sum(open_minor)::int FROM shortfall") == 0
    balances = "SELECT ARRAY[refund_due_minor, unallotted_minor, received_minor] FROM donor_grant"
    assert await desk.value(balances) == [7_000, 3_000, 20_000]
    # The donor thinks better of half of it; what is free then may be taken out again.
    less = partial(
        correcting.withdraw_demand,
        entry_id=UUID(int=31), grant_id=grant_id, amount_minor=2_000, reason="kept", on=on,
        by=CHECKER,
    )  # fmt: skip
    assert await desk.run(less) == 0
    assert await desk.value(balances) == [5_000, 5_000, 20_000]
    reverse = partial(correcting.reverse_instalment, reason="entry_error", by=CHECKER)
    await desk.run(partial(reverse, instalment_id=later))
    assert await desk.value(balances) == [5_000, 0, 15_000]
    with pytest.raises(Problem):
        await desk.run(partial(reverse, instalment_id=later))  # not twice
    too_much = partial(less, entry_id=UUID(int=32), amount_minor=5_001)
    with pytest.raises(Problem):
        await desk.run(too_much)
    # What was set aside of one that did not come, the donor waits for again.
    await desk.run(partial(reverse, instalment_id=late))
    assert await desk.value(balances) == [0, 0, 10_000]
    assert await desk.value("SELECT array_agg(open_minor ORDER BY id) FROM shortfall") == [
        3_000, 2_000
    ]  # fmt: skip
    await desk.check()


async def test_of_a_demand_that_is_withdrawn_what_is_missing_goes_first(desk: Desk) -> None:
    grant_id = await desk.grant(10_000)
    await desk.allot(grant_id, 9_000)
    assert await desk.run(partial(_demand, grant_id, 5, 4_000)) == 3_000
    less = partial(
        correcting.withdraw_demand,
        entry_id=UUID(int=31), grant_id=grant_id, amount_minor=3_500, reason="kept",
        on=date(2024, 9, 2), by=CHECKER,
    )  # fmt: skip
    assert await desk.run(less) == 0
    balances = "SELECT ARRAY[refund_due_minor, unallotted_minor] FROM donor_grant"
    assert await desk.value(balances) == [500, 500]
    # All of it is on record, also what no journal books: why, how much, and who took it in.
    assert await desk.value(
        "SELECT (amount_minor, reason, withdrawn_on, withdrawn_by) FROM demand_withdrawal"
    ) == (3_500, "kept", date(2024, 9, 2), CHECKER)
    await desk.check()


async def test_a_refund_that_did_not_go_is_set_aside_again(desk: Desk) -> None:
    """More was noted than went back; the donor is owed the rest as before."""
    grant_id, on = await desk.grant(10_000), date(2024, 9, 9)
    await desk.run(partial(_demand, grant_id, 5, 9_000))
    refund = partial(grants.refund, grant_id=grant_id, on=on, reference="bank-9")
    await desk.run(partial(refund, refund_id=UUID(int=41), amount_minor=9_000))
    reverse = partial(grants.reverse_refund, grant_id=grant_id, reason="typo", on=on)
    with pytest.raises(Problem) as refused:
        await desk.run(partial(reverse, entry_id=UUID(int=42), amount_minor=9_001))
    assert refused.value.kind.slug == "more-than-refunded"
    await desk.run(partial(reverse, entry_id=UUID(int=43), amount_minor=9_000))
    balances = "SELECT ARRAY[refund_due_minor, refunded_minor, received_minor] FROM donor_grant"
    assert await desk.value(balances) == [9_000, 0, 10_000]
    await desk.run(partial(refund, refund_id=UUID(int=44), amount_minor=900))
    assert await desk.value(balances) == [8_100, 900, 10_000]
    assert await desk.value("SELECT reason FROM journal WHERE kind = 'refund_reversed'") == "typo"
    await desk.check()


async def test_an_expected_instalment_is_withdrawn_once(desk: Desk) -> None:
    grant_id = await desk.grant(10_000)
    never, on = UUID(int=23), date(2024, 9, 2)
    expected = [instalments.Expected(never, grant_id, 5_000, on)]
    await desk.run(lambda tx: instalments.enter(tx, expected, (), MAKER))
    withdraw = partial(
        correcting.withdraw_instalment, instalment_id=never, reason="cut", by=CHECKER
    )
    await desk.run(withdraw)
    came = [instalments.Came(never, 5_000, on, "bank-7")]
    refused = await desk.run(lambda tx: instalments.enter(tx, (), came, MAKER))
    assert refused == [GrantRefusal.WRONG_STATE]
    with pytest.raises(Problem):
        await desk.run(withdraw)


async def _demand(grant_id: GrantId, number: int, amount_minor: int, tx: Tx) -> int:
    return await grants.demand_back(
        tx, UUID(int=number), grant_id, amount_minor, "cut", date(2024, 9, 1), CHECKER
    )
