"""`Idempotency-Key`: the same POST sent twice has its effect once, and the same answer.

A route takes `once: Once` and does this in its one transaction:

    async with db.transaction() as tx:
        if known := await once.replay(tx):
            return known
        ...                                    # the effect
        return await once.answer(tx, 201, {"need_id": need_id}, location=f"/v1/needs/{need_id}")

Work of several transactions, such as an import, opens this one around them: its lock is then held
until the answer is kept.

The record commits with the effect or not at all, so a crashed attempt leaves nothing behind:
PostgreSQL rolls it back when it notices that the connection is gone, or after its bound on idle
transactions. While an attempt runs, a transaction-scoped advisory lock makes others answer 409
with Retry-After. Failed requests are not kept: they had no effect and may be tried again.

Keys are scoped to caller and route. What is kept is the status, the location and the answer,
which holds ids and facts and no personal data. The content's hash is keyed by the key itself,
so the database alone does not help in guessing what was sent.
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Final
from uuid import UUID

import asyncpg
from fastapi import Depends, Header, Request, Response
from fastapi.routing import APIRoute
from pydantic_core import to_json

from aidmesh_chassis.auth import Caller
from aidmesh_chassis.db import Tx
from aidmesh_chassis.problems import IN_PROGRESS, INVALID, KEY_REUSED, Problem, retry_after

KEPT: Final = timedelta(days=30)
PURGE_ROWS_MAX: Final = 1000
RETRY_S: Final = 1
_KEY: Final = re.compile(r"[\x21-\x7e]{16,64}")


class Idempotency:
    """The key of one request, if it carries one; without a key both methods do no more than
    their names say for a first attempt."""

    def __init__(self, request: Request, key: str | None) -> None:
        self._request = request
        self._key = key
        self._id: UUID | None = None
        self._content_hash = b""

    async def replay(self, tx: Tx) -> Response | None:
        """The answer given before, or None if this is the first attempt; call it first.

        Raises `Problem`: 409 while another attempt runs, 422 if the key was used for other
        content.
        """
        if self._key is None:
            return None
        key = self._key.encode()
        self._id = _scoped_id(self._request, key)
        self._content_hash = await _content_hash(self._request, key)
        if not await tx.conn.fetchval(
            "SELECT pg_try_advisory_xact_lock($1)",
            int.from_bytes(self._id.bytes[:8], signed=True),
        ):
            raise retry_after(IN_PROGRESS, RETRY_S)
        # A statement of its own: its snapshot must be taken after the lock.
        row = await tx.conn.fetchrow(
            "SELECT content_hash, status, location, body FROM idempotency WHERE id = $1", self._id
        )
        if row is None:
            return None
        if row["content_hash"] != self._content_hash:
            raise Problem(KEY_REUSED)
        response = _response(row["status"], row["body"], row["location"])
        response.headers["Idempotency-Replayed"] = "true"
        return response

    async def answer(
        self,
        tx: Tx,
        status: int,
        body: Mapping[str, object],
        *,
        location: str | None = None,
    ) -> Response:
        """The answer to a first attempt, kept for the next ones in the same transaction.

        `body` is kept as it is: ids, states and numbers, never personal data. `location` is the
        path of what was made. Call `replay` before.
        """
        content = to_json(body)
        if self._key is not None:
            if self._id is None:
                raise RuntimeError("replay comes before answer")
            try:
                await tx.conn.execute(
                    "INSERT INTO idempotency (id, content_hash, status, location, body)"
                    " VALUES ($1, $2, $3, $4, $5)",
                    self._id,
                    self._content_hash,
                    status,
                    location,
                    content,
                )
            except asyncpg.UniqueViolationError:
                # An older snapshot (repeatable read) did not show the first attempt's row.
                raise retry_after(IN_PROGRESS, RETRY_S) from None
        return _response(status, content, location)


async def _idempotency(
    request: Request,
    idempotency_key: Annotated[
        str | None,
        Header(description="16 to 64 printable ASCII characters, best a random UUID"),
    ] = None,
) -> Idempotency:
    if idempotency_key is not None and _KEY.fullmatch(idempotency_key) is None:
        raise Problem(INVALID, errors=[{"field": "header.idempotency-key", "rule": "key_format"}])
    return Idempotency(request, idempotency_key)


Once = Annotated[Idempotency, Depends(_idempotency)]
"""Declare a parameter of this type on every POST."""


async def purge(tx: Tx, rows_max: int = PURGE_ROWS_MAX) -> int:
    """Delete up to `rows_max` records older than 30 days; returns how many there were."""
    result = await tx.conn.execute(
        "DELETE FROM idempotency WHERE id IN ("
        " SELECT id FROM idempotency WHERE answered_at < $1 ORDER BY answered_at LIMIT $2"
        " FOR UPDATE SKIP LOCKED)",
        tx.now - KEPT,
        rows_max,
    )
    return int(result.split()[-1])


CHANGES_NOTHING: Final[Mapping[str, object]] = {"x-changes-nothing": True}
"""`openapi_extra` of a POST that only asks, with more than fits into a URL: it takes no key."""


def _scoped_id(request: Request, key: bytes) -> UUID:
    """Names caller, route and key; which of the route's paths it was is part of the content."""
    caller: Caller | None = getattr(request.state, "caller", None)
    route = request.scope.get("route")
    template = route.path_format if isinstance(route, APIRoute) else request.url.path
    digest = hashlib.blake2b(digest_size=16, person=b"idempotency-id")
    for part in (
        caller.staff_id.bytes if caller else b"",
        f"{request.method} {template}".encode(),
        key,
    ):
        digest.update(len(part).to_bytes(4))
        digest.update(part)
    return UUID(bytes=digest.digest())


async def _content_hash(request: Request, key: bytes) -> bytes:
    digest = hashlib.blake2b(digest_size=32, key=key, person=b"idempotency-body")
    for part in (request.url.path.encode(), request.url.query.encode(), await request.body()):
        digest.update(len(part).to_bytes(8))
        digest.update(part)
    return digest.digest()


def _response(status: int, body: bytes, location: str | None) -> Response:
    headers = {} if location is None else {"Location": location}
    return Response(body, status_code=status, headers=headers, media_type="application/json")
