"""A need from the desk to the handover, through real rows."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

from aidmesh_chassis.auth import Role
from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import MessageId, NeedId
from aidmesh_contracts.intake import (
    AidGivenV1,
    NeedApprovedV1,
    NeedClosedV1,
    NeedConfirmedV1,
    NeedFulfilledV1,
    NeedReadyV1,
    NeedReversedV1,
    NeedToldV1,
    PayeeSealedV1,
)
from aidmesh_contracts.notification import MessageSentV1
from aidmesh_contracts.values import Visit
from integration.intake.world import (
    KYIV,
    SITE,
    World,
    confirmed,
    held,
    issued,
    money_held,
    money_made,
    money_spent,
    only,
    undone,
)


async def test_a_parcel_all_the_way(world: World) -> None:
    need_id = await world.request("food_parcel", "mesa-1")
    (approved,) = only(await world.published(), NeedApprovedV1)
    assert approved.stock[0].item == "food_parcel"
    assert approved.attempt_no == 1
    assert approved.place_area == KYIV

    events = await world.feed(held(need_id))
    assert only(events, NeedConfirmedV1)[0].with_supply
    assert await world.state(need_id) == "held"

    (ready,) = only(await world.feed(confirmed(need_id)), NeedReadyV1)
    assert ready.site_id == SITE
    assert await world.state(need_id) == "ready"

    sent = MessageSentV1(
        message_id=MessageId(uuid4()),
        need_id=NeedId(need_id),
        attempt_no=1,
        sent_at=datetime.now(UTC),
    )
    (told,) = only(await world.feed(sent, sent), NeedToldV1)
    assert told.how == "message"

    (fulfilled,) = only(await world.feed(issued(need_id)), NeedFulfilledV1)
    assert (fulfilled.service_no, fulfilled.attempt_no) == (1, 1)
    assert len(fulfilled.person_ids) == 1
    assert await world.state(need_id) == "fulfilled"

    (reversed_,) = only(await world.feed(undone(need_id)), NeedReversedV1)
    assert reversed_.service_no == 1
    assert await world.state(need_id) == "ready"
    (again,) = only(await world.feed(issued(need_id, issue_no=2)), NeedFulfilledV1)
    assert again.service_no == 2

    shown = await world.need(need_id)
    notes = [entry["note"] for entry in shown["timeline"]]
    assert notes == [
        "approved",
        "held",
        "ready",
        "told_by_message",
        "fulfilled",
        "reversed",
        "fulfilled",
    ]


async def test_capacity_and_money_need_both(world: World) -> None:
    need_id = await world.request("counseling_paid", planned_on="2024-02-01")
    (approved,) = only(await world.published(), NeedApprovedV1)
    assert approved.money is not None
    assert approved.money.amount_minor == 80_000
    assert approved.capacity is not None
    assert not only(await world.feed(held(need_id)), NeedConfirmedV1)
    (confirm,) = only(await world.feed(money_held(need_id, 80_000)), NeedConfirmedV1)
    assert confirm.with_money
    assert confirm.with_supply
    # Inventory answers to the commitment, and may be heard before it.
    visit = Visit(starts_at=datetime(2024, 5, 7, 11, 0, tzinfo=UTC))
    firm = confirmed(need_id).model_copy(update={"visit": visit})
    assert not only(await world.feed(firm), NeedReadyV1)
    (ready,) = only(await world.feed(money_made(need_id, 80_000)), NeedReadyV1)
    assert (ready.visit, ready.until_at) == (visit, None)
    (done,) = only(await world.feed(issued(need_id)), NeedFulfilledV1)
    assert done.kind == "counseling_paid"
    # The provider's bill is no second service.
    assert await world.feed(money_spent(need_id, 80_000, fulfils=False)) == []


async def test_cash_is_fulfilled_by_its_payment(world: World) -> None:
    answer = await world.post(
        "/v1/requests",
        {
            "person": {"client_code": "cash-1", "area": KYIV},
            "needs": [
                {
                    "kind": "financial_aid",
                    "payee": {
                        "mechanism": "iban",
                        "legal_name": "Canary Payee",
                        "iban": "UA213223130000026007233566001",
                    },
                }
            ],
        },
        status=201,
    )
    need_id = UUID(answer["needs"][0]["need_id"])
    events = await world.published()
    assert len(only(events, PayeeSealedV1)) == 1
    assert only(events, NeedApprovedV1)[0].payee_ref is not None
    news = await world.feed(money_held(need_id, 360_000), money_made(need_id, 360_000))
    (told,) = only(news, NeedReadyV1)
    assert (told.to_come, told.in_person) == (False, False)
    (listed,) = (await world.get("/v1/needs", to_tell=True))["needs"]
    assert (listed["need_id"], listed["to_come"]) == (str(need_id), False)
    shown = await world.need(need_id)
    assert (shown["state"], shown["to_come"]) == ("ready", False)
    (done,) = only(await world.feed(money_spent(need_id, 360_000, fulfils=True)), NeedFulfilledV1)
    assert (done.quantity, done.unit) == (360_000, "uah")
    assert done.shares[0].amount_minor == 360_000


async def test_aid_already_given_is_never_refused(world: World) -> None:
    for _ in range(2):  # beyond the limit of one parcel in thirty days
        answer = await world.post(
            "/v1/requests",
            {
                "person": {"client_code": "given-1", "area": KYIV},
                "needs": [{"kind": "food_parcel", "given": True, "served_on": "2024-03-01"}],
            },
            status=201,
        )
        assert answer["needs"][0]["state"] == "fulfilled"
        events = await world.published()
        assert only(events, AidGivenV1)[0].stock[0].quantity == 1
        assert only(events, NeedFulfilledV1)[0].served_on.isoformat() == "2024-03-01"
    for kind, amount_minor in (("rent_support", 7_000_000), ("counseling_paid", 90_000)):
        need = {"kind": kind, "amount_minor": amount_minor}  # more than is approved, or its price
        body = {"person": {"client_code": "given-2", "area": KYIV}, "needs": [need]}
        await world.post("/v1/requests", body, status=422)
        need |= {"given": True, "served_on": "2024-03-01"}
        await world.post("/v1/requests", body, status=201)
        (given,) = only(await world.published(), AidGivenV1)
        assert given.entered_by == world.staff_id
        assert given.money is not None
        assert given.money.amount_minor == amount_minor


async def test_outreach_counts_heads(world: World) -> None:
    answer = await world.post(
        "/v1/requests",
        {
            "for_whom": "group",
            "needs": [
                {
                    "kind": "condoms_lubricant",
                    "quantity": 40,
                    "headcount": 40,
                    "place_area": KYIV,
                    "given": True,
                }
            ],
        },
        status=201,
    )
    assert answer["person_id"] is None
    (done,) = only(await world.published(), NeedFulfilledV1)
    assert (done.headcount, done.person_ids) == (40, ())
    assert (done.quantity, done.unit) == (600, "piece"), "ten and five pieces for each"


async def test_goods_that_were_given_are_told_as_if_handed_over(world: World) -> None:
    asked = await world.request("condoms_lubricant", quantity=2)
    (approved,) = only(await world.published(), NeedApprovedV1)
    pieces = sum(line.quantity for line in approved.stock)
    handover = issued(asked).model_copy(update={"quantity": pieces})
    (handed,) = only(await world.feed(held(asked), confirmed(asked), handover), NeedFulfilledV1)
    fact = await world.request("condoms_lubricant", quantity=2, given=True)
    events = await world.published()
    (given,), (told,) = only(events, NeedFulfilledV1), only(events, AidGivenV1)
    assert (given.quantity, given.unit) == (handed.quantity, handed.unit) == (30, "piece")
    assert told.stock == approved.stock
    # A reversal names the service, so that what was told is what goes.
    await world.post(f"/v1/needs/{fact}:reverse", {"reason": "mistake"}, Role.LEAD)
    (taken_back,) = only(await world.published(), NeedReversedV1)
    assert taken_back.service_no == given.service_no


async def test_navigation_takes_nothing_and_is_served_here(world: World) -> None:
    need_id = await world.request("pep_navigation")
    events = await world.published()
    assert only(events, NeedReadyV1)
    assert not only(events, NeedApprovedV1)
    shown = await world.need(need_id)
    assert (shown["state"], shown["band"]) == ("ready", "emergency")
    await world.post(f"/v1/needs/{need_id}:serve", {})
    assert only(await world.published(), NeedFulfilledV1)
    await world.post(f"/v1/needs/{need_id}:reverse", {"reason": "mistake"}, Role.LEAD)
    assert only(await world.published(), NeedReversedV1)
    assert await world.state(need_id) == "ready"


async def test_prep_is_served_when_its_start_is_confirmed(world: World) -> None:
    need_id = await world.request("prep_navigation")
    await world.feed(held(need_id), confirmed(need_id))
    path = f"/v1/needs/{need_id}"
    assert (await world.post(f"{path}:serve", {}, status=409))["rule"] == "not_attended"
    kept = issued(need_id).model_copy(
        update={"how": "attendance", "quantity": 30, "unit": "minute"}
    )
    events = await world.feed(kept)
    assert not only(events, NeedFulfilledV1)
    assert only(events, NeedToldV1)
    (row,) = (await world.get("/v1/needs", to_confirm=True))["needs"]
    assert (row["state"], row["attended_on"], row["confirmed_start"]) == (
        "ready", "2024-05-06", True,
    )  # fmt: skip
    assert (await world.get("/v1/needs", to_tell=True))["needs"] == []
    assert await world.sweep("last_days") == 0

    await world.post(f"{path}:serve", {"served_on": "2024-05-10"})
    (fulfilled,) = only(await world.published(), NeedFulfilledV1)
    assert (fulfilled.served_on, fulfilled.quantity) == (date(2024, 5, 10), 30)
    assert (await world.get("/v1/needs", to_confirm=True))["needs"] == []
    await world.post(f"{path}:reverse", {"reason": "mistake"}, Role.LEAD)
    assert only(await world.published(), NeedReversedV1)
    assert (await world.need(need_id))["attended_on"] == "2024-05-06"
    await world.post(f"{path}:cancel", {"reason": "not_started"})
    assert (await world.need(need_id))["reason"] == "not_started"


async def test_pep_is_on_top_until_it_expires_unserved(world: World) -> None:
    day = day_of(datetime.now(UTC))
    exposed_at = datetime.now(UTC) - timedelta(hours=60)
    parcel = await world.request("food_parcel", needed_by=(day + timedelta(days=9)).isoformat())
    need_id = await world.request("pep_navigation", exposed_at=exposed_at.isoformat())
    last = day_of(exposed_at + timedelta(hours=72))
    shown = await world.need(need_id)
    assert shown["needed_by"] == last.isoformat()
    assert datetime.fromisoformat(shown["needed_until"]) == exposed_at + timedelta(hours=72)
    (ready,) = only(await world.published(), NeedReadyV1)
    assert ready.until_at == exposed_at + timedelta(hours=72)
    page = (await world.get("/v1/needs"))["needs"]
    assert [row["need_id"] for row in page] == [str(need_id), str(parcel)]
    assert [row["ends_soon"] for row in page] == [True, False]
    (row,) = (await world.get("/v1/needs", attention=True))["needs"]
    assert row["need_id"] == str(need_id)
    assert await world.sweep("last_days") == 0
    async with world.db.transaction() as tx:
        # Its last hour is over, its last day may not be.
        await tx.conn.execute("UPDATE need SET needed_until = now() WHERE id = $1", need_id)
    await world.published()
    assert await world.sweep("last_days") == 1
    (closed,) = only(await world.published(), NeedClosedV1)
    assert (closed.state, closed.reason, closed.attempt_no) == ("expired", "last_day_passed", 1)
    assert (await world.get("/v1/needs", attention=True))["needs"] == []


async def test_a_household_is_served_whole(world: World) -> None:
    people = [
        (await world.post("/v1/persons", {"client_code": f"h-{n}"}, status=201))["person_id"]
        for n in range(3)
    ]
    home = await world.post("/v1/households", {"person_ids": people}, status=201)
    answer = await world.post(
        "/v1/requests",
        {
            "for_whom": "household",
            "household_id": home["household_id"],
            "needs": [{"kind": "food_parcel", "quantity": 3, "place_area": KYIV}],
        },
        status=201,
    )
    need_id = UUID(answer["needs"][0]["need_id"])
    await world.feed(held(need_id), confirmed(need_id))
    (done,) = only(await world.feed(issued(need_id)), NeedFulfilledV1)
    assert sorted(str(each) for each in done.person_ids) == sorted(people)
