"""What other regions are to be told of is found, each second, without reading what they know."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import asyncpg
import pytest

from aidmesh_inventory.store import capacity, stock
from aidmesh_payments.store import allotments
from support.servers import DatabaseFactory

UNTOLD = 200
"""Of 20,000 rows."""
ROWS_MAX = 500


class Asked(NamedTuple):
    """What a sweep asks: of which service, how, by which index, and of rows that are made so."""

    service: str
    ask: Callable[[asyncpg.Connection, int], Awaitable[Sequence[object]]]
    by_index: str
    made: str


SWEEPS = [
    Asked(
        "inventory",
        stock.take_untold,
        "stock_state_untold",
        """
        INSERT INTO site (id, code, name, area, iso_code, site_type)
        SELECT gen_random_uuid(), n, n, 'UA80', 'UA-30', 'center' FROM generate_series(1, 1000) n;
        INSERT INTO stock_state (site_id, item, version, told_version)
        SELECT s.id, n, 7, 7 FROM site s, generate_series(1, 20) n;
        UPDATE stock_state SET version = 8 WHERE ctid IN (
            SELECT ctid FROM stock_state LIMIT 200)
        """,
    ),
    Asked(
        "inventory",
        capacity.take_untold,
        "capacity_state_untold",
        """
        INSERT INTO site (id, code, name, area, iso_code, site_type)
        SELECT gen_random_uuid(), n, n, 'UA80', 'UA-30', 'center' FROM generate_series(1, 1000) n;
        INSERT INTO capacity_state (site_id, resource, code, first_on, free_by_day, total)
        SELECT s.id, 'bed', n, current_date, array_fill(3, ARRAY[60]), 3
        FROM site s, generate_series(1, 20) n;
        UPDATE capacity_state SET untold = true WHERE ctid IN (
            SELECT ctid FROM capacity_state LIMIT 200)
        """,
    ),
    Asked(
        "payments",
        allotments.take_untold,
        "allotment_untold",
        """
        INSERT INTO grant_terms (grant_id, grantor, code, donor, currency, restriction,
                                 paying_office, terms_version, status)
        VALUES (gen_random_uuid(), 'kyiv', 'g', 'd', 'UAH', '{}', 'kyiv', 1, 'active');
        INSERT INTO allotment (id, grant_id, budget_line, grantor, currency, version, told_version)
        SELECT gen_random_uuid(), grant_id, 'food', 'kyiv', 'UAH', 7, 7
        FROM grant_terms, generate_series(1, 20000);
        UPDATE allotment SET version = 8 WHERE ctid IN (
            SELECT ctid FROM allotment LIMIT 200)
        """,
    ),
]


@pytest.mark.parametrize("sweep", SWEEPS, ids=lambda sweep: sweep.by_index)
async def test_what_is_untold_is_found_by_an_index_of_it_alone(
    database: DatabaseFactory, sweep: Asked
) -> None:
    conn = await asyncpg.connect(await database(sweep.service))
    try:
        await conn.execute(sweep.made)
        await conn.execute("ANALYZE")
        assert len(await sweep.ask(conn, 1)) == 1  # asyncpg looks types up with it
        for untold in (UNTOLD - 1, 0):
            asked: asyncio.Future[asyncpg.connection.LoggedQuery] = asyncio.Future()
            with conn.query_logger(asked.set_result):
                assert len(await sweep.ask(conn, ROWS_MAX)) == untold
            query = await asked
            rows = await conn.fetch(f"EXPLAIN {query.query}", *query.args)
            plan = "\n".join(row[0] for row in rows)
            assert sweep.by_index in plan, plan
    finally:
        await conn.close()
