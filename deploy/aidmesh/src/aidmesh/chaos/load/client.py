"""One client of a region: staff of every role, who send a call again until it is answered."""

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, cast
from uuid import uuid4

import httpx
from pydantic_core import from_json

from aidmesh.chaos.book import Book, Json, Op, Status
from aidmesh.meshfile import RegionEntry
from aidmesh_chassis.auth import LIFETIME_S_MAX, Role, issue_token
from aidmesh_chassis.authorities import vouching
from aidmesh_chassis.keys import TOKENS, KeyRing

TIMEOUT_S: Final = 4.0
PATIENCE_S: Final = 8.0
"""After that a client goes on with something else, and asks again when all is over."""
RETRY_S: Final = 0.3
BUSY: Final = frozenset({409, 423, 429})
"""With a Retry-After: somebody else is at it."""
FAILED: Final = 500


class Client:
    """Calls one region. Each client's staff are other people than every other client's.

    Attributes:
        done: kinds of operations of which one of its own was accepted.
    """

    def __init__(self, region: str, entry: RegionEntry, book: Book) -> None:
        self.region = region
        self.book = book
        self._entry = entry
        signer = KeyRing(entry.keys, [TOKENS]).token_signer()
        now = datetime.now(UTC)
        self._tokens = {
            role: issue_token(signer, uuid4(), [role], region, now, LIFETIME_S_MAX) for role in Role
        }
        self._http = httpx.AsyncClient(
            verify=vouching(each.url for each in entry.services.values()),
            timeout=TIMEOUT_S,
            trust_env=False,
        )
        self._own: set[int] = set()
        self.done: set[str] = set()

    def sent(self, op: Op) -> bool:
        """Whether an operation is this client's."""
        return op.no in self._own

    @property
    def begun(self) -> int:
        """How many operations it has begun."""
        return len(self._own)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def do(
        self,
        what: str,
        service: str,
        path: str,
        role: Role,
        body: Json | None = None,
        **facts: str,
    ) -> Op:
        """Have something done and book it; whether it was is in the operation's status."""
        op = self.book.begin(what, self.region, service, path, role, body or {}, facts)
        self._own.add(op.no)
        await self.send(op, PATIENCE_S)
        if op.status is Status.ACCEPTED:
            self.done.add(op.what)
        return op

    async def send(self, op: Op, patience_s: float) -> None:
        """Send an operation until there is an answer, or patience ends."""
        end = time.monotonic() + patience_s
        headers = {
            "Authorization": f"Bearer {self._tokens[op.role]}",
            "Idempotency-Key": op.key,
            "X-Correlation-Id": op.key,  # so that the events that follow can be told
        }
        url = f"{self._entry.services[op.service].url}/v1{op.path}"
        while op.status is Status.UNKNOWN:
            op.sent += 1
            try:
                answer = await self._http.post(url, json=op.body, headers=headers)
            except (httpx.TransportError, httpx.InvalidURL):
                op.code = 0
            else:
                op.code = answer.status_code
                busy = answer.status_code in BUSY and "retry-after" in answer.headers
                if answer.status_code < FAILED and not busy:
                    op.hear(answer.status_code, _parsed(answer))
                    return
            if time.monotonic() > end:
                return
            await asyncio.sleep(RETRY_S)

    async def get(
        self, service: str, path: str, role: Role, query: Mapping[str, str] | None = None
    ) -> Json | None:
        """Read something; None when there is no answer or nothing there."""
        url = f"{self._entry.services[service].url}/v1{path}"
        headers = {"Authorization": f"Bearer {self._tokens[role]}"}
        try:
            answer = await self._http.get(url, headers=headers, params=query)
        except httpx.TransportError:
            return None
        return _parsed(answer) if answer.is_success else None

    async def is_ready(self) -> bool:
        """Whether all services of the region say that they are."""
        try:
            answers = [
                await self._http.get(f"{entry.url}/readyz")
                for name, entry in self._entry.services.items()
                if name != "console"
            ]
        except httpx.TransportError:
            return False
        return all(answer.is_success for answer in answers)


def _parsed(answer: httpx.Response) -> Json:
    try:
        found = from_json(answer.content)
    except ValueError:
        return {}
    return cast("Json", found) if isinstance(found, dict) else {}
