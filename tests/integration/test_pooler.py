"""Everything works through a pooler in transaction mode, and nothing is left in a session."""

from pathlib import Path

import asyncpg
import pytest

from aidmesh_chassis import outbox
from aidmesh_chassis.db import Database
from aidmesh_chassis.migrating import migrate, migrations_of
from support.pooler import pooled
from support.regions_running import running_regions
from support.servers import DatabaseFactory
from support.waiting import eventually


async def test_a_need_is_served_by_services_behind_a_pooler(
    tmp_path: Path, database: DatabaseFactory
) -> None:
    async with pooled(await database("intake"), 3) as (_, pooler):

        async def behind(service: str) -> str:
            return pooler.url_of(await database(service))

        async with running_regions(tmp_path, behind, ("kyiv",), pooler=True) as mesh:
            staff = mesh["kyiv"].staff
            site = await staff.site("center", area="UA8001")
            await staff.item("food_parcel")
            need = await staff.ask("food_parcel", place_area="UA8001", site_id=str(site))
            await staff.becomes(need, "waitlisted", deadline_s=60)
            await staff.receive(site, "food_parcel", 1)
            await staff.becomes(need, "ready", deadline_s=60)
            await staff.post("caseworker", "intake", f"/needs/{need}:told")
            held = (await staff.reservation(need))["reservation_id"]
            await staff.post("caseworker", "inventory", f"/reservations/{held}:issue")
            await staff.becomes(need, "fulfilled", deadline_s=60)

            async def counted() -> bool:
                period = {"from": "2024-01-01", "to": "2030-12-31", "by": "kind"}
                found = await staff.get("lead", "reporting", "/results", params=period)
                return [line["services"] for line in found["lines"]] == [1]

            await eventually(counted, 60)
            assert pooler.moved > 0


async def test_a_pooled_transaction_has_its_bounds_and_leaves_none(
    database: DatabaseFactory,
) -> None:
    async with pooled(await database("intake"), 2) as (dsn, pooler):
        await migrate(dsn, migrations_of("intake"))  # there is nothing to do: it says so
        db = Database(dsn, outbox.Origin("kyiv", "intake"), pooler=True, statement_s_max=7.0)
        await db.open()
        async with db.begin() as conn:
            assert await conn.fetchval("SHOW statement_timeout") == "7s"
            assert await conn.fetchval("SHOW lock_timeout") == "10s"
        async with db.transaction() as tx:
            assert await tx.conn.fetchval("SHOW statement_timeout") == "7s"
        async with db.read() as conn:
            assert await conn.fetchval("SHOW idle_in_transaction_session_timeout") == "1min"
        async with db.connection() as conn:
            assert await conn.fetchval("SHOW statement_timeout") == "0"
        await db.close()
        careless = await asyncpg.connect(dsn)  # it believes that its session stays
        with pytest.raises(asyncpg.InvalidSQLStatementNameError):
            await _ask_three_times(careless)
        await careless.close()
        bare = Database(dsn, outbox.Origin("kyiv", "intake"))
        with pytest.raises(asyncpg.PostgresError, match="unsupported startup parameter"):
            await bare.open()
        assert pooler.moved > 0


async def _ask_three_times(conn: asyncpg.Connection) -> None:
    for _ in range(3):
        await conn.fetchval("SELECT 1")
