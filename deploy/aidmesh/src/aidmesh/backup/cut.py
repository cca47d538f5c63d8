"""One moment of all databases of a region, while everything goes on.

Each database can be read as of one moment of its own; five such moments need not fit each other:
an event that one service had taken in may not have been written yet where it came from, and that
is an effect without a cause, which no catching up would ever mend. So for the moment in which the
five are fixed no event is taken in anywhere: the inboxes are locked against writing, one after the
other, then all are fixed, then the locks go. Whatever an inbox has then, its sender's outbox has
as well; what was sent and not taken in yet is taken in after a restore, as after any outage.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from aidmesh.connecting import close_database

CONNECT_SECONDS_MAX = 10.0
STATEMENT_SECONDS_MAX = 3600.0
LOCK_MS_MAX = 5_000
TRIES_MAX = 6
PAUSE_S = 1.0
BUSY = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)
ROWS_SQL = """
    SELECT c.oid::regclass::text FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Fixed:
    """One database, fixed: a connection that sees the moment, and its name for others."""

    conn: asyncpg.Connection
    snapshot: str
    at: datetime


class BusyError(Exception):
    """The services do not let go of their inboxes for as long as it takes."""


@asynccontextmanager
async def fixed(dsns: Mapping[str, str]) -> AsyncIterator[dict[str, Fixed]]:
    """Fix all these databases at one moment, for as long as the block lasts.

    Args:
        dsns: by service, of the servers themselves, not of a pooler.

    Raises:
        BusyError: batches ran for too long, or one waited for another.
        OSError, asyncpg.PostgresError, asyncpg.InterfaceError: a server ended meanwhile.
    """
    async with AsyncExitStack() as stack:
        found = {}
        for service, dsn in dsns.items():
            conn = await _connect(dsn)
            # Its end is that of the transaction: one that is left by itself, when the server is
            # gone, raises an error in the place of the one that says so.
            stack.push_async_callback(close_database, conn)
            await conn.transaction(isolation="repeatable_read", readonly=True).start()
            found[service] = conn
        yield await _patiently(dsns, found)


async def _patiently(
    dsns: Mapping[str, str], readers: Mapping[str, asyncpg.Connection]
) -> dict[str, Fixed]:
    for _ in range(TRIES_MAX - 1):
        try:
            return await _fix(dsns, readers)
        except BUSY:
            await asyncio.sleep(PAUSE_S)
    try:
        return await _fix(dsns, readers)
    except BUSY:
        raise BusyError("the services are at work all the time; try again later") from None


async def _fix(
    dsns: Mapping[str, str], readers: Mapping[str, asyncpg.Connection]
) -> dict[str, Fixed]:
    """Nothing is read before: a transaction's moment is that of its first statement."""
    async with AsyncExitStack() as stack:
        for dsn in dsns.values():
            conn = await _connect(dsn)
            stack.push_async_callback(close_database, conn)  # lets go of the lock, too
            await conn.transaction().start()
            await conn.execute(f"SET LOCAL lock_timeout = {LOCK_MS_MAX}")
            await conn.execute("LOCK TABLE inbox IN SHARE MODE")
        rows = {
            service: await conn.fetchrow("SELECT pg_export_snapshot(), clock_timestamp()")
            for service, conn in readers.items()
        }
    return {
        service: Fixed(readers[service], row[0], row[1])
        for service, row in rows.items()
        if row is not None
    }


async def count_rows(conn: asyncpg.Connection) -> dict[str, int]:
    """The rows of every table of a database."""
    tables = [row[0] for row in await conn.fetch(ROWS_SQL)]
    return {
        table: await conn.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608 - of the catalog
        for table in tables
    }


async def _connect(dsn: str) -> asyncpg.Connection:
    conn: asyncpg.Connection = await asyncpg.connect(
        dsn,
        timeout=CONNECT_SECONDS_MAX,
        command_timeout=STATEMENT_SECONDS_MAX,
        server_settings={"idle_in_transaction_session_timeout": "0"},
    )
    return conn
