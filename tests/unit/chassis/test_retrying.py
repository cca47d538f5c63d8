"""A request whose transaction met another's locks is run again, if nothing is left of it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import uuid4

import asyncpg
import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import Response
from starlette.types import Message, Receive, Scope, Send

from aidmesh_chassis import retrying
from aidmesh_chassis.auth import Verifier
from aidmesh_chassis.db import Database
from aidmesh_chassis.errors import CONTENTION, CONTENTION_RETRIES_MAX
from aidmesh_chassis.http import Body, create_app
from aidmesh_chassis.idempotency import Once
from aidmesh_chassis.outbox import Origin
from aidmesh_chassis.retrying import Retrying

PAIR = 2


class Work(Body):
    """What the route does.

    Attributes:
        rows: locked and counted up in this order.
        commits_first: with a transaction of its own before.
    """

    rows: tuple[int, ...]
    commits_first: bool = False


class Desk:
    """A service with a route that is made to fail: `failures` are raised one by one, at the end."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.tries = 0
        self.failures: list[BaseException] = []
        self.both_hold_one = asyncio.Barrier(PAIR)
        self.app = create_app("intake", "kyiv", Verifier(KEY.public_key(), "kyiv"))
        self.app.post("/v1/work/{label}")(self.work)
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, raise_app_exceptions=False),
            base_url="http://test",
        )

    async def work(self, label: str, body: Work, once: Once) -> Response:
        """Count rows up."""
        self.tries += 1
        if body.commits_first:
            async with self.db.transaction() as tx:
                await self._count(tx.conn, 0)
        async with self.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            for row in body.rows:
                await self._count(tx.conn, row)
                if len(body.rows) == PAIR and self.tries <= PAIR and row == body.rows[0]:
                    await self.both_hold_one.wait()
            if self.failures:
                raise self.failures.pop(0)
            return await once.answer(tx, 200, {"label": label, "rows": list(body.rows)})

    async def post(self, *rows: int, key: str | None = None, **body: object) -> httpx.Response:
        """One request."""
        headers = {} if key is None else {"Idempotency-Key": key}
        return await self.client.post("/v1/work/a", json={"rows": rows} | body, headers=headers)

    async def counts(self) -> list[int]:
        """How often each row was counted up."""
        async with self.db.read() as conn:
            return [row["n"] for row in await conn.fetch("SELECT n FROM thing ORDER BY id")]

    async def _count(self, conn: asyncpg.Connection, row: int) -> None:
        await conn.execute("UPDATE thing SET n = n + 1 WHERE id = $1", row)


KEY = Ed25519PrivateKey.generate()


@pytest.fixture
async def desk(database: Callable[[str], Awaitable[str]]) -> AsyncIterator[Desk]:
    db = Database(await database("intake"), Origin(region="kyiv", service="intake", epoch=1))
    await db.open()
    async with db.transaction() as tx:
        await tx.conn.execute("CREATE TABLE thing (id int PRIMARY KEY, n int)")
        await tx.conn.execute("INSERT INTO thing SELECT id, 0 FROM generate_series(0, 2) id")
    desk = Desk(db)
    yield desk
    await desk.client.aclose()
    await db.close()


async def test_two_requests_in_a_circle_are_both_done_once(desk: Desk) -> None:
    """PostgreSQL cuts one of them off; its caller does not notice."""
    answers = await asyncio.gather(desk.post(1, 2), desk.post(2, 1))
    assert [each.status_code for each in answers] == [200, 200]
    assert [each.json()["rows"] for each in answers] == [[1, 2], [2, 1]]
    assert desk.tries == PAIR + 1
    assert await desk.counts() == [0, 2, 2]


@pytest.mark.parametrize("cause", CONTENTION)
async def test_contention_of_every_kind_is_run_again_in_a_new_transaction(
    desk: Desk, cause: type[BaseException]
) -> None:
    desk.failures = [cause(), cause()]
    key = uuid4().hex
    answer = await desk.post(1, key=key)
    assert (answer.status_code, answer.json()["label"], desk.tries) == (200, "a", 3)
    again = await desk.post(1, key=key)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert await desk.counts() == [0, 1, 0]


async def test_what_never_gets_through_is_answered_with_when_to_come_back(desk: Desk) -> None:
    desk.failures = [asyncpg.DeadlockDetectedError() for _ in range(CONTENTION_RETRIES_MAX + 1)]
    answer = await desk.post(1)
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:aidmesh:problem:unavailable"
    assert int(answer.headers["Retry-After"]) >= 1
    assert desk.tries == CONTENTION_RETRIES_MAX
    assert await desk.counts() == [0, 0, 0]


async def test_a_fault_is_not_run_again(desk: Desk) -> None:
    desk.failures = [ZeroDivisionError()]
    assert (await desk.post(1)).status_code == 500
    assert desk.tries == 1


async def test_what_committed_something_is_not_run_again(desk: Desk) -> None:
    desk.failures = [asyncpg.DeadlockDetectedError()]
    answer = await desk.post(1, commits_first=True)
    assert (answer.status_code, desk.tries) == (503, 1)
    assert await desk.counts() == [1, 0, 0]


async def test_a_body_too_long_to_be_kept_is_not_run_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "BODY_KEPT_BYTES_MAX", 8)
    desk.failures = [asyncpg.DeadlockDetectedError()]
    answer = await desk.post(1)
    assert (answer.status_code, desk.tries) == (503, 1)


async def test_nobody_is_kept_waiting_for_long(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "RETRY_S_MAX", -1.0)
    desk.failures = [asyncpg.LockNotAvailableError()]
    answer = await desk.post(1)
    assert (answer.status_code, desk.tries) == (503, 1)


async def test_an_answer_that_was_begun_is_not_begun_again() -> None:
    sent: list[Message] = []

    async def begin(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        raise asyncpg.DeadlockDetectedError

    async def nothing() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    with pytest.raises(asyncpg.DeadlockDetectedError):
        await Retrying(begin)({"type": "http"}, nothing, send)
    assert len(sent) == 1
