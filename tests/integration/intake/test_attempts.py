"""An attempt that comes to nothing is let go everywhere, then asked anew, kept waiting, or over."""

from uuid import uuid4

import pytest

from aidmesh_chassis.errors import Poison
from aidmesh_contracts.ids import NeedId
from aidmesh_contracts.intake import (
    NeedApprovedV1,
    NeedClosedV1,
    NeedFulfilledV1,
    NeedReversedV1,
    NeedWaitlistedV1,
    NeedWithdrawnV1,
)
from aidmesh_contracts.inventory import ReservationReleasedV1
from integration.intake.world import (
    World,
    confirmed,
    held,
    issued,
    money_held,
    only,
    refused,
    undone,
)


async def test_refusal_releases_the_other_and_waits(world: World) -> None:
    need_id = await world.request("counseling_paid")
    (approved,) = only(await world.published(), NeedApprovedV1)
    events = await world.feed(money_held(need_id, 80_000), refused(approved))
    assert only(events, NeedWithdrawnV1)[0].reason == "refused"
    (waiting,) = only(events, NeedWaitlistedV1)
    assert waiting.blocked_by.code == "counseling_paid"
    shown = await world.need(need_id)
    assert (shown["state"], shown["wait"], shown["ahead"]) == ("waitlisted", "short", 0)


async def test_hold_expired_is_retried_and_old_answers_are_ignored(world: World) -> None:
    need_id = await world.request("food_parcel")
    await world.feed(held(need_id))
    released = ReservationReleasedV1(
        reservation_id=held(need_id).reservation_id,
        need_id=NeedId(need_id),
        attempt_no=1,
        cause="hold_expired",
    )
    await world.feed(released)
    assert await world.state(need_id) == "waitlisted"
    async with world.db.transaction() as tx:
        await tx.conn.execute("UPDATE need SET retry_at = now()")
    assert await world.sweep("retries") == 1
    (again,) = only(await world.published(), NeedApprovedV1)
    assert again.attempt_no == 2
    assert await world.feed(confirmed(need_id, 1), held(need_id, 1), released) == []
    await world.feed(held(need_id, 2), confirmed(need_id, 2))
    assert await world.state(need_id) == "ready"


async def test_relocation_asks_again_at_once(world: World) -> None:
    need_id = await world.request("shelter_night")
    await world.feed(held(need_id), confirmed(need_id))
    await world.published()
    events = await world.feed(
        ReservationReleasedV1(
            reservation_id=held(need_id).reservation_id,
            need_id=NeedId(need_id),
            attempt_no=1,
            cause="relocated",
        )
    )
    assert only(events, NeedWithdrawnV1)
    assert only(events, NeedApprovedV1)[0].attempt_no == 2


async def test_unanswered_attempts_are_asked_anew(world: World) -> None:
    need_id = await world.request("food_parcel")
    await world.published()
    assert await world.sweep("overdue_attempts") == 0
    async with world.db.transaction() as tx:
        await tx.conn.execute("UPDATE need SET deadline_at = now() - interval '1 second'")
    assert await world.sweep("overdue_attempts") == 1
    events = await world.published()
    assert only(events, NeedWithdrawnV1)[0].attempt_no == 1
    assert only(events, NeedApprovedV1)[0].attempt_no == 2
    assert await world.state(need_id) == "approved"


async def test_needs_past_their_last_day_expire(world: World) -> None:
    need_id = await world.request("food_parcel", needed_by="2099-01-01")
    (approved,) = only(await world.published(), NeedApprovedV1)
    await world.feed(refused(approved))
    async with world.db.transaction() as tx:
        await tx.conn.execute("UPDATE need SET needed_by = '2024-01-01'")
    assert await world.sweep("last_days") == 1
    assert only(await world.published(), NeedClosedV1)[0].state == "expired"
    assert await world.state(need_id) == "expired"


async def test_cancel_tells_the_holders(world: World) -> None:
    need_id = await world.request("food_parcel")
    await world.feed(held(need_id))
    await world.published()
    await world.post(f"/v1/needs/{need_id}:cancel", {"reason": "no_longer_needed"})
    events = await world.published()
    assert only(events, NeedWithdrawnV1)[0].reason == "cancelled"
    assert only(events, NeedClosedV1)[0].state == "cancelled"
    assert await world.feed(confirmed(need_id)) == []
    await world.post(f"/v1/needs/{need_id}:cancel", {"reason": "again"}, status=409)
    # It was handed over all the same: facts are recorded, and undoing it asks a person.
    assert only(await world.feed(issued(need_id)), NeedFulfilledV1)
    events = await world.feed(undone(need_id))
    assert only(events, NeedReversedV1)
    assert only(events, NeedWithdrawnV1)
    assert await world.state(need_id) == "requested"


async def test_a_guest_is_sent_on(world: World) -> None:
    need_id = await world.request("shelter_night")
    (approved,) = only(await world.published(), NeedApprovedV1)
    await world.feed(refused(approved))
    await world.post(f"/v1/needs/{need_id}:move", {"place_area": "UA46"})
    (again,) = only(await world.published(), NeedApprovedV1)
    assert (again.place_area, again.attempt_no) == ("UA46", 2)
    assert (await world.need(need_id))["place_area"] == "UA46"


async def test_an_answer_about_an_unknown_need_is_poison(world: World) -> None:
    with pytest.raises(Poison):
        await world.feed(held(uuid4()))
