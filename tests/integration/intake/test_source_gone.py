"""A region that had referred people here is lost or has retired: nobody hangs on its last word."""

from datetime import UTC, datetime
from typing import Literal
from uuid import UUID, uuid4

import pytest

from aidmesh_contracts.days import day_of
from aidmesh_contracts.intake import NeedApprovedV1, NeedConfirmedV1, NeedWaitlistedV1
from aidmesh_contracts.intake_referrals import (
    ReferralAcceptedV1,
    ReferralRefusedV1,
    ReferralWithdrawnV1,
)
from aidmesh_contracts.inventory import ReservationReleasedV1
from aidmesh_contracts.payments_regions import RegionChangedV1
from aidmesh_contracts.streams import Stream
from aidmesh_contracts.values import BlockedBy
from aidmesh_intake.store import growth
from integration.intake.referred import LVIV, Two, wait_for_parcel
from integration.intake.world import held, only, refused

Standing = Literal["lost", "retired", "member"]


async def becomes(two: Two, standing: Standing, epoch: int = 1) -> None:
    """Lviv hears how Kyiv stands."""
    event = RegionChangedV1(region="kyiv", standing=standing, epoch=epoch, since=datetime.now(UTC))
    by = "kyiv" if standing == "retired" else "lviv"
    stream = Stream.WORLD if standing == "retired" else Stream.EVENTS
    await two.lviv.world.feed(event, stream=stream, region=by)


async def attention(two: Two, need_id: UUID) -> object:
    return (await two.lviv.world.need(need_id))["attention"]


@pytest.mark.parametrize("standing", ["lost", "retired"])
async def test_what_is_only_offered_ends_and_is_blanked(two: Two, standing: Standing) -> None:
    need_id = await two.waiting()
    referral_id = await two.offer(need_id)
    await two.exchange()
    await becomes(two, standing)
    assert await two.status("lviv", referral_id) == "refused"
    assert await two.lviv.value("SELECT count(*) FROM referral_in WHERE sealed IS NOT NULL") == 0
    await two.lviv.world.post(f"/v1/referrals/{referral_id}:take", status=409)
    said = await two.lviv.said()
    if standing == "retired":
        assert said == []
        return
    # Should Kyiv come back, its need waits no longer for an answer.
    (answer,) = said
    assert isinstance(answer, ReferralRefusedV1)
    await two.kyiv.hear("lviv", answer)
    assert await two.kyiv.world.state(need_id) == "waitlisted"
    assert await two.status("kyiv", referral_id) == "refused"


@pytest.mark.parametrize("standing", ["lost", "retired"])
async def test_what_was_accepted_is_kept_by_a_person(two: Two, standing: Standing) -> None:
    lviv = two.lviv
    _, referral_id, theirs = await two.accepted()
    path = f"/v1/referrals/{referral_id}:keep"
    assert (await lviv.world.post(path, status=409))["rule"] == "source_is_there"
    await becomes(two, standing)
    assert await attention(two, theirs) == "source_gone"
    (row,) = (await lviv.world.get("/v1/needs", attention=True))["needs"]
    assert row["need_id"] == str(theirs)
    await lviv.world.published()
    await lviv.world.post(path)
    confirmed = only(await lviv.world.published(), NeedConfirmedV1)
    assert [each.need_id for each in confirmed] == [theirs]
    assert await two.status("lviv", referral_id) == "confirmed"
    assert await attention(two, theirs) is None
    assert await lviv.value("SELECT pending FROM need WHERE id = $1", theirs) is False
    assert (await lviv.world.post(path, status=409))["rule"] == "referral_over"
    # Whatever is heard of the offer later, the need is Lviv's.
    await lviv.hear("kyiv", ReferralWithdrawnV1(referral_id=referral_id, reason="lapsed"))
    assert await two.status("lviv", referral_id) == "confirmed"
    while await lviv.world.sweep("ended_referrals"):
        pass
    assert await lviv.is_readable(theirs)


async def test_what_was_taken_and_is_not_held_yet_is_kept_too(two: Two) -> None:
    lviv = two.lviv
    referral_id = await two.offer(await two.waiting())
    await two.exchange()
    theirs = await two.take(referral_id)
    (asked,) = only(await lviv.world.published(), NeedApprovedV1)
    await becomes(two, "lost")
    await lviv.world.post(f"/v1/referrals/{referral_id}:keep")
    # It was not said yet that Lviv accepts: should Kyiv come back, it hears so.
    assert [type(each) for each in await lviv.said()] == [ReferralAcceptedV1]
    published = await lviv.world.feed(held(asked.need_id, asked.attempt_no))
    assert [each.need_id for each in only(published, NeedConfirmedV1)] == [theirs]
    assert await lviv.said() == []


@pytest.mark.parametrize("back", [True, False])
async def test_what_there_is_nothing_for_waits_for_a_person_too(two: Two, back: bool) -> None:
    lviv = two.lviv
    referral_id = await two.offer(await two.waiting())
    await two.exchange()
    theirs = await two.take(referral_id)
    (asked,) = only(await lviv.world.published(), NeedApprovedV1)
    await becomes(two, "lost")
    await lviv.world.feed(refused(asked))
    assert await two.status("lviv", referral_id) == "taken"
    assert await lviv.world.sweep("ended_referrals") == 0
    if back:
        await becomes(two, "member", 2)
        assert await two.status("lviv", referral_id) == "refused"
        return
    await lviv.world.post(f"/v1/referrals/{referral_id}:keep")
    waiting = only(await lviv.world.published(), NeedWaitlistedV1)
    assert [each.need_id for each in waiting] == [theirs]
    assert await lviv.world.state(theirs) == "waitlisted"


async def test_what_nobody_keeps_is_cancelled_and_the_person_erased(two: Two) -> None:
    lviv = two.lviv
    _, _, theirs = await two.accepted()
    await becomes(two, "lost")
    await lviv.world.post(f"/v1/needs/{theirs}:cancel", {"reason": "moved_away"})
    assert await attention(two, theirs) is None
    while await lviv.world.sweep("ended_referrals"):
        pass
    assert not await lviv.is_readable(theirs)


async def test_a_region_that_is_back_lets_go_of_it_as_ever(two: Two) -> None:
    kyiv, lviv = two.kyiv, two.lviv
    need_id, referral_id, theirs = await two.accepted()
    await becomes(two, "lost")
    await becomes(two, "member", 2)
    assert await attention(two, theirs) is None
    path = f"/v1/referrals/{referral_id}:keep"
    assert (await lviv.world.post(path, status=409))["rule"] == "source_is_there"
    await two.exchange()
    assert await kyiv.world.state(need_id) == "referred"
    assert await two.status("lviv", referral_id) == "confirmed"


async def test_what_is_woken_by_what_is_let_go_of_at_that_moment_stays_woken(two: Two) -> None:
    """An offer to the region that is gone lapses, and what grew meanwhile is offered again."""
    lviv = two.lviv
    _, referral_id, theirs = await two.accepted()
    today = day_of(datetime.now(UTC))
    own = await wait_for_parcel(lviv, LVIV, {"referral": str(today)}, today)
    body = {"to_region": "kyiv", "place_area": "UA80"}
    offered = await lviv.world.post(f"/v1/needs/{own}:refer", body, status=201)
    hold = held(theirs)
    ran_out = ReservationReleasedV1(
        reservation_id=hold.reservation_id,
        need_id=hold.need_id,
        attempt_no=1,
        cause="hold_expired",
    )
    await lviv.world.feed(ran_out)
    assert await lviv.world.state(theirs) == "waitlisted"
    # Whoever noted it could not wake anybody: somebody had locked them.
    more = BlockedBy(resource="stock", code="food_parcel", area=LVIV, quantity=1)
    async with lviv.world.db.transaction() as tx:
        grown = growth.synthetic_growth(uuid4(), more, uuid4(), tx.now)
        await growth.add_growth(tx.conn, [grown])
    await becomes(two, "lost")
    asked = only(await lviv.world.published(from_start=True), NeedApprovedV1)
    assert (asked[-1].need_id, asked[-1].attempt_no) == (theirs, 2)
    row = await lviv.world.need(theirs)
    assert (row["state"], row["attempt_no"], row["attention"]) == ("approved", 2, "source_gone")
    assert await two.status("lviv", referral_id) == "accepted"
    query = "SELECT status FROM referral_out WHERE id = $1::text::uuid"
    assert await lviv.value(query, offered["referral_id"]) == "lapsed"
