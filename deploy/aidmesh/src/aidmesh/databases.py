"""A region's databases: one per service, closed to all other roles, brought up to date."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime

import asyncpg

from aidmesh.meshfile import WITH_DATABASE, RegionEntry
from aidmesh_chassis import standings
from aidmesh_chassis.migrating import migrate, migrations_of

CONNECT_SECONDS_MAX = 10.0
STATEMENT_SECONDS_MAX = 60.0
GRACE_S = 5.0
"""After so long nobody begins anything on a session whose password was replaced."""


async def prepare_databases(entry: RegionEntry) -> None:
    """Create roles and databases that are missing, and migrate all; safe to repeat.

    Raises as asyncpg does when the server is away or a migration fails.
    """

    async def create(admin: asyncpg.Connection) -> None:
        await admin.execute("REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC")
        for service in WITH_DATABASE:
            await _create(admin, service, entry.services[service].database_password or "")

    await _as_admin(entry, create)
    for service in WITH_DATABASE:
        await migrate(entry.dsn(service), migrations_of(service))


async def raise_epoch(entry: RegionEntry, region: str) -> None:
    """Have services know the region's epoch before they write anything. Raises as asyncpg does."""
    if entry.epoch == standings.FIRST_EPOCH:
        return
    for service in WITH_DATABASE:
        conn = await _connect(entry.dsn(service))
        try:
            await standings.raise_epochs(conn, {region: entry.epoch})
        finally:
            await conn.close(timeout=CONNECT_SECONDS_MAX)


async def recreate(entry: RegionEntry, service: str) -> None:
    """Make a service's database anew, with nothing in it. Raises as `prepare_databases`."""

    async def anew(admin: asyncpg.Connection) -> None:
        await admin.execute(f"DROP DATABASE IF EXISTS {service} WITH (FORCE)")
        await _create(admin, service, entry.services[service].database_password or "")

    await _as_admin(entry, anew)


async def close_databases(entry: RegionEntry) -> None:
    """Let no service in any more and end all sessions, theirs first: nothing is written again.

    `prepare_databases` lets them in. Raises as that.
    """

    async def close(admin: asyncpg.Connection) -> None:
        for service in WITH_DATABASE:
            await admin.execute(f"ALTER ROLE {service} NOLOGIN")
        for whose in ("usename", "datname"):
            await admin.execute(
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {whose} = ANY($1)",  # noqa: S608
                list(WITH_DATABASE),
            )

    await _as_admin(entry, close)


async def renew_passwords(entry: RegionEntry, passwords: Mapping[str, str]) -> datetime:
    """Give roles new passwords, all or none of them; returns when, by the server's clock.

    Raises as `prepare_databases`.
    """
    moments: list[datetime] = []

    async def renew(admin: asyncpg.Connection) -> None:
        async with admin.transaction():
            for role, password in passwords.items():
                await admin.execute(f"ALTER ROLE {role} PASSWORD '{password}'")
        moments.append(await admin.fetchval("SELECT clock_timestamp()"))

    await _as_admin(entry, renew)
    return moments[0]


async def end_sessions(entry: RegionEntry, before: datetime, patience_s: float) -> int:
    """End sessions that were begun before a moment; returns how many are left.

    Those that do nothing are ended after a grace, others once `patience_s` have passed since then.
    Raises as `prepare_databases`.
    """
    left: list[int] = []

    async def terminate(admin: asyncpg.Connection) -> None:
        rows = await admin.fetch(
            """
            SELECT pid FROM pg_stat_activity
            WHERE usename = ANY($1) AND backend_type = 'client backend'
              AND backend_start < $2 AND pid <> pg_backend_pid()
            """,
            [*WITH_DATABASE, "postgres"],
            before,
        )
        await admin.execute(
            """
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE pid = ANY($1) AND backend_start < $2
              AND clock_timestamp() > $2 + make_interval(
                  secs => CASE state WHEN 'idle' THEN $4::float8 ELSE $3::float8 END)
            """,
            [row["pid"] for row in rows],
            before,
            patience_s,
            GRACE_S,
        )
        left.append(len(rows))

    await _as_admin(entry, terminate)
    return left[0]


async def connected_ones(entry: RegionEntry) -> list[str]:
    """The services to whose databases somebody is connected. Raises as `prepare_databases`."""
    found: list[str] = []

    async def look(admin: asyncpg.Connection) -> None:
        rows = await admin.fetch(
            """
            SELECT DISTINCT datname FROM pg_stat_activity
            WHERE datname = ANY($1) AND backend_type = 'client backend' ORDER BY 1
            """,
            list(WITH_DATABASE),
        )
        found.extend(row["datname"] for row in rows)

    await _as_admin(entry, look)
    return found


async def set_aside(entry: RegionEntry, stamp: str) -> tuple[str, ...]:
    """Rename the databases that are there to names with `stamp`, unless that was done before.

    Returns the new names. Raises as `prepare_databases`.
    """
    aside = []

    async def rename(admin: asyncpg.Connection) -> None:
        rows = await admin.fetch("SELECT datname FROM pg_database")
        there = {row["datname"] for row in rows}
        for service in WITH_DATABASE:
            old = f"{service}.before-{stamp}"
            if service in there and old not in there:
                await admin.execute(f'ALTER DATABASE {service} RENAME TO "{old}"')
                there.add(old)
            if old in there:
                aside.append(old)

    await _as_admin(entry, rename)
    return tuple(aside)


async def _as_admin(
    entry: RegionEntry, work: Callable[[asyncpg.Connection], Awaitable[None]]
) -> None:
    admin = await _admin(entry)
    try:
        await work(admin)
    finally:
        await admin.close(timeout=CONNECT_SECONDS_MAX)


async def _admin(entry: RegionEntry) -> asyncpg.Connection:
    """A connection as the superuser, with whichever password is the right one."""
    *others, last = entry.admin_dsns("postgres")
    for dsn in others:
        with suppress(asyncpg.InvalidPasswordError):
            return await _connect(dsn)
    return await _connect(last)


async def _connect(dsn: str) -> asyncpg.Connection:
    return await asyncpg.connect(
        dsn, timeout=CONNECT_SECONDS_MAX, command_timeout=STATEMENT_SECONDS_MAX
    )


async def _create(admin: asyncpg.Connection, service: str, password: str) -> None:
    await _put_role(admin, service, password)
    if not await admin.fetchval("SELECT true FROM pg_database WHERE datname = $1", service):
        await admin.execute(f"CREATE DATABASE {service} OWNER {service}")
    await admin.execute(f"REVOKE ALL ON DATABASE {service} FROM PUBLIC")


async def _put_role(admin: asyncpg.Connection, service: str, password: str) -> None:
    # Names come from a constant and the password from our own generator: no quoting needed.
    role = await admin.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", service)
    verb = "ALTER" if role else "CREATE"
    await admin.execute(f"{verb} ROLE {service} LOGIN PASSWORD '{password}'")
