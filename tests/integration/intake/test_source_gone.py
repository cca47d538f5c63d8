"""A region that had referred people here is lost or has retired: nobody hangs on its last word."""

from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

import pytest

from aidmesh_contracts.intake import (
    NeedApprovedV1,
    NeedConfirmedV1,
    NeedWaitlistedV1,
    ReferralAcceptedV1,
    ReferralRefusedV1,
    ReferralWithdrawnV1,
)
from aidmesh_contracts.payments_regions import RegionChangedV1
from aidmesh_contracts.streams import Stream
from integration.intake.referred import Two
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
