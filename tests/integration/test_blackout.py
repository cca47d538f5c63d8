"""A whole office without power for 30 hours, whose parts come back one by one.

Nobody waits for it: while nothing runs, what happened so far is put 30 hours back.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import httpx
import pytest

from aidmesh_chassis.running import Running
from aidmesh_contracts.days import day_of
from support.regions_running import RunningRegion, _region
from support.running import Staff
from support.servers import DatabaseFactory, NatsRegion
from support.services import is_open
from support.waiting import eventually

BLACKOUT = timedelta(hours=30)
LEFT = timedelta(hours=2)
BACK_S_MAX = 60.0
SERVICES = ("intake", "inventory")
HAPPENED = {
    "reservation": ("collect_by", "state_at", "told_at"),
    "site": ("still_since", "closed_at"),
    "pickup_clock": ("seen_at",),
}


@dataclass
class Office:
    """Kyiv's intake and inventory, each of which can be switched on and all of which off."""

    folder: Path
    nats: NatsRegion
    dsns: dict[str, str]
    running: dict[str, "asyncio.Task[None]"] = field(default_factory=dict)
    built: RunningRegion | None = None

    @property
    def staff(self) -> Staff:
        assert self.built is not None
        return self.built.staff

    async def start(self, *services: str) -> None:
        """Start services, which answer then, whether or not they can send messages."""
        self.built = self.built or _region(self.folder, self.nats, self.dsns)
        for name in services:
            service = self.built.services[name]
            service.sweeps = [replace(each, every_s=0.2) for each in service.sweeps]
            self.running[name] = asyncio.create_task(Running(service).run())
        for name in services:
            database = self.built.services[name].database
            assert database is not None
            await eventually(lambda opened=database: is_open(opened), BACK_S_MAX)
            await eventually(lambda name=name: self._answers(name), BACK_S_MAX)

    async def stop(self) -> None:
        """The power goes."""
        for task in self.running.values():
            task.cancel()
        await asyncio.gather(*self.running.values(), return_exceptions=True)
        self.running.clear()
        if self.built is not None:
            await self.built.staff.close()
        self.built = None

    async def time_passes(self, time: timedelta, *tables: str) -> None:
        for table in tables:
            earlier = ", ".join(f"{column} = {column} - $1::interval" for column in HAPPENED[table])
            await self.stock(f"UPDATE {table} SET {earlier}", time)  # noqa: S608 - constants

    async def stock(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.dsns["inventory"])
        try:
            return list(await connection.fetch(query, *arguments))
        finally:
            await connection.close()

    async def kept(self) -> list[timedelta]:
        """How long what waits to be fetched is kept."""
        query = "SELECT collect_by - clock_timestamp() AS left FROM reservation"
        return [row["left"] for row in await self.stock(f"{query} WHERE state = 'confirmed'")]

    async def is_looked_at(self) -> None:
        """The sweeps have looked at the clocks, and so let go of what is due."""
        looks: set[datetime] = set()

        async def several() -> bool:
            looks.update(row["seen_at"] for row in await self.stock("TABLE pickup_clock"))
            return len(looks) > 5

        await eventually(several, BACK_S_MAX)

    async def _answers(self, name: str) -> bool:
        try:
            page = {"intake": "/needs-by-state", "inventory": "/stock"}[name]
            await self.staff.get("lead", name, page)
        except httpx.HTTPError as error:
            raise AssertionError(type(error).__name__) from None
        return True


@pytest.fixture
async def office(
    tmp_path: Path, database: DatabaseFactory, nats_region: NatsRegion
) -> AsyncIterator[Office]:
    dsns = {name: await database(name) for name in SERVICES}
    opened = Office(tmp_path / "kyiv", nats_region, dsns)
    yield opened
    await opened.stop()


async def two_wait(office: Office) -> tuple[UUID, list[UUID]]:
    """A parcel and a bed wait at a site for people who know of them."""
    staff, today = office.staff, day_of(datetime.now(UTC))
    await staff.item("food_parcel")
    site = await staff.site("shelter")
    await staff.receive(site, "food_parcel", 1)
    bed = {"site_id": str(site), "label": "A1", "room": "A", "code": "shelter"}
    await staff.post("logistician", "inventory", "/beds", bed)
    until = str(today + timedelta(days=7))
    needs = [
        await staff.ask("food_parcel", site_id=str(site)),
        await staff.ask("shelter_night", site_id=str(site), from_on=str(today), to_on=until),
    ]
    for need_id in needs:
        await staff.becomes(need_id, "ready", deadline_s=BACK_S_MAX)
        await staff.post("caseworker", "intake", f"/needs/{need_id}:told")

    async def told() -> bool:
        return len(await office.stock("SELECT FROM reservation WHERE told_at IS NOT NULL")) == 2

    await eventually(told, BACK_S_MAX)
    await office.stock("UPDATE reservation SET collect_by = clock_timestamp() + $1", LEFT)
    return site, needs


async def test_what_waited_for_people_still_does_when_the_power_is_back(office: Office) -> None:
    def is_as_before(kept: list[timedelta]) -> bool:
        return len(kept) == 2 and all(abs(each - LEFT) < timedelta(minutes=10) for each in kept)

    await office.start(*SERVICES)
    site, needs = await two_wait(office)
    await office.is_looked_at()
    await office.stop()
    await asyncio.to_thread(office.nats.kill)
    await office.time_passes(BLACKOUT, *HAPPENED)

    # Inventory is first, without NATS, and somebody closes the site: its heating is broken.
    await office.start("inventory")
    closing = {"reason": "no_power", "keep": True}
    await office.staff.post("logistician", "inventory", f"/sites/{site}:close", closing)
    await asyncio.to_thread(office.nats.start)
    await office.is_looked_at()
    await office.time_passes(timedelta(hours=5), "reservation", "site")
    await office.start("intake")
    opening = {"reason": "repaired"}
    await office.staff.post("logistician", "inventory", f"/sites/{site}:reopen", opening)
    await office.is_looked_at()
    assert is_as_before(await office.kept())

    # Started once more, it gives nothing back that it gave already.
    await office.stop()
    await office.start(*SERVICES)
    await office.is_looked_at()
    assert is_as_before(await office.kept())
    for need_id in needs:
        assert (await office.staff.need(need_id))["state"] == "ready"

    # Whoever does not come now could have.
    await office.time_passes(LEFT + timedelta(minutes=10), "reservation")
    for need_id in needs:
        await office.staff.becomes(need_id, "waitlisted", "approved", "held", deadline_s=BACK_S_MAX)
    released = await office.stock("SELECT cause FROM reservation WHERE state = 'released'")
    assert {row["cause"] for row in released} == {"not_collected", "no_show"}
