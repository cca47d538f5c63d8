"""Money moves between two real databases by proposals, whatever the wire does meanwhile."""

import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any
from uuid import UUID, uuid4

import pytest

from aidmesh_chassis.db import Tx
from aidmesh_chassis.errors import Poison
from aidmesh_chassis.problems import Problem
from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import AllotmentId, RebalancingId
from aidmesh_contracts.payments import AllotmentReturnedV1, AllotmentSentV1, GrantChangedV1
from aidmesh_contracts.payments_rebalancing import RebalancingAnsweredV1, RebalancingChangedV1
from aidmesh_payments.handlers import allotting, grants, rebalancing, return_asks
from integration.payments.offices import (
    CHECKER,
    MAKER,
    Desk,
    approved,
    confirmed,
    exchange,
    public,
    withdrawn,
)

THIRD = UUID(int=3)


async def _propose(
    desk: Desk, allotment_id: AllotmentId, amount: int, to: str, by: UUID | None = MAKER
) -> RebalancingId:
    made = RebalancingId(uuid4())
    await desk.run(
        lambda tx: rebalancing.propose(
            desk.office, tx, made, allotment_id, to, amount, "waiting_needs", 14, by
        )
    )
    return made


async def _sign(desk: Desk, made: RebalancingId, by: UUID = CHECKER) -> None:
    await desk.run(lambda tx: rebalancing.sign(desk.office, tx, made, by))


async def _prepare(
    desk: Desk, made: RebalancingId, amount: int | None = None, by: UUID = MAKER
) -> None:
    await desk.run(lambda tx: return_asks.prepare(desk.office, tx, made, amount, by))


async def _consent(desk: Desk, made: RebalancingId, by: UUID = CHECKER) -> None:
    await desk.run(lambda tx: return_asks.consent(desk.office, tx, made, by))


async def _decline(desk: Desk, made: RebalancingId) -> None:
    await desk.run(lambda tx: return_asks.decline(desk.office, tx, made, "needed_here", MAKER))


async def _step(desk: Desk, made: RebalancingId, step: Callable[..., Awaitable[None]]) -> None:
    await desk.run(lambda tx: step(desk.office, tx, made))


async def _sweep(desk: Desk) -> None:
    await desk.run(partial(rebalancing.pass_on, desk.office))
    await desk.run(partial(return_asks.lapse, desk.office))


async def _settle(kyiv: Desk, lviv: Desk) -> None:
    """Let both do and tell all they have to."""
    for _ in range(3):
        for desk in (kyiv, lviv):
            await _sweep(desk)
        await exchange(kyiv, lviv)


async def _refused(act: Awaitable[Any]) -> str:
    with pytest.raises(Problem) as refused:
        await act
    return refused.value.kind.slug


async def _states(kyiv: Desk, lviv: Desk) -> tuple[object, object]:
    return (
        await kyiv.value("SELECT state FROM rebalancing"),
        await lviv.value("SELECT (state, told_state) FROM return_ask"),
    )


async def test_money_goes_on_by_the_signatures_of_two_people_at_each_end(
    pair: tuple[Desk, Desk],
) -> None:
    kyiv, lviv = pair
    allotment_id = await kyiv.allot(await kyiv.grant(10_000), 6_000, to="lviv")
    await exchange(kyiv, lviv)
    made = await _propose(kyiv, allotment_id, 5_000, "kyiv")
    await exchange(kyiv, lviv)
    need = approved(1_500)
    await lviv.feed(need)
    # Only what is free can go back, and never by one person alone.
    assert await _refused(_prepare(lviv, made)) == "not-so-much"
    await _prepare(lviv, made, 4_000)
    assert await _refused(_consent(lviv, made, MAKER)) == "second-person-needed"
    await exchange(kyiv, lviv)
    assert await kyiv.value("SELECT prepared_minor FROM rebalancing") == 4_000
    await _consent(lviv, made)
    assert await lviv.value("SELECT state FROM transfer WHERE kind = 'return'") == "in_transit"
    await _settle(kyiv, lviv)
    assert await lviv.value("SELECT state FROM transfer WHERE kind = 'return'") == "received"
    # It is back, and waits for the second signature of the region whose grant it is.
    assert await _states(kyiv, lviv) == ("returned", ("returned", "returned"))
    assert await kyiv.value("SELECT unallotted_minor FROM donor_grant") == 8_000
    assert await _refused(_sign(kyiv, made, MAKER)) == "second-person-needed"
    await _sign(kyiv, made)
    await _settle(kyiv, lviv)
    assert await _states(kyiv, lviv) == ("moved", ("returned", "moved"))
    assert await kyiv.value("SELECT received_minor FROM allotment") == 4_000
    assert await kyiv.value("SELECT unallotted_minor FROM donor_grant") == 4_000
    await lviv.feed(confirmed(need))
    assert await lviv.value("SELECT committed_minor FROM allotment") == 1_500


async def test_what_the_own_region_holds_is_asked_for_and_sent_like_any_other(
    pair: tuple[Desk, Desk],
) -> None:
    kyiv, lviv = pair
    allotment_id = await kyiv.allot(await kyiv.grant(10_000), 6_000)
    made = await _propose(kyiv, allotment_id, 2_500, "lviv", by=None)
    await _sign(kyiv, made, MAKER)
    await _prepare(kyiv, made)
    await _consent(kyiv, made)
    assert await kyiv.value("SELECT state FROM rebalancing") == "returned"
    await _settle(kyiv, lviv)
    assert await kyiv.value("SELECT state FROM rebalancing") == "moved"
    assert await lviv.value("SELECT received_minor FROM allotment") == 2_500
    # Whoever gets the money sees where it comes from, and decides nothing.
    told = await lviv.value("SELECT (told_state, state IS NULL) FROM return_ask")
    assert told == ("moved", True)
    assert await _refused(_prepare(lviv, made)) == "not-found"


async def test_declined_lapsed_and_withdrawn_proposals_end_at_both_ends(
    pair: tuple[Desk, Desk],
) -> None:
    kyiv, lviv = pair
    allotment_id = await kyiv.allot(await kyiv.grant(10_000), 6_000, to="lviv")
    await exchange(kyiv, lviv)
    ends = {}
    for end in ("declined", "lapsed", "withdrawn"):
        made = await _propose(kyiv, allotment_id, 1_000, "kyiv")
        await exchange(kyiv, lviv)
        await _prepare(lviv, made)
        if end == "declined":
            await _decline(lviv, made)
        elif end == "lapsed":
            await lviv.execute(
                "UPDATE return_ask SET lapses_at = now() - interval '1 s' WHERE id = $1", made
            )
            assert await _refused(_consent(lviv, made)) == "proposal-lapsed"
        else:
            await _step(kyiv, made, rebalancing.withdraw)
        await _settle(kyiv, lviv)
        ends[end] = (
            await kyiv.value("SELECT state FROM rebalancing WHERE id = $1", made),
            await lviv.value("SELECT state FROM return_ask WHERE id = $1", made),
        )
        assert await _refused(_consent(lviv, made)) == "wrong-state"
    assert ends == {end: (end, end) for end in ("declined", "lapsed", "withdrawn")}
    assert await lviv.value("SELECT returned_minor FROM allotment") == 0


async def test_what_was_consented_to_while_it_was_withdrawn_stays_in_the_grant(
    pair: tuple[Desk, Desk],
) -> None:
    kyiv, lviv = pair
    allotment_id = await kyiv.allot(await kyiv.grant(10_000), 6_000, to="lviv")
    made = await _propose(kyiv, allotment_id, 1_000, "kyiv")
    await exchange(kyiv, lviv)
    await _sign(kyiv, made)
    await _prepare(lviv, made)
    # The link is down: each side does what it may.
    await _step(kyiv, made, rebalancing.withdraw)
    await _consent(lviv, made)
    await _settle(kyiv, lviv)
    assert await _states(kyiv, lviv) == ("withdrawn", ("returned", "withdrawn"))
    assert await kyiv.value("SELECT returned_minor FROM rebalancing") == 1_000
    assert await kyiv.value("SELECT unallotted_minor FROM donor_grant") == 5_000
    assert await kyiv.value("SELECT count(*) FROM allotment") == 0


async def test_a_proposal_may_overtake_its_money_and_its_withdrawal_the_proposal(
    pair: tuple[Desk, Desk],
) -> None:
    kyiv, lviv = pair
    allotment_id = await kyiv.allot(await kyiv.grant(10_000), 6_000, to="lviv")
    first = await _propose(kyiv, allotment_id, 1_000, "kyiv")
    second = await _propose(kyiv, allotment_id, 2_000, "kyiv")
    await _step(kyiv, first, rebalancing.withdraw)
    said = await public(kyiv)
    proposals = [event for event in said if isinstance(event, RebalancingChangedV1)]
    await lviv.feed(*reversed(proposals), region="kyiv")
    assert await lviv.value("SELECT state FROM return_ask WHERE id = $1", first) == "withdrawn"
    assert await _refused(_prepare(lviv, second)) == "not-so-much"
    await lviv.feed(*(e for e in said if isinstance(e, AllotmentSentV1)), region="kyiv")
    await _prepare(lviv, second)
    await _consent(lviv, second)
    await _settle(kyiv, lviv)
    assert await kyiv.value("SELECT state FROM rebalancing WHERE id = $1", second) == "returned"


async def test_what_cannot_go_on_waits_for_a_person(pair: tuple[Desk, Desk]) -> None:
    kyiv, lviv = pair
    grant_id = await kyiv.grant(10_000)
    allotment_id = await kyiv.allot(grant_id, 6_000, to="lviv")
    await exchange(kyiv, lviv)
    for end in ("moved", "kept"):
        made = await _propose(kyiv, allotment_id, 1_000, "kyiv")
        await _sign(kyiv, made)
        await exchange(kyiv, lviv)
        await _prepare(lviv, made)
        await _consent(lviv, made)
        await kyiv.run(lambda tx: grants.change_status(kyiv.office, tx, grant_id, "suspend"))
        await _settle(kyiv, lviv)
        hindered = "SELECT (state, hindrance) FROM rebalancing WHERE id = $1"
        assert await kyiv.value(hindered, made) == ("returned", "grant-not-active")
        await kyiv.run(lambda tx: grants.change_status(kyiv.office, tx, grant_id, "resume"))
        await _step(kyiv, made, rebalancing.retry if end == "moved" else rebalancing.keep)
        await _settle(kyiv, lviv)
        assert await kyiv.value("SELECT state FROM rebalancing WHERE id = $1", made) == end
    assert await kyiv.value("SELECT unallotted_minor FROM donor_grant") == 5_000
    assert await kyiv.value("SELECT sum(received_minor)::int FROM allotment") == 1_000


async def test_nobody_proposes_or_answers_for_another(pair: tuple[Desk, Desk]) -> None:
    kyiv, lviv = pair
    allotment_id = await kyiv.allot(await kyiv.grant(10_000), 6_000, to="lviv")
    await exchange(kyiv, lviv)
    made = await _propose(kyiv, allotment_id, 1_000, "kyiv")
    [told] = [e for e in await public(kyiv) if isinstance(e, RebalancingChangedV1)]
    with pytest.raises(Poison):
        await lviv.feed(told, region="odesa")
    forged = told.model_copy(update={"grantor": "odesa", "rebalancing_id": uuid4()})
    with pytest.raises(Poison):
        await lviv.feed(forged, region="odesa")
    await lviv.feed(told, region="kyiv")
    with pytest.raises(Poison):
        await lviv.feed(told.model_copy(update={"grantor": "odesa"}), region="odesa")
    await _decline(lviv, made)
    [said] = [e for e in await public(lviv) if isinstance(e, RebalancingAnsweredV1)]
    with pytest.raises(Poison):
        await kyiv.feed(said, region="odesa")
    with pytest.raises(Poison):
        await kyiv.feed(said.model_copy(update={"holder": "odesa"}), region="odesa")
    assert await kyiv.value("SELECT state FROM rebalancing") == "proposed"
    assert await _refused(_propose(kyiv, allotment_id, 1, "lviv")) == "same-holder"
    assert await _refused(_propose(kyiv, allotment_id, 6_001, "kyiv")) == "not-so-much"
    assert await _refused(_propose(kyiv, allotment_id, 1, "mars")) == "region-unknown"


def batched(events: Sequence[Event], size: int) -> Iterator[Sequence[Event]]:
    """The same events, so many at a time."""
    rest = iter(events)
    while batch := tuple(islice(rest, size)):
        yield batch


async def _gone_and_found(kyiv: Desk, lviv: Desk) -> tuple[int, int]:
    """What kyiv counts as gone of its grant, and where it is: on its way, there, coming back."""
    gone = await kyiv.value(
        "SELECT COALESCE(sum(amount_minor - returned_minor), 0)::bigint FROM grant_allotment"
    )
    held = "SELECT COALESCE(sum(received_minor - returned_minor), 0)::bigint FROM allotment"
    found = await kyiv.value(held) + await lviv.value(held)
    async with kyiv.db.read() as ours, lviv.db.read() as theirs:
        here = {r["id"]: r for r in await ours.fetch("SELECT * FROM transfer")}
        there = {r["id"]: r for r in await theirs.fetch("SELECT * FROM transfer")}
    found += sum(
        row["amount_minor"]
        for key, row in here.items()
        if row["to_region"] == "lviv" and key not in there
    )
    found += sum(
        row["amount_minor"]
        for key, row in there.items()
        if row["to_region"] == "kyiv" and key not in here
    )
    return gone, found


class _Wire:
    """What was said, to be delivered in any order, any number of times, or not while it is cut."""

    def __init__(self, dice: random.Random, *desks: Desk) -> None:
        self.dice = dice
        self.desks = desks
        self.said: list[tuple[Desk, Desk, Event]] = []
        self.delivered: set[int] = set()
        self.is_cut = False

    async def listen(self) -> None:
        one, other = self.desks
        for speaker, hearer in ((one, other), (other, one)):
            self.said += [(speaker, hearer, event) for event in await public(speaker)]

    async def deliver_some(self) -> None:
        """Some events of one region as a batch, new ones and such that came before."""
        if self.is_cut or not self.said:
            return
        fresh = [place for place in range(len(self.said)) if place not in self.delivered]
        speaker, hearer, _ = self.said[self.dice.choice(fresh or [0])]
        places = [p for p, (s, h, _) in enumerate(self.said) if (s, h) == (speaker, hearer)]
        new = [place for place in places if place not in self.delivered]
        chosen = {
            *self.dice.sample(new, min(len(new), self.dice.randint(0, 6))),
            *self.dice.sample(places, min(len(places), 3)),
        }
        self.delivered |= chosen
        batch = [self.said[place][2] for place in self.dice.sample(sorted(chosen), len(chosen))]
        await hearer.feed(*batch, region=speaker.office.region)


@pytest.mark.parametrize("seed", range(4))
async def test_nothing_moves_twice_whatever_the_wire_does(
    pair: tuple[Desk, Desk], seed: int
) -> None:
    kyiv, lviv = pair
    dice = random.Random(seed)
    grant_id = await kyiv.grant(100_000)
    held = {
        "lviv": [await kyiv.allot(grant_id, 20_000, to="lviv")],
        "kyiv": [await kyiv.allot(grant_id, 20_000)],
    }
    wire = _Wire(dice, kyiv, lviv)
    made: list[tuple[RebalancingId, Desk]] = []
    refusals: set[str] = set()

    async def try_to(act: Callable[[], Awaitable[None]]) -> None:
        """Do what a person may try at any time; a refusal is an answer, too."""
        try:
            await act()
        except Problem as refused:
            refusals.add(refused.kind.slug)

    async def act() -> None:
        what, who = dice.random(), dice.choice([MAKER, CHECKER, THIRD])
        one, where = dice.choice(made) if made else (None, dice.choice([kyiv, lviv]))
        if what < 0.08:
            wire.is_cut = what < 0.03
        elif one is None or (what < 0.2 and len(made) < 8):
            holder, to = dice.choice([("lviv", "kyiv"), ("kyiv", "lviv")])
            amount = dice.randint(1, 5_000)
            proposed = await _propose(kyiv, dice.choice(held[holder]), amount, to)
            made.append((proposed, lviv if holder == "lviv" else kyiv))
        elif what < 0.3:
            await try_to(lambda: _sign(kyiv, one, who))
        elif what < 0.33:
            await try_to(lambda: _step(kyiv, one, rebalancing.withdraw))
        elif what < 0.35:
            await try_to(lambda: _step(kyiv, one, rebalancing.keep))
        elif what < 0.48:
            await try_to(lambda: _prepare(where, one, dice.choice([None, 700]), who))
        elif what < 0.62:
            await try_to(lambda: _consent(where, one, who))
        elif what < 0.63:
            await try_to(lambda: _decline(where, one))
        elif what < 0.64:
            await where.execute(
                "UPDATE return_ask SET lapses_at = now() - interval '1 s' WHERE id = $1", one
            )
        elif what < 0.7:
            need = approved(dice.randint(1, 6_000))
            await where.feed(need)
            await where.feed(confirmed(need) if dice.random() < 0.5 else withdrawn(need))
        elif what < 0.78:
            await _sweep(kyiv)
            await _sweep(lviv)
        else:
            await wire.deliver_some()

    for _ in range(120):
        await act()
        await wire.listen()
        gone, found = await _gone_and_found(kyiv, lviv)
        assert gone == found
    # The links are back: everything comes, and again in another order.
    for one, _ in made:
        await try_to(partial(_sign, kyiv, one, UUID(int=4)))
    for _ in range(4):
        for desk in (kyiv, lviv):
            await _sweep(desk)
        await wire.listen()
        for speaker, hearer in ((kyiv, lviv), (lviv, kyiv)):
            events = [event for one, _, event in wire.said if one is speaker]
            for batch in batched(dice.sample(events, len(events)), 20):
                await hearer.feed(*batch, region=speaker.office.region)
    assert refusals <= {"wrong-state", "not-so-much", "second-person-needed", "not-found"} | {
        "proposal-lapsed"
    }
    gone, found = await _gone_and_found(kyiv, lviv)
    assert gone == found
    for desk in (kyiv, lviv):
        assert await desk.value("SELECT count(*) FROM transfer WHERE state = 'in_transit'") == 0
    await _ended_alike(kyiv, lviv)


async def _ended_alike(kyiv: Desk, lviv: Desk) -> None:
    """Each proposal has one outcome, and its money moved once or not at all."""
    async with kyiv.db.read() as ours, lviv.db.read() as theirs:
        proposals = await ours.fetch("SELECT * FROM rebalancing")
        asks = {
            row["id"]: row
            for conn in (ours, theirs)
            for row in await conn.fetch("SELECT * FROM return_ask WHERE state IS NOT NULL")
        }
        there = {row["id"]: row["amount_minor"] for row in await theirs.fetch(
            "SELECT id, amount_minor FROM transfer WHERE state = 'received'"
        )}  # fmt: skip
        here = {row["id"]: row["amount_minor"] for row in await ours.fetch(
            "SELECT id, amount_minor FROM transfer WHERE state = 'received'"
        )}  # fmt: skip
    assert len(proposals) == len(asks)
    assert "moved" in {row["state"] for row in proposals}
    for row in proposals:
        ask = asks[row["id"]]
        back = ask["prepared_minor"] if ask["state"] == "returned" else None
        assert row["returned_minor"] == back
        assert row["return_id"] == ask["return_id"]
        if back is not None:
            assert row["state"] in ("returned", "moved", "kept", "withdrawn")
            assert here[row["return_id"]] == back
        elif row["state"] != "proposed":
            assert row["state"] == ask["state"]
        if row["state"] == "moved":
            arrived = here if row["to_region"] == "kyiv" else there
            assert arrived[row["sending_id"]] == back


async def test_a_return_that_comes_twice_is_booked_once(pair: tuple[Desk, Desk]) -> None:
    kyiv, lviv = pair
    allotment_id = await kyiv.allot(await kyiv.grant(10_000), 6_000, to="lviv")
    await exchange(kyiv, lviv)
    made = await _propose(kyiv, allotment_id, 1_000, "kyiv")
    await _sign(kyiv, made)
    await exchange(kyiv, lviv)
    await _prepare(lviv, made)
    await _consent(lviv, made)
    said = await public(lviv)
    [returned] = [event for event in said if isinstance(event, AllotmentReturnedV1)]
    for _ in range(2):
        await kyiv.feed(returned, returned, region="lviv")
        await _sweep(kyiv)
    assert await kyiv.value("SELECT unallotted_minor FROM donor_grant") == 4_000
    assert await kyiv.value("SELECT received_minor FROM allotment") == 1_000
    states = [event for event in await public(kyiv) if isinstance(event, GrantChangedV1)]
    assert len({event.version for event in states}) == len(states)


async def test_a_recall_and_a_consent_give_the_same_money_back_once(
    pair: tuple[Desk, Desk],
) -> None:
    kyiv, lviv = pair
    allotment_id = await kyiv.allot(await kyiv.grant(10_000), 6_000, to="lviv")
    made = await _propose(kyiv, allotment_id, 1_000, "kyiv")
    await exchange(kyiv, lviv)
    await _prepare(lviv, made)

    async def recall(tx: Tx) -> None:
        await allotting.recall(kyiv.office, tx, allotment_id, "grant_cut")

    await kyiv.run(recall)
    await _settle(kyiv, lviv)
    assert await _refused(_consent(lviv, made)) == "not-so-much"
    assert await _refused(_propose(kyiv, allotment_id, 1, "kyiv")) == "wrong-state"
    assert await kyiv.value("SELECT unallotted_minor FROM donor_grant") == 10_000
