"""The Kyiv shelter is full: a bed is held in Lviv, and the guest is told and checks in there."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from aidmesh_contracts.days import day_of
from support.regions_running import RunningRegions, running_regions
from support.running import Json, Staff
from support.servers import DatabaseFactory
from support.waiting import eventually

TODAY = day_of(datetime.now(UTC))
LVIV = "UA46"
NIGHTS: Json = {"from_on": str(TODAY), "to_on": str(TODAY + timedelta(days=2))}
ASKED_ON = TODAY - timedelta(days=9)


async def value(dsn: str, query: str, *args: object) -> Any:
    conn = await asyncpg.connect(dsn)
    try:
        return await conn.fetchval(query, *args)
    finally:
        await conn.close()


async def shelter(staff: Staff, area: str, beds: int) -> UUID:
    site = await staff.site("shelter", area=area)
    for no in range(beds):
        bed = {"site_id": str(site), "label": f"A{no}", "room": "A", "code": "shelter"}
        await staff.post("logistician", "inventory", "/beds", bed)
    return site


async def guest(staff: Staff, name: str, *, agrees: bool = True) -> UUID:
    """Somebody for whom there is no bed in Kyiv."""
    body = {
        "for_whom": "person",
        "asked_on": str(ASKED_ON),
        "person": {
            "client_code": name,
            "chosen_name": name,
            "area": "UA80",
            "languages": ["uk"],
            "consents": {"referral": str(TODAY)} if agrees else {},
        },
        "needs": [{"kind": "shelter_night", "place_area": "UA80", **NIGHTS}],
    }
    made = await staff.post("caseworker", "intake", "/requests", body)
    need_id = UUID(made["needs"][0]["need_id"])
    await staff.becomes(need_id, "waitlisted")
    return need_id


async def refer(kyiv: Staff, need_id: UUID, status: int = 201) -> Json:
    body = {"to_region": "lviv", "place_area": LVIV}
    answer: Json = await kyiv.post(
        "caseworker", "intake", f"/needs/{need_id}:refer", body, status=status
    )
    return answer


async def arrived(lviv: Staff, offer: Json) -> Json:
    """The offer, as Lviv sees it."""

    async def there() -> Json | None:
        page = await lviv.get("caseworker", "intake", "/referrals/in")
        found = [each for each in page["referrals"] if each["referral_id"] == offer["referral_id"]]
        return found[0] if found else None

    found = await eventually(there, 20)
    assert isinstance(found, dict)
    return found


async def take(lviv: Staff, offer: Json) -> UUID:
    await arrived(lviv, offer)
    path = f"/referrals/{offer['referral_id']}:take"
    return UUID((await lviv.post("caseworker", "intake", path))["need_id"])


async def offer_is(staff: Staff, where: str, offer: Json, status: str) -> None:
    async def there() -> bool:
        page = await staff.get("caseworker", "intake", f"/referrals/{where}")
        (found,) = [e for e in page["referrals"] if e["referral_id"] == offer["referral_id"]]
        assert found["status"] == status, found
        return True

    await eventually(there, 30)


async def test_a_bed_is_held_in_another_region_and_the_guest_checks_in_there(
    tmp_path: Path, database: DatabaseFactory
) -> None:
    async with running_regions(
        tmp_path, database, ("kyiv", "lviv"), ("intake", "inventory", "notification", "reporting")
    ) as mesh:
        kyiv, lviv = mesh["kyiv"].staff, mesh["lviv"].staff
        await shelter(kyiv, "UA80", 0)
        await shelter(lviv, LVIV, 2)
        key = "SELECT count(*) FROM peer_key"
        for region in ("kyiv", "lviv"):
            dsn = mesh[region].dsns["intake"]
            await eventually(lambda dsn=dsn: value(dsn, key), 20)
        await _through_a_cut_link(mesh)
        await _refused_and_withdrawn(mesh)


async def _through_a_cut_link(mesh: RunningRegions) -> None:
    kyiv, lviv = mesh["kyiv"].staff, mesh["lviv"].staff
    silent = await guest(kyiv, "Dana", agrees=False)
    problem = await refer(kyiv, silent, status=409)
    assert problem["type"].endswith("no-consent-to-referral")

    need_id = await guest(kyiv, "Anna")
    offer = await refer(kyiv, need_id)
    seen = await arrived(lviv, offer)
    assert (seen["from_region"], seen["wanted"]["kind"]) == ("kyiv", "shelter_night")
    assert "Anna" not in str(seen)
    # A bed in Kyiv does not go to whom Lviv may be about to take.
    await kyiv.post("caseworker", "intake", f"/needs/{need_id}:approve", status=409)
    # What is said between acceptance and confirmation waits for the link.
    await mesh.cut("lviv")
    theirs = await take(lviv, offer)
    await offer_is(lviv, "in", offer, "accepted")
    pending = await lviv.need(theirs)
    assert (pending["state"], pending["pending"]) == ("approved", True)
    assert pending["asked_on"] == str(ASKED_ON)
    assert (await kyiv.need(need_id))["state"] == "waitlisted"
    await mesh.heal()
    await kyiv.becomes(need_id, "referred", deadline_s=60)
    own = await lviv.becomes(theirs, "ready", deadline_s=60)
    assert own["referred_from"] == {"region": "kyiv", "referral_id": offer["referral_id"]}
    await lviv.post("caseworker", "intake", f"/needs/{theirs}:told")
    reservation = (await lviv.reservation(theirs))["reservation_id"]
    await lviv.post("caseworker", "inventory", f"/reservations/{reservation}:check-in", {})
    await lviv.becomes(theirs, "fulfilled")
    ours = await value(
        mesh["kyiv"].dsns["intake"], "SELECT person_id FROM need WHERE id = $1", need_id
    )
    row = await value(
        mesh["lviv"].dsns["intake"], "SELECT person_id FROM need WHERE id = $1", theirs
    )
    assert ours != row
    served = "SELECT count(*) FROM service"
    await eventually(lambda: value(mesh["lviv"].dsns["reporting"], served), 20)
    assert await value(mesh["kyiv"].dsns["reporting"], served) == 0
    # Nothing of her went over the wire in the open.
    for region in ("kyiv", "lviv"):
        dsn = mesh[region].dsns["intake"]
        leaks = "SELECT count(*) FROM handoff WHERE convert_from(payload, 'UTF8') LIKE '%Anna%'"
        assert await value(dsn, leaks) == 0


async def _refused_and_withdrawn(mesh: RunningRegions) -> None:
    kyiv, lviv = mesh["kyiv"].staff, mesh["lviv"].staff
    # One bed is left in Lviv; Kyiv takes its offer back after that was held.
    need_id = await guest(kyiv, "Olha")
    offer = await refer(kyiv, need_id)
    await mesh.cut("lviv")
    try:
        await kyiv.post("caseworker", "intake", f"/referrals/{offer['referral_id']}:withdraw")
        theirs = None
        page = await lviv.get("caseworker", "intake", "/referrals/in")
        if offer["referral_id"] in {each["referral_id"] for each in page["referrals"]}:
            theirs = await take(lviv, offer)
    finally:
        await mesh.heal()
    await offer_is(kyiv, "out", offer, "withdrawn")
    lviv_intake = mesh["lviv"].dsns["intake"]

    async def ended() -> bool:
        status = await value(
            lviv_intake, "SELECT status FROM referral_in WHERE id = $1::uuid", offer["referral_id"]
        )
        assert status == "withdrawn"
        return True

    await eventually(ended, 60)
    if theirs is not None:
        await lviv.becomes(theirs, "cancelled", deadline_s=30)
    await kyiv.becomes(need_id, "waitlisted")
    # The person who was made of it is gone: only the one who came is readable.
    readable = "SELECT count(*) FROM person WHERE details IS NOT NULL"

    async def erased() -> bool:
        assert await value(lviv_intake, readable) == 1
        return True

    await eventually(erased, 30)
    # Offered once more, now refused: it waits in Kyiv with its age.
    again = await refer(kyiv, need_id)
    await arrived(lviv, again)
    await lviv.post("caseworker", "intake", f"/referrals/{again['referral_id']}:refuse")
    await offer_is(kyiv, "out", again, "refused")
    back = await kyiv.becomes(need_id, "waitlisted")
    assert back["asked_on"] == str(ASKED_ON)
