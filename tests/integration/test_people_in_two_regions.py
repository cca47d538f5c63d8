"""Kyiv is dark, so Lviv opens its own case; later both find that she is one, and count her once."""

from calendar import monthrange
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg

from aidmesh_contracts.days import day_of
from support.regions_running import running_regions
from support.running import Json, Staff
from support.servers import DatabaseFactory
from support.waiting import eventually

TODAY = day_of(datetime.now(UTC))
_FIRST = TODAY.replace(day=1)
_LAST = TODAY.replace(day=monthrange(TODAY.year, TODAY.month)[1])
MONTH = {"from": str(_FIRST), "to": str(_LAST)}
QUIET_S_MAX = 60.0


async def served(staff: Staff, code: str, phone: str) -> str:
    """Somebody whom a region helps by itself; their id."""
    body: Json = {
        "for_whom": "person",
        "person": {
            "client_code": code,
            "legal_name": "Канарейка Тестова",
            "birth_year": 1984,
            "area": "UA80",
            "contact": {"channel": "sms", "address": phone},
            "consents": {"same_person": str(TODAY)},
        },
        "needs": [
            {
                "kind": "food_parcel",
                "place_area": "UA80",
                "given": True,
                "served_on": str(TODAY.replace(day=1)),
            }
        ],
    }
    await staff.post("caseworker", "intake", "/requests", body)
    found = await staff.post("caseworker", "intake", "/persons:find", {"client_code": code})
    return str(found["person_id"])


async def link_of(staff: Staff, person_id: str) -> Json:
    """The link that was found of a person, once it is."""

    async def there() -> Json | None:
        page = await staff.get("caseworker", "intake", f"/links?person_id={person_id}")
        return page["links"][0] if page["links"] else None

    found = await eventually(there, QUIET_S_MAX)
    assert isinstance(found, dict)
    return found


async def whole(staff: Staff) -> tuple[int, int | None]:
    """People of this month in all regions, and how many were taken out as known in two."""
    days = "&".join(f"{name}={day}" for name, day in MONTH.items())
    found = (await staff.get("lead", "reporting", f"/results?{days}"))["whole"]
    return found["total"]["people"], found["twice"]


async def is_whole(staff: Staff, people: int, twice: int) -> None:
    async def there() -> bool:
        found = await whole(staff)
        assert found == (people, twice), found
        return True

    await eventually(there, QUIET_S_MAX)


async def keys_known(dsn: str) -> Any:
    conn = await asyncpg.connect(dsn)
    try:
        return await conn.fetchval("SELECT count(*) FROM peer_key")
    finally:
        await conn.close()


async def test_a_case_opened_while_the_first_region_was_dark_is_linked_later(
    tmp_path: Path, database: DatabaseFactory
) -> None:
    async with running_regions(
        tmp_path, database, ("kyiv", "lviv"), ("intake", "reporting")
    ) as mesh:
        kyiv, lviv = mesh["kyiv"].staff, mesh["lviv"].staff
        for name in ("kyiv", "lviv"):
            await eventually(lambda dsn=mesh[name].dsns["intake"]: keys_known(dsn), 30)
        hers = await served(kyiv, "KY-1", "+380671112233")
        await is_whole(lviv, 1, 0)
        await mesh.cut("kyiv")
        ours = await served(lviv, "LV-1", "00380 67 111-22-33")
        await lviv.post(
            "caseworker", "intake", f"/persons/{ours}:look-for", {"to_region": "kyiv"}, status=201
        )
        await mesh.heal()
        here, there = await link_of(lviv, ours), await link_of(kyiv, hers)
        assert here["link_id"] == there["link_id"]
        assert here["by"] == there["by"] == ["contact", "name"]
        await is_whole(lviv, 2, 0)
        for staff in (kyiv, lviv):
            await staff.post("caseworker", "intake", f"/links/{here['link_id']}:confirm")
        for staff in (kyiv, lviv):
            await is_whole(staff, 1, 1)
        # They were two after all: each month is counted anew.
        await kyiv.post("caseworker", "intake", f"/links/{here['link_id']}:refuse")
        for staff in (kyiv, lviv):
            await is_whole(staff, 2, 0)
