"""Events in, by the batch: one transaction for all of them, one by one only when that fails.

The way of a batch: parse → inbox (which are new?) → handlers, class by class → outbox → commit
→ acknowledge. Whatever stops it on the way, nothing is acknowledged that was not committed.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import structlog

from aidmesh_chassis import inbox, standings
from aidmesh_chassis.acknowledging import Message, ack_all, kept_alive, nak_all, tell
from aidmesh_chassis.answering import Answer, answer_all, answer_dropped
from aidmesh_chassis.db import Database, Tx
from aidmesh_chassis.envelope import Received, read, said_by_sender
from aidmesh_chassis.errors import (
    CONTENTION,
    CONTENTION_RETRIES_MAX,
    OUTAGES,
    Park,
    Poison,
    contention_delay_s,
    is_outage,
)
from aidmesh_chassis.inbox import Letter
from aidmesh_chassis.logs import TRACEPARENT, get_logger, ms_since
from aidmesh_chassis.metrics import MessageNumbers
from aidmesh_chassis.waits import Wait
from aidmesh_contracts.base import Event
from aidmesh_contracts.consumers import Consumer, consumers_of
from aidmesh_contracts.ids import derive_id
from aidmesh_contracts.payments_regions import RegionChangedV1
from aidmesh_contracts.streams import Stream

if TYPE_CHECKING:
    from aidmesh_chassis.spans import Spans

log = get_logger()

ATTEMPTS_MAX = 5
OUTAGE_DELAY_S = 2.0
PARKED_MAX = 100
PARKED_RETRY_S = 30.0
"""How long a parked letter that failed waits; twice as long after each further failure."""

E = TypeVar("E", bound=Event)
Handler = Callable[[Tx, Sequence[Received[Any]]], Awaitable[None]]

__all__ = ["Answer", "Handler", "Inlet", "Received", "Subscription", "class_by_class"]


class Subscription:
    """Which handler takes which event of one stream.

    Args:
        stream: any.
        handlers: by event class; their order is the order within a batch. Classes that share
            a handler come to it together, in the order of the stream.
        linger_s: how long a batch that is not full may wait for more, where nobody waits for its
            effect (copies of other regions' figures, results).
        answer: makes the answer to a handoff of this id, for HANDOFF alone.

    Raises:
        ValueError: handoffs without an answer, or an answer to something else.
    """

    def __init__(
        self,
        stream: Stream,
        handlers: Mapping[type[Event], Handler],
        *,
        linger_s: float = 0.0,
        answer: Answer | None = None,
    ) -> None:
        if (answer is None) == (stream is Stream.HANDOFF):
            raise ValueError("handoffs are answered, and they alone")
        self.stream = stream
        self.linger_s = linger_s
        self.answer = answer
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


def class_by_class(
    lock: Callable[[Tx, Sequence[Received[Event]]], Awaitable[None]],
    handlers: Mapping[type[Event], Handler],
) -> dict[type[Event], Handler]:
    """Have a batch handled class by class, once all that it touches is locked in one order."""

    async def take_in(tx: Tx, batch: Sequence[Received[Event]]) -> None:
        await lock(tx, batch)
        for event_class, handler in handlers.items():
            group = [each for each in batch if type(each.event) is event_class]
            if group:
                await handler(tx, group)

    return dict.fromkeys(handlers, take_in)


class Inlet:
    """Takes in the messages of one durable.

    Args:
        database: where inbox, effects and outbox are written.
        durable: the consumer's name.
        handlers: by event class.
        numbers: where what is handled is counted.
        answer: makes the answer to a handoff; it is written with the inbox row, and again when
            the handoff comes again.
        spans: where handling is traced; None where traces are off.
    """

    def __init__(
        self,
        database: Database,
        durable: str,
        handlers: Mapping[type[Event], Handler],
        numbers: MessageNumbers | None = None,
        answer: Answer | None = None,
        spans: "Spans | None" = None,
    ) -> None:
        self._db = database
        self._spans = spans
        self._answer = answer
        self._durable = durable
        self._numbers = numbers
        self._known = {event.type: event for event in handlers}
        self._wait = Wait()
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
                good.append((message, self._read(message.subject, message.headers, message.data)))
            except Poison as poison:
                await self._bury(message, poison.reason)
        if not good:
            return
        if len(good) > 1:
            await self._take_batch(good)
        else:
            with _bound(good[0][1]):
                await self._take_batch(good)

    async def take_parked(self) -> int:
        """Try parked letters whose time has come; returns how many there were.

        Letters that a person asked to try again come this way too. Before that, letters whose
        event was handled meanwhile are settled.
        """
        async with self._db.transaction() as tx:
            await inbox.settle_handled(tx.conn, self._durable)
            letters = await inbox.due(tx.conn, self._durable, PARKED_MAX)
        for letter in letters:
            await self._try_again(letter)
        return len(letters)

    async def _try_again(self, letter: Letter) -> None:
        try:
            received = self._read(letter.subject, letter.headers, letter.payload)
            with _bound(received):
                await self._apply_through_contention([received], settles=True)
        except Park as park:
            await self._put(letter, "parked", park.reason, park.retry_s)
        except Poison as poison:
            reason = poison.reason if letter.payload else inbox.EXPIRED
            await self._put(letter, "dead", reason, None)
            self._tell_dead(letter, reason)
        except Exception as error:
            if is_outage(error):
                raise
            await self._count_failure(letter, error, PARKED_RETRY_S)

    async def _take_batch(self, batch: Sequence[tuple[Message, Received[Event]]]) -> None:
        messages = [message for message, _ in batch]
        started = time.perf_counter()
        async with kept_alive(messages):
            try:
                await self._apply_through_contention([received for _, received in batch])
            except Exception as error:  # noqa: BLE001 - whatever it is, each message is tried alone
                if is_outage(error):
                    self._wait.warning(
                        "batch.waits",
                        durable=self._durable,
                        messages=len(batch),
                        cause=type(error).__name__,
                        duration_ms=ms_since(started),
                    )
                    await nak_all(messages, OUTAGE_DELAY_S)
                    return
                log.warning(
                    "batch.split",
                    durable=self._durable,
                    messages=len(batch),
                    cause=type(error).__name__,
                    duration_ms=ms_since(started),
                )
                for message, received in batch:
                    with _bound(received):
                        await self._take_one(message, received)
                return
        self._wait.over()
        await ack_all(messages)

    def _read(
        self, subject: str, headers: Mapping[str, str] | None, payload: bytes
    ) -> Received[Event]:
        return read(subject, headers, payload, self._known)

    async def _take_one(self, message: Message, received: Received[Event]) -> None:
        letter = _letter(self._durable, message)
        try:
            await self._apply_through_contention([received], settles=True)
        except Park as park:
            log.info("message.parked", durable=self._durable, reason=park.reason)
            await self._put(letter, "parked", park.reason, park.retry_s)
            await tell(message.term())
        except Poison as poison:
            await self._bury(message, poison.reason)
        except Exception as error:  # noqa: BLE001 - counted, delayed, at last a dead letter
            if is_outage(error):
                self._wait.warning(
                    "message.waits", durable=self._durable, cause=type(error).__name__
                )
                await tell(message.nak(delay=OUTAGE_DELAY_S))
                return
            attempts = await self._count_failure(letter, error)
            if attempts >= ATTEMPTS_MAX:
                await tell(message.term())
            else:
                await tell(message.nak(delay=float(2**attempts)))
        else:
            self._wait.over()
            await ack_all([message])

    async def _count_failure(
        self, letter: Letter, error: Exception, retry_s: float | None = None
    ) -> int:
        reason = type(error).__name__
        async with self._db.transaction() as tx:
            attempts = await inbox.count_failure(tx.conn, letter, reason, ATTEMPTS_MAX, retry_s)
        log.error(
            "message.failed",
            durable=self._durable,
            subject=letter.subject,
            event_id=str(letter.event_id),
            attempts=attempts,
            exc_info=error,
        )
        if attempts >= ATTEMPTS_MAX:
            self._tell_dead(letter, reason)
        return attempts

    def _tell_dead(self, letter: Letter, reason: str) -> None:
        log.error(
            "message.dead",
            durable=self._durable,
            subject=letter.subject,
            event_id=str(letter.event_id),
            reason=reason,
        )

    async def _apply_through_contention(
        self, batch: Sequence[Received[Event]], *, settles: bool = False
    ) -> None:
        for attempt in range(CONTENTION_RETRIES_MAX):
            try:
                await self._apply(batch, settles=settles)
            except CONTENTION:
                if attempt == CONTENTION_RETRIES_MAX - 1:
                    raise
                await asyncio.sleep(contention_delay_s(attempt))
            else:
                return

    async def _apply(self, batch: Sequence[Received[Event]], *, settles: bool) -> None:
        if self._spans is None:
            await self._commit(batch, settles=settles)
        else:
            with self._spans.batch(self._durable, batch) as traced:
                await self._commit(traced, settles=settles)

    async def _commit(self, batch: Sequence[Received[Event]], *, settles: bool) -> None:
        started = time.perf_counter()
        async with self._db.transaction() as tx:
            unique = {item.event_id: item for item in batch}
            of_others = [each for each in unique.values() if each.region != self._db.origin.region]
            if of_others:
                is_fence = any(isinstance(each.event, RegionChangedV1) for each in of_others)
                await standings.lock_fence(tx.conn, exclusive=is_fence)
            fresh, changed = await inbox.admit(tx.conn, list(unique.values()))
            if changed or (len(unique) < len(batch) and _contradicts_itself(batch)):
                raise Poison(inbox.OTHER_CONTENT)
            if new := [each for each in of_others if each.event_id in fresh]:
                fresh -= await standings.set_aside(
                    tx.conn, self._durable, new, comes_again=self._answer is not None
                )
            # What comes until it is answered may have been set aside too early.
            if self._answer is not None and len(fresh) < len(unique):
                old = [each for each in of_others if each.event_id not in fresh]
                fresh |= await standings.take_up(tx.conn, old)
            for handler, classes in self._groups:
                group = [
                    item
                    for item in unique.values()
                    if item.event_id in fresh and type(item.event) in classes
                ]
                if group:
                    await handler(tx, group)
            if self._answer is not None:
                await answer_all(tx, unique.values(), self._answer)
            if settles:
                await inbox.settle(tx.conn, self._durable, list(unique))
        log.debug(
            "batch.handled",
            durable=self._durable,
            messages=len(batch),
            duration_ms=ms_since(started),
        )
        if self._numbers is not None:
            self._numbers.took_in(
                self._durable,
                len(batch),
                Counter(item.event.type for item in unique.values() if item.event_id in fresh),
            )

    async def _bury(self, message: Message, reason: str) -> None:
        letter = _letter(self._durable, message)
        try:
            is_open = await self._put(letter, "dead", reason, None)
        except OUTAGES:
            await tell(message.nak(delay=OUTAGE_DELAY_S))
            return
        if is_open:
            self._tell_dead(letter, reason)
        await tell(message.term())

    async def _put(self, letter: Letter, status: str, reason: str, retry_s: float | None) -> bool:
        """Write a letter; False for one that was dropped."""
        async with self._db.transaction() as tx:
            is_open = await inbox.set_aside(tx.conn, letter, status, reason, retry_s)
            if not is_open and self._answer is not None:
                await answer_dropped(tx, letter, self._answer)
        return is_open


def _letter(durable: str, message: Message) -> Letter:
    headers = message.headers or {}
    try:
        event_id = UUID(headers.get("ce-id", ""))
    except ValueError:
        event_id = derive_id("letter", message.subject, message.data.hex())
    return Letter(durable, event_id, message.subject, said_by_sender(headers), message.data)


def _contradicts_itself(batch: Sequence[Received[Event]]) -> bool:
    """Whether one id comes with two contents."""
    contents = {(item.event_id, item.content_hash) for item in batch}
    return len(contents) > len({item.event_id for item in batch})


@contextmanager
def _bound(received: Received[Event]) -> Iterator[None]:
    """Name this event in the log, and carry its trace on, while it is handled by itself.

    The need that it is about, if it is about one, is named too.
    """
    token = TRACEPARENT.set(received.traceparent)
    ids = {"event_id": str(received.event_id), "correlation_id": str(received.correlation_id)}
    need_id = getattr(received.event, "need_id", None)
    if need_id is not None:
        ids["need_id"] = str(need_id)
    try:
        with structlog.contextvars.bound_contextvars(**ids):
            yield
    finally:
        TRACEPARENT.reset(token)
