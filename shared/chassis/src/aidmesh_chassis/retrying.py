"""Requests that got in each other's way are run again, see `Retrying`."""

import asyncio
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aidmesh_chassis.db import COMMITS, Commits
from aidmesh_chassis.errors import CONTENTION, CONTENTION_RETRIES_MAX, contention_delay_s
from aidmesh_chassis.logs import get_logger
from aidmesh_chassis.middleware import route_of

log = get_logger()

BODY_KEPT_BYTES_MAX: Final = 4 * 1024 * 1024
"""A longer body is not kept to be read again: what takes so much comes in transactions of its
own, which it runs again by itself."""
RETRY_S_MAX: Final = 12.0
"""After this long a request is not begun again: its caller has waited enough."""


class Retrying:
    """Runs a request again whose transaction was cut off: deadlock, serialization, lock wait.

    Only where nothing of it is left: nothing was committed, so it was all in the transaction that
    was rolled back (what reaches outside goes through the outbox), and nothing was answered. The
    last failure is raised, and answered with 503 and Retry-After like an outage.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        untouched = dict(scope)
        body = _Body(receive)
        until = asyncio.get_running_loop().time() + RETRY_S_MAX
        for attempt in range(CONTENTION_RETRIES_MAX):
            commits, answer = Commits(), _Answer(send)
            token = COMMITS.set(commits)
            try:
                await self._app(scope, body.receive, answer.send)
            except CONTENTION as error:
                is_over = asyncio.get_running_loop().time() > until
                has_left_traces = commits.count > 0 or answer.started or not body.is_kept
                if attempt == CONTENTION_RETRIES_MAX - 1 or is_over or has_left_traces:
                    raise
                log.info("http.retried", route=route_of(scope), cause=type(error).__name__)
            else:
                return
            finally:
                COMMITS.reset(token)
            await asyncio.sleep(contention_delay_s(attempt))
            # Routing wrote into it.
            scope.clear()
            scope.update(untouched)
            body.rewind()


class _Body:
    """A request's body, kept while it is read so that it can be read again."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._kept: list[Message] = []
        self._next = 0
        self._bytes = 0

    @property
    def is_kept(self) -> bool:
        """Whether all that was read can be read again."""
        return self._bytes <= BODY_KEPT_BYTES_MAX

    def rewind(self) -> None:
        """Read from the start again."""
        self._next = 0

    async def receive(self) -> Message:
        if self._next < len(self._kept):
            self._next += 1
            return self._kept[self._next - 1]
        message = await self._receive()
        if message["type"] == "http.request":
            self._bytes += len(message.get("body", b""))
            if self.is_kept:
                self._kept.append(message)
                self._next += 1
            else:
                self._kept.clear()
                self._next = 0
        return message


class _Answer:
    """Whether an answer was begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def send(self, message: Message) -> None:
        self.started = True
        await self._send(message)
