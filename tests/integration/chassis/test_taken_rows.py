"""Bulk forms of one source come one after the other, however many sources they name."""

import asyncpg
import pytest

from aidmesh_chassis.taken_rows import LOCKS_MAX, lock_sources
from support.servers import DatabaseFactory


async def test_a_form_of_many_sources_takes_few_locks(database: DatabaseFactory) -> None:
    conn = await asyncpg.connect(await database("inventory"))
    async with conn.transaction():
        await lock_sources(conn, "receipts", [f"source-{number}" for number in range(5_000)])
        held = await conn.fetchval(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
        )
    await conn.close()

    assert held == LOCKS_MAX


async def test_who_sends_the_same_source_waits_and_other_forms_do_not(
    database: DatabaseFactory,
) -> None:
    dsn = await database("inventory")
    first, second = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    await second.execute("SET lock_timeout = '100ms'")
    async with first.transaction():
        await lock_sources(first, "receipts", ["kobo", "paper"])
        await lock_sources(second, "handovers", ["kobo"])
        with pytest.raises(asyncpg.LockNotAvailableError):
            await lock_sources(second, "receipts", ["paper", "another"])
    await lock_sources(second, "receipts", ["paper"])
    await first.close()
    await second.close()
