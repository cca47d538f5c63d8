"""Who is woken by what, in whose place, and that nobody is forgotten."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from aidmesh_chassis.auth import Role
from aidmesh_contracts.ids import AllotmentId
from aidmesh_contracts.intake import NeedApprovedV1
from aidmesh_contracts.payments import CommitmentRefusedV1, FundsGrewV1
from aidmesh_contracts.values import BlockedBy
from integration.intake.world import World, confirmed, grew, held, only, refused


async def waiting(world: World, kind: str = "food_parcel", quantity: int = 1) -> UUID:
    """A need that was refused for lack of supply."""
    need_id = await world.request(kind, quantity=quantity)
    approved = [e for e in only(await world.published(), NeedApprovedV1) if e.need_id == need_id]
    if approved:
        await world.feed(refused(approved[0]))
    assert await world.state(need_id) == "waitlisted"
    await world.published()
    return need_id


async def test_growth_wakes_no_more_than_it_serves_and_in_order(world: World) -> None:
    needs = [await waiting(world) for _ in range(4)]
    woken = only(await world.feed(grew("food_parcel", 2)), NeedApprovedV1)
    assert [each.need_id for each in woken] == sorted(needs)[:2]
    assert all(each.attempt_no == 2 for each in woken if each.need_id == needs[0])
    woken = only(await world.feed(grew("food_parcel", 5)), NeedApprovedV1)
    assert [each.need_id for each in woken] == sorted(needs)[2:]


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
    # Of those who asked on one day the smaller id goes first.
    ahead = 1 if first < second else 0
    assert (shown["state"], shown["wait"], shown["ahead"]) == ("waitlisted", "behind", ahead)
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
    first, second = sorted([await waiting(world), await waiting(world)])
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
    (woken,) = only(await world.feed(grew("food_parcel", 9)), NeedApprovedV1)
    assert woken.stock[0].quantity == 3


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
    summary = (await world.get("/v1/waitlist"))["waiting"]
    assert summary[0]["needs"] == 6
    assert await world.sweep("pending_growth") == 0


async def test_a_limit_holds_until_a_person_decides(world: World) -> None:
    await world.request("food_parcel", "twice")
    second = await world.request("food_parcel", "twice")
    shown = await world.need(second)
    assert (shown["state"], shown["reason"]) == ("requested", "limit")
    await world.post(f"/v1/needs/{second}:approve", status=409)
    await world.post(f"/v1/needs/{second}:approve", None, Role.LOGISTICIAN, status=403)
    await world.post(
        f"/v1/needs/{second}:approve", {"override_reason": "family_grew"}, key="k" * 16
    )
    again = await world.post(
        f"/v1/needs/{second}:approve", {"override_reason": "family_grew"}, key="k" * 16
    )
    assert again["state"] == "approved"
