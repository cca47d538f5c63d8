"""Idempotency-Key on a real database: one effect, one answer, whatever the caller repeats."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID, uuid4

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import Depends, FastAPI, Response

from aidmesh_chassis.auth import Caller, Role, Verifier, issue_token, require
from aidmesh_chassis.db import Database
from aidmesh_chassis.http import Body, create_app
from aidmesh_chassis.idempotency import Once, purge
from aidmesh_chassis.outbox import Origin
from aidmesh_chassis.problems import CONFLICT, Problem
from support.routes import posts_without_key

KEY = Ed25519PrivateKey.generate()


class Thing(Body):
    label: str


class Gate:
    """Holds the route's transaction open until the test lets it go."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.leave = asyncio.Event()
        self.leave.set()


@pytest.fixture
async def db(database: Callable[[str], Awaitable[str]]) -> AsyncIterator[Database]:
    opened = Database(await database("intake"), Origin(region="kyiv", service="intake", epoch=1))
    await opened.open()
    async with opened.transaction() as tx:
        await tx.conn.execute("CREATE TABLE thing (id uuid PRIMARY KEY, label text)")
    yield opened
    await opened.close()


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def app(db: Database, gate: Gate) -> FastAPI:
    app = create_app("intake", "kyiv", Verifier(KEY.public_key(), "kyiv"))

    @app.post("/v1/shelves/{shelf}/things")
    async def make(
        shelf: str,
        body: Thing,
        once: Once,
        caller: Annotated[Caller, Depends(require())],
        q: int | None = None,
    ) -> Response:
        async with db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            gate.entered.set()
            await gate.leave.wait()
            if body.label == "conflict":
                raise Problem(CONFLICT)
            thing_id = uuid4()
            await tx.conn.execute("INSERT INTO thing VALUES ($1, $2)", thing_id, body.label)
            if body.label == "crash":
                raise RuntimeError("after the effect")
            return await once.answer(
                tx, 201, {"thing_id": thing_id}, location=f"/v1/things/{thing_id}"
            )

    @app.post("/v1/other")
    async def other(
        body: Thing, once: Once, caller: Annotated[Caller, Depends(require())]
    ) -> Response:
        async with db.transaction() as tx:
            return await once.replay(tx) or await once.answer(tx, 200, {"other": True})

    return app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://test"
    ) as client:
        yield client


STAFF = uuid4()


def bearer(staff_id: UUID = STAFF) -> str:
    token = issue_token(KEY, staff_id, [Role.LEAD], "kyiv", datetime.now(UTC), 600)
    return f"Bearer {token}"


async def post(
    client: httpx.AsyncClient,
    label: str,
    key: str | None,
    *,
    path: str = "/v1/shelves/a/things",
    staff_id: UUID = STAFF,
) -> httpx.Response:
    headers = {"Authorization": bearer(staff_id)}
    if key is not None:
        headers["Idempotency-Key"] = key
    return await client.post(path, json={"label": label}, headers=headers)


async def things(db: Database) -> int:
    async with db.read() as conn:
        count: int = await conn.fetchval("SELECT count(*) FROM thing")
        return count


async def test_a_repeated_request_has_one_effect_and_one_answer(
    client: httpx.AsyncClient, db: Database
) -> None:
    key = str(uuid4())
    first, again = [await post(client, "x", key) for _ in range(2)]
    assert first.status_code == again.status_code == 201
    assert first.content == again.content
    assert first.headers["location"] == again.headers["location"]
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert await things(db) == 1


async def test_without_a_key_every_request_counts(client: httpx.AsyncClient, db: Database) -> None:
    assert {(await post(client, "x", None)).status_code for _ in range(2)} == {201}
    assert await things(db) == 2


async def test_the_same_key_with_other_content_is_refused(
    client: httpx.AsyncClient, db: Database
) -> None:
    key = str(uuid4())
    await post(client, "x", key)
    for label, path in (
        ("y", "/v1/shelves/a/things"),
        ("x", "/v1/shelves/b/things"),
        ("x", "/v1/shelves/a/things?q=1"),
    ):
        refused = await post(client, label, key, path=path)
        assert refused.status_code == 422
        assert refused.json()["type"] == "urn:aidmesh:problem:idempotency-key-reused"
    assert await things(db) == 1


async def test_keys_belong_to_caller_and_route(client: httpx.AsyncClient, db: Database) -> None:
    key = str(uuid4())
    answers = [
        await post(client, "x", key),
        await post(client, "x", key, staff_id=uuid4()),
        await post(client, "x", key, path="/v1/other"),
    ]
    assert [answer.status_code for answer in answers] == [201, 201, 200]
    assert not any("idempotency-replayed" in answer.headers for answer in answers)
    assert await things(db) == 2


async def test_while_the_first_attempt_runs_others_wait(
    client: httpx.AsyncClient, db: Database, gate: Gate
) -> None:
    key = str(uuid4())
    gate.leave.clear()
    first = asyncio.create_task(post(client, "x", key))
    await gate.entered.wait()
    second = await post(client, "x", key)
    assert second.status_code == 409
    assert second.json()["type"] == "urn:aidmesh:problem:in-progress"
    assert int(second.headers["retry-after"]) >= 1
    gate.leave.set()
    assert (await post(client, "x", key)).status_code in (201, 409)
    assert (await first).status_code == 201
    assert (await post(client, "x", key)).content == (await first).content
    assert await things(db) == 1


async def test_many_at_once_have_one_effect(client: httpx.AsyncClient, db: Database) -> None:
    key = str(uuid4())
    answers = await asyncio.gather(*(post(client, "x", key) for _ in range(20)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert await things(db) == 1


@pytest.mark.parametrize(("label", "status"), [("crash", 500), ("conflict", 409)])
async def test_an_attempt_that_failed_leaves_nothing(
    client: httpx.AsyncClient, db: Database, label: str, status: int
) -> None:
    key = str(uuid4())
    for _ in range(2):
        failed = await post(client, label, key)
        assert failed.status_code == status
        assert "idempotency-replayed" not in failed.headers
    assert await things(db) == 0
    # The key is free for the corrected request.
    assert (await post(client, "x", key)).status_code == 201


async def test_a_killed_connection_frees_the_key(
    client: httpx.AsyncClient, db: Database, gate: Gate
) -> None:
    key = str(uuid4())
    gate.leave.clear()
    first = asyncio.create_task(post(client, "x", key))
    await gate.entered.wait()
    async with db.connection() as conn:
        await conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    gate.leave.set()
    assert (await first).status_code == 503
    assert (await post(client, "x", key)).status_code == 201
    assert await things(db) == 1


async def test_what_is_kept_does_not_tell_what_was_sent(
    client: httpx.AsyncClient, db: Database
) -> None:
    key = str(uuid4())
    await post(client, "Kanarienvogel", key)
    async with db.read() as conn:
        row = await conn.fetchrow("SELECT * FROM idempotency")
    assert row is not None
    text = repr(dict(row))
    assert "Kanarienvogel" not in text
    assert key not in text
    assert str(STAFF) not in text


@pytest.mark.parametrize("key", ["", "short", "x" * 65, "with a space inside", "ключ" * 5])
async def test_keys_have_a_form(client: httpx.AsyncClient, key: str) -> None:
    refused = await client.post(
        "/v1/other",
        json={"label": "x"},
        headers=[
            (b"Authorization", bearer().encode()),
            (b"Idempotency-Key", key.encode()),
        ],
    )
    assert refused.status_code == 422
    assert refused.json()["errors"] == [{"field": "header.idempotency-key", "rule": "key_format"}]


async def test_old_records_are_purged_in_bounds(client: httpx.AsyncClient, db: Database) -> None:
    for _ in range(3):
        await post(client, "x", str(uuid4()))
    async with db.transaction() as tx:
        assert await purge(tx) == 0
        await tx.conn.execute("UPDATE idempotency SET answered_at = now() - interval '31 days'")
        assert await purge(tx, rows_max=2) == 2
        assert await purge(tx) == 1


def test_posts_that_forgot_the_key_are_found() -> None:
    app = create_app("intake", "kyiv", Verifier(KEY.public_key(), "kyiv"))

    @app.post("/good")
    async def good(once: Once) -> None:
        return None

    @app.post("/bad")
    async def bad() -> None:
        return None

    assert posts_without_key(app) == ["/bad"]
