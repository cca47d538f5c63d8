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

from aidmesh.credentials import create_keys, publics_of, seed_file
from aidmesh_chassis import key_routes, logs
from aidmesh_chassis.auth import Role, Verifier, issue_token
from aidmesh_chassis.http import create_app
from aidmesh_chassis.keys import MASTER, TOKENS, KeyRing, protect
from aidmesh_chassis.passphrases import Passphrase, SealTo, seal_passphrase
from aidmesh_chassis.problems import MEDIA_TYPE
from aidmesh_chassis.settings import ServiceSettings
from aidmesh_chassis.staff import ATTEMPTS_MAX
from support.routes import posts_without_key

# Spaces at both ends belong to it.
PASSPHRASE = " Kanarienvogel im Bergwerk "
SOMEBODY = UUID(int=7)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create_keys(tmp_path / "kyiv")
    return tmp_path / "kyiv"


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


def app_of(folder: Path, *, signs: bool = True) -> FastAPI:
    ring = KeyRing(folder, [MASTER])
    app = create_app("intake", "kyiv", Verifier(ring.token_keys, "kyiv"))
    seed = seed_file(folder, "intake") if signs else None
    key_routes.install(app, "intake", ServiceSettings(region="kyiv", nats_seed_file=seed), ring)

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
    host: str = "172.18.0.5",
) -> httpx.AsyncClient:
    """Of a container on the same bridge, unless said otherwise."""
    signer = KeyRing(folder, [TOKENS]).token_signer()
    token = issue_token(signer, SOMEBODY, [role], "kyiv", datetime.now(UTC), 60)
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, client=(host, 1)),
        base_url="http://intake:8000",
        headers={"Authorization": f"Bearer {token}"},
    )


class Operator:
    """Who has the folder of keys, and calls a service over a line that others can read.

    `sent` is all that crossed it.
    """

    def __init__(self, folder: Path, client: httpx.AsyncClient) -> None:
        self.folder = folder
        self.client = client
        self.sent: list[bytes] = []
        client.event_hooks["request"].append(self._record)

    async def _record(self, request: httpx.Request) -> None:
        self.sent.append(await request.aread())

    async def keys(self) -> dict[str, object]:
        """Whether they are locked, and which are missing."""
        found = (await self.client.get("/v1/keys")).raise_for_status().json()
        return {name: found[name] for name in ("locked", "missing")}

    async def sealed(self, passphrase: str) -> str:
        """The passphrase, as it crosses the line."""
        said = (await self.client.get("/v1/keys")).raise_for_status().json()
        assert said["service"] == "intake"
        to = SealTo.model_validate(said["seal_to"])
        nkeys = publics_of(self.folder, "intake")
        return seal_passphrase(Passphrase(passphrase), to, "kyiv", "intake", nkeys).reveal()

    async def put(self, *, locked: bool, sealed: str | None = None) -> httpx.Response:
        """Lock them, or unlock them by what `sealed` gave."""
        return await self.client.put(
            "/v1/keys", json={"locked": locked, "sealed_passphrase": sealed}
        )

    async def unlock(self, passphrase: str) -> httpx.Response:
        """Seal the passphrase, and put it."""
        return await self.put(locked=False, sealed=await self.sealed(passphrase))


@pytest.fixture
async def operator(protected: Path, lines: io.StringIO) -> AsyncIterator[Operator]:
    async with client_of(protected, app_of(protected)) as client:
        yield Operator(protected, client)


async def test_a_locked_service_is_healthy_and_does_what_needs_no_personal_data(
    operator: Operator,
) -> None:
    client = operator.client
    assert await operator.keys() == {"locked": True, "missing": ["master"]}
    for path in ("/healthz", "/readyz", "/v1/kinds"):
        assert (await client.get(path)).status_code == 200
    refused = await client.get("/v1/person")
    assert refused.status_code == 423
    assert "aidmesh unlock" in refused.json()["detail"]

    unlocked = await operator.unlock(PASSPHRASE)
    assert unlocked.status_code == 200
    assert unlocked.json()["locked"] is False
    assert await operator.keys() == {"locked": False, "missing": []}
    assert (await client.get("/v1/person")).json() == {"age": 40}

    locked = await operator.put(locked=True)
    assert locked.json()["missing"] == ["master"]
    assert (await client.get("/v1/person")).status_code == 423
    assert (await operator.unlock(PASSPHRASE)).status_code == 200
    assert (await client.get("/v1/person")).status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "172.18.0.5", "::ffff:10.0.0.7", "somewhere"])
async def test_all_of_it_goes_over_any_line(protected: Path, host: str) -> None:
    async with client_of(protected, app_of(protected), host=host) as client:
        operator = Operator(protected, client)
        assert (await operator.unlock(PASSPHRASE)).json()["locked"] is False
        assert (await operator.put(locked=True)).json()["locked"] is True
        assert b"Kanarienvogel" not in b"".join(operator.sent)


async def test_a_passphrase_that_is_not_sealed_is_never_taken(operator: Operator) -> None:
    plain = {"locked": False, "passphrase": PASSPHRASE}
    assert (await operator.client.put("/v1/keys", json=plain)).status_code == 422
    for unsealed in (PASSPHRASE, "S2FuYXJpZW52b2dlbA==", "Канарка"):
        refused = await operator.put(locked=False, sealed=unsealed)
        assert refused.status_code == 409
        assert refused.json()["type"] == "urn:aidmesh:problem:sealed-elsewhere"
    assert (await operator.keys())["locked"] is True
    assert (await operator.unlock(PASSPHRASE)).status_code == 200  # these were no guesses


async def test_what_was_heard_on_the_line_unlocks_nothing(
    operator: Operator, protected: Path
) -> None:
    heard = await operator.sealed(PASSPHRASE)
    assert (await operator.put(locked=False, sealed=heard)).status_code == 200
    assert (await operator.put(locked=False, sealed=heard)).status_code == 409

    held_back = await operator.sealed(PASSPHRASE)
    assert (await operator.put(locked=True)).status_code == 200
    assert (await operator.put(locked=False, sealed=held_back)).status_code == 409
    assert (await operator.keys())["locked"] is True

    for_another = await operator.sealed(PASSPHRASE)
    async with client_of(protected, app_of(protected)) as client:  # started anew, or a copy of it
        again = Operator(protected, client)
        assert (await again.put(locked=False, sealed=for_another)).status_code == 409
        assert (await again.keys())["locked"] is True


async def test_a_service_that_cannot_sign_says_so_and_can_be_locked(
    protected: Path, lines: io.StringIO
) -> None:
    async with client_of(protected, app_of(protected, signs=False)) as client:
        assert (await client.get("/v1/keys")).json()["seal_to"] is None
    seed_file(protected, "intake").write_text("no seed\n", encoding="ascii")
    async with client_of(protected, app_of(protected)) as client:
        assert (await client.get("/v1/keys")).json()["seal_to"] is None
        assert (await Operator(protected, client).put(locked=True)).json()["locked"] is True
    assert "keys.unreadable" in lines.getvalue()
    assert "no seed" not in lines.getvalue()


async def test_keys_without_a_passphrase_are_loaded_again(folder: Path) -> None:
    async with client_of(folder, app_of(folder)) as client:
        operator = Operator(folder, client)
        assert (await operator.keys())["locked"] is False
        assert (await operator.put(locked=True)).json()["locked"] is True
        assert (await operator.put(locked=False)).json()["locked"] is False


async def test_a_wrong_passphrase_says_so_and_only_a_few_may_be_tried(
    operator: Operator, lines: io.StringIO
) -> None:
    for attempt in range(ATTEMPTS_MAX):
        wrong = (
            await operator.put(locked=False)
            if attempt == 0
            else await operator.unlock(PASSPHRASE.strip())
        )
        assert wrong.status_code == 422
        assert wrong.headers["content-type"] == MEDIA_TYPE
        assert wrong.json()["type"] == "urn:aidmesh:problem:wrong-passphrase"
    limited = await operator.unlock(PASSPHRASE)
    assert limited.status_code == 429
    assert 1 <= int(limited.headers["Retry-After"]) <= 60
    assert (await operator.keys())["locked"] is True

    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    refusals = [line for line in told if line["event"] == "keys.unlock_refused"]
    assert [line["cause"] for line in refusals] == [
        *["wrong_passphrase"] * ATTEMPTS_MAX,
        "too_many_attempts",
    ]
    assert {line["staff_id"] for line in refusals} == {str(SOMEBODY)}


async def test_success_gives_all_attempts_back(operator: Operator) -> None:
    for _ in range(ATTEMPTS_MAX + 1):
        assert (await operator.unlock("not this one")).status_code == 422
        assert (await operator.unlock(PASSPHRASE)).status_code == 200


async def test_the_passphrase_leaves_no_trace(operator: Operator, lines: io.StringIO) -> None:
    sealed = await operator.sealed(PASSPHRASE)
    answers = [
        await operator.unlock(PASSPHRASE + "!"),
        await operator.unlock(PASSPHRASE),
        await operator.put(locked=False, sealed=sealed),
        await operator.put(locked=False, sealed=PASSPHRASE),
        await operator.client.put("/v1/keys", json={"locked": False, "passphrase": PASSPHRASE}),
        await operator.client.put("/v1/keys", json={"locked": PASSPHRASE}),
        await operator.client.put(
            "/v1/keys", json={"locked": False, "sealed_passphrase": [PASSPHRASE]}
        ),
        await operator.client.put("/v1/keys", json={"locked": False, PASSPHRASE: PASSPHRASE}),
    ]
    assert [answer.status_code for answer in answers] == [422, 200, 409, 409, 422, 422, 422, 422]
    seen = lines.getvalue() + "".join(answer.text for answer in answers)
    assert "keys.unlocked" in seen
    assert "Kanarienvogel" not in seen
    assert sealed not in seen


@pytest.mark.parametrize("role", sorted(set(Role) - {Role.ONCALL}))
async def test_only_on_call_staff_may(protected: Path, role: Role) -> None:
    app = app_of(protected)
    async with client_of(protected, app) as client:
        sealed = await Operator(protected, client).sealed(PASSPHRASE)
    async with client_of(protected, app, role=role) as client:
        operator = Operator(protected, client)
        assert (await operator.put(locked=False, sealed=sealed)).status_code == 403
        assert (await operator.put(locked=True)).status_code == 403
        assert (await client.get("/v1/keys")).status_code == 403
        assert (await client.get("/v1/keys", headers={"Authorization": ""})).status_code == 401


async def test_a_damaged_key_is_named(operator: Operator, protected: Path) -> None:
    (protected / "master.key").write_bytes(b"short")
    answer = await operator.unlock(PASSPHRASE)
    assert answer.status_code == 409
    assert answer.json()["reason"].startswith("master.key")


def test_no_post_without_idempotency(folder: Path) -> None:
    assert posts_without_key(app_of(folder)) == []
