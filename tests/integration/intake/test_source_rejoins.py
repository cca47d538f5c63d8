"""A region that was held for lost rejoins: what it said of referrals in vain counts after all.

What is handed over comes by the inlet, as the other region's courier would bring it.
"""

from datetime import UTC, datetime

from aidmesh_chassis import handoff, standings
from aidmesh_chassis.consuming import Inlet
from aidmesh_chassis.standings import Stand
from aidmesh_contracts.payments_regions import Standing
from aidmesh_contracts.streams import Stream
from aidmesh_intake.handlers import leaving
from integration.chassis.parts import FakeMessage
from integration.intake.referred import Two
from integration.intake.sides import Side

SINCE = datetime(2030, 1, 1, tzinfo=UTC)


async def bring(one: Side, other: Side) -> int:
    """Deliver all that waits for the other region, sent before or not; returns how much."""
    async with one.world.db.transaction() as tx:
        await handoff.hurry(tx.conn, [other.world.region])
        parcels = await handoff.claim(tx.conn, 100)
    messages = [FakeMessage(each.subject, each.payload, each.headers) for each in parcels]
    (taken,) = [s for s in other.world.service.subscriptions if s.stream is Stream.HANDOFF]
    inlet = Inlet(other.world.db, "intake-handoff", taken.handlers, answer=taken.answer)
    await inlet.take(messages)
    assert all(each.outcome == ["ack"] for each in messages)
    async with one.world.db.transaction() as tx:
        await handoff.published(tx.conn, [each.event_id for each in parcels])
    return len(parcels)


async def talk(two: Two) -> None:
    """Deliver for as long as there is anything new to say or to answer."""
    for _ in range(4):
        await bring(two.kyiv, two.lviv)
        await bring(two.lviv, two.kyiv)


async def hear(side: Side, standing: Standing, epoch: int) -> None:
    """Learn how Kyiv stands."""
    async with side.world.db.transaction() as tx:
        said = {"kyiv": (Stand(standing, epoch, SINCE), "lviv")}
        await standings.take_in(tx, said, leaving.follow)


async def test_a_confirmation_that_was_set_aside_comes_once_its_region_has_rejoined(
    two: Two,
) -> None:
    kyiv, lviv = two.kyiv, two.lviv
    need_id = await two.waiting()
    referral_id = await two.offer(need_id)
    await talk(two)
    theirs = await two.take(referral_id)
    await lviv.hold_all(await lviv.world.published())
    await bring(lviv, kyiv)
    assert await kyiv.world.state(need_id) == "referred"

    await hear(lviv, "lost", 1)  # before it hears that Kyiv let go of the need
    await talk(two)
    await hear(lviv, "member", 2)
    await hear(kyiv, "member", 2)
    await talk(two)
    assert await two.status("lviv", referral_id) == "accepted"
    assert await lviv.value("SELECT count(*) > 0 FROM conflict")

    kyiv.world.db.origin.epoch = 2
    while await kyiv.world.sweep("told_again"):
        pass
    await talk(two)
    assert await two.status("lviv", referral_id) == "confirmed"
    assert not (await lviv.world.need(theirs))["pending"]
    assert await bring(kyiv, lviv) + await bring(lviv, kyiv) == 0  # all is answered
