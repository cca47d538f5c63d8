"""A folder of migrations is applied whole or not at all. Real PostgreSQL."""

from pathlib import Path

import asyncpg
import pytest

from aidmesh_chassis.migrating import is_migrated, migrate
from support.servers import DatabaseFactory

FILE = """-- Made up.
-- depends: {depends}

-- migrate: apply

{statements}

-- migrate: rollback
"""


def written(folder: Path, name: str, statements: str, depends: str = "") -> None:
    text = FILE.format(depends=depends, statements=statements)
    (folder / f"{name}.sql").write_text(text, encoding="utf-8")


async def test_a_folder_is_applied_in_the_order_of_names_or_not_at_all(
    database: DatabaseFactory, tmp_path: Path
) -> None:
    dsn = await database("console")
    first = """
        CREATE TABLE first (id int PRIMARY KEY); -- one;
        CREATE FUNCTION told() RETURNS text LANGUAGE sql AS $$ SELECT ';'::text; $$;
    """
    written(tmp_path, "0001_first", first)
    written(tmp_path, "0002_second", "INSERT INTO first VALUES (1), (1);", "0001_first")
    conn = await asyncpg.connect(dsn)

    with pytest.raises(asyncpg.UniqueViolationError) as refused:
        await migrate(dsn, [tmp_path])

    assert refused.value.__notes__ == ["while 0002_second was applied"]
    assert await conn.fetchval("SELECT to_regclass('first')") is None
    assert not await is_migrated(conn, [tmp_path])

    written(tmp_path, "0002_second", "INSERT INTO first VALUES (1), (2);", "0001_first")
    await migrate(dsn, [tmp_path])
    await migrate(dsn, [tmp_path])

    assert await conn.fetchval("SELECT count(*) FROM first") == 2
    assert await conn.fetchval("SELECT told()") == ";"
    assert await is_migrated(conn, [tmp_path])
    written(tmp_path, "0003_third", "ALTER TABLE first ADD COLUMN more int;", "0002_second")
    assert not await is_migrated(conn, [tmp_path])
    await migrate(dsn, [tmp_path])
    assert await conn.fetchval("SELECT more FROM first LIMIT 1") is None
    await conn.close()
