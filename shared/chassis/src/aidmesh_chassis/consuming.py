"""Events in, by the batch: one transaction for all of them, one by one only when that fails.

The way of a batch: parse → inbox (which are new?) → handlers, class by class → outbox → commit
→ acknowledge. Whatever stops it on the way, nothing is acknowledged that was not committed.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol, TypeVar
from uuid import UUID

import structlog

from aidmesh_chassis import inbox
from aidmesh_chassis.db import Database, Tx
from aidmesh_chassis.envelope import Received, read
from aidmesh_chassis.errors import CONTENTION, OUTAGES, Park, Poison
from aidmesh_chassis.inbox import Letter
from aidmesh_chassis.logs import get_logger
from aidmesh_contracts.base import Event
from aidmesh_contracts.consumers import Consumer, consumers_of
from aidmesh_contracts.ids import derive_id
from aidmesh_contracts.streams import Stream

log = get_logger()

ATTEMPTS_MAX = 5
CONTENTION_RETRIES_MAX = 5
OUTAGE_DELAY_S = 2.0
HEARTBEAT_S = 10.0

E = TypeVar("E", bound=Event)
Handler = Callable[[Tx, Sequence[Received[Any]]], Awaitable[None]]

__all__ = ["Handler", "Inlet", "Received", "Subscription"]


class Message(Protocol):
    """What is needed of a JetStream message (nats.aio.msg.Msg has it)."""

    subject: str
    data: bytes

    @property
    def headers(self) -> dict[str, str] | None: ...

    async def ack(self) -> None: ...

    async def nak(self, delay: float | None = None) -> None: ...

    async def term(self) -> None: ...

    async def in_progress(self) -> None: ...


class Subscription:
    """Which handler takes which event of one stream.

    Args:
        stream: LOCAL, EVENTS, WORLD or PRIVATE.
        handlers: by event class; their order is the order within a batch. Classes that share
            a handler come to it together, in the order of the stream.
        linger_s: how long a batch that is not full may wait for more, where nobody waits for its
            effect (copies of other regions' figures, results).
    """

    def __init__(
        self, stream: Stream, handlers: Mapping[type[Event], Handler], *, linger_s: float = 0.0
    ) -> None:
        self.stream = stream
        self.linger_s = linger_s
        self.handlers = dict(handlers)

    def consumer_of(self, service: str) -> Consumer:
        """Return the consumer that the contracts name for this stream.

        Raises:
            ValueError: they name none, or one that takes other events.
        """
        for consumer in consumers_of(service):
            if consumer.stream is self.stream:
                if set(consumer.events) != set(self.handlers):
                    odd = set(consumer.events) ^ set(self.handlers)
                    names = ", ".join(sorted(event.__name__ for event in odd))
                    raise ValueError(f"{consumer.durable}: handlers and contracts differ: {names}")
                return consumer
        raise ValueError(f"the contracts name no consumer for {service} on {self.stream}")


class Inlet:
    """Takes in the messages of one durable.

    Args:
        database: where inbox, effects and outbox are written.
        durable: the consumer's name.
        handlers: by event class.
    """

    def __init__(
        self, database: Database, durable: str, handlers: Mapping[type[Event], Handler]
    ) -> None:
        self._db = database
        self._durable = durable
        self._known = {event.type: event for event in handlers}
        # A handler of several classes gets them together, in the order they came.
        self._groups = [
            (handler, {event for event, other in handlers.items() if other is handler})
            for handler in dict.fromkeys(handlers.values())
        ]

    async def take(self, messages: Sequence[Message]) -> None:
        """Handle a batch and settle every message of it: acknowledged, delayed or dead."""
        good: list[tuple[Message, Received[Event]]] = []
        for message in messages:
            try:
                good.append((message, self._read(_letter(self._durable, message))))
            except Poison as poison:
                await self._bury(message, poison.reason)
        if not good:
            return
        async with _kept_alive([message for message, _ in good]):
            try:
                await self._apply_through_contention([received for _, received in good])
            except OUTAGES as error:
                log.warning("batch.waits", durable=self._durable, cause=type(error).__name__)
                await _nak_all([message for message, _ in good], OUTAGE_DELAY_S)
                return
            except Exception as error:  # noqa: BLE001 - whatever it is, each message is tried alone
                log.warning(
                    "batch.split",
                    durable=self._durable,
                    messages=len(good),
                    cause=type(error).__name__,
                )
                for message, received in good:
                    await self._take_one(message, received)
                return
        for message, _ in good:
            await message.ack()

    async def take_parked(self) -> int:
        """Try parked letters whose time has come; returns how many there were.

        Letters that a person asked to try again come this way too.
        """
        async with self._db.transaction() as tx:
            letters = await inbox.due(tx.conn, self._durable, 100)
        for letter in letters:
            try:
                await self._apply([self._read(letter)], settles=True)
            except Park as park:
                await self._put(letter, "parked", park.reason, park.retry_s)
            except OUTAGES:
                raise
            except Exception as error:  # noqa: BLE001 - a person asked for it and sees the result
                reason = error.reason if isinstance(error, Poison) else type(error).__name__
                await self._put(letter, "dead", reason, None)
        return len(letters)

    def _read(self, letter: Letter) -> Received[Event]:
        return read(letter.subject, letter.headers, letter.payload, self._known)

    async def _take_one(self, message: Message, received: Received[Event]) -> None:
        letter = _letter(self._durable, message)
        with structlog.contextvars.bound_contextvars(event_id=str(received.event_id)):
            try:
                await self._apply_through_contention([received], settles=True)
            except OUTAGES as error:
                log.warning("message.waits", durable=self._durable, cause=type(error).__name__)
                await message.nak(delay=OUTAGE_DELAY_S)
            except Park as park:
                log.info("message.parked", durable=self._durable, reason=park.reason)
                await self._put(letter, "parked", park.reason, park.retry_s)
                await message.term()
            except Poison as poison:
                await self._bury(message, poison.reason)
            except Exception as error:  # noqa: BLE001 - counted, delayed, at last a dead letter
                await self._count_failure(message, letter, error)
            else:
                await message.ack()

    async def _count_failure(self, message: Message, letter: Letter, error: Exception) -> None:
        async with self._db.transaction() as tx:
            attempts = await inbox.count_failure(
                tx.conn, letter, type(error).__name__, ATTEMPTS_MAX
            )
        log.error(
            "message.failed",
            durable=self._durable,
            subject=letter.subject,
            attempts=attempts,
            exc_info=error,
        )
        if attempts >= ATTEMPTS_MAX:
            log.error("message.dead", durable=self._durable, reason=type(error).__name__)
            await message.term()
        else:
            await message.nak(delay=float(2**attempts))

    async def _apply_through_contention(
        self, batch: Sequence[Received[Event]], *, settles: bool = False
    ) -> None:
        for attempt in range(CONTENTION_RETRIES_MAX):
            try:
                await self._apply(batch, settles=settles)
            except CONTENTION:
                if attempt == CONTENTION_RETRIES_MAX - 1:
                    raise
                await asyncio.sleep(0.02 * 2**attempt)
            else:
                return

    async def _apply(self, batch: Sequence[Received[Event]], *, settles: bool = False) -> None:
        async with self._db.transaction() as tx:
            unique = {item.event_id: item for item in batch}
            fresh, changed = await inbox.admit(tx.conn, list(unique.values()))
            if changed:
                raise Poison("id_reused_with_other_content")
            for handler, classes in self._groups:
                group = [
                    item
                    for item in unique.values()
                    if item.event_id in fresh and type(item.event) in classes
                ]
                if group:
                    await handler(tx, group)
            if settles:
                await inbox.settle(tx.conn, self._durable, list(unique))

    async def _bury(self, message: Message, reason: str) -> None:
        try:
            await self._put(_letter(self._durable, message), "dead", reason, None)
        except OUTAGES:
            await message.nak(delay=OUTAGE_DELAY_S)
            return
        log.error("message.dead", durable=self._durable, subject=message.subject, reason=reason)
        await message.term()

    async def _put(self, letter: Letter, status: str, reason: str, retry_s: float | None) -> None:
        async with self._db.transaction() as tx:
            await inbox.set_aside(tx.conn, letter, status, reason, retry_s)


def _letter(durable: str, message: Message) -> Letter:
    headers = message.headers or {}
    try:
        event_id = UUID(headers.get("ce-id", ""))
    except ValueError:
        event_id = derive_id("letter", message.subject, message.data.hex())
    kept = {name: value for name, value in headers.items() if not name.startswith("Nats-Batch")}
    return Letter(durable, event_id, message.subject, kept, message.data)


async def _nak_all(messages: Sequence[Message], delay_s: float) -> None:
    with suppress(*OUTAGES):
        for message in messages:
            await message.nak(delay=delay_s)


@asynccontextmanager
async def _kept_alive(messages: Sequence[Message]) -> AsyncIterator[None]:
    """Tell the server every few seconds that a long batch is still being worked on."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            with suppress(*OUTAGES):
                for message in messages:
                    await message.in_progress()

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
