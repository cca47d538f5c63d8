"""Who asks whole tables is not kept waiting for ever, and is told by which database."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest

from aidmesh.connecting import Asking, connect_asking
from aidmesh.meshfile import AwayError
from aidmesh.quiet import ONE_BIG_QUESTION
from support.servers import DatabaseFactory
from support.waiting import eventually

WHO = "the database of payments in kyiv did not answer"
WAITS = "SELECT count(*) > 0 FROM pg_locks WHERE pid = $1 AND NOT granted"
QUESTION = "SELECT id FROM dead_letter"


async def copied(conn: Asking) -> object:
    async def nowhere(_: bytes) -> None:
        return None

    return await conn.copy_from_query(QUESTION, output=nowhere)


QUESTIONS: dict[str, Callable[[Asking], Awaitable[object]]] = {
    "fetch": lambda conn: conn.fetch(QUESTION),
    "fetchrow": lambda conn: conn.fetchrow(QUESTION),
    "fetchval": lambda conn: conn.fetchval(QUESTION),
    "copy": copied,
}


@pytest.fixture
async def dsn(database: DatabaseFactory) -> str:
    return await database("payments")


@pytest.fixture
async def other(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    conn = await asyncpg.connect(dsn)
    yield conn
    await conn.close()


async def asking(dsn: str, answer_s_max: float) -> Asking:
    return await connect_asking("kyiv", "payments", dsn, answer_s_max, ONE_BIG_QUESTION)


@pytest.mark.parametrize("way", QUESTIONS)
async def test_a_question_that_is_not_answered_in_time_is_broken_off_by_the_server(
    dsn: str, other: asyncpg.Connection, way: str
) -> None:
    conn = await asking(dsn, 0.3)
    try:
        async with other.transaction():
            await other.execute("LOCK TABLE dead_letter")
            with pytest.raises(AwayError, match=WHO) as told:
                await QUESTIONS[way](conn)
        assert isinstance(told.value.__cause__, asyncpg.QueryCanceledError)
        await QUESTIONS[way](conn)  # it can be asked again
    finally:
        await conn.close()


@pytest.mark.parametrize("way", QUESTIONS)
async def test_a_connection_that_is_lost_is_no_answer(
    dsn: str, other: asyncpg.Connection, way: str
) -> None:
    conn = await asking(dsn, 60.0)
    async with other.transaction():
        await other.execute("LOCK TABLE dead_letter")
        asked = asyncio.ensure_future(QUESTIONS[way](conn))
        await eventually(lambda: other.fetchval(WAITS, conn.get_server_pid()), 20)
        await other.execute("SELECT pg_terminate_backend($1)", conn.get_server_pid())
        with pytest.raises(AwayError, match=WHO):
            await asked
    with pytest.raises(AwayError, match=WHO):
        await QUESTIONS[way](conn)


async def test_what_is_asked_wrongly_is_told_as_it_is(dsn: str) -> None:
    conn = await asking(dsn, 60.0)
    try:
        with pytest.raises(asyncpg.UndefinedTableError):
            await conn.fetch("SELECT FROM nothing")
    finally:
        await conn.close()
