"""Each service starts by its own command before anything else is there, and waits for it."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import asyncpg
import httpx
import pytest

from aidmesh import databases
from aidmesh.credentials import create_keys
from aidmesh.meshfile import SERVICES, WITH_DATABASE, RegionEntry
from aidmesh.preparing import prepare_mesh
from aidmesh.region import Region
from aidmesh.region_settings import service_environment
from aidmesh_chassis.auth import Role, issue_token
from aidmesh_chassis.keys import TOKENS, KeyRing
from aidmesh_chassis.migrating import CHASSIS_MIGRATIONS, migrate
from support.waiting import eventually

READY_S_MAX = 60.0
ASKED = {
    "intake": "/v1/needs",
    "inventory": "/v1/sites",
    "payments": "/v1/grants",
    "notification": "/v1/messages",
    "reporting": "/v1/grants",
}
"""A list of each service that has a database."""


class Alone:
    """The services of a region as processes of their own, and the servers they will need."""

    def __init__(self, folder: Path) -> None:
        keys = folder / "keys"
        create_keys(keys)
        mesh, _ = prepare_mesh(folder, ("kyiv",), {"kyiv": keys})
        self.entry: RegionEntry = mesh.regions["kyiv"]
        self.folder = folder
        self.region = Region("kyiv", mesh, folder / "kyiv", services=())
        for name in ("log", "nats"):
            (folder / "kyiv" / name).mkdir(parents=True)
        for path in (folder, folder / "kyiv"):
            path.chmod(0o711)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._warden: asyncio.Task[None] | None = None
        signer = KeyRing(keys, [TOKENS]).token_signer()
        token = issue_token(signer, uuid4(), list(Role), "kyiv", datetime.now(UTC), 3600)
        self._http = httpx.AsyncClient(
            timeout=60.0, trust_env=False, headers={"Authorization": f"Bearer {token}"}
        )

    def run(self, service: str) -> None:
        """Start a service by its own command."""
        with (self.folder / f"{service}.log").open("ab") as log:
            self._processes[service] = subprocess.Popen(
                [sys.executable, "-m", f"aidmesh_{service}", "run"],
                env={**os.environ, **service_environment("kyiv", self.entry)},
                stdout=log,
                stderr=log,
            )

    async def postgres(self) -> None:
        """PostgreSQL starts, without a role or a database of ours."""
        await asyncio.to_thread(self.region.postgres.start)

    async def databases(self) -> None:
        """Roles and databases are made, and only the tables that all services share."""
        admin = await asyncpg.connect(self.entry.admin_dsn("postgres"))
        try:
            for service in WITH_DATABASE:
                password = self.entry.services[service].database_password
                await admin.execute(f"CREATE ROLE {service} LOGIN PASSWORD '{password}'")
                await admin.execute(f"CREATE DATABASE {service} OWNER {service}")
        finally:
            await admin.close()
        for service in WITH_DATABASE:
            await migrate(self.entry.dsn(service), [])
        assert CHASSIS_MIGRATIONS.is_dir()

    async def tables(self) -> None:
        """The services' own tables are made."""
        await databases.prepare_databases(self.entry)

    async def nats(self) -> None:
        """NATS starts, without a stream."""
        await asyncio.to_thread(self.region.nats.start)

    async def streams(self) -> None:
        """Streams and durables are made, and the gate opens once the outboxes can be read."""
        self._warden = asyncio.create_task(self.region.warden.run())

    async def answer(self, service: str, path: str) -> int:
        """The status of an answer; 0 for none."""
        try:
            return (await self._http.get(self.entry.services[service].url + path)).status_code
        except httpx.TransportError:
            return 0

    def said(self, service: str, word: str) -> bool:
        """Whether a word is in a service's log."""
        return word in (self.folder / f"{service}.log").read_text(encoding="utf-8")

    def alive(self) -> set[str]:
        """Services whose process runs."""
        return {name for name, each in self._processes.items() if each.poll() is None}

    async def close(self) -> None:
        """Stop everything."""
        await self._http.aclose()
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            await asyncio.to_thread(process.wait, 30)
        if self._warden is not None:
            self._warden.cancel()
            await asyncio.gather(self._warden, return_exceptions=True)
        await asyncio.to_thread(self.region.nats.stop)
        await asyncio.to_thread(self.region.postgres.stop)


@pytest.fixture
async def alone(tmp_path: Path) -> AsyncIterator[Alone]:
    """Nothing runs yet."""
    made = Alone(tmp_path)
    yield made
    await made.close()


@pytest.mark.parametrize(
    ("services", "steps"),
    [
        (SERVICES, ("postgres", "databases", "tables", "nats", "streams")),
        (tuple(reversed(SERVICES)), ("nats", "streams", "postgres", "databases", "tables")),
    ],
)
async def test_services_wait_for_what_they_need_and_then_are_ready(
    alone: Alone, services: Sequence[str], steps: Sequence[str]
) -> None:
    for service in services:
        alone.run(service)

    async def all_answer(path: str, status: int, names: Sequence[str]) -> bool:
        said = {name: await alone.answer(name, path) for name in names}
        assert said == dict.fromkeys(names, status), said
        return True

    await eventually(lambda: all_answer("/healthz", 200, SERVICES), READY_S_MAX)
    waiting = [name for name in SERVICES if name in ASKED]
    for step in steps:
        await all_answer("/readyz", 503, waiting)
        for name, path in ASKED.items():
            # Until there is a database nothing can be answered, and it says so.
            if step in {"postgres", "databases"}:
                assert await alone.answer(name, path) == 503
        make: Callable[[], Awaitable[None]] = getattr(alone, step)
        await make()
        if step == "databases":
            for name in waiting:  # half of the tables are not enough
                await eventually(lambda name=name: alone.said(name, "NotMigrated"), READY_S_MAX)
    await eventually(lambda: all_answer("/readyz", 200, SERVICES), READY_S_MAX)
    for name, path in ASKED.items():
        assert await alone.answer(name, path) == 200
    assert alone.alive() == set(SERVICES)
