"""All databases of a backup are of one moment: there is no effect without its cause."""

import asyncio
from uuid import UUID

import asyncpg
import pytest

from aidmesh.backup import cut
from aidmesh.backup.cut import BusyError, fixed
from aidmesh.backup.programs import ProgramError
from aidmesh_chassis.envelope import new_event_id
from support.servers import DatabaseFactory
from support.waiting import eventually

CUTS = 8
SEND = """
    INSERT INTO outbox (event_id, stream, subject, headers, payload, payload_hash)
    VALUES ($1, 'LOCAL', 'local.kyiv.a.b.c.v1', '{}', '', '')
"""
TAKE = """
    INSERT INTO inbox (event_id, occurred_at, content_hash) VALUES ($1, inbox_time($1), '')
"""


async def _move(sender: str, reader: str, over: asyncio.Event) -> int:
    """Send events and have them taken in, one after the other; how many."""
    outbox, inbox = await asyncpg.connect(sender), await asyncpg.connect(reader)
    moved = 0
    while not over.is_set():
        event_id = new_event_id()
        await outbox.execute(SEND, event_id)
        await inbox.execute(TAKE, event_id)
        moved += 1
    await outbox.close()
    await inbox.close()
    return moved


async def test_whatever_an_inbox_has_its_sender_has_written(database: DatabaseFactory) -> None:
    dsns = {service: await database(service) for service in ("intake", "payments", "reporting")}
    over = asyncio.Event()
    pairs = [(a, b) for a in dsns for b in dsns if a != b]
    movers = [asyncio.create_task(_move(dsns[a], dsns[b], over)) for a, b in pairs]
    seen = 0
    for _ in range(CUTS):
        async with fixed(dsns) as databases:
            sent: set[UUID] = set()
            taken: set[UUID] = set()
            for each in databases.values():
                sent |= {row[0] for row in await each.conn.fetch("SELECT event_id FROM outbox")}
                taken |= {row[0] for row in await each.conn.fetch("SELECT event_id FROM inbox")}
        assert taken <= sent
        assert len(taken) > seen
        seen = len(taken)
    over.set()
    assert sum(await asyncio.gather(*movers)) >= seen


async def test_who_never_lets_go_of_an_inbox_is_not_waited_for_without_end(
    database: DatabaseFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cut, "LOCK_MS_MAX", 50)
    monkeypatch.setattr(cut, "PAUSE_S", 0.0)
    dsn = await database("intake")
    busy = await asyncpg.connect(dsn)
    async with busy.transaction():
        await busy.execute(TAKE, new_event_id())
        with pytest.raises(BusyError):
            async with fixed({"intake": dsn}):
                pass
    await busy.close()


async def _lose_server_and_fail(dsn: str) -> None:
    """A program fails, as it does when its server ends; so does the connection that fixed it."""
    other = await asyncpg.connect(dsn)
    async with fixed({"intake": dsn}) as databases:
        conn = databases["intake"].conn
        await other.fetch("SELECT pg_terminate_backend($1)", conn.get_server_pid())
        await other.close()
        await eventually(conn.is_closed)
        raise ProgramError("pg_dump failed")


async def _lose_server_and_ask(dsn: str) -> None:
    async with fixed({"intake": dsn}) as databases:
        await databases["intake"].conn.fetch("SELECT pg_terminate_backend(pg_backend_pid())")


async def test_of_a_server_that_ends_the_first_error_is_told(database: DatabaseFactory) -> None:
    dsn = await database("intake")
    with pytest.raises(ProgramError, match="pg_dump failed"):
        await _lose_server_and_fail(dsn)
    with pytest.raises(asyncpg.PostgresError):
        await _lose_server_and_ask(dsn)
