"""A running region as its staff see it: HTTP, one token per role, nothing else."""

import os
import subprocess
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx

from aidmesh.credentials import create_keys
from aidmesh.meshfile import MeshFile, read_mesh
from aidmesh_chassis.auth import Role, issue_token
from aidmesh_chassis.authorities import vouching
from aidmesh_chassis.keys import TOKENS, KeyRing
from support.commands import COMMANDS, Started
from support.waiting import eventually

Json = dict[str, Any]
START_S_MAX = 360.0
POLL_S = 0.05


class RunningMesh:
    """`aidmesh up` as a process of its own, in a folder of its own.

    `environment` is added to that of the tests.
    """

    def __init__(
        self,
        folder: Path,
        regions: str,
        *options: str,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._environment = environment
        self.data = folder / "data"
        keys = folder / "keys"
        self._command = ["up", "--data", str(self.data), "--keys", str(keys),
                         "--regions", regions, *options]  # fmt: skip
        self._output = folder / "up.log"
        folder.mkdir(parents=True, exist_ok=True)
        for region in regions.split(","):
            create_keys(keys / region)
        self._process: Started | None = None

    def start(self) -> None:
        """Start it; returns when it says that everything runs."""
        with Path(os.devnull).open("rb") as nothing, self._output.open("wb") as output:
            files = (nothing, output, output)
            self._process = COMMANDS.start(self._command, files, self._environment)
        end = time.monotonic() + START_S_MAX
        while b"Running after" not in self._output.read_bytes():
            if not self._process.is_running() or time.monotonic() > end:
                self.stop()
                raise AssertionError(f"the mesh did not start:\n{self._output.read_text()}")
            time.sleep(POLL_S)

    def stop(self) -> None:
        """Stop it in order."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(240)
            self._process = None

    @property
    def pid(self) -> int:
        """Of the command that started everything and starts it again."""
        assert self._process is not None
        return self._process.pid

    @property
    def file(self) -> MeshFile:
        """Addresses and passwords."""
        return read_mesh(self.data)

    def staff(self, region: str, copy: int = 0) -> "Staff":
        """The staff of a region, who speak to one of the copies of its services."""
        entry = self.file.regions[region]
        urls = {name: service.urls[copy] for name, service in entry.services.items()}
        return Staff(region, entry.keys, urls)

    def aidmesh(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the operators against it."""
        return self.command(*arguments, "--data", str(self.data))

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the operators."""
        return COMMANDS.run(arguments, 480.0)


class Staff:
    """Calls a region's services as members of staff do.

    `keys` is the region's folder of keys, `urls` says where each service answers.
    """

    def __init__(self, region: str, keys: Path, urls: Mapping[str, str]) -> None:
        self.region = region
        self._urls = urls
        signer = KeyRing(keys, [TOKENS]).token_signer()
        now = datetime.now(UTC)
        self.tokens = {
            role: issue_token(signer, uuid4(), [role], region, now, 3600) for role in Role
        }
        self._http = httpx.AsyncClient(
            verify=vouching(urls.values()), timeout=30.0, trust_env=False
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def url(self, service: str) -> str:
        """Where a service answers."""
        return self._urls[service]

    async def call(
        self,
        role: str,
        method: str,
        service: str,
        path: str,
        body: object = None,
        *,
        key: str | None = None,
        status: int | None = None,
        **options: Any,
    ) -> Any:
        """One call; the answer's JSON. AssertionError unless it ended with 2xx (or `status`)."""
        headers = {"Authorization": f"Bearer {self.tokens[Role(role)]}"}
        if method == "POST":
            headers["Idempotency-Key"] = key or str(uuid4())
        answer = await self._http.request(
            method, f"{self.url(service)}/v1{path}", json=body, headers=headers, **options
        )
        wanted = answer.is_success if status is None else answer.status_code == status
        assert wanted, f"{method} {service}{path}: {answer.status_code} {answer.text[:600]}"
        return answer.json() if answer.content else None

    async def get(self, role: str, service: str, path: str, **options: Any) -> Any:
        """GET."""
        return await self.call(role, "GET", service, path, **options)

    async def post(self, role: str, service: str, path: str, body: object = None, **kw: Any) -> Any:
        """POST."""
        return await self.call(role, "POST", service, path, {} if body is None else body, **kw)

    # ---- what staff do most ----------------------------------------------------------------

    async def site(self, code: str, area: str = "UA80") -> UUID:
        """Open a site."""
        body = {"code": code, "name": code, "area": area, "site_type": "center"}
        return UUID((await self.post("logistician", "inventory", "/sites", body))["site_id"])

    async def item(self, code: str) -> None:
        """Make sure that an item is known."""
        known = await self.get("logistician", "inventory", "/items")
        if code not in {item["code"] for item in known["rows"]}:
            names = dict.fromkeys(("uk", "en", "de"), code)
            body = {"code": code, "names": names, "unit": "piece", "tracking": "lot"}
            await self.post("logistician", "inventory", "/items", body)

    async def receive(self, site: UUID, item: str, quantity: int, **terms: object) -> Json:
        """Take goods in."""
        lines = [{"item": item, "quantity": quantity, **terms}]
        body = {"site_id": str(site), "lines": lines}
        answer: Json = await self.post("logistician", "inventory", "/receipts", body)
        return answer

    async def ask(self, kind: str, person: Json | None = None, **need: object) -> UUID:
        """Register someone by code and ask for one thing; returns the need."""
        who = person or {"client_code": f"c-{uuid4().hex[:10]}", "area": "UA80"}
        needs = [{"kind": kind, "place_area": "UA80", **need}]
        body = {"for_whom": "person", "person": who, "needs": needs}
        done = await self.post("caseworker", "intake", "/requests", body)
        return UUID(done["needs"][0]["need_id"])

    async def need(self, need_id: UUID) -> Json:
        """A need with its timeline."""
        answer: Json = await self.get("caseworker", "intake", f"/needs/{need_id}")
        return answer

    async def becomes(self, need_id: UUID, *states: str, deadline_s: float = 15.0) -> Json:
        """Wait until a need is in one of the states."""

        async def there() -> Json | None:
            need = await self.need(need_id)
            assert need["state"] in states, f"{need_id} is {need['state']}, not {states}"
            return need

        found = await eventually(there, deadline_s)
        assert isinstance(found, dict)
        return found

    async def reservation(self, need_id: UUID) -> Json:
        """What is set aside for a need."""
        answer: Json = await self.get("caseworker", "inventory", f"/needs/{need_id}/reservation")
        return answer
