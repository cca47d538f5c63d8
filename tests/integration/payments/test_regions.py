"""Allotments between two real databases, with messages doubled, reordered and held back."""

import random
from collections.abc import AsyncIterator
from datetime import date
from functools import partial
from uuid import UUID

import pytest

from aidmesh_chassis.db import Tx
from aidmesh_chassis.errors import Poison
from aidmesh_chassis.problems import Problem
from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import AllotmentId, GrantId
from aidmesh_contracts.intake import NeedApprovedV1
from aidmesh_contracts.payments import (
    AllotmentChangedV1,
    AllotmentReceivedV1,
    AllotmentReturnedV1,
    AllotmentSentV1,
    CommitmentHeldV1,
    CommitmentRefusedV1,
    FundsGrewV1,
    GrantChangedV1,
    RecallRequestedV1,
)
from aidmesh_contracts.restriction import Restriction
from aidmesh_contracts.streams import Stream
from aidmesh_payments.domain.grants import GrantRefusal, Line, Override
from aidmesh_payments.domain.money import Rate
from aidmesh_payments.handlers import allotting, book, correcting, grants, sweeps
from aidmesh_payments.store import funding
from integration.payments.offices import (
    CHECKER,
    MAKER,
    Desk,
    approved,
    confirmed,
    open_desk,
    withdrawn,
)
from support.servers import DatabaseFactory

RATE = Rate("41.25", date(2024, 6, 1), "nbu")


@pytest.fixture
async def pair(database: DatabaseFactory) -> AsyncIterator[tuple[Desk, Desk]]:
    """kyiv and lviv."""
    desks = (
        await open_desk(await database("payments"), "kyiv"),
        await open_desk(await database("payments"), "lviv"),
    )
    yield desks
    for desk in desks:
        await desk.check()
        await desk.db.close()


async def public(desk: Desk) -> list[Event]:
    """What other regions hear, once they have been told."""
    await desk.run(partial(book.tell_allotments, desk.office))
    return [event for event in await desk.told() if event.stream is Stream.EVENTS]


async def exchange(one: Desk, other: Desk) -> None:
    """Deliver until nothing more is said."""
    while True:
        from_one, from_other = await public(one), await public(other)
        if not from_one and not from_other:
            return
        await other.feed(*from_one, region=one.office.region)
        await one.feed(*from_other, region=other.office.region)


async def test_a_transfer_is_in_transit_until_the_holder_says_so(pair: tuple[Desk, Desk]) -> None:
    kyiv, lviv = pair
    grant_id = await kyiv.grant(100_000, "EUR")
    allotment_id = await kyiv.allot(grant_id, 412_500, to="lviv", rate=RATE)
    assert await kyiv.value("SELECT state FROM transfer") == "in_transit"
    assert await kyiv.value("SELECT unallotted_minor FROM donor_grant") == 90_000
    await exchange(kyiv, lviv)
    assert await kyiv.value("SELECT state FROM transfer") == "received"
    assert await lviv.value("SELECT received_minor FROM allotment") == 412_500
    elsewhere = await kyiv.value("SELECT received_minor FROM allotment_elsewhere")
    assert elsewhere == 412_500
    # Recalled while something is held: the free part comes now, the rest as it frees.
    need = approved(100_000)
    await lviv.feed(need)
    await kyiv.run(lambda tx: allotting.recall(kyiv.office, tx, allotment_id, "grant_cut"))
    await exchange(kyiv, lviv)
    assert await kyiv.value("SELECT returned_minor FROM grant_allotment") == 312_500
    await lviv.feed(approved(1))
    assert [e.reason for e in await lviv.told_of(CommitmentRefusedV1)][-1:] == ["recalled"]
    await lviv.feed(withdrawn(need))
    events = await lviv.told()
    assert not [event for event in events if isinstance(event, FundsGrewV1)]
    await kyiv.feed(*(e for e in events if e.stream is Stream.EVENTS), region="lviv")
    assert await kyiv.value("SELECT returned_granted_minor FROM grant_allotment") == 10_000
    assert await kyiv.value("SELECT unallotted_minor FROM donor_grant") == 100_000
    assert await lviv.value("SELECT status FROM allotment") == "returned"


async def test_a_recall_may_overtake_its_money(pair: tuple[Desk, Desk]) -> None:
    kyiv, lviv = pair
    allotment_id = await kyiv.allot(await kyiv.grant(5_000), 5_000, to="lviv")
    await kyiv.run(lambda tx: allotting.recall(kyiv.office, tx, allotment_id, "grant_cut"))
    said = await public(kyiv)
    await lviv.feed(*(e for e in said if isinstance(e, RecallRequestedV1)), region="kyiv")
    await lviv.feed(*(e for e in said if isinstance(e, AllotmentSentV1)), region="kyiv")
    back = await public(lviv)
    # The return may overtake the receipt.
    await kyiv.feed(*(e for e in back if isinstance(e, AllotmentReturnedV1)), region="lviv")
    await kyiv.feed(*(e for e in back if isinstance(e, AllotmentReceivedV1)), region="lviv")
    assert await kyiv.value("SELECT unallotted_minor FROM donor_grant") == 5_000
    assert await lviv.value("SELECT status FROM allotment") == "returned"


async def test_nobody_speaks_for_another_region(pair: tuple[Desk, Desk]) -> None:
    kyiv, lviv = pair
    await kyiv.allot(await kyiv.grant(5_000), 5_000, to="lviv")
    sent = [event for event in await public(kyiv) if isinstance(event, AllotmentSentV1)]
    with pytest.raises(Poison):
        await lviv.feed(*sent, region="odesa")
    await lviv.feed(*sent, region="kyiv")
    received = [e for e in await public(lviv) if isinstance(e, AllotmentReceivedV1)]
    with pytest.raises(Poison):
        await kyiv.feed(*received, region="odesa")


async def _books(kyiv: Desk, lviv: Desk) -> tuple[int, int]:
    """What the grantor counts as gone, and where it is: in transit, there, coming back."""
    gone = await kyiv.value(
        "SELECT COALESCE(sum(amount_minor - returned_minor), 0)::bigint FROM grant_allotment"
    )
    there = await lviv.value(
        "SELECT COALESCE(sum(received_minor - returned_minor), 0)::bigint FROM allotment"
    )
    async with kyiv.db.read() as ours, lviv.db.read() as theirs:
        sent = {r["id"]: r for r in await ours.fetch("SELECT * FROM transfer")}
        taken = {r["id"]: r for r in await theirs.fetch("SELECT * FROM transfer")}
    going = sum(
        row["amount_minor"]
        for key, row in sent.items()
        if row["kind"] == "allotment" and key not in taken
    )
    coming = sum(
        row["amount_minor"]
        for key, row in taken.items()
        if row["kind"] == "return" and key not in sent
    )
    return gone, there + going + coming


@pytest.mark.parametrize("seed", range(4))
async def test_no_cent_is_lost_whatever_the_wire_does(pair: tuple[Desk, Desk], seed: int) -> None:
    kyiv, lviv = pair
    dice = random.Random(seed)
    grant_id = await kyiv.grant(10_000_000, "EUR")
    wire: list[tuple[Desk, Desk, Event]] = []
    handled: set[int] = set()
    needs: list[NeedApprovedV1] = []
    allotments: list[AllotmentId] = []

    async def listen() -> None:
        for one, other in ((kyiv, lviv), (lviv, kyiv)):
            wire.extend((one, other, event) for event in await public(one))

    for _ in range(40):
        act = dice.random()
        if act < 0.2:
            amount = dice.randint(41, 50_000)
            allotments.append(await kyiv.allot(grant_id, amount, to="lviv", rate=RATE))
        elif act < 0.25 and allotments:
            chosen = dice.choice(allotments)
            await kyiv.run(partial(_recall, kyiv, chosen))
        elif act < 0.5:
            needs.append(approved(dice.randint(1, 20_000)))
            await lviv.feed(needs[-1])
        elif act < 0.7 and needs:
            need = dice.choice(needs)
            await lviv.feed(confirmed(need) if dice.random() < 0.5 else withdrawn(need))
        elif wire:
            # Any message, any time; the inbox stops an exact double, so each comes once.
            place = dice.randrange(len(wire))
            if place not in handled:
                handled.add(place)
                one, other, event = wire[place]
                await other.feed(event, region=one.office.region)
        await listen()
        gone, found = await _books(kyiv, lviv)
        assert gone == found
    # In the end everything arrives, transfers even twice under another event id.
    for _ in range(3):
        for place, (one, other, event) in enumerate(list(wire)):
            if place not in handled or isinstance(event, AllotmentSentV1 | AllotmentReturnedV1):
                handled.add(place)
                await other.feed(event, region=one.office.region)
                await listen()
    assert await kyiv.value("SELECT count(*) FROM transfer WHERE state = 'in_transit'") == 0
    gone, found = await _books(kyiv, lviv)
    assert gone == found
    async with kyiv.db.read() as ours, lviv.db.read() as theirs:
        told = {
            row["allotment_id"]: row["received_minor"] - row["returned_minor"]
            for row in await ours.fetch("SELECT * FROM allotment_elsewhere")
        }
        real = {
            row["id"]: row["received_minor"] - row["returned_minor"]
            for row in await theirs.fetch("SELECT * FROM allotment")
        }
    assert told == real


async def _recall(desk: Desk, allotment_id: AllotmentId, tx: Tx) -> None:
    await allotting.recall(desk.office, tx, allotment_id, "grant_cut")


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
    expected = [grants.Expected(each, grant_id, 5_000, on) for each in (late, later)]
    await desk.run(lambda tx: grants.expect(tx, expected, MAKER))
    came = [grants.Came(each, 5_000, on, "bank-7") for each in (late, later)]
    await desk.run(lambda tx: grants.take_in(tx, came))
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


async def test_an_expected_instalment_is_withdrawn_once(desk: Desk) -> None:
    grant_id = await desk.grant(10_000)
    never, on = UUID(int=23), date(2024, 9, 2)
    await desk.run(
        lambda tx: grants.expect(tx, [grants.Expected(never, grant_id, 5_000, on)], MAKER)
    )
    withdraw = partial(
        correcting.withdraw_instalment, instalment_id=never, reason="cut", by=CHECKER
    )
    await desk.run(withdraw)
    came = [grants.Came(never, 5_000, on, "bank-7")]
    refused = await desk.run(lambda tx: grants.take_in(tx, came))
    assert refused == {never: GrantRefusal.WRONG_STATE}
    with pytest.raises(Problem):
        await desk.run(withdraw)


async def _demand(grant_id: GrantId, number: int, amount_minor: int, tx: Tx) -> int:
    return await grants.demand_back(
        tx, UUID(int=number), grant_id, amount_minor, "cut", date(2024, 9, 1), CHECKER
    )


async def test_what_comes_back_at_another_rate_shows_as_a_difference(desk: Desk) -> None:
    grant_id = await desk.grant(100_000, "EUR")
    allotment_id = await desk.allot(grant_id, 400_000, rate=Rate("40", RATE.on, "nbu"))
    await desk.run(
        lambda tx: funding.put_rate(tx.conn, "EUR", "UAH", date(2024, 8, 1), "nbu", "50", MAKER)
    )
    await desk.run(lambda tx: allotting.give_back(desk.office, tx, allotment_id, 200_000))
    # Booked at 40 as 5,000 euro cents gone, worth 4,000 now.
    assert await desk.value("SELECT exchange_difference_minor FROM donor_grant") == 1_000
    assert await desk.value("SELECT unallotted_minor FROM donor_grant") == 94_000
    code = "exchange_difference"
    assert await desk.value("SELECT balance_minor FROM account WHERE code = $1", code) == 1_000


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


async def test_a_resumed_grant_wakes_who_waited_for_it(pair: tuple[Desk, Desk]) -> None:
    kyiv, lviv = pair
    grant_id = await kyiv.grant(5_000)
    await kyiv.allot(grant_id, 2_000, to="lviv")
    await kyiv.allot(grant_id, 3_000)
    await exchange(kyiv, lviv)
    for verb, woken in (("suspend", ([], [])), ("resume", ([3_000], [2_000]))):
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
    """Suspend or resume a grant."""
    await grants.change_status(desk.office, tx, grant_id, verb)


async def test_old_states_do_not_undo_new_ones(pair: tuple[Desk, Desk]) -> None:
    kyiv, lviv = pair
    await kyiv.allot(await kyiv.grant(5_000), 5_000, to="lviv")
    await exchange(kyiv, lviv)
    states = []
    for amount in (100, 200):
        await lviv.feed(approved(amount))
        states += [event for event in await public(lviv) if isinstance(event, AllotmentChangedV1)]
    await kyiv.feed(*reversed(states), region="lviv")
    await kyiv.feed(states[0], region="lviv")
    assert await kyiv.value("SELECT held_minor FROM allotment_elsewhere") == 300
