"""What a grant pays for, and until when: suspended, resumed and amended, here and elsewhere."""

from datetime import date
from functools import partial
from uuid import UUID

import pytest

from aidmesh_chassis.db import Tx
from aidmesh_chassis.problems import Problem
from aidmesh_contracts.ids import AllotmentId, GrantId
from aidmesh_contracts.payments import CommitmentHeldV1, CommitmentRefusedV1, FundsGrewV1
from aidmesh_contracts.payments_grants import GrantChangedV1
from aidmesh_contracts.restriction import Restriction
from aidmesh_payments.domain.grants import Line, Override
from aidmesh_payments.handlers import allotting, correcting, grants, sweeps
from integration.payments.offices import CHECKER, MAKER, Desk, approved, exchange, public


async def test_the_last_day_ends_an_allotment(desk: Desk) -> None:
    await desk.allot(await desk.grant(5_000), 5_000, valid_until=date(2024, 1, 1))
    assert await desk.run(partial(sweeps.end_validity, desk.office)) == 1
    assert await desk.value("SELECT unallotted_minor FROM donor_grant") == 5_000
    assert await desk.run(partial(sweeps.end_validity, desk.office)) == 0


async def test_a_budget_line_is_exceeded_only_with_a_second_person(desk: Desk) -> None:
    grant_id = await desk.grant(10_000, lines=[Line("aid", 5_000, 10), Line("rent", 5_000, 0)])
    await desk.allot(grant_id, 5_500)
    with pytest.raises(Problem):
        await desk.allot(grant_id, 1)
    order = allotting.Order(
        allotment_id=AllotmentId(UUID(int=5)),
        transfer_id=UUID(int=6),
        grant_id=grant_id,
        budget_line="aid",
        to_region="kyiv",
        amount_minor=1,
        currency="UAH",
    )
    await desk.run(
        lambda tx: allotting.allot(desk.office, tx, order, MAKER, Override(CHECKER, "winter"))
    )
    assert await desk.value("SELECT allotted_minor FROM budget_line WHERE code = 'aid'") == 5_501


async def test_a_suspended_grant_pays_for_nothing_new(pair: tuple[Desk, Desk]) -> None:
    kyiv, lviv = pair
    grant_id = await kyiv.grant(5_000)
    await kyiv.allot(grant_id, 5_000, to="lviv")
    await exchange(kyiv, lviv)
    await kyiv.run(lambda tx: grants.change_status(kyiv.office, tx, grant_id, "suspend"))
    told = [event for event in await public(kyiv) if isinstance(event, GrantChangedV1)]
    await lviv.feed(*told, region="kyiv")
    await lviv.told()
    await lviv.feed(approved(100))
    assert [event.reason for event in await lviv.told_of(CommitmentRefusedV1)] == ["recalled"]


@pytest.mark.parametrize("stop", ["suspend", "close"])
async def test_a_resumed_grant_wakes_who_waited_for_it(pair: tuple[Desk, Desk], stop: str) -> None:
    kyiv, lviv = pair
    grant_id = await kyiv.grant(5_000)
    await kyiv.allot(grant_id, 2_000, to="lviv")
    await kyiv.allot(grant_id, 3_000)
    await exchange(kyiv, lviv)
    for verb, woken in ((stop, ([], [])), ("resume", ([3_000], [2_000]))):
        await lviv.told()
        await kyiv.run(partial(change, kyiv, grant_id, verb))
        events = await kyiv.told()
        assert [each.amount_minor for each in events if isinstance(each, FundsGrewV1)] == woken[0]
        states = [each for each in events if isinstance(each, GrantChangedV1)]
        await lviv.feed(*states, region="kyiv")
        await lviv.feed(*states, region="kyiv")
        assert [each.amount_minor for each in await lviv.told_of(FundsGrewV1)] == woken[1]
    await lviv.feed(approved(100))
    assert await lviv.told_of(CommitmentRefusedV1) == []


async def test_an_extended_grant_pays_where_it_had_ended(pair: tuple[Desk, Desk]) -> None:
    kyiv, lviv = pair
    grant_id = await kyiv.grant(5_000)
    for region in ("kyiv", "lviv"):
        await kyiv.allot(grant_id, 2_000, to=region)
    await exchange(kyiv, lviv)
    early, late = date(2024, 6, 9), date(2024, 6, 10)
    states: list[GrantChangedV1] = []
    for period_to, version, grown, answers in (
        (early, 2, [], CommitmentRefusedV1),
        (late, 3, [2_000], CommitmentHeldV1),
        # More money promised is none that can be spent.
        (None, 4, [], CommitmentHeldV1),
    ):
        amendment = correcting.Amendment(5_000 + version, period_to, {}, "extended")
        amend = partial(
            correcting.amend, kyiv.office, grant_id=grant_id, amendment=amendment, by=CHECKER
        )
        await kyiv.told()
        await lviv.told()
        assert await kyiv.run(amend) == version
        events = await kyiv.told()
        states = [each for each in events if isinstance(each, GrantChangedV1)]
        assert [each.amount_minor for each in events if isinstance(each, FundsGrewV1)] == grown
        await lviv.feed(*states, region="kyiv")
        assert [each.amount_minor for each in await lviv.told_of(FundsGrewV1)] == grown
        # A need is planned for the tenth.
        for desk in pair:
            await desk.feed(approved(100))
            assert len(await desk.told_of(answers)) == 1
    # News that comes late changes nothing.
    await lviv.feed(states[0].model_copy(update={"version": 1}), region="kyiv")
    assert await lviv.value("SELECT terms_version FROM grant_terms") == 4
    kept = "SELECT array_agg(period_to ORDER BY terms_version) FROM grant_amendment"
    assert await kyiv.value(kept) == [date(2040, 12, 31), early, late]


async def test_a_grant_that_is_suspended_wakes_nobody_when_it_is_amended(
    pair: tuple[Desk, Desk],
) -> None:
    kyiv, lviv = pair
    grant_id = await kyiv.grant(5_000)
    for region in ("kyiv", "lviv"):
        await kyiv.allot(grant_id, 2_000, to=region)
    await kyiv.run(partial(change, kyiv, grant_id, "suspend"))
    await exchange(kyiv, lviv)
    await lviv.told()
    amendment = correcting.Amendment(None, date(2041, 1, 1), {}, "extended")
    await kyiv.run(lambda tx: correcting.amend(kyiv.office, tx, grant_id, amendment, CHECKER))
    events = await kyiv.told()
    states = [each for each in events if isinstance(each, GrantChangedV1)]
    assert [each for each in events if isinstance(each, FundsGrewV1)] == []
    await lviv.feed(*states, region="kyiv")
    assert await lviv.told_of(FundsGrewV1) == []


async def test_a_donors_own_last_day_outlives_amendments(desk: Desk) -> None:
    own_end = date(2030, 6, 30)
    grant_id = await desk.grant(5_000, restriction=Restriction(valid_to=own_end))
    ends = "SELECT (restriction ->> 'valid_to')::date FROM grant_terms"
    assert await desk.value(ends) == own_end
    for period_to in (date(2030, 5, 31), date(2030, 12, 31)):
        amendment = correcting.Amendment(None, period_to, {}, "moved")
        await desk.run(
            partial(
                correcting.amend, desk.office, grant_id=grant_id, amendment=amendment, by=CHECKER
            )
        )
        assert await desk.value(ends) == min(period_to, own_end)


async def test_a_cut_grant_promises_less(desk: Desk) -> None:
    grant_id = await desk.grant(10_000, lines=[Line("aid", 6_000, 0), Line("rent", 4_000, 0)])
    await desk.allot(grant_id, 3_000)

    async def amend(amount_minor: int, **lines: int) -> None:
        amendment = correcting.Amendment(amount_minor, None, lines, "cut")
        await desk.run(lambda tx: correcting.amend(desk.office, tx, grant_id, amendment, CHECKER))

    for refused in ({}, {"aid": 2_999}, {"food": 1}):
        with pytest.raises(Problem):
            await amend(8_000, **refused)
    await amend(8_000, aid=4_000)
    amounts = "SELECT array_agg(amount_minor ORDER BY code) FROM budget_line"
    assert await desk.value(amounts) == [4_000, 4_000]
    assert await desk.value("SELECT amount_minor FROM donor_grant") == 8_000
    with pytest.raises(Problem):
        await desk.allot(grant_id, 1_001)
    await desk.allot(grant_id, 1_000)


async def change(desk: Desk, grant_id: GrantId, verb: str, tx: Tx) -> None:
    """Suspend, close or resume a grant."""
    await grants.change_status(desk.office, tx, grant_id, verb)
