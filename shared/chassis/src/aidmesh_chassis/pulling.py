"""Pulling the messages of a durable: a request stays open, so what comes is there at once.

nats-py's `fetch` sends two requests for every batch and waits for each message with a timer of
its own; when a request outlives the call that made it, the next call can stall until its time is
up. Here one request is renewed before it is used up, messages gather while a batch is handled,
and a heartbeat of the server tells a quiet stream from a lost request (NATS ADR-37, decision
0003).
"""

import asyncio
from contextlib import suppress

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error
from pydantic_core import to_json

from aidmesh_chassis.logs import get_logger

log = get_logger()

EXPIRES_S = 30.0
HEARTBEAT_S = 5.0
SILENCE_S_MAX = 11.0
RETRY_S = 1.0
NANOSECONDS = 1_000_000_000

HEARTBEAT, NO_MESSAGES, TIMED_OUT = "100", "404", "408"
LEFT = "Nats-Pending-Messages"


class Puller:
    """Messages of one durable, by the batch.

    Args:
        client: the connection; it may come and go.
        stream: where the durable is.
        durable: its name.
        inbox: a subject of this process alone, where the server sends the messages.
        batch_max: messages a batch has at most, and that wait here at most.
    """

    def __init__(
        self, client: Client, stream: str, durable: str, inbox: str, batch_max: int
    ) -> None:
        self._client = client
        self._durable = durable
        self._inbox = inbox
        self._request_subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}"
        self._batch_max = batch_max
        self._waiting: list[Msg] = []
        self._asked_for = 0
        self._refused = False
        self._something = asyncio.Event()
        self._subscription: Subscription | None = None

    async def start(self) -> None:
        """Listen; nothing is asked for before `next`."""
        self._subscription = await self._client.subscribe(self._inbox, cb=self._take)

    async def unsubscribe(self) -> None:
        """Stop listening; what was not handed over goes to another replica, or comes again."""
        subscription, self._subscription = self._subscription, None
        with suppress(Error, OSError):
            if subscription is not None:
                await subscription.unsubscribe()
            for message in self._waiting:
                await message.nak()
        self._waiting.clear()

    def ask_anew(self) -> None:
        """Ask again, since a reconnection has made the server forget what was asked for."""
        self._asked_for = 0
        self._something.set()

    async def next(self) -> list[Msg]:
        """Return what is there, up to a batch; waits until there is something.

        Raises:
            nats.errors.Error, OSError: the connection is closed or cannot take a request.
        """
        while not self._waiting:
            if self._refused:
                self._refused = False
                await asyncio.sleep(RETRY_S)
            self._something.clear()
            await self._ask()
            try:
                async with asyncio.timeout(SILENCE_S_MAX):
                    await self._something.wait()
            except TimeoutError:
                self._asked_for = 0  # not even a heartbeat: the request is lost
        return await self.ready(self._batch_max)

    async def ready(self, limit: int) -> list[Msg]:
        """Return what is there without waiting, up to `limit`; more is asked for meanwhile."""
        messages = self._waiting[:limit]
        del self._waiting[:limit]
        with suppress(Error, OSError):  # `next` asks again, and says so
            await self._ask()
        return messages

    async def _ask(self) -> None:
        room = self._batch_max - len(self._waiting) - self._asked_for
        if room * 2 < self._batch_max:
            return
        request = {
            "batch": room,
            "expires": int(EXPIRES_S * NANOSECONDS),
            "idle_heartbeat": int(HEARTBEAT_S * NANOSECONDS),
        }
        self._asked_for += room
        try:
            await self._client.publish(self._request_subject, to_json(request), self._inbox)
        except BaseException:
            # Also when it is cancelled: what counts as asked for is never asked for again.
            self._asked_for -= room
            raise

    async def _take(self, message: Msg) -> None:
        status = (message.headers or {}).get("Status")
        if status is None:
            self._asked_for = max(0, self._asked_for - 1)
            self._waiting.append(message)
        elif status != HEARTBEAT:
            self._end_request(status, message.headers or {})
        self._something.set()

    def _end_request(self, status: str, headers: dict[str, str]) -> None:
        """A request is over: how much of it was left is said, or all of it is void."""
        left = headers.get(LEFT, "")
        self._asked_for = max(0, self._asked_for - int(left)) if left.isdigit() else 0
        if status not in (NO_MESSAGES, TIMED_OUT):
            self._refused = True
            log.warning(
                "broker.pull_refused",
                durable=self._durable,
                status=status,
                reason=headers.get("Description", ""),
            )
