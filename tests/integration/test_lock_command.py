"""`aidmesh lock` and `aidmesh unlock` against a service that runs as a process of its own."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import httpx
import pytest

from aidmesh import own_keys
from aidmesh.credentials import create_keys, seed_file
from aidmesh.embedded.ports import free_ports
from aidmesh.meshfile import MeshError, RegionEntry, write_mesh
from aidmesh.outside.handing import for_service, put
from aidmesh.own_keys import SEEN_S, rotate_own
from aidmesh.preparing import prepare_mesh
from aidmesh_chassis.auth import Role, issue_token
from aidmesh_chassis.key_rotation import former
from aidmesh_chassis.keys import INTAKE, LOOK_S, TOKENS, KeyRing, protect
from aidmesh_chassis.passphrases import Receiver
from support.commands import COMMANDS
from support.on_the_line import impostor, recording
from support.servers import DatabaseFactory
from support.waiting import eventually

PASSPHRASE = "Kanarienvogel im Bergwerk"


@dataclass(slots=True)
class Intake:
    """A running intake with an operator at its side.

    `keys` has a folder for each region, `url` is on the loopback and `open_url` is not.
    """

    keys: Path
    url: str
    open_url: str
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

    def answers_for(self, entry: RegionEntry) -> None:
        """Have an entry of a mesh name this intake, where others reach it."""
        url = httpx.URL(self.open_url)
        assert url.port is not None
        entry.services["intake"].host, entry.services["intake"].http_port = url.host, url.port


def own_address() -> str:
    """An address of this machine that is not its loopback: what comes from there is not here."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent
        except OSError:
            pytest.skip("this machine has no address but its loopback")
        return str(probe.getsockname()[0])


async def started(
    folder: Path, dsn: str, log: Path, host: str
) -> tuple[asyncio.subprocess.Process, int]:
    """An intake that listens everywhere, with a folder of keys. Its port."""
    (port,) = free_ports(1)
    settings = {
        "REGION": "kyiv",
        "DATABASE_URL": dsn,
        "NATS_URL": "nats://127.0.0.1:1",  # nobody listens: locking needs no broker
        "NATS_SEED_FILE": str(seed_file(folder, "intake")),
        "HTTP_HOST": host,
        "HTTP_PORT": str(port),
        "KEYS_DIR": str(folder),
    }
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "aidmesh_intake", "run"),
            env={**os.environ, **{f"AIDMESH_INTAKE_{k}": v for k, v in settings.items()}},
            stdout=output,
            stderr=output,
        )
    return process, port


@pytest.fixture
async def intake(database: DatabaseFactory, tmp_path: Path) -> AsyncIterator[Intake]:
    keys = tmp_path / "keys"
    create_keys(keys / "kyiv")
    async with running(keys, keys / "kyiv", await database("intake"), tmp_path) as found:
        yield found


@asynccontextmanager
async def running(keys: Path, handed: Path, dsn: str, tmp_path: Path) -> AsyncIterator[Intake]:
    """An intake with a folder of keys, beside the operator's; it listens everywhere."""
    log = tmp_path / "intake.log"
    signer = KeyRing(keys / "kyiv", [TOKENS]).token_signer()
    token = issue_token(signer, uuid4(), [Role.CASEWORKER], "kyiv", datetime.now(UTC), 3600)
    process, port = await started(handed, dsn, log, "0.0.0.0")  # noqa: S104 - of a test
    url = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(
        base_url=url, headers={"Authorization": f"Bearer {token}"}, trust_env=False, timeout=20
    ) as client:
        found = Intake(keys, url, f"http://{own_address()}:{port}", log, client)

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


async def state_of(intake: Intake) -> tuple[bool, list[str]]:
    """Whether it is locked, and which keys it lacks; by a call of its own."""
    signer = KeyRing(intake.keys / "kyiv", [TOKENS]).token_signer()
    token = issue_token(signer, uuid4(), [Role.ONCALL], "kyiv", datetime.now(UTC), 60)
    headers = {"Authorization": f"Bearer {token}"}
    state = (await intake.client.get("/v1/keys", headers=headers)).raise_for_status().json()
    return state["locked"], state["missing"]


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


async def test_what_does_not_answer_is_named(intake: Intake) -> None:
    (nobody,) = free_ports(1)
    dead = f"http://127.0.0.1:{nobody}"
    code, said = await intake.type("lock", "--url", dead, "--url", intake.url)
    assert code == 1
    assert f"kyiv {dead}: does not answer" in said
    assert f"kyiv {intake.url}: locked" in said
    for no_address in ("127.0.0.1:8101", "ftp://127.0.0.1", "http://"):
        code, said = await intake.type("lock", "--url", no_address)
        assert code == 2
        assert "is no address" in said


async def test_lock_and_unlock_over_an_open_line(intake: Intake) -> None:
    code, said = await intake.type("keys", "protect", "--which", "master", stdin=PASSPHRASE)
    assert code == 0, said
    code, said = await intake.type("lock", "--url", intake.open_url)
    assert (code, said) == (0, f"kyiv {intake.open_url}: locked\n")
    assert await intake.find_person() == 423
    with recording(intake.open_url) as (url, line):
        code, said = await intake.type("unlock", "--url", url, stdin=f"{PASSPHRASE}\n")
        assert (code, said) == (0, f"kyiv {url}: unlocked\n")
        assert await intake.find_person() == 404
        assert [method for method, _ in line.heard] == ["GET", "PUT"]
        assert "Kanarienvogel" not in str(line.heard)

        # What was heard is sent again after the keys were locked, with a token that is good.
        assert (await intake.type("lock", "--url", url))[0] == 0
        headers = {"Authorization": line.authorization, "Content-Type": "application/json"}
        again = await intake.client.put("/v1/keys", content=line.heard[1][1], headers=headers)
        assert again.status_code == 409
        assert await intake.find_person() == 423


async def test_an_impostor_is_told_no_passphrase(intake: Intake) -> None:
    """One who stands in a service's place, and has all that can be had on the line."""
    folder = intake.keys / "kyiv"
    create_keys(intake.keys / "lviv")
    signed_elsewhere = Receiver("kyiv", "intake", seed_file(intake.keys / "lviv", "intake"))
    no_keeper = Receiver("kyiv", "reporting", seed_file(folder, "reporting"))
    of_lviv = Receiver("lviv", "intake", seed_file(folder, "intake"))
    for receiver, service in (
        (signed_elsewhere, "intake"),
        (no_keeper, "reporting"),
        (of_lviv, "intake"),
        (of_lviv, "../intake"),
    ):
        to = receiver.seal_to()
        assert to is not None
        said: dict[str, object] = {"locked": True, "missing": ["master"], "service": service}
        with impostor({**said, "seal_to": to.model_dump()}) as (url, line):
            code, told = await intake.type("unlock", "--url", url, stdin=f"{PASSPHRASE}\n")
        assert code == 1
        assert "can't prove that it is" in told
        assert "not sent" in told
        assert [method for method, _ in line.heard] == ["GET"]
    for old in (
        {"locked": True, "missing": ["master"]},
        {"locked": True, "missing": [], "service": "intake", "seal_to": None},
    ):
        with impostor(old) as (url, line):
            code, told = await intake.type("unlock", "--url", url, stdin=f"{PASSPHRASE}\n")
        assert code == 1
        assert "does not say what to seal the passphrase to" in told
        assert [method for method, _ in line.heard] == ["GET"]


async def test_a_service_in_the_place_of_another_is_told_no_passphrase(
    intake: Intake, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    mesh, _ = prepare_mesh(data, ("kyiv",), {"kyiv": intake.keys / "kyiv"})
    entry = mesh.regions["kyiv"]
    intake.answers_for(entry)
    there = entry.services["intake"]
    entry.services["payments"].host, entry.services["payments"].http_port = (
        there.host,
        there.http_port,
    )
    write_mesh(data, mesh)
    _, said = await intake.type("unlock", data=data, stdin=f"{PASSPHRASE}\n")
    lines = said.splitlines()
    assert lines[0] == "kyiv intake: unlocked"
    [payments] = [line for line in lines if line.startswith("kyiv payments")]
    assert "can't prove that it is payments of kyiv" in payments


async def test_the_folder_of_a_mesh_knows_keys_and_addresses(
    intake: Intake, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    mesh, _ = prepare_mesh(data, ("kyiv",), {"kyiv": intake.keys / "kyiv"})
    intake.answers_for(mesh.regions["kyiv"])
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
    intake.answers_for(entry)
    for wrong in (None, "not this passphrase"):
        with pytest.raises(MeshError, match="intake"):
            await rotate_own("kyiv", entry, wrong)
    assert former(keys)[INTAKE] == ()

    await rotate_own("kyiv", entry, PASSPHRASE)

    assert len(former(keys)[INTAKE]) == 1
    assert await state_of(intake) == (False, [])  # it was told the new one
    assert KeyRing(keys, [INTAKE]).missing == (INTAKE,)


async def test_who_is_handed_keys_has_them_before_being_told(
    database: DatabaseFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in containers: a folder of its own, which the supervisor brings up to date."""
    keys, handed = tmp_path / "keys", tmp_path / "handed"
    create_keys(keys / "kyiv")
    mesh, _ = prepare_mesh(tmp_path, ("kyiv",), {"kyiv": keys / "kyiv"})
    entry = mesh.regions["kyiv"]
    protect(keys / "kyiv" / "intake.key", PASSPHRASE)

    def hand_out() -> None:
        put(handed, for_service("kyiv", entry, "intake"))

    async def wait(seconds: float) -> None:
        assert seconds == SEEN_S
        hand_out()

    hand_out()
    async with running(keys, handed, await database("intake"), tmp_path) as intake:
        intake.answers_for(entry)
        unlocked = await intake.type("unlock", "--url", intake.open_url, stdin=f"{PASSPHRASE}\n")
        assert unlocked[0] == 0, unlocked
        # They are handed out when time is given for it, and then only.
        times = SimpleNamespace(sleep=wait, to_thread=asyncio.to_thread)
        monkeypatch.setattr(own_keys, "asyncio", times)
        await rotate_own("kyiv", entry, PASSPHRASE)
        hand_out()
        await asyncio.sleep(LOOK_S)  # after which it has seen what it uses now
        assert await state_of(intake) == (False, [])
