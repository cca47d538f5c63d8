"""Referrals between two real databases, with words held back, doubled and crossing each other."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from aidmesh_chassis.errors import Poison
from aidmesh_contracts.base import Event
from aidmesh_contracts.days import day_of
from aidmesh_contracts.intake import NeedApprovedV1, NeedWaitlistedV1
from aidmesh_contracts.intake_referrals import (
    ReferralAcceptedV1,
    ReferralConfirmedV1,
    ReferralOfferedV1,
    ReferralWithdrawnV1,
)
from aidmesh_contracts.inventory import ReservationReleasedV1
from integration.intake.referred import ASKED_ON, LVIV, Two, wait_for_parcel
from integration.intake.sides import Side
from integration.intake.world import grew, held, only, refused


async def test_an_offer_lapses_and_the_late_acceptance_is_withdrawn(two: Two) -> None:
    kyiv, lviv = two.kyiv, two.lviv
    need_id, referral_id, theirs = await two.accepted()
    assert await kyiv.world.sweep("lapsed_offers") == 0
    await kyiv.execute("UPDATE referral_out SET lapses_at = now() - interval '1 second'")
    assert await kyiv.world.sweep("lapsed_offers") == 1
    assert await kyiv.world.sweep("lapsed_offers") == 0
    assert await two.status("kyiv", referral_id) == "lapsed"
    back = await kyiv.world.need(need_id)
    assert (back["state"], back["asked_on"]) == ("waitlisted", str(ASKED_ON))
    # What grew meanwhile is asked for at once, whatever Lviv says later.
    await kyiv.world.published()
    await kyiv.world.sweep("retries")
    again = only(await kyiv.world.published(), NeedApprovedV1)
    assert [each.need_id for each in again] == [need_id]
    await two.exchange()
    assert await kyiv.world.state(need_id) == "approved"
    assert await two.status("lviv", referral_id) == "withdrawn"
    await lviv.world.sweep("ended_referrals")
    assert await lviv.world.state(theirs) == "cancelled"
    assert not await lviv.is_readable(theirs)


async def test_an_acceptance_that_comes_before_the_sweep_but_too_late_is_withdrawn(
    two: Two,
) -> None:
    need_id, referral_id, _ = await two.accepted()
    await two.kyiv.execute("UPDATE referral_out SET lapses_at = now() - interval '1 second'")
    await two.exchange()
    assert await two.status("kyiv", referral_id) == "lapsed"
    assert await two.status("lviv", referral_id) == "withdrawn"
    assert await two.kyiv.world.state(need_id) == "waitlisted"


@pytest.mark.parametrize("swept_first", [True, False])
async def test_no_offer_lapses_by_hours_in_which_its_region_could_hear_no_answer(
    two: Two, swept_first: bool
) -> None:
    kyiv = two.kyiv
    need_id, referral_id, _ = await two.accepted()
    await kyiv.world.sweep("lapsed_offers")
    # 30 hours without power: an hour later it would have lapsed.
    await kyiv.execute("UPDATE offer_clock SET seen_at = now() - interval '30 hours'")
    await kyiv.execute(
        "UPDATE referral_out SET offered_at = offered_at - interval '30 hours',"
        " lapses_at = now() - interval '29 hours'"
    )
    if swept_first:
        for _ in range(3):
            await kyiv.world.sweep("lapsed_offers")
        left = await kyiv.value("SELECT lapses_at - now() FROM referral_out")
        assert abs(left - timedelta(hours=1)) < timedelta(minutes=5)
    await two.exchange()
    assert await two.status("kyiv", referral_id) == "confirmed"
    assert await two.status("lviv", referral_id) == "confirmed"
    assert await kyiv.world.state(need_id) == "referred"


async def test_what_had_lapsed_before_an_outage_or_was_offered_after_it_gains_nothing(
    two: Two,
) -> None:
    kyiv = two.kyiv
    _, lapsed, _ = await two.accepted()
    await kyiv.world.sweep("lapsed_offers")
    await kyiv.execute("UPDATE offer_clock SET seen_at = now() - interval '30 hours'")
    await kyiv.execute(
        "UPDATE referral_out SET offered_at = now() - interval '2 days',"
        " lapses_at = now() - interval '31 hours'"
    )
    fresh = await two.offer(await two.waiting())
    until = await kyiv.value("SELECT lapses_at FROM referral_out WHERE id = $1", fresh)
    for _ in range(2):
        await kyiv.world.sweep("lapsed_offers")
    assert await two.status("kyiv", lapsed) == "lapsed"
    after = await kyiv.value("SELECT lapses_at FROM referral_out WHERE id = $1", fresh)
    assert after == until


async def test_a_hold_that_ran_out_before_the_confirmation_queues_it_by_its_first_day(
    two: Two,
) -> None:
    kyiv, lviv = two.kyiv, two.lviv
    need_id, referral_id, theirs = await two.accepted()
    newer = await wait_for_parcel(lviv, LVIV, {}, day_of(datetime.now(UTC)))
    ran_out = ReservationReleasedV1(
        reservation_id=held(theirs).reservation_id,
        need_id=held(theirs).need_id,
        attempt_no=1,
        cause="hold_expired",
    )
    await lviv.world.feed(ran_out)
    assert await lviv.world.state(theirs) == "waitlisted"
    # Here it is nobody's yet: it is told of only once it is Lviv's own.
    published = []
    while said := await lviv.said():
        await kyiv.hear("lviv", *said)
        published += await lviv.hear("kyiv", *await kyiv.said())
    assert await kyiv.world.state(need_id) == "referred"
    assert await two.status("lviv", referral_id) == "confirmed"
    (news,) = only(published, NeedWaitlistedV1)
    assert (news.need_id, news.asked_on) == (theirs, ASKED_ON)
    # It stands before whoever came here since.
    woken = await lviv.world.feed(grew("food_parcel", 1).model_copy(update={"area": LVIV}))
    assert [each.need_id for each in only(woken, NeedApprovedV1)] == [theirs]
    assert await lviv.world.state(newer) == "waitlisted"


ACTS = ("offer", "take", "refuse", "withdraw", "lapse", "run_out", "erase_here", "erase_there")


@pytest.mark.parametrize("seed", range(4))
async def test_one_serves_and_the_erased_are_gone_whatever_the_wire_does(
    two: Two, seed: int
) -> None:
    dice = random.Random(seed)
    kyiv, lviv = two.kyiv, two.lviv
    need_ids = [await two.waiting() for _ in range(3)]
    wire: list[tuple[str, Event]] = []
    delivered: set[int] = set()
    erased: set[UUID] = set()

    async def listen() -> None:
        wire.extend([("kyiv", each) for each in await kyiv.said()])
        wire.extend([("lviv", each) for each in await lviv.said()])

    async def deliver(place: int) -> None:
        delivered.add(place)
        region, event = wire[place]
        await (lviv if region == "kyiv" else kyiv).hear(region, event)

    async def post(side: Side, path: str, body: object = None) -> bool:
        """What is not to be done is refused, and changes nothing."""
        headers = side.world.headers()
        answer = await side.world.client.post(path, json=body, headers=headers)
        assert answer.status_code in (200, 201, 404, 409), answer.text
        return answer.is_success

    async def act(name: str, need_id: UUID) -> None:
        offers = f"/v1/referrals/{await latest(need_id)}"
        theirs = await lviv.value(
            "SELECT need_id FROM referral_in WHERE need_id IS NOT NULL ORDER BY random() LIMIT 1"
        )
        if name == "offer":
            body = {"to_region": "lviv", "place_area": LVIV}
            await post(kyiv, f"/v1/needs/{need_id}:refer", body)
        elif name == "take" and await post(lviv, f"{offers}:take"):
            asked = await lviv.world.published()
            if dice.random() < 0.8:
                await lviv.hold_all(asked)
            else:
                await lviv.world.feed(*(refused(each) for each in only(asked, NeedApprovedV1)))
        elif name == "refuse":
            await post(lviv, f"{offers}:refuse")
        elif name == "withdraw":
            await post(kyiv, f"{offers}:withdraw")
        elif name == "lapse":
            await kyiv.execute(
                "UPDATE referral_out SET lapses_at = now() - interval '1 second'"
                " WHERE need_id = $1 AND status = 'offered'",
                need_id,
            )
            await kyiv.world.sweep("lapsed_offers")
        elif name == "run_out" and theirs is not None:
            hold = held(theirs)
            gone = ReservationReleasedV1(
                reservation_id=hold.reservation_id,
                need_id=hold.need_id,
                attempt_no=1,
                cause="hold_expired",
            )
            await lviv.world.feed(gone)
        elif name == "erase_here" and need_id not in erased and dice.random() < 0.3:
            erased.add(need_id)
            await kyiv.erase(need_id)
        elif name == "erase_there" and theirs is not None and await lviv.is_readable(theirs):
            await lviv.erase(theirs)

    async def latest(need_id: UUID) -> UUID:
        found = await kyiv.value(
            "SELECT id FROM referral_out WHERE need_id = $1 ORDER BY offered_at DESC LIMIT 1",
            need_id,
        )
        return need_id if found is None else UUID(str(found))

    async def nobody_is_served_twice() -> None:
        rows = await lviv.value(
            "SELECT COALESCE(array_agg(r.id), '{}') FROM referral_in r JOIN need n"
            " ON n.id = r.need_id WHERE NOT n.pending"
        )
        for need_id in await kyiv.value(
            "SELECT COALESCE(array_agg(need_id), '{}') FROM referral_out WHERE id = ANY($1)", rows
        ):
            assert await kyiv.world.state(need_id) == "referred"

    for _ in range(60):
        if wire and dice.random() < 0.5:
            # Any word, any time, also once more under another id.
            await deliver(dice.randrange(len(wire)))
        elif dice.random() < 0.1:
            await lviv.world.sweep("ended_referrals")
        else:
            await act(dice.choice(ACTS), dice.choice(need_ids))
        await listen()
        await nobody_is_served_twice()
    # In the end every word arrives, and what was made of offers that came to nothing is ended.
    while len(delivered) < len(wire):
        for place in range(len(wire)):
            if place not in delivered:
                await deliver(place)
        await listen()
        while await lviv.world.sweep("ended_referrals"):
            pass
        await listen()
    await nobody_is_served_twice()
    for row in await _rows(lviv, "SELECT id, status, need_id, sealed FROM referral_in"):
        said = await two.status("kyiv", row["id"])
        if said in ("lapsed", "withdrawn"):
            assert row["status"] in ("withdrawn", "refused")
        elif said == "refused":
            assert row["status"] == "refused"
        elif said == "confirmed":
            assert row["status"] in ("confirmed", "refused")
        if row["status"] in ("withdrawn", "refused"):
            assert row["sealed"] is None
            if row["need_id"] is not None:
                assert await lviv.world.state(row["need_id"]) == "cancelled"
                assert not await lviv.is_readable(row["need_id"])
    for need_id in erased:
        assert not await kyiv.is_readable(need_id)
        assert await kyiv.world.state(need_id) in ("cancelled", "referred")


async def _rows(side: Side, query: str) -> list[dict[str, Any]]:
    async with side.world.db.read() as conn:
        return [dict(row) for row in await conn.fetch(query)]


async def test_one_of_those_who_take_or_refuse_an_offer_at_once_does(two: Two) -> None:
    kyiv, lviv = two.kyiv, two.lviv
    for _ in range(3):
        referral_id = await two.offer(await two.waiting())
        await two.exchange()
        path, headers = f"/v1/referrals/{referral_id}", lviv.world.headers()
        answers = await asyncio.gather(
            *(lviv.world.client.post(f"{path}:take", headers=headers) for _ in range(2)),
            lviv.world.client.post(f"{path}:refuse", headers=headers),
        )
        codes = sorted(each.status_code for each in answers)
        assert codes in ([200, 409, 409], [201, 409, 409])
        made = await lviv.value(
            "SELECT count(*) FROM person p JOIN referral_in r ON r.person_id = p.id"
            " WHERE r.id = $1",
            referral_id,
        )
        assert made == (1 if codes[0] == 201 else 0)
    assert await kyiv.value("SELECT count(*) FROM referral_out") == 3
    everyone = "SELECT count(*) FROM person"
    taken = await lviv.value("SELECT count(*) FROM referral_in WHERE need_id IS NOT NULL")
    assert await lviv.value(everyone) == taken


async def test_nobody_answers_or_confirms_for_another_region(two: Two) -> None:
    kyiv, lviv = two.kyiv, two.lviv
    need_id, referral_id, theirs = await two.accepted()
    (accepted,) = await lviv.said()
    assert isinstance(accepted, ReferralAcceptedV1)
    with pytest.raises(Poison):
        await kyiv.hear("odesa", accepted)
    for word in (
        ReferralConfirmedV1(referral_id=accepted.referral_id),
        ReferralWithdrawnV1(referral_id=accepted.referral_id, reason="withdrawn"),
        ReferralOfferedV1(
            referral_id=accepted.referral_id, lapses_at=datetime.now(UTC), sealed="YQ=="
        ),
    ):
        with pytest.raises(Poison):
            await lviv.hear("odesa", word)
    assert await two.status("lviv", referral_id) == "accepted"
    assert (await lviv.world.need(theirs))["pending"]
    assert await kyiv.world.state(need_id) == "waitlisted"
