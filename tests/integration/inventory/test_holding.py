"""Holds from approval to pick-up: refused, confirmed, run out, withdrawn, not collected."""

from datetime import timedelta
from uuid import uuid4

from aidmesh_contracts.intake import NeedToldV1
from aidmesh_contracts.inventory import (
    ReservationConfirmedV1,
    ReservationHeldV1,
    ReservationRefusedV1,
    ReservationReleasedV1,
    SupplyGrewV1,
)
from aidmesh_contracts.pickup import ends_at
from aidmesh_contracts.restriction import Restriction
from aidmesh_inventory.handlers import sites, sweeps
from integration.inventory.world import World, approved, confirmed, paid, withdrawn


async def test_what_can_not_be_had_is_refused_with_what_it_waits_for(world: World) -> None:
    site_id = await world.site()
    await world.item()
    await world.stock(site_id, 1)
    many = approved(quantity=2)
    unknown = approved(items=("gold",))
    elsewhere = approved(area="UA46")
    here = approved(quantity=2, site_id=site_id)
    for_others = approved(quantity=1, items=("kit",))
    await world.item("kit")
    await world.stock(site_id, 5, "kit", restriction=Restriction(programmes=("health",)))

    await world.take(many, unknown, elsewhere, here, for_others)

    told = {each.need_id: each for each in await world.emitted(ReservationRefusedV1)}
    assert told[many.need_id].reason == "short"
    blocked = told[many.need_id].blocked_by
    assert blocked is not None
    assert (blocked.resource, blocked.code, blocked.area, blocked.quantity) == (
        "stock",
        "parcel",
        "UA80",
        2,
    )
    assert told[many.need_id].free_quantities == (1,)
    assert told[elsewhere.need_id].free_quantities == ()
    assert told[for_others.need_id].free_quantities == ()
    assert told[unknown.need_id].reason == "unknown_item"
    of_gold = told[unknown.need_id].blocked_by
    assert of_gold is not None
    assert (of_gold.resource, of_gold.code, of_gold.area) == ("stock", "gold", "UA80")
    assert told[elsewhere.need_id].reason == "short"
    at_site = told[here.need_id].blocked_by
    assert at_site is not None
    assert (at_site.site_id, at_site.area) == (site_id, None)
    assert told[for_others.need_id].reason == "restricted"
    await world.books_are_right()


async def test_an_item_is_entered_and_received_for_who_waits(world: World) -> None:
    site_id = await world.site()
    first = approved(items=("gold",))
    await world.take(first)
    (refusal,) = await world.emitted(ReservationRefusedV1)
    assert refusal.reason == "unknown_item"

    await world.item("gold")
    again = approved(items=("gold",), need_id=first.need_id, attempt_no=2)
    await world.take(again)
    assert (await world.emitted(ReservationRefusedV1))[-1].reason == "short"
    await world.stock(site_id, 1, "gold")
    (grew,) = await world.emitted(SupplyGrewV1)
    assert (grew.resource, grew.code, grew.quantity) == ("stock", "gold", 1)
    assert grew.grew_at > refusal.decided_at
    await world.take(approved(items=("gold",), need_id=first.need_id, attempt_no=3))
    (held,) = await world.emitted(ReservationHeldV1)
    assert (held.need_id, held.attempt_no) == (first.need_id, 3)
    await world.books_are_right()


async def test_money_confirms_in_any_order(world: World) -> None:
    site_id = await world.site()
    await world.item()
    await world.stock(site_id, 2)
    first, second = approved(), approved()
    await world.take(first, second)

    await world.take(confirmed(first.need_id, money=True))
    assert await world.state(first.need_id) == "held"
    await world.take(paid(first.need_id))
    await world.take(paid(second.need_id))
    await world.take(confirmed(second.need_id, money=True))
    await world.take(paid(uuid4()))  # a need of money alone

    assert await world.state(first.need_id) == "confirmed"
    assert await world.state(second.need_id) == "confirmed"
    assert len(await world.emitted(ReservationConfirmedV1)) == 2
    assert await world.emitted(ReservationReleasedV1) == []


async def test_a_hold_runs_out_and_a_late_confirmation_is_told_so(world: World) -> None:
    site_id = await world.site()
    await world.item()
    await world.stock(site_id, 2)
    swept, late = approved(), approved()
    await world.take(swept, late)
    await world.expire(swept.need_id)
    assert await world.run(sweeps.expire_holds) == 1
    await world.expire(late.need_id)

    await world.take(confirmed(swept.need_id), confirmed(late.need_id))

    assert await world.state(swept.need_id) == await world.state(late.need_id) == "expired"
    causes = [(each.need_id, each.cause) for each in await world.emitted(ReservationReleasedV1)]
    assert causes == [
        (swept.need_id, "hold_expired"),
        (late.need_id, "hold_expired"),
        (swept.need_id, "hold_expired"),
    ]
    grown = [
        (each.freed_by, each.quantity)
        for each in await world.emitted(SupplyGrewV1)
        if each.freed_by is not None
    ]
    assert grown == [(swept.need_id, 1), (late.need_id, 1)]
    await world.books_are_right()


async def test_a_cancel_before_the_approval_leaves_nothing_held(world: World) -> None:
    site_id = await world.site()
    await world.item()
    await world.stock(site_id, 1)
    need = approved()

    await world.take(withdrawn(need.need_id))
    await world.take(need)
    again = approved(need_id=need.need_id, attempt_no=2)
    await world.take(again)
    await world.take(withdrawn(need.need_id, 1))  # a late copy of the first

    (refused,) = await world.emitted(ReservationRefusedV1)
    assert (refused.reason, refused.blocked_by) == ("withdrawn", None)
    assert await world.state(need.need_id, 1) is None
    assert await world.state(need.need_id, 2) == "held"
    await world.books_are_right()


async def test_a_newer_attempt_takes_the_place_of_the_older(world: World) -> None:
    site_id = await world.site()
    await world.item()
    await world.stock(site_id, 1)
    need = approved()
    await world.take(need)

    await world.take(approved(need_id=need.need_id, attempt_no=2))
    await world.take(need)

    assert await world.state(need.need_id, 1) == "released"
    assert await world.state(need.need_id, 2) == "held"
    await world.books_are_right()


async def test_what_is_not_collected_goes_back_but_not_while_the_site_is_closed(
    world: World,
) -> None:
    site_id = await world.site()
    await world.item()
    await world.stock(site_id, 2)
    need, kept = approved(), approved()
    await world.take(need, kept)
    await world.take(confirmed(need.need_id), confirmed(kept.need_id))
    async with world.database.transaction() as tx:
        now = tx.now
    for each in (need, kept):
        await world.take(
            NeedToldV1(
                need_id=each.need_id, attempt_no=1, told_at=now, how="message", collect_days=3
            )
        )
    collect_by = await world.value(
        "SELECT collect_by FROM reservation WHERE need_id = $1", need.need_id
    )
    assert collect_by == ends_at(now, 3)
    # The message came back, so the person was told in person, a day later.
    later = now + timedelta(days=1)
    for told_at in (later, now):
        await world.take(
            NeedToldV1(
                need_id=need.need_id,
                attempt_no=1,
                told_at=told_at,
                how="in_person",
                collect_days=3,
            )
        )
        assert await world.value(
            "SELECT collect_by FROM reservation WHERE need_id = $1", need.need_id
        ) == ends_at(later, 3)
    overdue = "UPDATE reservation SET collect_by = now() - interval '1 s' WHERE need_id = $1"

    await world.execute(overdue, need.need_id)
    async with world.database.transaction() as tx:
        assert await sites.close(tx, site_id, "alert", keeps=True) is not None
    assert await world.run(sweeps.take_back_uncollected) == 0
    async with world.database.transaction() as tx:
        assert await sites.reopen(tx, site_id, "alert_over") is not None
    longer = await world.value(
        "SELECT collect_by FROM reservation WHERE need_id = $1", kept.need_id
    )
    assert longer > collect_by
    assert await world.run(sweeps.take_back_uncollected) == 1

    assert await world.state(need.need_id) == "released"
    (told,) = await world.emitted(ReservationReleasedV1)
    assert told.cause == "not_collected"
    assert await world.state(kept.need_id) == "confirmed"
    await world.books_are_right()


async def test_downtime_extends_the_clocks(world: World) -> None:
    site_id = await world.site()
    await world.item()
    await world.stock(site_id, 1)
    need = approved()
    await world.take(need)
    await world.take(confirmed(need.need_id))
    await world.run(sweeps.take_back_uncollected)
    await world.execute("UPDATE pickup_clock SET seen_at = now() - interval '2 hours'")
    await world.execute("UPDATE reservation SET collect_by = now() - interval '1 hour'")

    assert await world.run(sweeps.take_back_uncollected) == 0
    assert await world.state(need.need_id) == "confirmed"


async def test_closing_a_site_releases_and_opening_it_wakes(world: World) -> None:
    site_id = await world.site()
    await world.item()
    await world.stock(site_id, 2)
    held, issued = approved(), approved()
    await world.take(held, issued)
    await world.take(confirmed(issued.need_id))
    assert await world.issue(issued.need_id) is None

    async with world.database.transaction() as tx:
        assert await sites.close(tx, site_id, "shelling", keeps=False) is not None
    assert await world.state(held.need_id) == "relocated"
    assert await world.state(issued.need_id) == "issued"
    before = len(await world.emitted(SupplyGrewV1))
    asked = approved(site_id=site_id)
    await world.take(asked, approved())
    reasons = [each.reason for each in await world.emitted(ReservationRefusedV1)]
    assert sorted(reasons) == ["closed", "short"]
    assert await world.issue(held.need_id) == "reservation-over"

    async with world.database.transaction() as tx:
        assert await sites.reopen(tx, site_id, "repaired") is not None
    grown = (await world.emitted(SupplyGrewV1))[before:]
    assert [(each.code, each.quantity) for each in grown] == [("parcel", 1)]
    await world.books_are_right()


async def test_a_batch_of_256_serves_the_most_urgent_first(world: World) -> None:
    site_id = await world.site()
    await world.item()
    for _ in range(4):
        await world.stock(site_id, 25)
    needs = [approved(priority=number % 256) for number in range(256)]

    await world.take(*needs)

    held = {each.need_id for each in await world.emitted(ReservationHeldV1)}
    assert held == {each.need_id for each in needs if each.priority >= 156}
    assert len(await world.emitted(ReservationRefusedV1)) == 156
    await world.books_are_right()
