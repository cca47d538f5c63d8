"""In whose place a need waits: behind whoever came before it, and never further back for asking."""

from uuid import UUID, uuid4

import pytest

from aidmesh_contracts.ids import NeedId, ReservationId, SiteId
from aidmesh_contracts.intake import NeedApprovedV1, NeedWaitlistedV1, NeedWithdrawnV1
from aidmesh_contracts.inventory import ReservationReleasedV1, SupplyGrewV1
from aidmesh_contracts.values import BlockedBy
from integration.intake.world import (
    KYIV,
    SITE,
    World,
    confirmed,
    grew,
    held,
    only,
    refused,
    waiting,
)


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
