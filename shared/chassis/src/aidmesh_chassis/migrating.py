"""Brings a database up to date: migrations of the chassis and the service, tables by month."""

import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import asyncpg

from aidmesh_chassis.db import connect
from aidmesh_chassis.logs import get_logger, ms_since

log = get_logger()

CHASSIS_MIGRATIONS = Path(__file__).parent / "migrations"
MONTHS_AHEAD = 3


def migrations_of(service: str) -> list[Path]:
    """The folders of a service's own migrations, found without importing the service."""
    spec = find_spec(f"aidmesh_{service}")
    locations = spec.submodule_search_locations if spec else None
    folders = [Path(location) / "migrations" for location in locations or ()]
    return [folder for folder in folders if folder.is_dir()]


async def is_migrated(conn: asyncpg.Connection, directories: Sequence[Path]) -> bool:
    """Whether all that these folders and the chassis' migrations make is there.

    Raises as asyncpg does when nothing was migrated yet.
    """
    async with conn.transaction(readonly=True):
        known = await _applied(conn)
    return all(
        path.stem in known
        for directory in (CHASSIS_MIGRATIONS, *directories)
        for path in directory.glob("*.sql")
    )


async def _applied(conn: asyncpg.Connection) -> set[str]:
    rows = await conn.fetch("SELECT migration_id FROM public._pogo_migration")
    return {row["migration_id"] for row in rows}


async def migrate(dsn: str, directories: Sequence[Path], password_file: Path | None = None) -> None:
    """Bring a database up to date: the chassis' migrations first, then each directory's.

    Several processes may call it at once; a transaction-scoped lock lets one do the work.

    Args:
        dsn: of the role that owns the database.
        directories: folders with pogo-migrate files, which are applied in the order of names.
        password_file: as of `Database`.

    Raises:
        ValueError: a file is no migration.
        asyncpg.PostgresError: one could not be applied, which a note names; so none of its
            folder was.
    """
    # Without prepared statements: a pooler may stand in between.
    conn = await connect(password_file, dsn, timeout=10.0, statement_cache_size=0)
    try:
        for directory in (CHASSIS_MIGRATIONS, *directories):
            started = time.perf_counter()
            async with conn.transaction():
                await conn.execute("SELECT pg_advisory_xact_lock(711_001)")
                begun = await conn.fetchval("SELECT to_regclass('public._pogo_migration')")
                before = await _applied(conn) if begun else set()
                if before.issuperset(path.stem for path in directory.glob("*.sql")):
                    continue
                new = await _apply(conn, directory)
            log.info("database.migrated", migrations=new, duration_ms=ms_since(started))
        await make_partitions(conn)
    finally:
        await conn.close(timeout=5.0)


async def _apply(conn: asyncpg.Connection, directory: Path) -> list[str]:
    """Apply what is new in a folder; returns the names, in order.

    As `pogo.apply`, and in its books, but a file at a time: to take each apart into statements, as
    pogo does, would be a quarter of the work of a first start (decision 0069).
    """
    # It takes long to import, and most starts have nothing to apply.
    from pogo_core.util import sql  # noqa: PLC0415

    await sql.ensure_pogo_sync(conn)
    found = await sql.read_migrations(directory, conn, schema_name="public")
    new = sorted((each for each in found if not each.applied), key=lambda each: each.id)
    for migration in new:
        try:
            await conn.execute(statements(migration.path))
        except asyncpg.PostgresError as error:
            error.add_note(f"while {migration.id} was applied")
            raise
        await sql.migration_applied(conn, migration.id, migration.hash, schema_name="public")
    return [each.id for each in new]


def statements(file: Path) -> str:
    """What a file of pogo-migrate does when it is applied. Raises ValueError if it is none."""
    _, applied, rest = file.read_text(encoding="utf-8").partition("-- migrate: apply\n")
    body, rolled_back, _ = rest.partition("-- migrate: rollback\n")
    if not applied or not rolled_back:
        raise ValueError(f"{file.name} is no migration: it says not what is applied, or taken back")
    return body


async def make_partitions(conn: asyncpg.Connection) -> None:
    """Make the partitions of outbox and inbox for this month and the next ones.

    Rows of such a month that had to go into the default partition move into their own.
    """
    for table in ("outbox", "inbox"):
        async with conn.transaction():
            await conn.execute(
                "SELECT ensure_month_partitions($1::text::regclass, $2)", table, MONTHS_AHEAD
            )
