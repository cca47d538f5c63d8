"""Who waits here and could be served elsewhere, and the totals of the waitlist that are told."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from aidmesh_chassis.auth import Role
from aidmesh_contracts.base import Event
from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import NeedId, SiteId
from aidmesh_contracts.intake import NeedApprovedV1, WaitingChangedV1
from aidmesh_contracts.inventory import CapacityChangedV1, SiteChangedV1, SupplyGrewV1
from aidmesh_contracts.streams import Stream
from aidmesh_intake.checks import CHECKS
from aidmesh_intake.store import elsewhere as store
from integration.intake.referred import ASKED_ON, LVIV, Two
from integration.intake.test_one_person import person
from integration.intake.world import KYIV, World, grew, only, refused

TODAY = day_of(datetime.now(UTC))
SHELTER = SiteId(UUID(int=77))


def free_beds(*free: int, version: int = 1, hours_old: int = 0) -> CapacityChangedV1:
    return CapacityChangedV1(
        capacity_key="x",
        site_id=SHELTER,
        area=LVIV,
        resource="bed",
        code="shelter",
        first_on=TODAY,
        free_by_day=free,
        total=9,
        version=version,
        as_of=datetime.now(UTC) - timedelta(hours=hours_old),
    )


async def guest(
    world: World, *, agrees: bool = True, kind: str = "shelter_night", **who: str
) -> UUID:
    """Somebody for whom there is no bed here tonight."""
    body = {
        "for_whom": "person",
        "asked_on": str(ASKED_ON),
        "person": {
            "chosen_name": "Canary",
            "area": KYIV,
            "consents": {"referral": str(ASKED_ON)} if agrees else {},
        }
        | who,
        "needs": [
            {
                "kind": kind,
                "place_area": KYIV,
                "from_on": str(TODAY),
                "to_on": str(TODAY + timedelta(days=1)),
            }
        ],
    }
    made = await world.post("/v1/requests", body, status=201)
    await nothing_here(world)
    return UUID(made["needs"][0]["need_id"])


async def nothing_here(world: World) -> None:
    """Whoever is asked for, since one before them was offered elsewhere, is refused again."""
    asked = only(await world.published(), NeedApprovedV1)
    while asked:
        asked = only(await world.feed(*(refused(each) for each in asked)), NeedApprovedV1)


async def hear(world: World, *events: Event) -> None:
    """Lviv tells, and is heard."""
    await world.feed(*events, stream=Stream.WORLD, region="lviv")
    beat(world)


def beat(world: World) -> None:
    assert world.service.peers is not None
    world.service.peers.heard("beat.lviv", b"inventory")


async def offer_by_rule(world: World) -> None:
    """However slow the machine is, lviv was heard just now."""
    beat(world)
    await world.sweep("offers_by_rule")


async def fits(world: World, *, heard: bool = True) -> list[UUID]:
    if heard:
        beat(world)
    rows = (await world.get("/v1/proposals"))["rows"]
    assert all(row["to_region"] == "lviv" for row in rows)
    return [UUID(each["need_id"]) for row in rows for each in row["fits"]]


async def set_rule(world: World, open_max: int, status: int = 201, **more: object) -> str:
    body = {"kind": "shelter_night", "open_max": open_max, **more}
    made = await world.post("/v1/refer-rules", body, Role.LEAD, status=status)
    return str(made.get("rule_id"))


async def offers(world: World) -> list[UUID]:
    rows = (await world.get("/v1/referrals/out"))["referrals"]
    return [UUID(row["need_id"]) for row in rows if row["status"] == "offered"]


async def test_free_beds_elsewhere_are_proposed_to_those_who_agreed(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = two.kyiv.world
    silent = await guest(world, agrees=False)
    first, second, third = [await guest(world) for _ in range(3)]
    assert await fits(world, heard=False) == []
    await hear(world, free_beds(2, 2))
    assert await fits(world) == [first, second]
    (row,) = (await world.get("/v1/proposals"))["rows"]
    assert (row["resource"], row["code"], row["waiting"]) == ("bed", "shelter", 4)
    assert row["link"]["state"] == "up"
    assert "Canary" not in str(row)
    assert (await world.get("/v1/proposals"))["left_out"] == 0
    monkeypatch.setattr(store, "SEEKERS_MAX", 2)
    assert (await world.get("/v1/proposals"))["left_out"] == 1
    monkeypatch.undo()
    # What is offered is not proposed again, and its bed is not proposed to others.
    await two.offer(first)
    assert await fits(world) == [second]
    await hear(world, free_beds(0, 9, version=2))
    assert await fits(world) == []
    await hear(world, free_beds(9, version=1))
    assert await fits(world) == []
    await hear(world, free_beds(9, version=3))
    assert await fits(world) == [second, third]
    assert silent not in await fits(world)
    closed = SiteChangedV1(
        site_id=SHELTER, area=LVIV, site_type="shelter", status="closed", version=2
    )
    await hear(world, closed)
    assert await fits(world) == []


async def test_what_nobody_knows_whose_it_is_is_not_proposed(two: Two) -> None:
    world = two.kyiv.world
    record = await person(world, "other")
    await world.merge(record, await person(world, "root", consents={"referral": str(ASKED_ON)}))
    need_id = await guest(world, client_code="other")
    await hear(world, free_beds(9))
    assert await fits(world) == [need_id]
    await world.post(f"/v1/persons/{record}:unmerge", None, Role.LEAD)
    assert await fits(world) == []
    await world.post(f"/v1/needs/{need_id}:settle", {"reason": "theirs"})
    assert await fits(world) == [need_id]


async def test_nothing_is_proposed_of_the_dark_or_by_old_news(two: Two) -> None:
    world = two.kyiv.world
    need_id = await guest(world)
    await hear(world, free_beds(2, hours_old=49))
    assert await fits(world) == []
    await hear(world, free_beds(2, version=2))
    assert await fits(world) == [need_id]
    assert world.service.peers is not None
    world.service.peers.expect([])
    assert await fits(world, heard=False) == []


async def test_a_rule_offers_those_who_agreed_up_to_its_bound(two: Two) -> None:
    world = two.kyiv.world
    await guest(world, agrees=False)
    needs = [await guest(world) for _ in range(3)]
    rule_id = await set_rule(world, 2)
    await set_rule(world, 2, status=409)
    await set_rule(world, 2, status=422, kind="food_parcel")
    body = {"kind": "shelter_night", "open_max": 2}
    await world.post("/v1/refer-rules", body, status=403)
    assert await world.sweep("offers_by_rule") == 0
    await hear(world, free_beds(9, 9))
    for _ in range(5):
        await offer_by_rule(world)
        await nothing_here(world)
    assert sorted(await offers(world)) == sorted(needs[:2])
    await two.exchange()
    rows = (await two.lviv.world.get("/v1/referrals/in"))["referrals"]
    assert len(rows) == 2
    # Whoever is refused is not offered again at once; the next in line is.
    refused_id = rows[0]["referral_id"]
    await two.lviv.world.post(f"/v1/referrals/{refused_id}:refuse")
    await two.exchange()
    for _ in range(3):
        await nothing_here(world)
        await offer_by_rule(world)
    standing = await offers(world)
    assert len(standing) == 2
    assert needs[2] in standing
    await world.post(f"/v1/refer-rules/{rule_id}:end", None, Role.LEAD)
    await world.post(f"/v1/refer-rules/{rule_id}:end", None, Role.LEAD, status=404)
    assert (await world.get("/v1/refer-rules"))["rows"] == []


async def test_a_rule_waits_while_the_keys_are_locked(two: Two) -> None:
    world = two.kyiv.world
    await guest(world)
    await set_rule(world, 2)
    await hear(world, free_beds(9, 9))
    world.service.app.state.context.vault.ring.lock()
    assert await world.sweep("offers_by_rule") == 0


async def test_a_bed_that_comes_here_and_an_offer_serve_a_need_once(two: Two) -> None:
    world = two.kyiv.world
    await set_rule(world, 9)
    for _ in range(6):
        need_id = await guest(world)
        await hear(world, free_beds(9, 9, version=1))
        bed = SupplyGrewV1(
            resource="bed",
            code="shelter",
            site_id=SHELTER,
            area=KYIV,
            quantity=1,
            freed_by=None,
            grew_at=datetime.now(UTC) + timedelta(seconds=10),
        )
        await asyncio.gather(offer_by_rule(world), world.feed(bed))
        need, offered = await world.need(need_id), need_id in await offers(world)
        # Woken here and kept, or offered there and not woken.
        assert need["state"] == ("waitlisted" if offered else "approved"), need["state"]
        await world.post(f"/v1/needs/{need_id}:cancel", {"reason": "not_needed"})
        assert need_id not in await offers(world)
        await world.published()
    async with world.db.read() as conn:
        for check in CHECKS:
            assert await conn.fetch(check.sql) == [], check.name


async def told(world: World) -> list[tuple[str, int, int, int]]:
    await world.sweep("waiting_totals")
    return [
        (each.code, each.needs, each.quantity, each.version)
        for each in only(await world.published(), WaitingChangedV1)
    ]


async def test_only_totals_of_what_waits_for_goods_are_told_and_each_once(world: World) -> None:
    assert await told(world) == []
    needs = [await world.request("food_parcel") for _ in range(2)]
    for each in only(await world.published(), NeedApprovedV1):
        await world.feed(refused(each))
    ((code, count, quantity, version),) = await told(world)
    assert (count, quantity, version) == (2, 2, 1)
    assert await told(world) == []
    await world.feed(grew(code, 1, at=datetime.now(UTC) + timedelta(seconds=10)))
    assert await told(world) == [(code, 1, 1, 2)]
    for need_id in needs:
        await world.post(f"/v1/needs/{NeedId(need_id)}:cancel", {"reason": "not_needed"})
    assert await told(world) == [(code, 0, 0, 3)]
    assert await told(world) == []


async def test_a_need_that_was_chosen_is_offered_by_rule_and_told_apart(two: Two) -> None:
    world = two.kyiv.world
    first, second = await guest(world), await guest(world)
    await set_rule(world, 2, chosen_only=True)
    (rule,) = (await world.get("/v1/refer-rules"))["rows"]
    assert rule["chosen_only"] is True
    await hear(world, free_beds(9, 9))
    await offer_by_rule(world)
    assert await offers(world) == [], "nobody chose one"
    await world.post(f"/v1/needs/{second}:choose")
    await world.post(f"/v1/needs/{second}:choose")  # it is chosen
    assert (await world.get(f"/v1/needs/{second}"))["chosen"] is True
    assert (await world.get(f"/v1/needs/{first}"))["chosen"] is False
    await nothing_here(world)
    await offer_by_rule(world)
    assert await offers(world) == [second]
    await world.post(f"/v1/needs/{second}:cancel", {"reason": "not_needed"})
    await world.post(f"/v1/needs/{second}:choose", status=409)
    await world.post(f"/v1/needs/{UUID(int=5)}:choose", status=404)


async def test_totals_of_chosen_needs_and_of_money_are_told_apart(world: World) -> None:
    needs = [await world.request("food_parcel") for _ in range(3)]
    for each in only(await world.published(), NeedApprovedV1):
        await world.feed(refused(each))
    await world.post(f"/v1/needs/{needs[0]}:choose")
    await world.sweep("waiting_totals")
    totals = only(await world.published(), WaitingChangedV1)
    assert {(each.chosen, each.needs) for each in totals} == {(True, 1), (False, 2)}
    assert len({each.waiting_key for each in totals}) == 2
    await world.post(f"/v1/needs/{needs[0]}:unchoose")
    await world.sweep("waiting_totals")
    totals = only(await world.published(), WaitingChangedV1)
    assert {(each.chosen, each.needs) for each in totals} == {(True, 0), (False, 3)}
