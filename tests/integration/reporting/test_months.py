"""The months in which anything was given: found one after the other, not in all services."""

import asyncio
import random
from datetime import date, timedelta
from uuid import UUID

import asyncpg
import pytest

from aidmesh_chassis.db import Database
from aidmesh_reporting.domain.months import month_of
from aidmesh_reporting.store import months as month_store
from aidmesh_reporting.store import services
from integration.reporting.region import service

LIMIT = 100
FIRST = date(2023, 11, 30)


async def months(conn: asyncpg.Connection, *, sensitive_too: bool) -> list[str]:
    rows = await month_store.list_months(conn, sensitive_too=sensitive_too, after=None, limit=LIMIT)
    return [row["month"] for row in rows]


@pytest.mark.parametrize("seed", range(3))
async def test_every_month_in_which_something_was_given_is_listed_once(
    facts_db: Database, seed: int
) -> None:
    chance = random.Random(seed)
    days = {FIRST, FIRST + timedelta(days=1), date(2024, 12, 31), date(2025, 1, 1)}
    days |= {FIRST + timedelta(days=chance.randrange(900)) for _ in range(30)}
    given = [(day, chance.random() < 0.5) for day in sorted(days)]
    async with facts_db.transaction() as tx:
        assert await months(tx.conn, sensitive_too=True) == []
        await services.add_services(
            tx.conn,
            [
                (
                    UUID(int=number),
                    service(number, [], day=day, kind="x" if hidden else "food_parcel"),
                )
                for number, (day, hidden) in enumerate(given, start=1)
            ],
        )
        every = {month_of(day) for day, _ in given}
        assert await months(tx.conn, sensitive_too=True) == sorted(every)
        shown = {month_of(day) for day, hidden in given if not hidden}
        await month_store.settle(tx.conn, "2022-05", UUID(int=1))
        await month_store.settle(tx.conn, "2024-12", UUID(int=1))
        shown |= {"2022-05", "2024-12"}
        assert await months(tx.conn, sensitive_too=False) == sorted(shown)


async def test_months_are_found_without_reading_their_services(facts_db: Database) -> None:
    asked: asyncio.Future[asyncpg.connection.LoggedQuery] = asyncio.Future()
    async with facts_db.transaction() as tx:
        await tx.conn.execute(
            """
            INSERT INTO service (need_id, service_no, event_id, kind, programme, area, asked_on,
                                 served_on, month, quantity, unit, sensitive)
            SELECT gen_random_uuid(), 1, gen_random_uuid(), 'food_parcel', 'relief', 'UA80', day,
                   day, to_char(day, 'YYYY-MM'), 1, 'piece', n % 7 = 0
            FROM generate_series(0, 9999) n, LATERAL (SELECT date '2024-01-01' + n / 20) d (day)
            """
        )
        await tx.conn.execute("ANALYZE service")
        with tx.conn.query_logger(asked.set_result):
            assert len(await months(tx.conn, sensitive_too=False)) == 17
        query = await asked
        rows = await tx.conn.fetch(f"EXPLAIN {query.query}", *query.args)
    plan = "\n".join(row[0] for row in rows)
    assert plan.count("Index Scan using service_served") == 2, plan
    assert "Index Cond: (served_on >=" in plan, plan
    assert "Seq Scan on service " not in plan, plan
