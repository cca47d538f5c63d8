"""`aidmesh lock` and `aidmesh unlock` against a service that runs as a process of its own."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from aidmesh.embedded.ports import free_ports
from aidmesh.meshfile import MeshError, write_mesh
from aidmesh.own_keys import rotate_own
from aidmesh.preparing import prepare_mesh
from aidmesh_chassis.auth import Role, issue_token
from aidmesh_chassis.key_rotation import former
from aidmesh_chassis.keys import INTAKE, TOKENS, KeyRing, create_region_keys, protect
from support.commands import COMMANDS
from support.servers import DatabaseFactory
from support.waiting import eventually

PASSPHRASE = "Kanarienvogel im Bergwerk"


@dataclass(slots=True)
class Intake:
    """A running intake with an operator at its side."""

    keys: Path
    url: str
    log: Path
    client: httpx.AsyncClient

    async def type(
        self, *arguments: str, stdin: str = "", data: Path | None = None
    ) -> tuple[int, str]:
        """The exit code of an `aidmesh` command, and what it said; `data` instead of the keys."""
        where = ("--keys", str(self.keys)) if data is None else ("--data", str(data))
        done = await asyncio.to_thread(
            COMMANDS.run, [*arguments, *where, "--region", "kyiv"], 240.0, given=stdin
        )
        return done.returncode, done.stdout + done.stderr

    async def find_person(self) -> int:
        """The status of a request that needs personal data."""
        answer = await self.client.post("/v1/persons:find", json={"client_code": "K-17"})
        return answer.status_code

    async def told(self) -> tuple[object, bool]:
        """Which keys it says that it lacks, and whether its metrics say so."""
        ready = (await self.client.get("/readyz")).json()
        metrics = (await self.client.get("/metrics")).text
        return ready["missing_keys"], "\naidmesh_keys_locked 1.0\n" in metrics


async def started(keys: Path, dsn: str, log: Path) -> tuple[asyncio.subprocess.Process, str]:
    (port,) = free_ports(1)
    settings = {
        "REGION": "kyiv",
        "DATABASE_URL": dsn,
        "NATS_URL": "nats://127.0.0.1:1",  # nobody listens: locking needs no broker
        "HTTP_PORT": str(port),
        "KEYS_DIR": str(keys / "kyiv"),
    }
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "aidmesh_intake", "run"),
            env={**os.environ, **{f"AIDMESH_INTAKE_{k}": v for k, v in settings.items()}},
            stdout=output,
            stderr=output,
        )
    return process, f"http://127.0.0.1:{port}"


@pytest.fixture
async def intake(database: DatabaseFactory, tmp_path: Path) -> AsyncIterator[Intake]:
    keys, log = tmp_path / "keys", tmp_path / "intake.log"
    create_region_keys(keys / "kyiv")
    signer = KeyRing(keys / "kyiv", [TOKENS]).token_signer()
    token = issue_token(signer, uuid4(), [Role.CASEWORKER], "kyiv", datetime.now(UTC), 3600)
    process, url = await started(keys, await database("intake"), log)
    async with httpx.AsyncClient(
        base_url=url, headers={"Authorization": f"Bearer {token}"}, trust_env=False, timeout=20
    ) as client:
        found = Intake(keys, url, log, client)

        async def answers() -> bool:
            try:
                return (await client.get("/v1/kinds")).is_success
            except httpx.TransportError:
                return False

        try:
            await eventually(answers, 30)
            yield found
        finally:
            process.terminate()
            async with asyncio.timeout(80):
                await process.wait()


async def test_lock_and_unlock(intake: Intake) -> None:
    assert await intake.find_person() == 404
    code, said = await intake.type("keys", "protect", "--which", "master", stdin=PASSPHRASE)
    assert code == 0, said
    assert await intake.find_person() == 404  # what runs keeps its keys, until
    assert await intake.told() == ([], False)

    code, said = await intake.type("lock", "--url", intake.url)
    assert (code, said) == (0, f"kyiv {intake.url}: locked\n")
    assert await intake.find_person() == 423
    missing, measured = await intake.told()
    assert measured
    assert "master" in str(missing)
    for path in ("/healthz", "/v1/kinds", "/v1/needs"):
        assert (await intake.client.get(path)).status_code == 200

    code, said = await intake.type("unlock", "--url", intake.url, stdin="not this one\n")
    assert code == 1
    assert "The passphrase does not open the keys" in said
    assert await intake.find_person() == 423

    code, said = await intake.type("unlock", "--url", intake.url, stdin=f"{PASSPHRASE}\n")
    assert (code, said) == (0, f"kyiv {intake.url}: unlocked\n")
    assert await intake.find_person() == 404

    log = intake.log.read_text(encoding="utf-8")
    for event in ("keys.locked", "keys.unlocked", "keys.unlock_refused"):
        assert event in log
    assert "Kanarienvogel" not in log
    assert "not this one" not in log


async def test_what_does_not_answer_is_named_and_open_lines_are_not_used(intake: Intake) -> None:
    (nobody,) = free_ports(1)
    dead = f"http://127.0.0.1:{nobody}"
    code, said = await intake.type("lock", "--url", dead, "--url", intake.url)
    assert code == 1
    assert f"kyiv {dead}: does not answer" in said
    assert f"kyiv {intake.url}: locked" in said
    code, said = await intake.type("unlock", "--url", "http://10.0.0.7:8101", stdin=PASSPHRASE)
    assert code == 2
    assert "neither https" in said


async def test_the_folder_of_a_mesh_knows_keys_and_addresses(
    intake: Intake, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    mesh, _ = prepare_mesh(data, ("kyiv",), {"kyiv": intake.keys / "kyiv"})
    port = httpx.URL(intake.url).port
    assert port is not None
    mesh.regions["kyiv"].services["intake"].http_port = port
    write_mesh(data, mesh)

    code, said = await intake.type("lock", data=data)
    lines = said.splitlines()
    assert lines[0] == "kyiv intake: locked"
    others = [line.split(":")[0] for line in lines[1:] if "does not answer" in line]
    assert others == ["kyiv inventory", "kyiv payments", "kyiv notification"]
    assert code == 1  # not all of them could be told
    assert await intake.find_person() == 423
    assert (await intake.type("unlock", data=data))[1].startswith("kyiv intake: unlocked")
    assert (await intake.type("staff", "list", data=data))[0] == 0


async def test_a_key_with_a_passphrase_is_replaced_while_its_service_runs(
    intake: Intake, tmp_path: Path
) -> None:
    keys = intake.keys / "kyiv"
    protect(keys / "intake.key", PASSPHRASE)
    mesh, _ = prepare_mesh(tmp_path, ("kyiv",), {"kyiv": keys})
    entry = mesh.regions["kyiv"]
    port = httpx.URL(intake.url).port
    assert port is not None
    entry.services["intake"].http_port = port
    for wrong in (None, "not this passphrase"):
        with pytest.raises(MeshError, match="intake"):
            await rotate_own("kyiv", entry, wrong)
    assert former(keys)[INTAKE] == ()

    await rotate_own("kyiv", entry, PASSPHRASE)

    assert len(former(keys)[INTAKE]) == 1
    signer = KeyRing(keys, [TOKENS]).token_signer()
    token = issue_token(signer, uuid4(), [Role.ONCALL], "kyiv", datetime.now(UTC), 60)
    headers = {"Authorization": f"Bearer {token}"}
    state = await intake.client.get("/v1/keys", headers=headers)
    assert state.json() == {"locked": False, "missing": []}  # it was told the new one
    assert KeyRing(keys, [INTAKE]).missing == (INTAKE,)
