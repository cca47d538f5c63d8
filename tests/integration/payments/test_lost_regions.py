"""A holder is declared lost, fenced, and comes back: no cent is there twice, whatever it did."""

import random
from functools import partial
from uuid import UUID

import pytest

from aidmesh.doctor.findings import EVERY_SERVICE, OF_SERVICE
from aidmesh_chassis.db import Tx
from aidmesh_chassis.errors import Poison
from aidmesh_chassis.problems import Problem
from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import AllotmentId, GrantId
from aidmesh_contracts.intake import NeedApprovedV1
from aidmesh_contracts.payments import CommitmentRefusedV1, PayoutOutcomeV1
from aidmesh_contracts.payments_grants import AllotmentReturnedV1
from aidmesh_contracts.payments_regions import RegionChangedV1
from aidmesh_payments.api.answers import Debt, Reissue
from aidmesh_payments.handlers import allotting, assigning, holding, lost
from aidmesh_payments.store import lost as lost_store
from aidmesh_payments.store import owing
from aidmesh_payments.store.numbers import MEASURED
from integration.payments.callers import Api
from integration.payments.fenced import (
    FREE,
    GONE,
    OWED,
    THERE,
    UNTOLD,
    close_conflicts,
    come_back,
    declare_lost,
    restore,
)
from integration.payments.offices import (
    CHECKER,
    MAKER,
    Desk,
    approved,
    confirmed,
    exchange,
    public,
    received,
    withdrawn,
)
from support.ringing import rings_for


async def test_it_takes_two_leads(pair: tuple[Desk, Desk]) -> None:
    kyiv, lviv = pair
    await kyiv.allot(await kyiv.grant(10_000), 10_000, to="lviv")
    await exchange(kyiv, lviv)
    with pytest.raises(Problem, match="region-unknown"):
        await kyiv.run(lambda tx: lost.declare(kyiv.office, tx, "odesa", "flooded", MAKER))
    await kyiv.run(lambda tx: lost.declare(kyiv.office, tx, "lviv", "flooded", MAKER))
    with pytest.raises(Problem, match="second-person-needed"):
        await kyiv.run(lambda tx: lost.confirm(tx, "lviv", MAKER))
    assert await kyiv.value(FREE) == 0
    await kyiv.run(lambda tx: lost.withdraw(tx, "lviv", MAKER))
    with pytest.raises(Problem):
        await kyiv.run(lambda tx: lost.confirm(tx, "lviv", CHECKER))
    await declare_lost(kyiv, "lviv")
    assert await kyiv.value(FREE) == 10_000
    with pytest.raises(Problem, match="region-gone"):
        await kyiv.run(lambda tx: lost.declare(kyiv.office, tx, "lviv", "flooded", MAKER))
    with pytest.raises(Problem, match="region-gone"):
        await kyiv.allot(await kyiv.grant(10_000), 10_000, to="lviv")


async def test_nobody_says_for_themselves_that_they_count(pair: tuple[Desk, Desk]) -> None:
    kyiv, lviv = pair
    await declare_lost(kyiv, "lviv")
    [said] = await kyiv.told_of(RegionChangedV1)
    for event, region in (
        (said, "lviv"),
        (said.model_copy(update={"standing": "member", "epoch": 2}), "lviv"),
        (said.model_copy(update={"standing": "retired"}), "kyiv"),
    ):
        with pytest.raises(Poison):
            await lviv.feed(event, region=region)


async def test_what_was_used_stays_gone_and_what_comes_late_has_no_effect(
    pair: tuple[Desk, Desk],
) -> None:
    kyiv, lviv = pair
    allotment = await kyiv.allot(await kyiv.grant(20_000), 10_000, to="lviv")
    await exchange(kyiv, lviv)
    await lviv.feed(approved(3_000))
    await exchange(kyiv, lviv)
    on_its_way = await kyiv.allot(await _grant_of(kyiv), 5_000, to="lviv")
    await public(kyiv)  # it never gets there
    # In the dark it gives back a part, and promises the rest.
    await lviv.run(lambda tx: holding.give_back(lviv.office, tx, allotment, 1_000))
    await lviv.feed(approved(6_000))
    late = await public(lviv)

    await declare_lost(kyiv, "lviv")
    assert await kyiv.value(FREE) == 5_000 + 7_000
    await kyiv.feed(*late, region="lviv")
    assert await kyiv.value(FREE) == 5_000 + 7_000
    assert await kyiv.value("SELECT held_minor FROM allotment_elsewhere") == 3_000
    kinds = await kyiv.value(
        "SELECT array_agg(DISTINCT event_type ORDER BY event_type) FROM conflict"
    )
    assert AllotmentReturnedV1.type in kinds
    with pytest.raises(Problem, match="conflicts-open"):
        await kyiv.run(lambda tx: lost.readmit(tx, "lviv"))

    # It hears of it: what it has free is owed, and it promises nothing more of that.
    fence = await public(kyiv)
    await lviv.feed(*fence, region="kyiv")
    await lviv.feed(*fence, region="kyiv")
    assert await lviv.value(OWED) == 7_000 - 1_000 - 0
    debts = await lviv.run(lambda tx: owing.owed(tx.conn))
    assert [Debt.model_validate(dict(row)).owed_minor for row in debts] == [6_000]
    taken = await kyiv.run(lambda tx: lost_store.reissues(tx.conn))
    assert sum(Reissue.model_validate(dict(row)).amount_minor for row in taken) == 7_000
    await lviv.feed(approved(1))
    assert [e.reason for e in await lviv.told_of(CommitmentRefusedV1)] == ["recalled"]

    await close_conflicts(kyiv)
    await kyiv.run(lambda tx: lost.readmit(tx, "lviv"))
    await lviv.feed(*await public(kyiv), region="kyiv")
    await come_back(lviv)
    await kyiv.feed(*await public(lviv), region="lviv", epoch=2)
    assert await kyiv.value("SELECT held_minor FROM allotment_elsewhere WHERE held_minor > 0") == (
        9_000
    )
    assert on_its_way != allotment
    assert await kyiv.value(FREE) == 5_000 + 7_000
    assert await kyiv.value(GONE) == await lviv.value(THERE) - await lviv.value(OWED) + 5_000


async def _grant_of(desk: Desk) -> GrantId:
    return GrantId(await desk.value("SELECT id FROM donor_grant"))


@pytest.mark.parametrize("seed", range(9))
async def test_no_cent_is_there_twice_in_whatever_order(pair: tuple[Desk, Desk], seed: int) -> None:
    kyiv, lviv = pair
    dice = random.Random(seed)
    grant_id = await kyiv.grant(10_000_000)
    wire: list[tuple[Desk, Desk, Event, int]] = []
    needs: list[NeedApprovedV1] = []
    allotments: list[AllotmentId] = []
    state = "member"

    async def listen() -> None:
        for one, other in ((kyiv, lviv), (lviv, kyiv)):
            epoch = one.db.origin.epoch
            wire.extend((one, other, event, epoch) for event in await public(one))

    async def deliver(place: int) -> None:
        one, other, event, epoch = wire.pop(place)
        await other.feed(event, region=one.office.region, epoch=epoch)

    async def all_of(sender: Desk) -> None:
        while places := [i for i, each in enumerate(wire) if each[0] is sender]:
            await deliver(places[0])
            await listen()

    for step in range(70):
        act = dice.random()
        if act < 0.12 and state != "lost":
            allotments.append(await kyiv.allot(grant_id, dice.randint(1, 50_000), to="lviv"))
        elif act < 0.16 and allotments:
            await kyiv.run(partial(_recall, kyiv, dice.choice(allotments)))
        elif act < 0.36:
            needs.append(approved(dice.randint(1, 20_000)))
            await lviv.feed(needs[-1])
        elif act < 0.52 and needs:
            need = dice.choice(needs)
            await lviv.feed(confirmed(need) if dice.random() < 0.4 else withdrawn(need))
        elif act < 0.56 and allotments:
            await _give_some_back(lviv, dice)
        elif act < 0.62 and step > 15:
            if state == "member":
                await declare_lost(kyiv, "lviv")
                state = "lost"
            elif dice.random() < 0.3:
                await restore(lviv, kyiv)
            elif dice.random() < 0.5:
                await close_conflicts(kyiv)
                await kyiv.run(lambda tx: lost.readmit(tx, "lviv"))
                await listen()
                if dice.random() < 0.5:
                    await all_of(kyiv)
                    await come_back(lviv)
                else:  # restored: it counts, and hears only later of what was taken back
                    lviv.db.origin.epoch += 1
                state = "member"
        elif wire:
            await deliver(dice.randrange(len(wire)))
        await lviv.run(partial(lost.tell_again, lviv.office))
        await listen()
        assert await kyiv.value(FREE) == 10_000_000 - (await kyiv.value(GONE) or 0)

    if state == "lost":
        await close_conflicts(kyiv)
        await kyiv.run(lambda tx: lost.readmit(tx, "lviv"))
        await listen()
        await all_of(kyiv)
        await come_back(lviv)
        await listen()
    for _ in range(5):
        await all_of(kyiv)
        await lviv.run(partial(lost.tell_again, lviv.office))
        await listen()
        await all_of(lviv)
    assert not wire
    assert await lviv.value(UNTOLD) == 0
    # What the grantor counts as gone is there, but for what it has taken back and was used there.
    gone, there = await kyiv.value(GONE) or 0, await lviv.value(THERE) or 0
    assert gone == there - await lviv.value(OWED)
    assert await kyiv.value("SELECT count(*) FROM transfer WHERE state = 'in_transit'") == 0
    async with kyiv.db.read() as ours, lviv.db.read() as theirs:
        told = await ours.fetch(
            "SELECT allotment_id, received_minor, returned_minor, held_minor, committed_minor "
            "FROM allotment_elsewhere ORDER BY 1"
        )
        real = await theirs.fetch(
            "SELECT id, received_minor, returned_minor, held_minor, committed_minor "
            "FROM allotment ORDER BY 1"
        )
    assert [tuple(row) for row in told] == [tuple(row) for row in real]


async def test_what_is_given_back_in_vain_once_more_is_told_once_more(
    pair: tuple[Desk, Desk],
) -> None:
    kyiv, lviv = pair
    await kyiv.allot(await kyiv.grant(10_000), 10_000, to="lviv")
    await exchange(kyiv, lviv)
    await declare_lost(kyiv, "lviv")
    await lviv.feed(*await public(kyiv), region="kyiv")
    await close_conflicts(kyiv)
    await kyiv.run(lambda tx: lost.readmit(tx, "lviv"))
    await lviv.feed(*await public(kyiv), region="kyiv")
    await come_back(lviv)
    for amount_minor in (1_000, 500):  # by transactions that had begun when the epoch was not over
        await lviv.run(partial(_gives_back_in_vain, amount_minor))
        await lviv.run(partial(lost.tell_again, lviv.office))
    assert await lviv.value(UNTOLD) == 0
    told = [each for each in await public(lviv) if isinstance(each, AllotmentReturnedV1)]
    assert [each.amount_minor for each in told] == [1_000, 500]
    assert len({each.transfer_id for each in told}) == 2


async def _gives_back_in_vain(amount_minor: int, tx: Tx) -> None:
    await tx.conn.execute("UPDATE taken_back SET untold_minor = $1", amount_minor)


async def _recall(desk: Desk, allotment_id: AllotmentId, tx: Tx) -> None:
    await allotting.recall(desk.office, tx, allotment_id, "grant_cut")


async def _give_some_back(lviv: Desk, dice: random.Random) -> None:
    row = await lviv.value(
        "SELECT (id::text, received_minor - returned_minor - held_minor - committed_minor"
        " - spent_minor) FROM allotment"
        " WHERE received_minor > returned_minor + held_minor + committed_minor + spent_minor"
        " ORDER BY id LIMIT 1"
    )
    if row is not None:
        allotment_id, free_minor = AllotmentId(UUID(row[0])), int(row[1])
        amount = dice.randint(1, free_minor)
        await lviv.run(lambda tx: holding.give_back(lviv.office, tx, allotment_id, amount))


async def test_money_that_a_lost_region_can_not_confirm_is_waited_for_by_nobody(
    pair: tuple[Desk, Desk],
) -> None:
    kyiv, lviv = pair
    grant_id = await kyiv.grant(20_000)
    await kyiv.allot(grant_id, 10_000, to="lviv")
    on_its_way = await public(kyiv)
    await kyiv.execute("UPDATE transfer SET recorded_at = now() - interval '25 hours'")
    rung = [{"region": "kyiv", "service": "payments"}]
    assert await rings_for("MoneyInTransit", kyiv.db, MEASURED) == rung
    assert await stuck(kyiv, "in transit") == 1

    await declare_lost(kyiv, "lviv")
    assert await rings_for("MoneyInTransit", kyiv.db, MEASURED) == []
    assert await stuck(kyiv, "in transit") == 0
    # What another region has not credited is seen beside it.
    await kyiv.execute(
        "INSERT INTO transfer (id, kind, allotment_id, from_region, to_region, amount_minor,"
        " currency, state, recorded_at) SELECT gen_random_uuid(), kind, allotment_id, 'kyiv',"
        " 'odesa', 1, currency, 'in_transit', now() - interval '26 hours' FROM transfer"
        " WHERE to_region = 'lviv'"
    )
    assert await rings_for("MoneyInTransit", kyiv.db, MEASURED) == rung
    assert await stuck(kyiv, "in transit") == 1
    await kyiv.execute("DELETE FROM transfer WHERE to_region = 'odesa'")

    await kyiv.run(lambda tx: lost.readmit(tx, "lviv"))
    assert await rings_for("MoneyInTransit", kyiv.db, MEASURED) == rung
    await lviv.feed(*on_its_way, *await public(kyiv), region="kyiv")
    await come_back(lviv)
    await kyiv.feed(*await public(lviv), region="lviv", epoch=2)
    assert await rings_for("MoneyInTransit", kyiv.db, MEASURED) == []


async def stuck(desk: Desk, what: str) -> int:
    """How many rows `aidmesh doctor` finds by a question of this desk's database."""
    (question,) = [each for each in (*EVERY_SERVICE, *OF_SERVICE["payments"]) if what in each.what]
    rows: int = await desk.value(question.sql)
    return rows


async def test_leads_do_it_over_http(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    api.peers.expect({"odesa"})
    await api.post("/v1/regions/odesa:declare-lost", 202, reason="flooded")
    await api.post("/v1/regions/odesa:declare-lost", 409, reason="flooded")
    found = await api.get("/v1/standings")
    assert ([row["region"] for row in found["asked"]], found["left_out"]) == (["odesa"], [])
    monkeypatch.setattr(lost_store, "SHOWN_MAX", 0)
    found = await api.get("/v1/standings")
    assert (found["asked"], found["left_out"]) == ([], ["asked"])
    monkeypatch.undo()
    await api.post("/v1/regions/odesa:confirm-lost", 409)
    await api.post_as(api.finance, "/v1/regions/odesa:confirm-lost", 403)
    await api.post_as(api.checker, "/v1/regions/odesa:confirm-lost")
    found = await api.get("/v1/standings")
    assert [(row["region"], row["standing"], row["epoch"]) for row in found["standings"]] == [
        ("odesa", "lost", 1)
    ]
    assert (await api.get("/v1/conflicts"))["conflicts"] == []
    await api.post("/v1/regions/odesa:readmit")
    await api.post("/v1/regions/odesa:readmit", 409)


async def test_an_office_that_is_gone_pays_nothing_any_more(pair: tuple[Desk, Desk]) -> None:
    """Its payouts are this region's again; what it paid all the same is a question for people."""
    _, lviv = pair
    allotment = await lviv.allot(await lviv.grant(50_000), 50_000)
    need = approved(5_000)
    await lviv.feed(need)
    await lviv.feed(confirmed(need))
    await lviv.execute(
        "UPDATE payout SET state = 'approved', assigned_to = 'kyiv', approver = $1", CHECKER
    )
    payout_id = await lviv.value("SELECT id FROM payout")
    await declare_lost(lviv, "kyiv")
    assert await lviv.value("SELECT (state, assigned_to) FROM payout") == ("approved", None)
    waits = "SELECT count(*) FROM handoff WHERE status = 'waiting' AND to_region = 'kyiv'"
    assert await lviv.value(waits) == 1
    await lviv.execute("UPDATE handoff SET created_at = now() - interval '1 hour'")
    assert await stuck(lviv, "have no answer") == 0
    async with lviv.db.transaction() as tx:
        settled = PayoutOutcomeV1(payout_id=payout_id, state="settled", version=3)
        await assigning.take_outcomes(lviv.office, tx, [received(settled, "kyiv")])
    assert await lviv.value("SELECT about FROM discrepancy") == "withdrawn_after_export"
    assert (
        await lviv.value("SELECT committed_minor FROM allotment WHERE id = $1", allotment) == 5_000
    )
    await lviv.run(lambda tx: lost.readmit(tx, "kyiv"))
    assert await stuck(lviv, "have no answer") == 1
