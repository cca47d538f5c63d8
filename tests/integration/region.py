"""Intake and inventory of one region, each on its real database, with a clock that tests move."""

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import asyncpg

from aidmesh_chassis.db import Database
from aidmesh_chassis.outbox import Origin
from aidmesh_contracts.base import Event
from aidmesh_contracts.days import day_of
from aidmesh_contracts.intake import NeedWithdrawnV1
from aidmesh_contracts.registry import REGISTRY
from aidmesh_inventory.handlers import sweeps
from integration.intake.world import World as Intake
from integration.intake.world import open_world
from integration.inventory.world import World as Inventory
from support.servers import DatabaseFactory

INTAKE_SWEEPS = ("overdue_attempts", "retries", "last_days", "pending_growth", "old_growth")
_CLOCK = """
CREATE SCHEMA moved;
CREATE TABLE moved.clock (ahead interval NOT NULL);
INSERT INTO moved.clock VALUES ('0');
CREATE FUNCTION moved.now() RETURNS timestamptz LANGUAGE sql STABLE AS
    'SELECT pg_catalog.now() + (SELECT ahead FROM moved.clock)';
CREATE FUNCTION moved.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
    'SELECT pg_catalog.clock_timestamp() + (SELECT ahead FROM moved.clock)';
"""

_DEFAULTS = """
SELECT format('ALTER TABLE %I ALTER %I SET DEFAULT moved.%s', table_name, column_name,
              column_default) AS moved
FROM information_schema.columns
WHERE table_schema = 'public' AND column_default IN ('now()', 'clock_timestamp()')
"""
"""What columns are filled with was settled when they were made."""


class Region:
    """Two services, and the messages between them."""

    def __init__(self, intake: Intake, inventory: Inventory) -> None:
        self.intake = intake
        self.inventory = inventory
        self.log: list[Event] = []
        self._seen = 0

    async def close(self) -> None:
        """Close what was opened."""
        await self.intake.client.aclose()
        await self.intake.db.close()
        await self.inventory.database.close()

    async def today(self) -> date:
        """The day in Kyiv by the region's clock."""
        async with self.inventory.database.transaction() as tx:
            return day_of(tx.now)

    async def settle(self) -> None:
        """Hand every message on until nobody has anything to say."""
        news = await self.intake.published()
        news += await self.intake.feed(*await self._answers())
        while news:
            self.log += news
            # What was given up comes first, as it does within a batch.
            for event in sorted(news, key=lambda each: not isinstance(each, NeedWithdrawnV1)):
                if type(event) in self.inventory.handlers:
                    await self.inventory.take(event)
            news = await self.intake.feed(*await self._answers())

    async def pass_time(self, *, by: timedelta) -> None:
        """Move both clocks; nothing happens yet."""
        for database in (self.intake.db, self.inventory.database):
            async with database.connection() as conn:
                await conn.execute("UPDATE moved.clock SET ahead = ahead + $1", by)

    async def set_clock(self, ahead: timedelta) -> None:
        """Set both clocks to so much ahead of the machine's."""
        for database in (self.intake.db, self.inventory.database):
            async with database.connection() as conn:
                await conn.execute("UPDATE moved.clock SET ahead = $1", ahead)

    async def sweep_inventory(self) -> None:
        """What time brings about in inventory; nobody has heard of it yet."""
        for run in (sweeps.expire_holds, sweeps.tell_slots):
            await self.inventory.run(run)

    async def sweep(self) -> None:
        """All that time brings about, until it brings nothing more."""
        await self.sweep_inventory()
        await self.settle()
        for name in INTAKE_SWEEPS:
            while await self.intake.sweep(name):
                await self.settle()

    async def _answers(self) -> Sequence[Event]:
        async with self.inventory.database.read() as conn:
            rows = await conn.fetch(
                "SELECT seq, headers::json ->> 'ce-type' AS type, payload FROM outbox"
                " WHERE seq > $1 ORDER BY seq",
                self._seen,
            )
        if rows:
            self._seen = rows[-1]["seq"]
        return [REGISTRY[row["type"]].model_validate_json(row["payload"]) for row in rows]


async def open_region(database: DatabaseFactory, folder: Path) -> Region:
    """Make both databases and open both services on them."""
    dsns = [await database("intake"), await database("inventory")]
    for dsn in dsns:
        await give_clock(dsn)
    intake = await open_world(dsns[0], folder)
    inventory = Database(dsns[1], Origin("kyiv", "inventory"))
    await inventory.open()
    return Region(intake, Inventory(inventory))


async def give_clock(dsn: str) -> None:
    """Have a database go by a clock that the test moves: `moved.clock` says how far ahead."""
    conn = await asyncpg.connect(dsn)
    try:
        await conn.execute(_CLOCK)
        name = await conn.fetchval("SELECT current_database()")
        # Named before the catalog, these stand in for its functions.
        await conn.execute(f"ALTER DATABASE {name} SET search_path = moved, pg_catalog, public")
        for row in await conn.fetch(_DEFAULTS):
            await conn.execute(row["moved"])
    finally:
        await conn.close()
