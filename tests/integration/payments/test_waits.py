"""Money goes to those who wait for it in another region: by a person, or by a rule."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import pytest

from aidmesh_chassis.peers import LinkState
from aidmesh_chassis.problems import Problem
from aidmesh_contracts.ids import AllotmentId, GrantId, RebalancingId
from aidmesh_contracts.intake import WaitingChangedV1
from aidmesh_contracts.payments_grants import AllotmentChangedV1
from aidmesh_contracts.payments_rebalancing import RebalancingChangedV1
from aidmesh_contracts.payments_waits import WaitChangedV1
from aidmesh_contracts.restriction import Restriction
from aidmesh_payments.domain.waits import Offer, Rule
from aidmesh_payments.handlers import rebalancing, return_asks, waits
from aidmesh_payments.store import wait_rules
from integration.payments.callers import Api
from integration.payments.offices import CHECKER, MAKER, Desk, exchange
from support.paging import walk

KEY = ("lviv", "cash", "UAH")


def heard(region: str) -> LinkState | None:
    return None if region == "kyiv" else LinkState(state="up", since=datetime.now(UTC))


def dark(region: str) -> LinkState | None:
    return None if region == "kyiv" else LinkState(state="dark", since=datetime.now(UTC))


def waiting(
    amount: int, version: int = 1, programme: str = "cash", **more: Any
) -> WaitingChangedV1:
    kept = {
        "waiting_key": f"money/{programme}/UAH/any/{'sensitive' if more else 'open'}",
        "resource": "money",
        "code": f"{programme}/UAH",
        "sensitive": False,
        "needs": 1,
        "quantity": amount,
        "version": version,
        "as_of": datetime.now(UTC),
    }
    return WaitingChangedV1.model_validate(kept | more)


async def offers(desk: Desk, link: Callable[[str], LinkState | None] = heard) -> list[Offer]:
    async with desk.db.read() as conn:
        return list((await waits.standing(desk.office, conn, link)).offers)


async def wants(lviv: Desk, kyiv: Desk, *events: WaitingChangedV1) -> None:
    """lviv's intake tells, and kyiv hears of it."""
    await lviv.feed(*events)
    await lviv.run(partial(waits.tell, lviv.office))
    await exchange(lviv, kyiv)


async def serve(
    desk: Desk, grant: GrantId, amount: int, allotment: AllotmentId | None = None
) -> UUID:
    made: dict[str, UUID] = await desk.run(
        lambda tx: waits.serve(
            desk.office, tx, heard, KEY, (grant, "aid", allotment), amount, MAKER
        )
    )
    return made["transfer_id" if allotment is None else "rebalancing_id"]


async def by_rule(desk: Desk) -> int:
    done: int = await desk.run(partial(waits.serve_by_rule, desk.office, heard))
    return done


async def settle_over(desk: Desk) -> None:
    """What arrived a moment ago has found those who wait for it by now."""
    await desk.execute(
        "UPDATE transfer SET recorded_at = recorded_at - interval '1 hour',"
        " arrived_at = arrived_at - interval '1 hour'"
    )


async def set_rule(desk: Desk, **fields: Any) -> UUID:
    rule = Rule(uuid4(), None, "UAH", None, 0, 10**9, 10**9, MAKER)._replace(**fields)
    await desk.run(lambda tx: wait_rules.put(tx.conn, rule))
    return rule.rule_id


async def test_what_waits_is_told_in_steps_and_nothing_of_what_is_sensitive(
    pair: tuple[Desk, Desk],
) -> None:
    kyiv, lviv = pair
    await lviv.feed(waiting(123_456), waiting(50_000, sensitive=True))
    await lviv.run(partial(waits.tell, lviv.office))
    (told,) = await lviv.told_of(WaitChangedV1)
    assert (told.programme, told.currency, told.amount_minor) == ("cash", "UAH", 130_000)
    assert set(told.model_dump()) == {
        "programme_currency", "programme", "currency", "amount_minor", "chosen_minor", "version",
        "as_of",
    }  # fmt: skip
    await lviv.feed(waiting(125_000, 2))
    await lviv.run(partial(waits.tell, lviv.office))
    assert await lviv.told_of(WaitChangedV1) == [], "it is the same step"
    await lviv.feed(waiting(7, 1), waiting(0, 3))
    await lviv.run(partial(waits.tell, lviv.office))
    (over,) = await lviv.told_of(WaitChangedV1)
    assert (over.amount_minor, over.version) == (0, 2)
    # In whatever order it comes, the newest holds.
    await kyiv.feed(over, region="lviv")
    await kyiv.feed(told, region="lviv")
    assert await kyiv.value("SELECT amount_minor FROM wait WHERE region = 'lviv'") == 0


async def test_money_that_nobody_holds_goes_there_and_covers_the_wait(
    pair: tuple[Desk, Desk],
) -> None:
    kyiv, lviv = pair
    grant = await kyiv.grant(1_000_000)
    await wants(lviv, kyiv, waiting(300_000))
    (offer,) = await offers(kyiv)
    assert (offer.source.grant_id, offer.amount_minor, offer.free_minor) == (
        grant, 300_000, 1_000_000,
    )  # fmt: skip
    assert await offers(kyiv, dark) == [], "nobody knows what waits there now"
    with pytest.raises(Problem, match="not-proposed"):
        await serve(kyiv, grant, 300_001)
    await serve(kyiv, grant, 200_000)
    (rest,) = await offers(kyiv)
    assert rest.amount_minor == 100_000, "what is on its way is not proposed again"
    await exchange(kyiv, lviv)
    assert await lviv.value("SELECT sum(received_minor) FROM allotment") == 200_000
    assert (await offers(kyiv))[0].amount_minor == 100_000, "it still finds those who wait"
    await wants(lviv, kyiv, waiting(100_000, 2))
    await settle_over(kyiv)
    await serve(kyiv, grant, 100_000)
    await exchange(kyiv, lviv)
    # The same allotment was raised.
    assert await lviv.value("SELECT array_agg(received_minor) FROM allotment") == [300_000]
    await wants(lviv, kyiv, waiting(0, 3))
    assert await offers(kyiv) == []


async def test_two_who_serve_at_once_serve_it_once(pair: tuple[Desk, Desk]) -> None:
    kyiv, lviv = pair
    grant = await kyiv.grant(1_000_000)
    await wants(lviv, kyiv, waiting(300_000))
    done = await asyncio.gather(
        *(serve(kyiv, grant, 300_000) for _ in range(4)), return_exceptions=True
    )
    assert sum(isinstance(each, UUID) for each in done) == 1
    assert sum(isinstance(each, Problem) for each in done) == 3
    await exchange(kyiv, lviv)
    assert await lviv.value("SELECT sum(received_minor) FROM allotment") == 300_000


async def test_free_money_of_a_holder_is_proposed_to_it(pair: tuple[Desk, Desk]) -> None:
    kyiv, lviv = pair
    grant = await kyiv.grant(500_000)
    held = await kyiv.allot(grant, 400_000)
    await wants(lviv, kyiv, waiting(450_000))
    first, second = await offers(kyiv)
    assert (first.source.holder, first.amount_minor) == (None, 100_000)
    assert (second.source.allotment_id, second.amount_minor) == (held, 350_000)
    made = RebalancingId(await serve(kyiv, grant, 300_000, held))
    assert {each.amount_minor for each in await offers(kyiv)} == {50_000, 100_000}
    assert await kyiv.value("SELECT proposed_by FROM rebalancing WHERE id = $1", made) == MAKER
    # The holder and a second person here let it go, and it serves who waits.
    await kyiv.run(lambda tx: return_asks.prepare(kyiv.office, tx, made, None, MAKER))
    await kyiv.run(lambda tx: return_asks.consent(kyiv.office, tx, made, CHECKER))
    await kyiv.run(lambda tx: rebalancing.sign(kyiv.office, tx, made, CHECKER))
    await kyiv.run(partial(rebalancing.pass_on, kyiv.office))
    await exchange(kyiv, lviv)
    assert await lviv.value("SELECT sum(received_minor) FROM allotment") == 300_000
    total = sum(each.amount_minor for each in await offers(kyiv))
    assert total == 150_000, "what has just come still counts"


async def test_a_declined_proposal_covers_nothing(pair: tuple[Desk, Desk]) -> None:
    kyiv, lviv = pair
    grant = await kyiv.grant(400_000)
    held = await kyiv.allot(grant, 400_000)
    await wants(lviv, kyiv, waiting(300_000))
    made = RebalancingId(await serve(kyiv, grant, 300_000, held))
    assert await offers(kyiv) == []
    await kyiv.run(lambda tx: return_asks.decline(kyiv.office, tx, made, "needed_here", MAKER))
    assert (await offers(kyiv))[0].amount_minor == 300_000
    await kyiv.run(lambda tx: waits.set_aside(kyiv.office, tx, heard, KEY, MAKER))
    assert await offers(kyiv) == []
    await wants(lviv, kyiv, waiting(310_000, 2))
    assert (await offers(kyiv))[0].amount_minor == 310_000, "more waits than was set aside"


async def test_a_donor_that_restricts_programmes_or_more(pair: tuple[Desk, Desk]) -> None:
    kyiv, lviv = pair
    travel = await kyiv.grant(100_000, restriction=Restriction(programmes=("travel",)))
    there = await kyiv.grant(100_000, restriction=Restriction(areas=("UA46",)))
    await wants(lviv, kyiv, waiting(50_000))
    (offer,) = await offers(kyiv)
    assert (offer.source.grant_id, offer.source.is_plain) == (there, False)
    await set_rule(kyiv)
    assert await by_rule(kyiv) == 0, "whether it fits a person has to say"
    await wants(lviv, kyiv, waiting(60_000, programme="travel"))
    assert await by_rule(kyiv) == 1
    sent = await kyiv.value("SELECT grant_id FROM grant_allotment")
    assert sent == travel


async def test_a_rule_sends_within_its_bounds_and_once(pair: tuple[Desk, Desk]) -> None:
    kyiv, lviv = pair
    await kyiv.grant(1_000_000)
    rule = await set_rule(
        kyiv, regions=frozenset({"lviv"}), move_max_minor=70_000, week_max_minor=100_000
    )
    assert await by_rule(kyiv) == 0, "nobody waits"
    await wants(lviv, kyiv, waiting(300_000))
    assert await by_rule(kyiv) == 1
    assert await by_rule(kyiv) == 0, "lviv has told no other sum"
    await exchange(kyiv, lviv)
    await settle_over(kyiv)
    assert await by_rule(kyiv) == 0
    await wants(lviv, kyiv, waiting(230_000, 2))
    assert await by_rule(kyiv) == 1
    await exchange(kyiv, lviv)
    assert await lviv.value("SELECT sum(received_minor) FROM allotment") == 100_000
    await settle_over(kyiv)
    await wants(lviv, kyiv, waiting(200_000, 3))
    assert await by_rule(kyiv) == 0, "the week's most is spent"
    moves = "SELECT count(*) FROM wait_move WHERE rule_id = $1 AND made_by = $2"
    assert await kyiv.value(moves, rule, MAKER) == 2
    await kyiv.run(lambda tx: wait_rules.end(tx.conn, rule, MAKER))
    await set_rule(kyiv, keep_minor=900_000)
    assert await by_rule(kyiv) == 0, "so much stays in the grant"


async def test_a_rule_proposes_what_a_holder_has_and_others_decide(
    pair: tuple[Desk, Desk],
) -> None:
    kyiv, lviv = pair
    grant = await kyiv.grant(400_000)
    await kyiv.allot(grant, 400_000)
    await set_rule(kyiv)
    await wants(lviv, kyiv, waiting(300_000))
    await kyiv.told()
    assert await by_rule(kyiv) == 1
    (told,) = await kyiv.told_of(RebalancingChangedV1)
    assert (told.amount_minor, told.state, told.reason) == (300_000, "proposed", "waiting_needs")
    assert await kyiv.value("SELECT proposed_by FROM rebalancing") is None
    assert await kyiv.value("SELECT returned_minor FROM allotment") == 0


async def test_the_own_region_is_served_like_others(desk: Desk) -> None:
    await desk.grant(500_000)
    await desk.feed(waiting(120_000))
    await desk.run(partial(waits.tell, desk.office))
    await set_rule(desk)
    assert await by_rule(desk) == 1
    assert await desk.value("SELECT received_minor FROM allotment") == 120_000
    assert await offers(desk) == []


async def test_a_grant_in_another_currency_is_converted_and_not_overdrawn(
    pair: tuple[Desk, Desk],
) -> None:
    kyiv, lviv = pair
    grant = await kyiv.grant(10_000, currency="EUR")
    await wants(lviv, kyiv, waiting(900_000))
    assert await offers(kyiv) == [], "there is no rate"
    await kyiv.execute(
        "INSERT INTO exchange_rate (base, spending, rate, rate_on, source, recorded_by)"
        " VALUES ('EUR', 'UAH', '43.37', '2024-06-01', 'nbu', $1)",
        MAKER,
    )
    (offer,) = await offers(kyiv)
    assert offer.amount_minor == 433_700
    await serve(kyiv, grant, 433_700)
    assert await kyiv.value("SELECT unallotted_minor FROM donor_grant") == 0


async def test_everybody_in_finance_sees_it_and_who_may_acts(api: Api) -> None:
    api.peers.expect({"lviv"})
    await api.desk.grant(500_000)
    await api.desk.feed(waiting(120_000))
    await api.desk.run(partial(waits.tell, api.desk.office))
    (wait,) = (await api.get("/v1/waits"))["waits"]
    (offer,) = wait["offers"]
    assert (offer["as_of"], offer["link"]) == (None, None)
    assert (wait["region"], wait["amount_minor"], wait["link"]) == ("kyiv", 120_000, None)
    assert (offer["amount_minor"], offer["is_plain"], offer["holder"]) == (120_000, True, None)
    what: dict[str, Any] = {"region": "kyiv", "programme": "cash", "currency": "UAH"}
    body = what | {"grant_id": offer["grant_id"], "budget_line": "aid", "amount_minor": 20_000}
    assert (await api.nobody.post("/v1/waits:serve", json=body)).status_code == 403
    await api.post_as(api.finance, "/v1/waits:serve", 201, **body)
    (wait,) = (await api.get("/v1/waits"))["waits"]
    assert (wait["coming_minor"], wait["offers"][0]["amount_minor"]) == (20_000, 100_000)
    await api.post_as(api.finance, "/v1/waits:set-aside", **what)
    (wait,) = (await api.get("/v1/waits"))["waits"]
    assert wait["offers"] == []
    rule = {"currency": "UAH", "move_max_minor": 10, "week_max_minor": 9}
    below = await api.post("/v1/wait-rules", 422, **rule)
    assert below["type"].endswith("week-below-move")
    refused = await api.finance.post("/v1/wait-rules", json=rule | {"week_max_minor": 90})
    assert refused.status_code == 403
    made = await api.post("/v1/wait-rules", 201, **(rule | {"week_max_minor": 90}))
    (shown,) = (await api.get("/v1/wait-rules"))["rules"]
    assert (shown["rule_id"], shown["given_minor"]) == (made["rule_id"], 0)
    await api.post(f"/v1/wait-rules/{made['rule_id']}:end")
    assert (await api.get("/v1/wait-rules"))["rules"] == []
    await api.post(f"/v1/wait-rules/{made['rule_id']}:end", 404)


async def test_what_waits_and_its_rules_are_read_page_by_page(api: Api) -> None:
    api.peers.expect({"lviv", "odesa"})
    await api.desk.grant(500_000)
    for programme in ("shelter", "cash", "medical"):
        await api.desk.feed(waiting(120_000, programme=programme))
    await api.desk.run(partial(waits.tell, api.desk.office))
    found = await walk(lambda query: api.get(f"/v1/waits?{urlencode(query)}"), "waits", rows_max=2)
    whole = (await api.get("/v1/waits"))["waits"]
    assert [each["programme"] for each in whole] == ["cash", "medical", "shelter"]
    assert [(each["programme"], each["offers"]) for each in found] == [
        (each["programme"], each["offers"]) for each in whole
    ]
    made = [
        await api.post("/v1/wait-rules", 201, currency="UAH", move_max_minor=9, week_max_minor=9)
        for _ in range(3)
    ]
    rules = await walk(lambda query: api.get(f"/v1/wait-rules?{urlencode(query)}"), "rules")
    assert [rule["rule_id"] for rule in rules] == [each["rule_id"] for each in made]
    regions = await walk(lambda query: api.get(f"/v1/regions?{urlencode(query)}"), "regions")
    assert regions == ["kyiv", "lviv", "odesa"]


async def test_what_another_holder_has_is_offered_with_its_age_and_link(api: Api) -> None:
    api.peers.expect({"lviv"})
    grant = await api.desk.grant(500_000)
    sent = await api.post(
        "/v1/allotments", 201, grant_id=str(grant), budget_line="aid", to_region="lviv",
        amount_minor=500_000, currency="UAH",
    )  # fmt: skip
    told_at = datetime(2024, 6, 1, 8, tzinfo=UTC)
    sums = {"received_minor": 500_000, "returned_minor": 0, "held_minor": 0}
    told = AllotmentChangedV1(
        allotment_id=sent["allotment_id"], grant_id=grant, grantor="kyiv", holder="lviv",
        currency="UAH", committed_minor=0, spent_minor=0, status="active", version=1,
        as_of=told_at, **sums,
    )  # fmt: skip
    await api.desk.feed(told, region="lviv")
    await api.desk.feed(waiting(120_000))
    await api.desk.run(partial(waits.tell, api.desk.office))
    (wait,) = (await api.get("/v1/waits"))["waits"]
    assert wait["offers"] == [], "its holder is dark"
    api.peers.heard("beat.lviv", b"payments")
    (wait,) = (await api.get("/v1/waits"))["waits"]
    (offer,) = wait["offers"]
    assert (offer["holder"], offer["free_minor"]) == ("lviv", 500_000)
    assert (datetime.fromisoformat(offer["as_of"]), offer["link"]["state"]) == (told_at, "up")


async def test_a_fenced_region_is_sent_nothing(pair: tuple[Desk, Desk]) -> None:
    kyiv, lviv = pair
    await kyiv.grant(500_000)
    await set_rule(kyiv)
    await wants(lviv, kyiv, waiting(120_000))

    def lost(region: str) -> LinkState | None:
        now = datetime.now(UTC)
        return LinkState(state="up", since=now, gone="lost", gone_since=now)

    assert await offers(kyiv, lost) == []
    assert await kyiv.run(partial(waits.serve_by_rule, kyiv.office, lost)) == 0


async def test_a_rule_for_chosen_needs_sends_no_more_than_waits_for_them(
    pair: tuple[Desk, Desk],
) -> None:
    kyiv, lviv = pair
    await kyiv.grant(1_000_000)
    rule = await set_rule(kyiv, chosen_only=True)
    await wants(lviv, kyiv, waiting(300_000))
    assert await by_rule(kyiv) == 0
    chosen = waiting(80_000, waiting_key="money/cash/UAH/any/open/chosen", chosen=True)
    await wants(lviv, kyiv, chosen, waiting(220_000, 2))
    assert await by_rule(kyiv) == 1
    sent = "SELECT sum(amount_minor)::bigint FROM wait_move WHERE rule_id = $1"
    assert await kyiv.value(sent, rule) == 80_000
    (told,) = await offers(kyiv)
    assert (told.wait.amount_minor, told.wait.chosen_minor) == (300_000, 80_000)
    await wants(lviv, kyiv, waiting(240_000, 3))
    assert await by_rule(kyiv) == 0, "what is on its way counts for those who were chosen"
