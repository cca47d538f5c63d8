"""The password of a service's role is replaced while it works."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest

from aidmesh.embedded.postgres import PostgresServer
from aidmesh_chassis import outbox
from aidmesh_chassis.db import Database, connect
from support.waiting import eventually


@pytest.fixture
async def role(postgres: PostgresServer) -> AsyncIterator[str]:
    """A role of its own, with the password `old`."""
    name = f"replaced_{uuid4().hex[:12]}"
    admin = await asyncpg.connect(postgres.dsn("postgres"))
    try:
        await admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'old'")
        yield name
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", name
        )
        await admin.execute(f"DROP ROLE {name}")
    finally:
        await admin.close()


async def test_no_transaction_is_refused_while_a_password_is_replaced(
    postgres: PostgresServer, role: str, tmp_path: Path
) -> None:
    file = tmp_path / "passwords"
    file.write_text("old\n")
    url = postgres.dsn("postgres", role, "wrong")
    database = Database(url, outbox.Origin("kyiv", "some"), pool_max=4, password_file=file)
    await database.open()
    done, stop, pids = 0, asyncio.Event(), set[int]()

    async def work() -> None:
        nonlocal done
        while not stop.is_set():
            async with database.read() as conn:
                pids.add(await conn.fetchval("SELECT pg_backend_pid()"))
            done += 1
            await asyncio.sleep(0.001)

    working = [asyncio.create_task(work()) for _ in range(4)]

    async def goes_on() -> bool:
        return any(task.done() for task in working) or done > seen + 20

    admin = await asyncpg.connect(postgres.dsn("postgres"))
    try:
        for text, statement in (
            ("old\nnew\n", None),
            (None, f"ALTER ROLE {role} PASSWORD 'new'"),
            ("new\n", None),
        ):
            if text is not None:
                fresh = file.with_suffix(".part")
                fresh.write_text(text)
                fresh.replace(file)
            if statement is not None:
                await admin.execute(statement)
                await database.pool.expire_connections()  # connections fail at any time
            seen = done
            await eventually(goes_on, 30)
        before = set(pids)
        pids.clear()
        seen = done
        await eventually(goes_on, 30)
        assert pids <= before, "they are made anew once, not for each transaction"
        stop.set()
        await asyncio.gather(*working)
    finally:
        stop.set()
        await admin.close()
        await database.close()
    assert urlsplit(url).password == "wrong"
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(postgres.dsn("postgres", role, "old"))


async def test_connections_are_made_anew_once_the_file_has_changed(
    postgres: PostgresServer, role: str, tmp_path: Path
) -> None:
    file = tmp_path / "passwords"
    file.write_text("old\n")
    url = postgres.dsn("postgres", role, "old")
    database = Database(url, outbox.Origin("kyiv", "some"), pool_max=2, password_file=file)
    await database.open()

    async def pid() -> int:
        async with database.read() as conn:
            found: int = await conn.fetchval("SELECT pg_backend_pid()")
            return found

    try:
        first = await pid()
        assert await pid() == first
        file.write_text("old\nnew\n")
        assert await pid() != first
    finally:
        await database.close()


async def test_without_a_file_the_url_holds_and_with_none_that_is_right_it_says_so(
    postgres: PostgresServer, role: str, tmp_path: Path
) -> None:
    url = postgres.dsn("postgres", role, "old")
    for path in (None, tmp_path / "missing"):
        await (await connect(path, url)).close()
    file = tmp_path / "passwords"
    file.write_text("wrong\nwronger\n")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await connect(file, url)
