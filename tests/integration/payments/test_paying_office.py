"""Payouts that the office of another region pays, between two real databases."""

import asyncio
import base64
import random
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from aidmesh_chassis.errors import Poison
from aidmesh_chassis.keys import PAYMENTS
from aidmesh_chassis.problems import Problem
from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import PayoutId
from aidmesh_contracts.intake import NeedApprovedV1, PayeeErasedV1
from aidmesh_contracts.payments import (
    CommitmentReleasedV1,
    CommitmentReversedV1,
    CommitmentSpentV1,
    PayoutAssignedV1,
    PayoutOutcomeV1,
    PayoutWithdrawnV1,
)
from aidmesh_contracts.streams import Stream
from aidmesh_payments.domain.money import EXPONENTS
from aidmesh_payments.domain.orders import OrderVerb
from aidmesh_payments.domain.payout import PayoutRefusal, Verb
from aidmesh_payments.handlers import assigning, assignments, orders, payment_lists, payouts
from aidmesh_payments.store import orders as order_store
from integration.payments.offices import CHECKER, MAKER, open_desk, withdrawn
from integration.payments.paying import IBAN, NAME, PURPOSE, SEALER, Side, Two, two
from support.servers import DatabaseFactory
from support.waiting import eventually

ABOVE_LIMIT = 20_000
BATCH = UUID(int=99)
VERBS: tuple[OrderVerb, ...] = ("export", "settle", "settle", "reject", "return")


@pytest.fixture
async def pair(database: DatabaseFactory, tmp_path: Path) -> AsyncIterator[Two]:
    """lviv holds, kyiv pays."""
    desks = (
        await open_desk(await database("payments"), "kyiv"),
        await open_desk(await database("payments"), "lviv"),
    )
    yield await two(*desks, tmp_path)
    for desk in desks:
        await desk.check()
        await desk.db.close()


async def test_an_approved_payout_is_paid_where_the_grant_says(pair: Two) -> None:
    payout_id = await pair.approve(await pair.need(ABOVE_LIMIT))
    await pair.exchange()
    assert await pair.states(payout_id) == ("approved", "received")
    async with pair.lviv.desk.db.read() as conn:
        wire = b"".join(row[0] for row in await conn.fetch("SELECT payload FROM handoff"))
    assert wire
    assert IBAN.encode() not in wire
    assert b"20000" not in wire
    # Nobody pays it twice: the holder has given it away.
    steps: tuple[Verb, ...] = ("settle", "accept", "reject", "export")
    for verb in steps:
        assert await pair.hold(payout_id, verb, CHECKER) is PayoutRefusal.PAID_ELSEWHERE
    # Its approver there and whoever settles here are two; one person does not do.
    assert await pair.pay(payout_id, "settle", MAKER) is PayoutRefusal.SECOND_PERSON
    assert await pair.pay(payout_id, "export") is None
    await pair.exchange()
    assert await pair.states(payout_id) == ("exported", "exported")
    assert await pair.pay(payout_id, "settle") is None
    assert await pair.pay(payout_id, "settle") is PayoutRefusal.WRONG_STATE
    await pair.exchange()
    assert await pair.states(payout_id) == ("settled", "settled")
    paid = "SELECT (bank_reference, settler) FROM payout"
    assert await pair.lviv.desk.value(paid) == ("bank-7", CHECKER)
    assert await pair.lviv.desk.value("SELECT spent_minor FROM allotment") == ABOVE_LIMIT


async def test_whoever_said_where_it_goes_does_not_review_it_at_the_paying_office(
    pair: Two,
) -> None:
    payout_id = await pair.approve(await pair.need())
    await pair.exchange()
    kyiv = pair.kyiv.desk
    assert await pair.pay(payout_id, "settle", MAKER) is None

    async def review(by: UUID) -> None:
        await kyiv.run(lambda tx: orders.review_one(kyiv.office, tx, payout_id, by))

    for by in (SEALER, MAKER):
        with pytest.raises(Problem) as refused:
            await review(by)
        assert refused.value.kind.slug == "second-person-needed"
    await review(CHECKER)


async def test_the_payment_list_opens_what_came_in_a_box(pair: Two) -> None:
    payout_id = await pair.approve(await pair.need())
    await pair.exchange()
    kyiv = pair.kyiv.desk
    await kyiv.execute(
        "INSERT INTO payout_batch (id, currency, mechanism, payouts, total_minor, exported_by)"
        " VALUES ($1, 'UAH', 'iban', 1, 5000, $1)",
        BATCH,
    )
    ids = await kyiv.run(lambda tx: order_store.exportable(tx.conn, "kyiv", "UAH", "iban", 10))
    assert ids == [payout_id]
    steps = [payouts.Step(payout_id, batch_id=BATCH)]
    await kyiv.run(partial(orders.take_steps, kyiv.office, verb="export", steps=steps, by=MAKER))
    listed = await kyiv.run(
        lambda tx: payment_lists.payment_list(
            tx, pair.kyiv.keys, BATCH, CHECKER, "our own words", EXPONENTS
        )
    )
    line = listed.splitlines()[1]
    # No spreadsheet takes what another region writes for a formula.
    assert line == f"{payout_id.hex},{NAME},{IBAN},,Box 7,,50.00,UAH,'{PURPOSE}"
    assert await kyiv.value("SELECT staff_id FROM payee_access") == CHECKER


async def test_a_payment_that_comes_back_may_be_drawn_up_again(pair: Two) -> None:
    need = await pair.need()
    payout_id = await pair.approve(need)
    await pair.exchange()
    assert await pair.pay(payout_id, "settle") is None
    assert await pair.pay(payout_id, "return", reason="AC04") is None
    # The office's first word is lost: the last one says it all.
    said = [e for e in await pair.kyiv.said() if isinstance(e, PayoutOutcomeV1)]
    await pair.lviv.desk.told()
    await pair.lviv.desk.feed(said[-1], region="kyiv")
    await pair.lviv.desk.feed(*said, region="kyiv")
    told = [type(e) for e in await pair.lviv.desk.told()]
    assert told.count(CommitmentSpentV1) == told.count(CommitmentReversedV1) == 1
    assert await pair.states(payout_id) == ("returned", "returned")
    await pair.lviv.desk.run(
        lambda tx: payouts.redo(pair.lviv.desk.office, tx, payout_id, CHECKER, None)
    )
    again = await pair.approve(need)
    await pair.exchange()
    assert again != payout_id
    assert await pair.pay(again, "settle") is None
    await pair.exchange()
    assert await pair.states(again) == ("settled", "settled")


async def test_what_comes_back_to_a_need_that_is_over_is_let_go(pair: Two) -> None:
    need = await pair.need()
    payout_id = await pair.approve(need)
    await pair.exchange()
    assert await pair.pay(payout_id, "settle") is None
    await pair.exchange()
    await pair.lviv.desk.feed(withdrawn(need))
    assert await pair.lviv.desk.value("SELECT state FROM commitment") == "spent"
    assert await pair.pay(payout_id, "return", reason="AC04") is None
    await pair.lviv.desk.told()
    handed = [e for e in await pair.kyiv.said() if isinstance(e, PayoutOutcomeV1)]
    await pair.lviv.desk.feed(*handed, region="kyiv")
    told = [type(e) for e in await pair.lviv.desk.told()]
    assert told.count(CommitmentReversedV1) == told.count(CommitmentReleasedV1) == 1
    assert await pair.lviv.desk.value("SELECT state FROM commitment") == "released"
    assert await pair.states(payout_id) == ("returned", "returned")


@pytest.mark.parametrize("too_late", [False, True])
async def test_a_need_that_is_over_asks_its_payout_back(pair: Two, too_late: bool) -> None:
    need = await pair.need()
    payout_id = await pair.approve(need)
    await pair.exchange()
    if too_late:
        assert await pair.pay(payout_id, "export") is None
    await pair.lviv.desk.feed(withdrawn(need))
    # Until the office answers, nobody knows: the money stays committed.
    assert await pair.lviv.desk.value("SELECT state FROM commitment") == "committed"
    await pair.exchange()
    if not too_late:
        assert await pair.states(payout_id) == ("cancelled", "cancelled")
        assert await pair.lviv.desk.value("SELECT state FROM commitment") == "released"
        assert await pair.kyiv.desk.value("SELECT sealed FROM paying_order") is None
        assert await pair.pay(payout_id, "settle") is PayoutRefusal.WRONG_STATE
        return
    assert await pair.states(payout_id) == ("exported", "exported")
    assert await pair.lviv.desk.value("SELECT about FROM discrepancy") == "withdrawn_after_export"
    assert await pair.pay(payout_id, "reject", reason="AC01") is None
    await pair.exchange()
    assert await pair.states(payout_id) == ("rejected", "rejected")
    assert await pair.lviv.desk.value("SELECT state FROM commitment") == "released"
    assert await pair.lviv.desk.value("SELECT note FROM discrepancy") == "rejected"


async def test_what_the_office_rejects_of_a_need_over_since_it_was_listed_is_let_go(
    pair: Two,
) -> None:
    need = await pair.need()
    payout_id = await pair.approve(need)
    await pair.exchange()
    assert await pair.pay(payout_id, "export") is None
    await pair.exchange()
    await pair.lviv.desk.feed(withdrawn(need))
    assert await pair.lviv.desk.value("SELECT about FROM discrepancy") == "withdrawn_after_export"
    assert await pair.pay(payout_id, "reject", reason="AC01") is None
    await pair.exchange()
    assert await pair.states(payout_id) == ("rejected", "rejected")
    assert await pair.lviv.desk.value("SELECT committed_minor FROM allotment") == 0
    assert await pair.lviv.desk.value("SELECT note FROM discrepancy") == "rejected"


async def test_what_is_asked_back_may_overtake_what_it_asks_for(pair: Two) -> None:
    payout_id = await pair.approve(await pair.need())
    await pair.lviv.sweep()
    assert await pair.hold(payout_id, "cancel") is None
    assert await pair.hold(payout_id, "cancel") is None
    said = await pair.lviv.said()
    asked = [e for e in said if isinstance(e, PayoutWithdrawnV1)]
    given = [e for e in said if isinstance(e, PayoutAssignedV1)]
    assert (len(asked), len(given)) == (1, 1)
    for event in (*asked, *given, *asked):
        await pair.kyiv.desk.feed(event, region="lviv")
    await pair.exchange()
    assert await pair.states(payout_id) == ("cancelled", "cancelled")
    assert await pair.kyiv.desk.value("SELECT sealed FROM paying_order") is None


async def test_corrected_details_are_approved_and_handed_over_anew(pair: Two) -> None:
    need = await pair.need()
    payout_id = await pair.approve(need)
    await pair.exchange()
    await pair.lviv.desk.feed(pair.details(need, version=2, mechanism="post"))
    await pair.exchange()
    assert await pair.states(payout_id) == ("cancelled", "cancelled")
    assert await pair.lviv.desk.told_of(CommitmentReleasedV1) == []
    again = await pair.approve(need)
    await pair.exchange()
    assert again != payout_id
    mechanism = "SELECT mechanism FROM paying_order WHERE id = $1"
    assert await pair.kyiv.desk.value(mechanism, again) == "post"
    # What has left goes where it was sent.
    assert await pair.pay(again, "export") is None
    await pair.lviv.desk.feed(pair.details(need, version=3))
    await pair.exchange()
    assert await pair.states(again) == ("exported", "exported")


async def test_an_erasure_reaches_the_paying_office(pair: Two) -> None:
    waits, left, unsent = [await pair.need(number) for number in (100, 200, 300)]
    ids = [await pair.approve(need) for need in (waits, left)]
    await pair.exchange()
    assert await pair.pay(ids[1], "settle") is None
    ids.append(await pair.approve(unsent))
    await pair.lviv.sweep()
    for need in (waits, left, unsent):
        erased = PayeeErasedV1(need_id=need.need_id, payee_ref=need.payee_ref)
        await pair.lviv.desk.feed(erased)
    # The box that nobody took in yet is blank.
    handed = "SELECT count(payload) FROM handoff WHERE subject LIKE '%assigned%'"
    assert await pair.lviv.desk.value(handed) == 0
    await pair.exchange()
    assert await pair.states(ids[0]) == ("cancelled", "cancelled")
    assert await pair.states(ids[1]) == ("settled", "settled")
    assert await pair.states(ids[2]) == ("cancelled", "cancelled")
    kept = "SELECT array_agg(id) FROM paying_order WHERE sealed IS NOT NULL"
    assert await pair.kyiv.desk.value(kept) == [ids[1]]
    # A record of what was paid, until the legal date.
    await pair.kyiv.desk.run(orders.forget)
    assert await pair.kyiv.desk.value(kept) == [ids[1]]
    await pair.kyiv.desk.execute("UPDATE paying_order SET settled_on = '2010-01-01'")
    await pair.kyiv.desk.run(orders.forget)
    assert await pair.kyiv.desk.value(kept) is None


async def test_an_erasure_outweighs_a_correction(pair: Two) -> None:
    need = await pair.need()
    payout_id = await pair.approve(need)
    await pair.exchange()
    await pair.lviv.desk.feed(pair.details(need, version=1))
    await pair.lviv.desk.feed(PayeeErasedV1(need_id=need.need_id, payee_ref=need.payee_ref))
    await pair.exchange()
    assert await pair.states(payout_id) == ("cancelled", "cancelled")
    # Nothing is drawn up for somebody whom nobody can pay any more.
    assert await pair.lviv.desk.value("SELECT count(*) FROM payout") == 1
    assert await pair.lviv.desk.value("SELECT state FROM commitment") == "released"


async def test_an_erasure_waits_for_what_is_handed_over_at_that_moment(pair: Two) -> None:
    need = await pair.need()
    payout_id = await pair.approve(need)
    lviv = pair.lviv.desk

    async def waits() -> bool:
        return bool(await lviv.value("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"))

    async with lviv.db.transaction() as tx:
        assert await assigning.assign(lviv.office, pair.lviv.keys, PURPOSE, tx) == 1
        erased = PayeeErasedV1(need_id=need.need_id, payee_ref=need.payee_ref)
        erasing = asyncio.create_task(lviv.feed(erased))
        await eventually(waits)
    await erasing
    assert await lviv.value("SELECT count(payload) FROM handoff WHERE subject ~ 'assigned'") == 0
    await pair.exchange()
    assert await pair.states(payout_id) == ("cancelled", "cancelled")


async def test_nobody_speaks_for_another_region(pair: Two) -> None:
    payout_id = await pair.approve(await pair.need())
    await pair.lviv.sweep()
    assigned = [e for e in await pair.lviv.said() if isinstance(e, PayoutAssignedV1)]
    await pair.kyiv.desk.feed(*assigned, region="lviv")
    for event in (*assigned, PayoutWithdrawnV1(payout_id=payout_id)):
        with pytest.raises(Poison):
            await pair.kyiv.desk.feed(event, region="odesa")
    said = [e for e in await pair.kyiv.said() if isinstance(e, PayoutOutcomeV1)]
    with pytest.raises(Poison):
        await pair.lviv.desk.feed(*said, region="odesa")


async def test_a_region_without_the_money_has_nothing_paid(pair: Two) -> None:
    payout_id = await pair.approve(await pair.need())
    await pair.lviv.sweep()
    assigned = [e for e in await pair.lviv.said() if isinstance(e, PayoutAssignedV1)]
    await pair.kyiv.desk.feed(*assigned, region="odesa")
    await pair.kyiv.sweep()
    assert await pair.pay(payout_id, "settle") is PayoutRefusal.NOT_VOUCHED
    listed = order_store.exportable
    found = await pair.kyiv.desk.run(lambda tx: listed(tx.conn, "kyiv", "UAH", "iban", 10))
    assert found == []


async def test_a_box_that_cannot_be_opened_goes_back(pair: Two) -> None:
    payout_id = await pair.approve(await pair.need())
    await pair.lviv.sweep()
    assigned = [e for e in await pair.lviv.said() if isinstance(e, PayoutAssignedV1)]
    broken = assigned[0].model_copy(update={"sealed": "YnJva2Vu"})
    await pair.kyiv.desk.feed(broken, region="lviv")
    pair.kyiv.keys.lock()
    await pair.exchange()
    assert await pair.states(payout_id) == ("approved", "received")
    pair.kyiv.keys.unlock()
    await pair.exchange()
    assert await pair.states(payout_id) == ("rejected", "rejected")


@pytest.mark.parametrize("amount_minor", [0, -5_000, 2**63])
async def test_a_box_with_no_sum_that_can_be_paid_stops_no_other(
    pair: Two, amount_minor: int
) -> None:
    ids = [await pair.approve(await pair.need()) for _ in range(2)]
    await pair.lviv.sweep()
    assigned = {e.payout_id: e for e in await pair.lviv.said() if isinstance(e, PayoutAssignedV1)}
    box = assignments.opened(pair.kyiv.keys, base64.b64decode(assigned[ids[0]].sealed))
    odd = assignments.sealed(
        box.model_copy(update={"amount_minor": amount_minor}), pair.kyiv.keys.public(PAYMENTS)
    )
    sealed = base64.b64encode(odd).decode()
    assigned[ids[0]] = assigned[ids[0]].model_copy(update={"sealed": sealed})
    await pair.kyiv.desk.feed(*assigned.values(), region="lviv")
    await pair.exchange()
    assert await pair.states(ids[0]) == ("rejected", "rejected")
    assert await pair.states(ids[1]) == ("approved", "received")
    assert await pair.pay(ids[1], "settle") is None


async def test_cash_is_paid_where_the_person_is(pair: Two) -> None:
    payout_id = await pair.approve(await pair.need(mechanism="cash"))
    await pair.exchange()
    assert await pair.states(payout_id) == ("approved", None)
    assert await pair.hold(payout_id, "settle", CHECKER) is None


@pytest.mark.parametrize("seed", range(3))
async def test_everything_is_paid_once_whatever_the_wire_does(pair: Two, seed: int) -> None:
    dice = random.Random(seed)
    wire: list[tuple[Side, Side, Event]] = []
    needs: list[NeedApprovedV1] = []
    ids: list[PayoutId] = []
    handled: set[int] = set()

    async def listen() -> None:
        for one, other in ((pair.kyiv, pair.lviv), (pair.lviv, pair.kyiv)):
            await one.sweep()
            wire.extend((one, other, event) for event in await one.said())

    async def deliver(place: int) -> None:
        one, other, event = wire[place]
        await other.desk.feed(event, region=one.region)
        handled.add(place)

    for _ in range(50):
        act = dice.random()
        if act < 0.2:
            needs.append(await pair.need(dice.randint(1, 9_000)))
            ids.append(await pair.approve(needs[-1]))
        elif act < 0.26 and needs:
            await pair.lviv.desk.feed(withdrawn(dice.choice(needs)))
        elif act < 0.32 and ids:
            await pair.hold(dice.choice(ids), "cancel")
        elif act < 0.38 and needs:
            version = dice.randint(1, 99)
            await pair.lviv.desk.feed(pair.details(dice.choice(needs), version=version))
        elif act < 0.62 and ids:
            verb = dice.choice(VERBS)
            await pair.pay(dice.choice(ids), verb, reason="AC01")
        elif wire:
            # Any message, any time, also again and under another event id.
            await deliver(dice.randrange(len(wire)))
        await listen()
    # In the end everything arrives, in any order, and most of it a second time.
    while len(handled) < len(wire):
        for place in dice.sample(range(len(wire)), len(wire)):
            if place not in handled or dice.random() < 0.2:
                await deliver(place)
        await listen()
    assert ids
    assert any(event.stream is Stream.HANDOFF for _, _, event in wire)
    async with pair.lviv.desk.db.read() as ours, pair.kyiv.desk.db.read() as theirs:
        held = {
            row["id"]: row
            for row in await ours.fetch("SELECT * FROM payout WHERE assigned_to IS NOT NULL")
        }
        paid = {row["id"]: row for row in await theirs.fetch("SELECT * FROM paying_order")}
        spent = await ours.fetchval("SELECT spent_minor FROM allotment")
    assert held.keys() == paid.keys()
    for payout_id, row in held.items():
        state = paid[payout_id]["state"]
        assert row["state"] == ("approved" if state == "received" else state)
        assert (row["bank_reference"], row["settled_on"]) == (
            paid[payout_id]["bank_reference"],
            paid[payout_id]["settled_on"],
        )
    assert spent == sum(row["amount_minor"] for row in paid.values() if row["state"] == "settled")
