"""Who waits for a shelter that is closed is asked when it opens, before whoever came later."""

from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID

import pytest

import aidmesh_intake
from aidmesh_chassis.migrating import statements
from aidmesh_inventory.handlers import sites
from integration.inventory.world import confirmed
from integration.region import Region, open_region
from support.servers import DatabaseFactory

DAY = timedelta(days=1)
MIGRATION = Path(aidmesh_intake.__file__).parent / "migrations/0029_intake_closed_sites.sql"


@pytest.fixture
async def region(database: DatabaseFactory, tmp_path: Path) -> AsyncIterator[Region]:
    """Intake and inventory of one region."""
    region = await open_region(database, tmp_path)
    yield region
    await region.close()


async def ask(
    region: Region, from_on: date, site_id: UUID | None, nights: int = 2, *, danger: bool = False
) -> UUID:
    """Somebody asks for a bed; nobody has heard of it yet."""
    need = {
        "kind": "shelter_night",
        "from_on": str(from_on),
        "to_on": str(from_on + nights * DAY),
    }
    if site_id is not None:
        need["site_id"] = str(site_id)
    answer = await region.intake.post(
        "/v1/requests",
        {
            "person": {"client_code": f"c-{from_on}-{site_id}-{danger}-{nights}", "area": "UA80"},
            "answers": {"in_danger_now": danger},
            "needs": [need],
        },
        status=201,
    )
    return UUID(answer["needs"][0]["need_id"])


async def stands(region: Region, need_id: UUID) -> tuple[str, str | None]:
    shown = await region.intake.need(need_id)
    return shown["state"], shown["wait"]


async def full_and_closed(region: Region, nights: int) -> UUID:
    """A shelter whose one guest stays for some nights more, closed for an alert."""
    site_id = await region.inventory.site()
    await region.inventory.beds(site_id, 1)
    today = await region.today()
    guest = await ask(region, today, site_id, nights)
    await region.settle()
    await region.inventory.take(confirmed(guest))
    assert await region.inventory.issue(guest, "check_in", today) is None
    await region.settle()
    async with region.inventory.database.transaction() as tx:
        assert await sites.close(tx, site_id, "alert", keeps=True) is not None
    return site_id


async def reopen(region: Region, site_id: UUID) -> None:
    """Open it; intake has not heard of it yet."""
    async with region.inventory.database.transaction() as tx:
        assert await sites.reopen(tx, site_id, "over") is not None


async def test_who_waits_for_a_later_night_has_it_before_whoever_came_later(
    region: Region,
) -> None:
    site_id = await full_and_closed(region, 3)
    monday = await region.today() + 3 * DAY
    first = await ask(region, monday, site_id, danger=True)
    await region.settle()
    assert await stands(region, first) == ("waitlisted", "closed")

    await reopen(region, site_id)
    later = await ask(region, monday, site_id)
    assert await stands(region, later) == ("waitlisted", "closed"), "it goes behind the first"
    await region.settle()
    assert await stands(region, first) == ("ready", None)
    assert (await stands(region, later))[0] == "waitlisted"
    await region.inventory.books_are_right()


async def test_everybody_is_asked_who_can_have_some_night(region: Region) -> None:
    site_id = await full_and_closed(region, 3)
    today = await region.today()
    waiting = [
        await ask(region, today + ahead * DAY, named)
        for ahead in (3, 5, 7)
        for named in (site_id, None)
    ]
    await region.settle()
    assert {await stands(region, each) for each in waiting} == {
        ("waitlisted", "closed"),
        ("waitlisted", "short"),
    }
    await reopen(region, site_id)
    await region.sweep()
    states = [(await stands(region, each))[0] for each in waiting]
    assert states == ["ready", "waitlisted"] * 3
    assert {await stands(region, each) for each in waiting[1::2]} == {("waitlisted", "short")}


async def test_whoever_is_behind_somebody_who_leaves_waits_until_it_opens(region: Region) -> None:
    site_id = await full_and_closed(region, 3)
    monday = await region.today() + 3 * DAY
    first = await ask(region, monday, site_id)
    await region.settle()
    second = await ask(region, monday, site_id, 3)
    urgent = await ask(region, monday, site_id, danger=True)
    await region.settle()
    assert (await region.intake.need(second))["attempt_no"] == 0
    await region.intake.post(f"/v1/needs/{first}:cancel", {"reason": "moved_away"})
    await region.sweep()
    assert (await region.intake.need(second))["attempt_no"] > 0, "nobody it went behind is left"
    for each in (second, urgent):
        assert await stands(region, each) == ("waitlisted", "closed")
    await reopen(region, site_id)
    await region.sweep()
    assert await stands(region, urgent) == ("ready", None)
    assert await stands(region, second) == ("waitlisted", "short")


async def test_whoever_was_not_woken_before_is_asked_for_once_more(region: Region) -> None:
    site_id = await full_and_closed(region, 3)
    monday = await region.today() + 3 * DAY
    first, second = [await ask(region, monday, site_id, nights) for nights in (2, 3)]
    await region.settle()

    async def migrate() -> None:
        async with region.intake.db.connection() as conn:
            await conn.execute(statements(MIGRATION))
        await region.sweep()

    await migrate()
    assert {await stands(region, each) for each in (first, second)} == {("waitlisted", "closed")}
    await region.inventory.execute("UPDATE site SET status = 'open', closed_at = NULL")
    await migrate()
    assert await stands(region, first) == ("ready", None)
    assert await stands(region, second) == ("waitlisted", "short")
