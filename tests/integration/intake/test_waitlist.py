"""Who is woken by what, and that nobody is forgotten."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import AllotmentId, NeedId
from aidmesh_contracts.intake import NeedApprovedV1, NeedUnlistedV1, NeedWaitlistedV1
from aidmesh_contracts.inventory import SupplyGrewV1
from aidmesh_contracts.payments import CommitmentRefusedV1, FundsGrewV1
from aidmesh_contracts.values import BlockedBy
from integration.intake.world import KYIV, World, confirmed, grew, held, only, refused, waiting


async def test_growth_wakes_no_more_than_it_serves_and_in_order(world: World) -> None:
    needs = [await waiting(world) for _ in range(4)]
    woken = only(await world.feed(grew("food_parcel", 2)), NeedApprovedV1)
    assert [each.need_id for each in woken] == needs[:2], "of one day: as they were recorded"
    assert all(each.attempt_no == 2 for each in woken if each.need_id == needs[0])
    woken = only(await world.feed(grew("food_parcel", 5)), NeedApprovedV1)
    assert [each.need_id for each in woken] == needs[2:]


async def test_its_own_release_and_other_things_wake_nobody(world: World) -> None:
    need_id = await waiting(world)
    assert await world.feed(grew("food_parcel", 1, freed_by=need_id)) == []
    assert await world.feed(grew("hygiene_kit", 1)) == []
    assert only(await world.feed(grew("food_parcel", 1)), NeedApprovedV1)


async def test_growth_that_overtook_the_refusal_is_not_lost(world: World) -> None:
    need_id = await world.request("food_parcel")
    (approved,) = only(await world.published(), NeedApprovedV1)
    decided_at = datetime.now(UTC)
    assert await world.feed(grew("food_parcel", 1, at=decided_at + timedelta(seconds=1))) == []
    events = await world.feed(refused(approved, decided_at=decided_at))
    assert [e.attempt_no for e in only(events, NeedApprovedV1)] == [2]
    assert await world.state(need_id) == "approved"


async def test_old_growth_does_not_wake_whoever_saw_it(world: World) -> None:
    await world.feed(grew("food_parcel", 50, at=datetime.now(UTC) - timedelta(minutes=5)))
    await waiting(world)
    assert await world.sweep("pending_growth") == 0


async def test_what_a_woken_need_cannot_use_goes_to_the_next(world: World) -> None:
    first, second = await waiting(world), await waiting(world)
    (woken,) = only(await world.feed(grew("food_parcel", 1)), NeedApprovedV1)
    assert woken.need_id == first
    # No donor allows this use: the next is asked, and the first not again.
    events = await world.feed(refused(woken, reason="restricted"))
    (woken,) = only(events, NeedApprovedV1)
    assert woken.need_id == second
    assert only(await world.feed(refused(woken, reason="restricted")), NeedApprovedV1) == []
    assert await world.state(first) == "waitlisted"


async def test_a_large_need_waits_whole_until_enough_has_grown(world: World) -> None:
    large = await _large(world)
    small = await world.request("hiv_test")
    await world.published()
    # What grew may complete what was there, so it is asked; it does not, and is kept for it.
    (woken,) = only(await world.feed(grew("hiv_test", 1)), NeedApprovedV1)
    assert woken.need_id == large
    assert only(await world.feed(refused(woken)), NeedApprovedV1) == []
    (woken,) = only(await world.feed(grew("hiv_test", 1)), NeedApprovedV1)
    assert woken.need_id == large
    await world.feed(held(large, woken.attempt_no), confirmed(large, woken.attempt_no))
    (woken,) = only(await world.feed(grew("hiv_test", 1)), NeedApprovedV1)
    assert woken.need_id == small


async def _large(world: World) -> UUID:
    """A need for two that was asked for long before today's."""
    answer = await world.post(
        "/v1/requests",
        {
            "person": {"client_code": "large", "area": "UA80"},
            "asked_on": "2024-01-01",
            "needs": [{"kind": "hiv_test", "quantity": 2}],
        },
        status=201,
    )
    (approved,) = only(await world.published(), NeedApprovedV1)
    await world.feed(refused(approved))
    return UUID(answer["needs"][0]["need_id"])


async def test_a_splittable_need_is_served_in_parts(world: World) -> None:
    need_id = await waiting(world, quantity=5)
    (woken,) = only(await world.feed(grew("food_parcel", 2)), NeedApprovedV1)
    assert woken.need_id == need_id
    assert woken.stock[0].quantity == 2
    rows = (await world.get("/v1/needs"))["needs"]
    assert sorted((row["state"], row["quantity"]) for row in rows) == [
        ("approved", 2),
        ("waitlisted", 3),
    ]
    told = await world.published(from_start=True)
    parts = [(each.blocked_by.quantity, each.need_id) for each in only(told, NeedWaitlistedV1)]
    assert [quantity for quantity, _ in parts] == [5, 3]
    assert parts[1][1] != need_id
    assert [each.need_id for each in only(told, NeedUnlistedV1)] == [need_id]
    (woken,) = only(await world.feed(grew("food_parcel", 9)), NeedApprovedV1)
    assert woken.stock[0].quantity == 3


async def test_a_splittable_need_gets_what_lies_free_elsewhere_than_growth_told(
    world: World,
) -> None:
    need_id = await waiting(world, quantity=5)
    (woken,) = only(await world.feed(grew("food_parcel", 4)), NeedApprovedV1)
    assert woken.stock[0].quantity == 4
    # It grew by four, at two sites: nobody else is offered it until it is known what is left.
    other = await waiting(world)
    news = await world.feed(refused(woken, free=(3, 1)))
    parts = only(news, NeedApprovedV1)
    assert [each.stock[0].quantity for each in parts] == [3, 1]
    assert other not in {each.need_id for each in parts}
    assert [each.need_id for each in parts].count(NeedId(need_id)) == 1
    rows = (await world.get("/v1/needs"))["needs"]
    assert sorted((row["state"], row["quantity"]) for row in rows) == [
        ("approved", 1),
        ("approved", 3),
        ("waitlisted", 1),
        ("waitlisted", 1),
    ]


async def test_money_wakes_its_programmes_only(world: World) -> None:
    need_id = await world.request("financial_aid")
    (approved,) = only(await world.published(), NeedApprovedV1)
    await world.feed(
        CommitmentRefusedV1(
            need_id=approved.need_id,
            attempt_no=1,
            reason="short",
            blocked_by=BlockedBy(resource="money", code="cash/UAH", quantity=360_000),
            decided_at=datetime.now(UTC),
        )
    )
    await world.published()

    def funds(programmes: tuple[str, ...] | None, currency: str, amount: int) -> FundsGrewV1:
        return FundsGrewV1(
            allotment_id=AllotmentId(uuid4()),
            programmes=programmes,
            currency=currency,
            amount_minor=amount,
            grew_at=datetime.now(UTC),
        )

    assert await world.feed(funds(("food",), "UAH", 900_000)) == []
    assert await world.feed(funds(None, "EUR", 900_000)) == []
    (woken,) = only(await world.feed(funds(("cash",), "UAH", 300_000)), NeedApprovedV1)
    assert woken.need_id == need_id


async def test_many_are_woken_by_one_receipt(world: World) -> None:
    first = await waiting(world)
    for _ in range(30):
        await world.request("food_parcel")
    await world.published()
    woken = only(await world.feed(grew("food_parcel", 25)), NeedApprovedV1)
    assert len(woken) == 25
    assert first in {each.need_id for each in woken}
    await waiting(world, "hygiene_kit")
    summary = (await world.get("/v1/waitlist"))["waiting"]
    assert [each["needs"] for each in summary] == [6, 1]
    assert summary[1] == {
        "resource": "stock", "code": "hygiene_kit", "site_id": None, "area": KYIV, "needs": 1,
        "quantity": 1, "oldest_asked_on": summary[1]["oldest_asked_on"], "priority_max": 15,
    }  # fmt: skip
    first_page = await world.get("/v1/waitlist", limit=1)
    last_page = await world.get("/v1/waitlist", limit=1, after=first_page["next"])
    assert first_page["waiting"] + last_page["waiting"] == summary
    assert last_page["next"] is None
    assert await world.sweep("pending_growth") == 0


async def test_an_item_that_nobody_has_entered_is_waited_for(world: World) -> None:
    first = await world.request("food_parcel")
    (asked,) = only(await world.published(), NeedApprovedV1)
    (listed,) = only(await world.feed(refused(asked, reason="unknown_item")), NeedWaitlistedV1)
    assert (listed.blocked_by.resource, listed.blocked_by.code) == ("stock", "food_parcel")
    shown = await world.need(first)
    assert (shown["state"], shown["wait"], shown["reason"]) == ("waitlisted", "short", None)
    behind = await world.request("food_parcel")
    assert only(await world.published(), NeedApprovedV1) == [], "it queues behind the first"
    assert (await world.need(behind))["ahead"] == 1
    again = await world.feed(refused(asked, reason="unknown_item"))
    assert again == [], "what is told twice counts once"

    (woken,) = only(await world.feed(grew("food_parcel", 1)), NeedApprovedV1)
    assert (woken.need_id, woken.attempt_no) == (first, 2)
    await world.feed(held(woken.need_id, 2), confirmed(woken.need_id, 2))
    assert await world.state(first) == "ready"
    assert await world.state(behind) == "waitlisted"


@pytest.mark.parametrize("money_first", [False, True])
async def test_all_that_an_attempt_lacked_is_shown(world: World, money_first: bool) -> None:
    need_id = await world.request("counseling_paid")
    (asked,) = only(await world.published(), NeedApprovedV1)
    assert asked.money is not None
    fee = BlockedBy(
        resource="money",
        code=f"{asked.programme}/{asked.money.currency}",
        quantity=asked.money.amount_minor,
    )
    refusals = [
        refused(asked),
        CommitmentRefusedV1(
            need_id=asked.need_id,
            attempt_no=1,
            reason="restricted",
            blocked_by=fee,
            decided_at=datetime.now(UTC),
        ),
    ]
    for each in reversed(refusals) if money_first else refusals:
        await world.feed(each)
    shown = await world.need(need_id)
    money: dict[str, Any] = {"blocked_by": fee.model_dump(mode="json"), "wait": "restricted"}
    slot: dict[str, Any] = {
        "blocked_by": refusals[0].model_dump(mode="json")["blocked_by"],
        "wait": "short",
    }
    one, other = (money, slot) if money_first else (slot, money)
    assert {"blocked_by": shown["blocked_by"], "wait": shown["wait"]} == one
    assert shown["also_lacks"] == other
    last = shown["timeline"][-1]
    assert (last["note"], last["detail"]) == (
        "lacks_too",
        f"{other['blocked_by']['resource']}:{other['blocked_by']['code']}",
    )
    await world.published()
    assert only(await world.feed(_growth_of(other["blocked_by"])), NeedApprovedV1) == []
    (again,) = only(await world.feed(_growth_of(one["blocked_by"])), NeedApprovedV1)
    assert again.attempt_no == 2
    assert (await world.need(need_id))["also_lacks"] is None


def _growth_of(blocked: Mapping[str, Any]) -> SupplyGrewV1 | FundsGrewV1:
    """More of what is waited for."""
    later = datetime.now(UTC) + timedelta(minutes=1)
    if blocked["resource"] == "money":
        programme, _, currency = blocked["code"].partition("/")
        return FundsGrewV1(
            allotment_id=AllotmentId(uuid4()),
            programmes=(programme,),
            currency=currency,
            amount_minor=blocked["quantity"],
            grew_at=later,
        )
    day = day_of(later) + timedelta(days=1)
    return grew(blocked["code"], 1, at=later).model_copy(update={"resource": "slot", "on": day})
