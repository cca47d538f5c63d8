"""Money moves between two real databases by proposals, whatever the wire does meanwhile."""

from uuid import uuid4

import pytest

from aidmesh_chassis.db import Tx
from aidmesh_chassis.errors import Poison
from aidmesh_contracts.payments_grants import AllotmentReturnedV1, AllotmentSentV1, GrantChangedV1
from aidmesh_contracts.payments_rebalancing import RebalancingAnsweredV1, RebalancingChangedV1
from aidmesh_payments.handlers import allotting, grants, rebalancing
from integration.payments.moving import (
    consent,
    decline,
    prepare,
    propose,
    refused,
    settle,
    sign,
    states,
    step,
    sweep,
)
from integration.payments.offices import (
    MAKER,
    Desk,
    approved,
    confirmed,
    exchange,
    public,
)


async def test_money_goes_on_by_the_signatures_of_two_people_at_each_end(
    pair: tuple[Desk, Desk],
) -> None:
    kyiv, lviv = pair
    allotment_id = await kyiv.allot(await kyiv.grant(10_000), 6_000, to="lviv")
    await exchange(kyiv, lviv)
    made = await propose(kyiv, allotment_id, 5_000, "kyiv")
    await exchange(kyiv, lviv)
    need = approved(1_500)
    await lviv.feed(need)
    # Only what is free can go back, and never by one person alone.
    assert await refused(prepare(lviv, made)) == "return-above-free"
    await prepare(lviv, made, 4_000)
    assert await refused(consent(lviv, made, MAKER)) == "second-person-needed"
    await exchange(kyiv, lviv)
    assert await kyiv.value("SELECT prepared_minor FROM rebalancing") == 4_000
    await consent(lviv, made)
    assert await lviv.value("SELECT state FROM transfer WHERE kind = 'return'") == "in_transit"
    await settle(kyiv, lviv)
    assert await lviv.value("SELECT state FROM transfer WHERE kind = 'return'") == "received"
    # It is back, and waits for the second signature of the region whose grant it is.
    assert await states(kyiv, lviv) == ("returned", ("returned", "returned"))
    assert await kyiv.value("SELECT unallotted_minor FROM donor_grant") == 8_000
    assert await refused(sign(kyiv, made, MAKER)) == "second-person-needed"
    await sign(kyiv, made)
    await settle(kyiv, lviv)
    assert await states(kyiv, lviv) == ("moved", ("returned", "moved"))
    assert await kyiv.value("SELECT received_minor FROM allotment") == 4_000
    assert await kyiv.value("SELECT unallotted_minor FROM donor_grant") == 4_000
    await lviv.feed(confirmed(need))
    assert await lviv.value("SELECT committed_minor FROM allotment") == 1_500


async def test_what_the_own_region_holds_is_asked_for_and_sent_like_any_other(
    pair: tuple[Desk, Desk],
) -> None:
    kyiv, lviv = pair
    allotment_id = await kyiv.allot(await kyiv.grant(10_000), 6_000)
    made = await propose(kyiv, allotment_id, 2_500, "lviv", by=None)
    await sign(kyiv, made, MAKER)
    await prepare(kyiv, made)
    await consent(kyiv, made)
    assert await kyiv.value("SELECT state FROM rebalancing") == "returned"
    await settle(kyiv, lviv)
    assert await kyiv.value("SELECT state FROM rebalancing") == "moved"
    assert await lviv.value("SELECT received_minor FROM allotment") == 2_500
    # Whoever gets the money sees where it comes from, and decides nothing.
    told = await lviv.value("SELECT (told_state, state IS NULL) FROM return_ask")
    assert told == ("moved", True)
    assert await refused(prepare(lviv, made)) == "not-found"


async def test_declined_lapsed_and_withdrawn_proposals_end_at_both_ends(
    pair: tuple[Desk, Desk],
) -> None:
    kyiv, lviv = pair
    allotment_id = await kyiv.allot(await kyiv.grant(10_000), 6_000, to="lviv")
    await exchange(kyiv, lviv)
    ends = {}
    for end in ("declined", "lapsed", "withdrawn"):
        made = await propose(kyiv, allotment_id, 1_000, "kyiv")
        await exchange(kyiv, lviv)
        await prepare(lviv, made)
        if end == "declined":
            await decline(lviv, made)
        elif end == "lapsed":
            await lviv.execute(
                "UPDATE return_ask SET lapses_at = now() - interval '1 s' WHERE id = $1", made
            )
            assert await refused(consent(lviv, made)) == "proposal-lapsed"
        else:
            await step(kyiv, made, rebalancing.withdraw)
        await settle(kyiv, lviv)
        ends[end] = (
            await kyiv.value("SELECT state FROM rebalancing WHERE id = $1", made),
            await lviv.value("SELECT state FROM return_ask WHERE id = $1", made),
        )
        assert await refused(consent(lviv, made)) == "wrong-state"
    assert ends == {end: (end, end) for end in ("declined", "lapsed", "withdrawn")}
    assert await lviv.value("SELECT returned_minor FROM allotment") == 0


async def test_what_was_consented_to_while_it_was_withdrawn_stays_in_the_grant(
    pair: tuple[Desk, Desk],
) -> None:
    kyiv, lviv = pair
    allotment_id = await kyiv.allot(await kyiv.grant(10_000), 6_000, to="lviv")
    made = await propose(kyiv, allotment_id, 1_000, "kyiv")
    await exchange(kyiv, lviv)
    await sign(kyiv, made)
    await prepare(lviv, made)
    # The link is down: each side does what it may.
    await step(kyiv, made, rebalancing.withdraw)
    await consent(lviv, made)
    await settle(kyiv, lviv)
    assert await states(kyiv, lviv) == ("withdrawn", ("returned", "withdrawn"))
    assert await kyiv.value("SELECT returned_minor FROM rebalancing") == 1_000
    assert await kyiv.value("SELECT unallotted_minor FROM donor_grant") == 5_000
    assert await kyiv.value("SELECT count(*) FROM allotment") == 0


async def test_a_proposal_may_overtake_its_money_and_its_withdrawal_the_proposal(
    pair: tuple[Desk, Desk],
) -> None:
    kyiv, lviv = pair
    allotment_id = await kyiv.allot(await kyiv.grant(10_000), 6_000, to="lviv")
    first = await propose(kyiv, allotment_id, 1_000, "kyiv")
    second = await propose(kyiv, allotment_id, 2_000, "kyiv")
    await step(kyiv, first, rebalancing.withdraw)
    said = await public(kyiv)
    proposals = [event for event in said if isinstance(event, RebalancingChangedV1)]
    await lviv.feed(*reversed(proposals), region="kyiv")
    assert await lviv.value("SELECT state FROM return_ask WHERE id = $1", first) == "withdrawn"
    assert await refused(prepare(lviv, second)) == "return-above-free"
    await lviv.feed(*(e for e in said if isinstance(e, AllotmentSentV1)), region="kyiv")
    await prepare(lviv, second)
    await consent(lviv, second)
    await settle(kyiv, lviv)
    assert await kyiv.value("SELECT state FROM rebalancing WHERE id = $1", second) == "returned"


async def test_what_cannot_go_on_waits_for_a_person(pair: tuple[Desk, Desk]) -> None:
    kyiv, lviv = pair
    grant_id = await kyiv.grant(10_000)
    allotment_id = await kyiv.allot(grant_id, 6_000, to="lviv")
    await exchange(kyiv, lviv)
    for end in ("moved", "kept"):
        made = await propose(kyiv, allotment_id, 1_000, "kyiv")
        await sign(kyiv, made)
        await exchange(kyiv, lviv)
        await prepare(lviv, made)
        await consent(lviv, made)
        await kyiv.run(lambda tx: grants.change_status(kyiv.office, tx, grant_id, "suspend"))
        await settle(kyiv, lviv)
        hindered = "SELECT (state, hindrance) FROM rebalancing WHERE id = $1"
        assert await kyiv.value(hindered, made) == ("returned", "grant-not-active")
        await kyiv.run(lambda tx: grants.change_status(kyiv.office, tx, grant_id, "resume"))
        await step(kyiv, made, rebalancing.retry if end == "moved" else rebalancing.keep)
        await settle(kyiv, lviv)
        assert await kyiv.value("SELECT state FROM rebalancing WHERE id = $1", made) == end
    assert await kyiv.value("SELECT unallotted_minor FROM donor_grant") == 5_000
    assert await kyiv.value("SELECT sum(received_minor)::int FROM allotment") == 1_000


async def test_nobody_proposes_or_answers_for_another(pair: tuple[Desk, Desk]) -> None:
    kyiv, lviv = pair
    allotment_id = await kyiv.allot(await kyiv.grant(10_000), 6_000, to="lviv")
    await exchange(kyiv, lviv)
    made = await propose(kyiv, allotment_id, 1_000, "kyiv")
    [told] = [e for e in await public(kyiv) if isinstance(e, RebalancingChangedV1)]
    with pytest.raises(Poison):
        await lviv.feed(told, region="odesa")
    forged = told.model_copy(update={"grantor": "odesa", "rebalancing_id": uuid4()})
    with pytest.raises(Poison):
        await lviv.feed(forged, region="odesa")
    await lviv.feed(told, region="kyiv")
    with pytest.raises(Poison):
        await lviv.feed(told.model_copy(update={"grantor": "odesa"}), region="odesa")
    await decline(lviv, made)
    [said] = [e for e in await public(lviv) if isinstance(e, RebalancingAnsweredV1)]
    with pytest.raises(Poison):
        await kyiv.feed(said, region="odesa")
    with pytest.raises(Poison):
        await kyiv.feed(said.model_copy(update={"holder": "odesa"}), region="odesa")
    assert await kyiv.value("SELECT state FROM rebalancing") == "proposed"
    assert await refused(propose(kyiv, allotment_id, 1, "lviv")) == "same-holder"
    assert await refused(propose(kyiv, allotment_id, 6_001, "kyiv")) == "more-than-held"
    assert await refused(propose(kyiv, allotment_id, 1, "mars")) == "region-unknown"


async def test_a_return_that_comes_twice_is_booked_once(pair: tuple[Desk, Desk]) -> None:
    kyiv, lviv = pair
    allotment_id = await kyiv.allot(await kyiv.grant(10_000), 6_000, to="lviv")
    await exchange(kyiv, lviv)
    made = await propose(kyiv, allotment_id, 1_000, "kyiv")
    await sign(kyiv, made)
    await exchange(kyiv, lviv)
    await prepare(lviv, made)
    await consent(lviv, made)
    said = await public(lviv)
    [returned] = [event for event in said if isinstance(event, AllotmentReturnedV1)]
    for _ in range(2):
        await kyiv.feed(returned, returned, region="lviv")
        await sweep(kyiv)
    assert await kyiv.value("SELECT unallotted_minor FROM donor_grant") == 4_000
    assert await kyiv.value("SELECT received_minor FROM allotment") == 1_000
    states = [event for event in await public(kyiv) if isinstance(event, GrantChangedV1)]
    assert len({event.version for event in states}) == len(states)


async def test_a_recall_and_a_consent_give_the_same_money_back_once(
    pair: tuple[Desk, Desk],
) -> None:
    kyiv, lviv = pair
    allotment_id = await kyiv.allot(await kyiv.grant(10_000), 6_000, to="lviv")
    made = await propose(kyiv, allotment_id, 1_000, "kyiv")
    await exchange(kyiv, lviv)
    await prepare(lviv, made)

    async def recall(tx: Tx) -> None:
        await allotting.recall(kyiv.office, tx, allotment_id, "grant_cut")

    await kyiv.run(recall)
    await settle(kyiv, lviv)
    assert await refused(consent(lviv, made)) == "return-above-free"
    assert await refused(propose(kyiv, allotment_id, 1, "kyiv")) == "wrong-state"
    assert await kyiv.value("SELECT unallotted_minor FROM donor_grant") == 10_000
