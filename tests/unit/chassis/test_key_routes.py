"""Locking and unlocking a running service: what goes on, what stops, who may, and no trace."""

import io
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from nacl.pwhash import argon2id

from aidmesh_chassis import key_routes, logs
from aidmesh_chassis.auth import Role, Verifier, issue_token
from aidmesh_chassis.http import create_app
from aidmesh_chassis.keys import MASTER, TOKENS, KeyRing, create_region_keys, protect
from aidmesh_chassis.problems import MEDIA_TYPE
from aidmesh_chassis.staff import ATTEMPTS_MAX
from support.routes import posts_without_key

# Spaces at both ends belong to it.
PASSPHRASE = " Kanarienvogel im Bergwerk "
SOMEBODY = UUID(int=7)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create_region_keys(tmp_path)
    return tmp_path


@pytest.fixture
def protected(folder: Path) -> Path:
    protect(
        folder / "master.key",
        PASSPHRASE,
        passes=argon2id.OPSLIMIT_MIN,
        memory_bytes=argon2id.MEMLIMIT_MIN,
    )
    return folder


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    logs.configure("intake", "kyiv", level="debug", stream=stream)
    yield stream
    logs.configure("test", "kyiv")


def app_of(folder: Path) -> FastAPI:
    ring = KeyRing(folder, [MASTER])
    app = create_app("intake", "kyiv", Verifier(ring.token_keys, "kyiv"))
    key_routes.install(app, ring)

    @app.get("/v1/person")
    async def person() -> dict[str, int]:
        ring.master()
        return {"age": 40}

    @app.get("/v1/kinds")
    async def kinds() -> list[str]:
        return ["parcel"]

    return app


def client_of(
    folder: Path,
    app: FastAPI,
    *,
    role: Role = Role.ONCALL,
    host: str = "127.0.0.1",
    scheme: str = "http",
) -> httpx.AsyncClient:
    signer = KeyRing(folder, [TOKENS]).token_signer()
    token = issue_token(signer, SOMEBODY, [role], "kyiv", datetime.now(UTC), 60)
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, client=(host, 1)),
        base_url=f"{scheme}://intake",
        headers={"Authorization": f"Bearer {token}"},
    )


@pytest.fixture
async def client(protected: Path, lines: io.StringIO) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(protected, app_of(protected)) as found:
        yield found


async def unlock(client: httpx.AsyncClient, passphrase: str | None) -> httpx.Response:
    return await client.put("/v1/keys", json={"locked": False, "passphrase": passphrase})


async def test_a_locked_service_is_healthy_and_does_what_needs_no_personal_data(
    client: httpx.AsyncClient,
) -> None:
    assert (await client.get("/v1/keys")).json() == {"locked": True, "missing": ["master"]}
    for path in ("/healthz", "/readyz", "/v1/kinds"):
        assert (await client.get(path)).status_code == 200
    refused = await client.get("/v1/person")
    assert refused.status_code == 423
    assert "aidmesh unlock" in refused.json()["detail"]

    unlocked = await unlock(client, PASSPHRASE)
    assert (unlocked.status_code, unlocked.json()) == (200, {"locked": False, "missing": []})
    assert (await client.get("/v1/person")).json() == {"age": 40}

    locked = await client.put("/v1/keys", json={"locked": True})
    assert locked.json() == {"locked": True, "missing": ["master"]}
    assert (await client.get("/v1/person")).status_code == 423
    assert (await unlock(client, PASSPHRASE)).status_code == 200
    assert (await client.get("/v1/person")).status_code == 200


async def test_keys_without_a_passphrase_are_loaded_again(folder: Path) -> None:
    async with client_of(folder, app_of(folder)) as client:
        assert (await client.get("/v1/keys")).json()["locked"] is False
        assert (await client.put("/v1/keys", json={"locked": True})).json()["locked"] is True
        assert (await unlock(client, None)).json()["locked"] is False


async def test_a_wrong_passphrase_says_so_and_only_a_few_may_be_tried(
    client: httpx.AsyncClient, lines: io.StringIO
) -> None:
    for attempt in range(ATTEMPTS_MAX):
        wrong = await unlock(client, None if attempt == 0 else PASSPHRASE.strip())
        assert wrong.status_code == 422
        assert wrong.headers["content-type"] == MEDIA_TYPE
        assert wrong.json()["type"] == "urn:aidmesh:problem:wrong-passphrase"
    limited = await unlock(client, PASSPHRASE)
    assert limited.status_code == 429
    assert 1 <= int(limited.headers["Retry-After"]) <= 60
    assert (await client.get("/v1/keys")).json()["locked"] is True

    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    refusals = [line for line in told if line["event"] == "keys.unlock_refused"]
    assert [line["cause"] for line in refusals] == [
        *["wrong_passphrase"] * ATTEMPTS_MAX,
        "too_many_attempts",
    ]
    assert {line["staff_id"] for line in refusals} == {str(SOMEBODY)}


async def test_success_gives_all_attempts_back(client: httpx.AsyncClient) -> None:
    for _ in range(ATTEMPTS_MAX + 1):
        assert (await unlock(client, "not this one")).status_code == 422
        assert (await unlock(client, PASSPHRASE)).status_code == 200


async def test_the_passphrase_leaves_no_trace(
    client: httpx.AsyncClient, lines: io.StringIO
) -> None:
    answers = [
        await unlock(client, PASSPHRASE + "!"),
        await unlock(client, PASSPHRASE),
        await client.put("/v1/keys", json={"locked": "no", "passphrase": PASSPHRASE}),
        await client.put("/v1/keys", json={"locked": False, "passphrase": [PASSPHRASE]}),
        await client.put("/v1/keys", json={"locked": False, PASSPHRASE: PASSPHRASE}),
    ]
    assert [answer.status_code for answer in answers] == [422, 200, 422, 422, 422]
    seen = lines.getvalue() + "".join(answer.text for answer in answers)
    assert "keys.unlocked" in seen
    assert "Kanarienvogel" not in seen


@pytest.mark.parametrize("role", sorted(set(Role) - {Role.ONCALL}))
async def test_only_on_call_staff_may(protected: Path, role: Role) -> None:
    app = app_of(protected)
    async with client_of(protected, app, role=role) as client:
        assert (await unlock(client, PASSPHRASE)).status_code == 403
        assert (await client.put("/v1/keys", json={"locked": True})).status_code == 403
        assert (await client.get("/v1/keys")).status_code == 403
        assert (await client.get("/v1/keys", headers={"Authorization": ""})).status_code == 401


@pytest.mark.parametrize(
    ("host", "scheme", "status"),
    [
        ("127.0.0.1", "http", 200),
        ("::1", "http", 200),
        ("::ffff:127.0.0.1", "http", 200),
        ("10.0.0.7", "http", 403),
        ("::ffff:10.0.0.7", "http", 403),
        ("somewhere", "http", 403),
        ("10.0.0.7", "https", 200),
    ],
)
async def test_a_passphrase_is_not_taken_over_an_open_line(
    protected: Path, host: str, scheme: str, status: int
) -> None:
    async with client_of(protected, app_of(protected), host=host, scheme=scheme) as client:
        assert (await unlock(client, PASSPHRASE)).status_code == status


async def test_a_damaged_key_is_named(protected: Path) -> None:
    app = app_of(protected)
    (protected / "master.key").write_bytes(b"short")
    async with client_of(protected, app) as client:
        answer = await unlock(client, PASSPHRASE)
    assert answer.status_code == 409
    assert answer.json()["reason"].startswith("master.key")


def test_no_post_without_idempotency(folder: Path) -> None:
    assert posts_without_key(app_of(folder)) == []
