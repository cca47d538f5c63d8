"""Rows of bulk forms in the databases of inventory and payments: known again, not readable."""

import hashlib
import shutil
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from aidmesh_chassis.crypto import SecretKey
from aidmesh_chassis.migrating import migrate
from aidmesh_chassis.row_keys import content_key, row_key
from support.servers import DatabaseFactory

ROOT = Path(__file__).parents[2]
CANARY = "Канаренко +380441234567"
OLD_TABLES = {"inventory": "bulk_row", "payments": "imported_row"}


@pytest.mark.parametrize("service", sorted(OLD_TABLES))
async def test_rows_of_before_are_keyed_and_still_known(
    database: DatabaseFactory, tmp_path: Path, service: str
) -> None:
    migrations = ROOT / f"services/{service}/src/aidmesh_{service}/migrations"
    (newest,) = migrations.glob("*_keyed_rows.sql")
    before = tmp_path / "before"
    before.mkdir()
    for path in sorted(migrations.glob("*.sql")):
        if path.name < newest.name:
            shutil.copy(path, before)
    # Any service's database will do as an empty one: its tables are dropped.
    dsn = await database("notification")
    conn = await asyncpg.connect(dsn)
    try:
        await conn.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        await migrate(dsn, [before])
        digest, made = hashlib.sha256(b"content").digest(), uuid4()
        await conn.execute(
            f"INSERT INTO {OLD_TABLES[service]} VALUES ('receipts', 'week-1', $1, $2, $3)",  # noqa: S608
            CANARY,
            digest,
            made,
        )
        await migrate(dsn, [migrations])

        secret = SecretKey(await conn.fetchval("SELECT secret FROM row_secret"))
        [row] = await conn.fetch("SELECT * FROM taken_row")
        assert row["row_key"] == row_key(secret, "receipts", "week-1", CANARY)
        assert row["content_hash"] == content_key(secret, CANARY, digest)
        assert row["result_id"] == made
    finally:
        await conn.close()


async def test_every_database_has_a_key_of_its_own(database: DatabaseFactory) -> None:
    found = set()
    for service in OLD_TABLES:
        conn = await asyncpg.connect(await database(service))
        found.add(await conn.fetchval("SELECT secret FROM row_secret"))
        await conn.close()
    assert len(found) == 2
    assert {len(each) for each in found} == {32}
