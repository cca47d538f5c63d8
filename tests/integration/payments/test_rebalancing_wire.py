"""Proposals between two real databases, with messages doubled, reordered and held back."""

import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from uuid import UUID

import pytest

from aidmesh_chassis.problems import Problem
from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import RebalancingId
from aidmesh_payments.handlers import rebalancing
from integration.payments.moving import consent, decline, prepare, propose, sign, step, sweep
from integration.payments.offices import (
    CHECKER,
    MAKER,
    Desk,
    approved,
    confirmed,
    public,
    withdrawn,
)

THIRD = UUID(int=3)


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
            proposed = await propose(kyiv, dice.choice(held[holder]), amount, to)
            made.append((proposed, lviv if holder == "lviv" else kyiv))
        elif what < 0.3:
            await try_to(lambda: sign(kyiv, one, who))
        elif what < 0.33:
            await try_to(lambda: step(kyiv, one, rebalancing.withdraw))
        elif what < 0.35:
            await try_to(lambda: step(kyiv, one, rebalancing.keep))
        elif what < 0.48:
            await try_to(lambda: prepare(where, one, dice.choice([None, 700]), who))
        elif what < 0.62:
            await try_to(lambda: consent(where, one, who))
        elif what < 0.63:
            await try_to(lambda: decline(where, one))
        elif what < 0.64:
            await where.execute(
                "UPDATE return_ask SET lapses_at = now() - interval '1 s' WHERE id = $1", one
            )
        elif what < 0.7:
            need = approved(dice.randint(1, 6_000))
            await where.feed(need)
            await where.feed(confirmed(need) if dice.random() < 0.5 else withdrawn(need))
        elif what < 0.78:
            await sweep(kyiv)
            await sweep(lviv)
        else:
            await wire.deliver_some()

    for _ in range(120):
        await act()
        await wire.listen()
        gone, found = await _gone_and_found(kyiv, lviv)
        assert gone == found
    # The links are back: everything comes, and again in another order.
    for one, _ in made:
        await try_to(partial(sign, kyiv, one, UUID(int=4)))
    for _ in range(4):
        for desk in (kyiv, lviv):
            await sweep(desk)
        await wire.listen()
        for speaker, hearer in ((kyiv, lviv), (lviv, kyiv)):
            events = [event for one, _, event in wire.said if one is speaker]
            for batch in batched(dice.sample(events, len(events)), 20):
                await hearer.feed(*batch, region=speaker.office.region)
    assert refusals <= {
        "wrong-state", "second-person-needed", "not-found", "proposal-lapsed", "more-than-held",
        "more-than-proposed", "return-above-free",
    }  # fmt: skip
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
