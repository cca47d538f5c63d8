"""The public HTTP API of one region, as the roles of its staff use it."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

import httpx
from pydantic_core import from_json

from aidmesh.meshfile import RegionEntry
from aidmesh_chassis.auth import LIFETIME_S_MAX, Role, issue_token
from aidmesh_chassis.authorities import vouching
from aidmesh_chassis.http import PAGE_ROWS_MAX
from aidmesh_chassis.keys import TOKENS, KeyRing

TIMEOUT_S = 60.0
CHUNK_ROWS_MAX = 2000
RETRIES_MAX = 5
RETRY_S = 0.5
BUSY = frozenset({409, 423, 429, 502, 503, 504})
"""Answers after which the same request, with the same key, is sent again."""

Json = dict[str, object]


class RefusedError(Exception):
    """A region refused what the scenario asks; the message names route and problem."""


class Office:
    """One region's services, with a member of staff for each role.

    Attributes:
        staff: the id of the member of staff who acts in a role; all different, so that maker
            and checker are.
    """

    def __init__(self, region: str, entry: RegionEntry, staff: Mapping[Role, UUID]) -> None:
        """Issue a token per role with the region's signing key."""
        self.region = region
        self._entry = entry
        signer = KeyRing(entry.keys, [TOKENS]).token_signer()
        now = datetime.now(UTC)
        self.tokens = {
            role: issue_token(signer, staff_id, [role], region, now, LIFETIME_S_MAX)
            for role, staff_id in staff.items()
        }
        self._client = httpx.AsyncClient(
            verify=vouching(each.url for each in entry.services.values()),
            timeout=TIMEOUT_S,
            trust_env=False,
            limits=httpx.Limits(max_connections=8, max_keepalive_connections=8),
        )

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()

    async def get(
        self, service: str, path: str, role: Role, query: Mapping[str, str] | None = None
    ) -> bytes:
        """The body of an answer. Raises `RefusedError`."""
        return (await self._send("GET", service, path, role, query=query)).content

    async def every(self, service: str, path: str, role: Role, rows: str) -> list[Json]:
        """All rows of a list, read page by page. Raises `RefusedError`."""
        found: list[Json] = []
        query = {"limit": str(PAGE_ROWS_MAX)}
        while True:
            page = from_json(await self.get(service, path, role, query))
            found += page[rows]
            if page["next"] is None:
                return found
            query["after"] = page["next"]

    async def post(
        self,
        service: str,
        path: str,
        role: Role,
        body: object = None,
        *,
        content: bytes | None = None,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
        accept: frozenset[int] = frozenset(),
    ) -> httpx.Response:
        """Post a body, the same again when a service was busy; it counts once.

        Raises:
            RefusedError: any answer but success and those in `accept`.
        """
        return await self._send(
            "POST",
            service,
            path,
            role,
            body=body,
            content=content,
            content_type=content_type,
            query=query,
            accept=accept,
        )

    async def rows(
        self,
        service: str,
        path: str,
        role: Role,
        source: str,
        rows: Sequence[Mapping[str, object]],
    ) -> list[Json]:
        """Send rows through a bulk form, in chunks; results in the order of the rows."""
        results: list[Json] = []
        for start in range(0, len(rows), CHUNK_ROWS_MAX):
            chunk = rows[start : start + CHUNK_ROWS_MAX]
            answer = await self.post(service, path, role, {"source": source, "rows": chunk})
            results += answer.json()["rows"]
        return results

    async def _send(
        self,
        method: str,
        service: str,
        path: str,
        role: Role,
        *,
        body: object = None,
        content: bytes | None = None,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
        accept: frozenset[int] = frozenset(),
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.tokens[role]}"}
        if method == "POST":
            headers["Idempotency-Key"] = str(uuid4())
        if content is not None:
            headers["Content-Type"] = content_type
        url = f"{self._entry.services[service].url}{path}"
        for attempt in range(1, RETRIES_MAX + 1):
            try:
                answer = await self._client.request(
                    method,
                    url,
                    headers=headers,
                    json=body if content is None else None,
                    content=content,
                    params=query,
                )
            except httpx.TransportError:
                if attempt == RETRIES_MAX:
                    raise
            else:
                if answer.is_success or answer.status_code in accept:
                    return answer
                if answer.status_code not in BUSY or attempt == RETRIES_MAX:
                    raise RefusedError(
                        f"{self.region} {service} {method} {path}: {answer.status_code} "
                        f"{answer.text[:600]}"
                    )
            await asyncio.sleep(RETRY_S * attempt)
        raise RefusedError(f"{self.region} {service} {path}: no answer")
