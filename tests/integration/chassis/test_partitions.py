"""Months get their partitions whatever stands in the way. Real PostgreSQL."""

import asyncio
import shutil
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from aidmesh.embedded.postgres import PostgresServer
from aidmesh_chassis import migrating, upkeep
from aidmesh_chassis.db import Database
from aidmesh_chassis.envelope import new_event_id
from aidmesh_chassis.migrating import make_partitions, migrate
from aidmesh_chassis.outbox import Origin
from integration.chassis.parts import card, opened, wire
from support.servers import DatabaseFactory
from support.waiting import eventually

PARTITIONS = """
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'outbox'::regclass AND c.relname ~ '[0-9]{4}_[0-9]{2}$'
"""


@pytest.fixture
async def bare(database: DatabaseFactory) -> str:
    """The DSN of a database whose months all passed unattended."""
    dsn = await database("console")
    conn = await asyncpg.connect(dsn)
    for table in ("outbox", "inbox"):
        for row in await conn.fetch(PARTITIONS.replace("outbox", table)):
            await conn.execute(f"DROP TABLE {row['relname']}")
    await conn.close()
    return dsn


async def test_rows_that_came_early_move_into_their_month(bare: str) -> None:
    database = await opened(bare)
    async with database.transaction() as tx:
        tx.emit(card(1))
        tx.emit(card(2))
    conn = await asyncpg.connect(bare)
    assert await conn.fetchval("SELECT count(*) FROM outbox_default") == 2
    before = await conn.fetch("SELECT * FROM outbox ORDER BY seq")
    await make_partitions(conn)
    assert await conn.fetch("SELECT * FROM outbox ORDER BY seq") == before
    assert await conn.fetchval("SELECT count(*) FROM outbox_default") == 0
    assert len(await conn.fetch(PARTITIONS)) == migrating.MONTHS_AHEAD + 1
    async with database.transaction() as tx:
        tx.emit(card(3))
    assert await conn.fetchval("SELECT count(DISTINCT seq) FROM outbox") == 3
    assert await conn.fetchval("SELECT count(*) FROM outbox_default") == 0
    await conn.close()
    await database.close()


async def test_many_may_make_them_at_once(bare: str) -> None:
    connections = [await asyncpg.connect(bare) for _ in range(6)]
    await asyncio.gather(*(make_partitions(conn) for conn in connections))
    assert len(await connections[0].fetch(PARTITIONS)) == migrating.MONTHS_AHEAD + 1
    for conn in connections:
        await conn.close()


async def test_a_lock_in_the_way_neither_ends_nor_delays_the_service(
    bare: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "PARTITIONS_RETRY_S", 0.05)
    holder, other = await asyncpg.connect(bare), await asyncpg.connect(bare)
    await other.execute("SET lock_timeout = '50ms'")
    holding = holder.transaction()
    await holding.start()
    await holder.execute("LOCK TABLE outbox_default IN ACCESS SHARE MODE")
    await upkeep.prepare([], other)
    assert await other.fetch(PARTITIONS) == []
    database = await opened(bare)
    task = asyncio.create_task(upkeep.keep_partitions(database))
    await holding.rollback()

    async def made() -> bool:
        return len(await other.fetch(PARTITIONS)) == migrating.MONTHS_AHEAD + 1

    await eventually(made)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await database.close()
    await holder.close()
    await other.close()


async def test_nobody_writes_before_the_partitions_are_there(bare: str) -> None:
    database = Database(bare, Origin("kyiv", "intake"))

    async def prepare(conn: asyncpg.Connection) -> None:
        with pytest.raises(ConnectionError):
            database.pool  # noqa: B018 - asked for its error
        await upkeep.prepare([], conn)

    await database.open(prepare)
    async with database.connection() as conn:
        assert len(await conn.fetch(PARTITIONS)) == migrating.MONTHS_AHEAD + 1
    await database.close()


async def test_an_older_inbox_is_keyed_anew_and_forgets_nothing(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "old"
    shutil.copytree(migrating.CHASSIS_MIGRATIONS, old)
    for newer in old.glob("*.sql"):
        if newer.name >= "0004":
            newer.unlink()
    admin = await asyncpg.connect(postgres.dsn("postgres"))
    await admin.execute("DROP DATABASE IF EXISTS older_inbox")
    await admin.execute("CREATE DATABASE older_inbox")
    dsn = postgres.dsn("older_inbox")
    with monkeypatch.context() as patch:
        patch.setattr(migrating, "CHASSIS_MIGRATIONS", old)
        await migrate(dsn, [])
    conn = await asyncpg.connect(dsn)
    with pytest.raises(LookupError):
        await upkeep.prepare([], conn)
    by_time, at_random = new_event_id(), UUID(int=5)
    rows = [
        (by_time, datetime(2024, 1, 1, tzinfo=UTC)),
        (by_time, datetime.now(UTC)),
        (at_random, datetime(2024, 3, 1, tzinfo=UTC)),
    ]
    await conn.executemany("INSERT INTO inbox VALUES ($1, $2, 'hash')", rows)
    await migrate(dsn, [])
    await upkeep.prepare([], conn)
    found = await conn.fetch("SELECT event_id, content_hash FROM inbox ORDER BY event_id")
    assert [(row["event_id"], row["content_hash"]) for row in found] == [
        (at_random, b"hash"),
        (by_time, b"hash"),
    ]
    again = await conn.execute(
        "INSERT INTO inbox SELECT id, inbox_time(id), 'hash' FROM unnest($1::uuid[]) AS n (id)"
        " ON CONFLICT DO NOTHING",
        [by_time, at_random],
    )
    assert again == "INSERT 0 0"
    await conn.close()
    await admin.execute("DROP DATABASE older_inbox WITH (FORCE)")
    await admin.close()
    assert wire(card(1), by_time).headers is not None


async def test_the_time_of_a_row_is_that_of_its_id(database: DatabaseFactory) -> None:
    """Keys of rows that are there stay what they are, whatever PostgreSQL can read of an id."""
    conn = await asyncpg.connect(await database("console"))
    ids = [
        *(new_event_id() for _ in range(20)),
        UUID("00000000-0000-7000-8000-000000000000"),
        UUID("0000ffff-ffff-7fff-bfff-ffffffffffff"),
        UUID("05f5e0ff-dcba-7123-8123-0123456789ab"),
    ]
    found = await conn.fetch(
        "SELECT inbox_time(id) AS ours, uuid_extract_timestamp(id) AS theirs, id"
        " FROM unnest($1::uuid[]) AS n (id)",
        ids,
    )
    await conn.close()
    assert len(found) == len(ids)
    for row in found:
        assert row["ours"] == row["theirs"], row["id"]
