"""Those who wait for an appointment are asked when a free slot comes into the days they look at."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from aidmesh_contracts.intake import NeedApprovedV1
from aidmesh_contracts.inventory import SupplyGrewV1
from integration.region import Region, open_region
from support.servers import DatabaseFactory

DAY = timedelta(days=1)
AHEAD = 14
"""How many days ahead the catalogue looks for counseling."""


@pytest.fixture
async def region(database: DatabaseFactory, tmp_path: Path) -> AsyncIterator[Region]:
    """Intake and inventory of one region."""
    region = await open_region(database, tmp_path)
    yield region
    await region.close()


async def asked(region: Region) -> UUID:
    """A new need for counseling, as far as it comes at once."""
    need_id = await region.intake.request("counseling")
    await region.settle()
    return need_id


async def states(region: Region, *needs: UUID) -> list[str]:
    return [await region.intake.state(each) for each in needs]


async def test_a_day_that_passes_brings_whoever_waits_to_a_free_slot(region: Region) -> None:
    today = await region.today()
    site_id = await region.inventory.site()
    far, farther = today + (AHEAD + 3) * DAY, today + (AHEAD + 4) * DAY
    for day in (far, far, farther):
        await region.inventory.slot(site_id, day)
    await region.settle()
    first, second, third = [await asked(region) for _ in range(3)]
    assert await states(region, first, second, third) == ["waitlisted"] * 3
    await region.sweep()
    assert await states(region, first, second, third) == ["waitlisted"] * 3

    for _ in range(2):
        await region.pass_time(by=DAY)
        await region.sweep()
    assert await states(region, first, second, third) == ["waitlisted"] * 3
    await region.pass_time(by=DAY)
    newcomer = await asked(region)
    assert await states(region, newcomer) == ["waitlisted"], "the others wait already"
    await region.sweep()
    assert await states(region, first, second) == ["ready"] * 2
    assert await states(region, third, newcomer) == ["waitlisted"] * 2

    await region.pass_time(by=DAY)
    await region.sweep()
    assert await states(region, third, newcomer) == ["ready", "waitlisted"]
    attempts = [each for each in region.log if isinstance(each, NeedApprovedV1)]
    # The first asked in vain when it came; nobody else did, and nobody was asked too early.
    assert [each.need_id for each in attempts] == [first, first, second, third]


async def test_each_free_seat_is_told_once_a_day(region: Region) -> None:
    today = await region.today()
    site_id = await region.inventory.site()
    await region.inventory.slot(site_id, today + 30 * DAY, seats=3)
    await region.inventory.slot(site_id, today + 30 * DAY, hour=12)
    for _ in range(2):
        await region.pass_time(by=DAY)
        for _ in range(3):
            await region.sweep()
    told = [each for each in await region.inventory.emitted(SupplyGrewV1) if each.is_total]
    assert [(each.quantity, each.on) for each in told] == [(4, today + 30 * DAY)] * 2
    async with region.intake.db.read() as conn:
        left = await conn.fetchval("SELECT sum(left_over) FROM growth")
    assert left == 4, "what was told before of that day counts no longer"


async def test_a_seat_that_comes_free_wakes_only_who_looks_at_its_day(region: Region) -> None:
    today = await region.today()
    site_id = await region.inventory.site()
    await region.inventory.slot(site_id, today + 5 * DAY)
    await region.settle()
    guest = await asked(region)
    assert await states(region, guest) == ["ready"]
    sooner = await region.intake.request("counseling", None, needed_by=str(today + 4 * DAY))
    await region.settle()
    later = await asked(region)
    assert await states(region, sooner, later) == ["waitlisted"] * 2
    region.log.clear()
    await region.intake.post(f"/v1/needs/{guest}:cancel", {"reason": "moved_away"})
    await region.settle()
    assert await states(region, sooner, later) == ["waitlisted", "ready"]
    attempts = [each for each in region.log if isinstance(each, NeedApprovedV1)]
    assert [each.need_id for each in attempts] == [later]
