"""Allotments between two real databases, with messages doubled, reordered and held back."""

import random
from datetime import date
from functools import partial
from uuid import UUID

import pytest

from aidmesh_chassis.db import Tx
from aidmesh_chassis.errors import Poison
from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import AllotmentId, GrantId, TransferId
from aidmesh_contracts.intake import NeedApprovedV1
from aidmesh_contracts.payments import CommitmentRefusedV1, FundsGrewV1
from aidmesh_contracts.payments_grants import (
    AllotmentChangedV1,
    AllotmentReceivedV1,
    AllotmentReturnedV1,
    AllotmentSentV1,
    GrantChangedV1,
    RecallRequestedV1,
)
from aidmesh_contracts.streams import Stream
from aidmesh_payments.domain.money import Rate
from aidmesh_payments.handlers import allotting, grants, holding
from aidmesh_payments.store import funding
from integration.payments.offices import (
    MAKER,
    Desk,
    approved,
    confirmed,
    exchange,
    public,
    received,
    withdrawn,
)

RATE = Rate("41.25", date(2024, 6, 1), "nbu")


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


def given_back(allotment_id: AllotmentId, number: int, amount_minor: int) -> AllotmentReturnedV1:
    """The holder gives so much back, in a transfer of this number."""
    return AllotmentReturnedV1(
        allotment_id=allotment_id,
        transfer_id=TransferId(UUID(int=number)),
        grantor="kyiv",
        holder="lviv",
        amount_minor=amount_minor,
        currency="UAH",
    )


async def test_of_a_batch_of_returns_no_more_is_credited_than_is_there(
    pair: tuple[Desk, Desk],
) -> None:
    kyiv, _ = pair
    grant_id = await kyiv.grant(9_000)
    one, other = [await kyiv.allot(grant_id, amount, to="lviv") for amount in (5_000, 4_000)]
    told = [(one, 1, 3_000), (other, 2, 1_000), (one, 1, 3_000), (one, 3, 2_500), (one, 4, 2_000)]
    await kyiv.feed(*(given_back(*each) for each in told), region="lviv")
    returned = "SELECT returned_minor FROM grant_allotment WHERE id = $1"
    assert await kyiv.value(returned, one) == 5_000
    assert await kyiv.value(returned, other) == 1_000
    assert await kyiv.value("SELECT count(*) FROM conflict WHERE closed_at IS NULL") == 1
    # Told again it counts for nothing, though nothing is left of it.
    await kyiv.feed(given_back(one, 1, 3_000), region="lviv")
    assert await kyiv.value(returned, one) == 5_000
    assert await kyiv.value("SELECT count(*) FROM conflict WHERE closed_at IS NULL") == 1


async def test_whether_returns_are_credited_is_a_handful_of_statements(
    pair: tuple[Desk, Desk],
) -> None:
    kyiv, _ = pair
    allotment_id = await kyiv.allot(await kyiv.grant(5_000), 5_000, to="lviv")
    back = [given_back(allotment_id, number, 5_001) for number in range(1, 101)]
    counted: list[str] = []
    async with kyiv.db.transaction() as tx:
        tx.conn.add_query_logger(lambda record: counted.append(record.query))
        await allotting.take_back(kyiv.office, tx, [received(each, "lviv") for each in back])
    ours = [query for query in counted if "pg_catalog" not in query and "set_config" not in query]
    assert len(ours) <= 10, ours
    assert await kyiv.value("SELECT count(*) FROM conflict") == 100


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


async def test_nobody_changes_another_regions_grant(pair: tuple[Desk, Desk]) -> None:
    kyiv, lviv = pair
    grant_id = await kyiv.grant(5_000)
    await kyiv.allot(grant_id, 5_000, to="lviv")
    said = await public(kyiv)
    await lviv.feed(*said, region="kyiv")
    await kyiv.run(lambda tx: grants.change_status(kyiv.office, tx, grant_id, "suspend"))
    [suspended] = [event for event in await public(kyiv) if isinstance(event, GrantChangedV1)]
    with pytest.raises(Poison):
        await lviv.feed(suspended, region="odesa")
    [sent] = [event for event in said if isinstance(event, AllotmentSentV1)]
    more = sent.model_copy(
        update={
            "transfer_id": UUID(int=8),
            "from_region": "odesa",
            "terms": sent.terms.model_copy(update={"grant_id": GrantId(UUID(int=9))}),
        }
    )
    with pytest.raises(Poison):
        await lviv.feed(more, region="odesa")
    assert await lviv.value("SELECT received_minor FROM allotment") == 5_000
    [state] = [event for event in await public(lviv) if isinstance(event, AllotmentChangedV1)]
    await kyiv.feed(state, region="lviv")
    of_others = state.model_copy(update={"holder": "odesa", "version": 99, "spent_minor": 1})
    async with kyiv.db.transaction() as tx:
        of_holder = state.model_copy(update={"version": 98, "held_minor": 7})
        both = [received(of_holder, "lviv"), received(of_others, "odesa")]
        await allotting.know_allotments(tx, both)
    kept = "SELECT (holder, held_minor, spent_minor) FROM allotment_elsewhere"
    assert await kyiv.value(kept) == ("lviv", 7, 0)


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


async def test_what_comes_back_at_another_rate_shows_as_a_difference(desk: Desk) -> None:
    grant_id = await desk.grant(100_000, "EUR")
    allotment_id = await desk.allot(grant_id, 400_000, rate=Rate("40", RATE.on, "nbu"))
    await desk.run(
        lambda tx: funding.put_rate(tx.conn, "EUR", "UAH", date(2024, 8, 1), "nbu", "50", MAKER)
    )
    await desk.run(lambda tx: holding.give_back(desk.office, tx, allotment_id, 200_000))
    # Booked at 40 as 5,000 euro cents gone, worth 4,000 now.
    assert await desk.value("SELECT exchange_difference_minor FROM donor_grant") == 1_000
    assert await desk.value("SELECT unallotted_minor FROM donor_grant") == 94_000
    code = "exchange_difference"
    assert await desk.value("SELECT balance_minor FROM account WHERE code = $1", code) == 1_000


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
