"""Who is woken by what, in whose place, and that nobody is forgotten."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import pytest

from aidmesh_chassis.auth import Role
from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import AllotmentId, NeedId, ReservationId, SiteId
from aidmesh_contracts.intake import (
    NeedApprovedV1,
    NeedUnlistedV1,
    NeedWaitlistedV1,
    NeedWithdrawnV1,
)
from aidmesh_contracts.inventory import ReservationReleasedV1, SupplyGrewV1
from aidmesh_contracts.payments import CommitmentRefusedV1, FundsGrewV1
from aidmesh_contracts.values import BlockedBy
from integration.intake.world import KYIV, SITE, World, confirmed, grew, held, only, refused


async def waiting(world: World, kind: str = "food_parcel", quantity: int = 1) -> UUID:
    """A need that was refused for lack of supply."""
    need_id = await world.request(kind, quantity=quantity)
    if quantity > 1:  # more than the limit allows one person
        why = {"override_reason": "large_family"}
        await world.post(f"/v1/needs/{need_id}:approve", why, Role.LEAD)
    approved = [e for e in only(await world.published(), NeedApprovedV1) if e.need_id == need_id]
    if approved:
        await world.feed(refused(approved[0]))
    assert await world.state(need_id) == "waitlisted"
    await world.published()
    return need_id


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


async def test_new_needs_queue_behind_those_who_wait(world: World) -> None:
    first = await waiting(world)
    second = await world.request("food_parcel")
    assert not only(await world.published(), NeedApprovedV1)
    shown = await world.need(second)
    assert (shown["state"], shown["wait"], shown["ahead"]) == ("waitlisted", "behind", 1)
    await world.post(f"/v1/needs/{first}:cancel", {"reason": "moved_away"})
    # Nothing stands before it any more.
    assert [e.need_id for e in only(await world.published(), NeedApprovedV1)] == [second]


async def test_asking_for_one_that_waits_does_not_cost_it_its_place(world: World) -> None:
    needs = [await waiting(world) for _ in range(2)]
    before = [await world.need(need_id) for need_id in needs]
    rows = {"rows": [{"need_id": str(need_id)} for need_id in needs]}
    await world.post("/v1/needs:approve", rows)
    for need_id in needs:
        answer = await world.post(f"/v1/needs/{need_id}:approve")
        assert answer["state"] == "waitlisted"
    assert await world.published() == []
    assert [await world.need(need_id) for need_id in needs] == before


async def test_lists_go_by_the_order_in_which_needs_were_recorded(world: World) -> None:
    answer = await world.post(
        "/v1/requests",
        {
            "person": {"client_code": "many", "area": "UA80"},
            "needs": [{"kind": "financial_aid", "amount_minor": 1000 + n} for n in range(4)],
        },
        status=201,
    )
    needs = [each["need_id"] for each in answer["needs"]]
    needs += [str(await world.request("financial_aid")) for _ in range(2)]
    page = await world.get("/v1/needs", limit=2)
    listed = [each["need_id"] for each in page["needs"]]
    while page["next"] is not None:
        page = await world.get("/v1/needs", limit=2, after=page["next"])
        listed += [each["need_id"] for each in page["needs"]]
    assert listed == needs
    told = only(await world.published(), NeedApprovedV1)
    told = sorted(told, key=lambda each: each.queue_no)
    ids = [str(each.need_id) for each in told]
    assert ids == [each for each in needs if each in ids]
    assert len({each.queue_no for each in told}) == len(told) > 2


async def test_a_need_that_is_asked_for_again_goes_behind_those_before_it(world: World) -> None:
    first, lapsed = await world.request("food_parcel"), await world.request("food_parcel")
    await _short(world, first)
    await _run_out(world, lapsed)
    assert await world.sweep("retries") == 1
    assert only(await world.published(), NeedApprovedV1) == []
    shown = await world.need(lapsed)
    assert (shown["wait"], shown["attempt_no"], shown["ahead"]) == ("behind", 1, 1)
    assert await world.sweep("retries") == 0, "it waits for growth now"
    for need_id in (first, lapsed):
        (woken,) = only(await world.feed(grew("food_parcel", 1)), NeedApprovedV1)
        assert woken.need_id == need_id


async def test_a_need_that_is_asked_for_again_keeps_its_place(world: World) -> None:
    lapsed, later = await world.request("food_parcel"), await world.request("food_parcel")
    await _short(world, later)
    await _run_out(world, lapsed)
    await world.sweep("retries")
    (asked,) = only(await world.published(), NeedApprovedV1)
    assert (asked.need_id, asked.attempt_no) == (lapsed, 2)


async def test_a_moved_need_goes_behind_those_who_wait_there(world: World) -> None:
    there, here = await world.request("food_parcel", place_area="UA46"), await waiting(world)
    await _short(world, there)
    behind_here = await world.request("food_parcel")
    await world.published()
    await world.post(f"/v1/needs/{here}:move", {"place_area": "UA46"})
    # Nobody stands before the other any more; the moved one has somebody before it.
    (asked,) = only(await world.published(), NeedApprovedV1)
    assert asked.need_id == behind_here
    shown = await world.need(here)
    assert (shown["wait"], shown["place_area"], shown["ahead"]) == ("behind", "UA46", 1)
    for need_id in (there, here):
        (woken,) = only(await world.feed(_grew_in("UA46")), NeedApprovedV1)
        assert (woken.need_id, woken.place_area) == (need_id, "UA46")


async def test_what_was_set_aside_for_a_moved_need_is_let_go(world: World) -> None:
    there, here = await world.request("food_parcel", place_area="UA46"), await _held(world)
    await _short(world, there)
    await world.post(f"/v1/needs/{here}:move", {"place_area": "UA46"})
    events = await world.published()
    assert [each.attempt_no for each in only(events, NeedWithdrawnV1)] == [1]
    assert only(events, NeedApprovedV1) == []
    assert await world.state(here) == "waitlisted"


async def test_a_moved_need_with_more_age_asks_before_those_who_wait_there(world: World) -> None:
    here, there = await waiting(world), await world.request("food_parcel", place_area="UA46")
    await _short(world, there)
    await world.post(f"/v1/needs/{here}:move", {"place_area": "UA46"})
    (asked,) = only(await world.published(), NeedApprovedV1)
    assert (asked.need_id, asked.place_area) == (here, "UA46")


async def test_narrowing_its_place_is_not_queueing_behind_itself(world: World) -> None:
    need_id = await waiting(world)
    await world.post(f"/v1/needs/{need_id}:move", {"place_area": KYIV, "site_id": str(SITE)})
    (asked,) = only(await world.published(), NeedApprovedV1)
    assert (asked.need_id, asked.site_id) == (need_id, SITE)


async def _short(world: World, need_id: UUID) -> None:
    """Inventory refuses a need's first attempt: there is nothing left."""
    needs = await world.published(from_start=True)
    (approved,) = (e for e in only(needs, NeedApprovedV1) if e.need_id == need_id)
    await world.feed(refused(approved))


async def _held(world: World) -> UUID:
    need_id = await world.request("food_parcel")
    await world.feed(held(need_id), confirmed(need_id))
    assert await world.state(need_id) == "ready"
    return need_id


async def _run_out(world: World, need_id: UUID) -> None:
    """A hold ran out before everyone had said yes, and it is time to ask again."""
    await world.feed(
        ReservationReleasedV1(
            reservation_id=ReservationId(uuid4()),
            need_id=NeedId(need_id),
            attempt_no=1,
            cause="hold_expired",
        )
    )
    assert (await world.need(need_id))["wait"] == "hold_expired"
    async with world.db.transaction() as tx:
        await tx.conn.execute("UPDATE need SET retry_at = now() WHERE id = $1", need_id)


def _grew_in(area: str) -> SupplyGrewV1:
    return grew("food_parcel", 1).model_copy(update={"area": area, "site_id": SiteId(uuid4())})


async def test_higher_priority_does_not_queue(world: World) -> None:
    await waiting(world)
    answer = await world.post(
        "/v1/requests",
        {
            "person": {"client_code": "urgent", "area": "UA80"},
            "answers": {"in_danger_now": True, "with_children": False},
            "needs": [{"kind": "food_parcel"}],
        },
        status=201,
    )
    assert answer["needs"][0]["state"] == "approved"


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


async def test_a_limit_holds_until_a_person_decides(world: World) -> None:
    await world.request("food_parcel", "twice")
    second = await world.request("food_parcel", "twice")
    shown = await world.need(second)
    assert (shown["state"], shown["reason"]) == ("requested", "limit")
    await world.post(f"/v1/needs/{second}:approve", status=409)
    await world.post(f"/v1/needs/{second}:approve", None, Role.LOGISTICIAN, status=403)
    why = {"override_reason": "family_grew"}
    await world.post(f"/v1/needs/{second}:approve", why, Role.LEAD, key="k" * 16)
    again = await world.post(f"/v1/needs/{second}:approve", why, Role.LEAD, key="k" * 16)
    assert again["state"] == "approved"


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


async def test_who_decides_sees_which_limit_and_what_was_counted(world: World) -> None:
    first = await world.request("food_parcel", "twice")
    second = await world.request("food_parcel", "twice")
    shown = await world.need(second)
    (limit,) = [
        each for each in (await world.get("/v1/kinds/food_parcel"))["limits"] if not each["kinds"]
    ]
    today = day_of(datetime.now(UTC)).isoformat()
    counted = {
        "need_id": str(first), "kind": "food_parcel", "quantity": 1, "on": today, "served": False,
    }  # fmt: skip
    assert shown["objection"] == {
        "what": "limit", "limit": limit, "earlier": [counted], "hidden": 0,
    }  # fmt: skip
    assert (await world.need(first))["objection"] is None, "it is approved"
    await world.post(f"/v1/needs/{first}:cancel", {"reason": "entry_error"})
    assert (await world.need(second))["objection"] is None, "nothing counts any more"


WITH_TESTS: Final = {
    "per": "person", "count": 1, "days": 30, "kinds": ["food_parcel", "self_test"],
}  # fmt: skip


async def put(world: World, code: str, **changed: object) -> str | None:
    """Change a kind as a lead; None, or the field and the rule that speak against it."""
    kind = await world.get(f"/v1/kinds/{code}")
    body = {**kind, "version": kind["version"] + 1, **changed}
    answer = await world.client.put(
        f"/v1/kinds/{code}", json=body, headers=world.headers(Role.LEAD)
    )
    if answer.status_code == 200:
        return None
    (error,) = answer.json()["errors"]
    return f"{error['field']}: {error['rule']}"


async def test_limits_that_everybody_sees_count_nothing_sensitive(world: World) -> None:
    rule = "counts_sensitive_kinds"
    assert await put(world, "food_parcel", limits=[WITH_TESTS]) == f"limits: {rule}"
    # Nor by way of the other, sooner or later; among sensitive kinds nobody learns anything.
    both = {**WITH_TESTS, "kinds": ["food_parcel", "hygiene_kit"]}
    assert await put(world, "food_parcel", limits=[both]) is None
    assert await put(world, "hygiene_kit", sensitivity="health") == f"sensitivity: {rule}"
    assert await put(world, "self_test", limits=[WITH_TESTS]) is None
    assert await put(world, "self_test", sensitivity="none") is None
    assert await put(world, "self_test", sensitivity="hiv") is None
    medicine = {**WITH_TESTS, "kinds": ["medicine", "self_test"]}
    assert await put(world, "medicine", limits=[medicine]) is None
    assert await put(world, "medicine", sensitivity="none") == f"limits: {rule}"


async def test_sensitive_needs_that_count_are_hidden_from_others(world: World) -> None:
    await world.get("/v1/kinds")
    # As a catalogue that was edited before may have it.
    async with world.db.transaction() as tx:
        await tx.conn.execute(
            "UPDATE kind SET version = version + 1, body = body || jsonb_build_object("
            "'limits', jsonb_build_array($1::text::jsonb), 'version', version + 1)"
            " WHERE code = 'food_parcel'",
            json.dumps(WITH_TESTS),
        )
    assert (await world.get("/v1/kinds/self_test"))["sensitivity"] != "none"
    assert await put(world, "food_parcel", base_points=5) is None, "it can still be changed"
    test = await world.request("self_test", "both")
    parcel = await world.request("food_parcel", "both")
    seen = (await world.need(parcel))["objection"]
    assert ([each["need_id"] for each in seen["earlier"]], seen["hidden"]) == ([str(test)], 0)
    unseen = (await world.get(f"/v1/needs/{parcel}", Role.LOGISTICIAN))["objection"]
    assert unseen == seen | {"earlier": [], "limit": seen["limit"] | {"kinds": ["food_parcel"]}}


async def test_those_ahead_are_those_it_queues_behind(world: World) -> None:
    elsewhere = await world.request("food_parcel", place_area="UA46")
    one_site = await world.request("food_parcel", site_id=str(SITE))
    first = await world.request("food_parcel")
    for asked in only(await world.published(), NeedApprovedV1):
        refusal = refused(asked)
        if asked.site_id is not None:
            there = BlockedBy(resource="stock", code="food_parcel", site_id=SITE, quantity=1)
            refusal = refusal.model_copy(update={"blocked_by": there})
        await world.feed(refusal)
    second = await world.request("food_parcel")
    third = await world.request("food_parcel", site_id=str(SITE))
    shown = [(await world.need(each))["ahead"] for each in (elsewhere, one_site, first, second)]
    assert shown == [0, 0, 0, 1], "whoever waits for another area or one site takes nothing of mine"
    assert (await world.need(third))["ahead"] == 3


@pytest.mark.parametrize("together", [True, False])
async def test_a_part_overtakes_nobody_who_waits_before_it(world: World, together: bool) -> None:
    """What lies free goes to those who come first, whatever order the news of it comes in."""
    await world.request("self_test", quantity=2)
    (later,) = only(await world.published(), NeedApprovedV1)
    await world.post(
        "/v1/requests",
        {
            "person": {"client_code": "danger", "area": "UA80"},
            "answers": {"in_danger_now": True},
            "needs": [{"kind": "self_test", "quantity": 2}],
        },
        status=201,
    )
    (urgent,) = only(await world.published(), NeedApprovedV1)
    assert urgent.priority > later.priority
    if together:
        news = await world.feed(refused(later, free=(1,)), refused(urgent))
    else:
        news = [*await world.feed(refused(urgent)), *await world.feed(refused(later, free=(1,)))]
    assert only(news, NeedApprovedV1) == []
    assert [each.blocked_by.quantity for each in only(news, NeedWaitlistedV1)] == [2, 2]
