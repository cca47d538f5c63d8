"""The broker connection: FastStream over nats-py, with every bound and policy set."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from ssl import SSLContext
from typing import TYPE_CHECKING, cast
from uuid import uuid4

from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, NatsNKey, PullSub
from faststream.nats.subscriber.usecases.stream_pull_subscriber import BatchPullStreamSubscriber
from faststream.security import BaseSecurity
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error
from nats.js.api import ConsumerConfig

from aidmesh_chassis import ending
from aidmesh_chassis.client import Client as LastingClient
from aidmesh_chassis.consuming import Inlet
from aidmesh_chassis.ending import goes_on
from aidmesh_chassis.logs import get_logger
from aidmesh_chassis.nkey import follow, tls_of
from aidmesh_chassis.pulling import Puller
from aidmesh_chassis.settings import ServiceSettings
from aidmesh_chassis.waits import Wait
from aidmesh_contracts.consumers import Consumer
from aidmesh_contracts.streams import Stream

if TYPE_CHECKING:
    from faststream.message import StreamMessage
    from nats.js import JetStreamContext

log = get_logger()

CONNECT_S_MAX = 5.0
STOP_S_MAX = 10.0
RETRY_S = 1.0
ASK_S_MAX = 2.0

BUSY_S = 0.1
"""A batch this soon after the last one is part of a stream of them."""
GATHER_S = 0.01
"""How long such a batch waits for more messages."""


class PromptBatchSubscriber(BatchPullStreamSubscriber):
    """Hands over what is there; FastStream's own waits until the batch is full or time is up.

    A request that stays open costs an idle region nothing and a busy one no delay (decision
    0003). A transaction costs much the same for one message as for a hundred, so while they keep
    coming each batch waits a moment for more (decision 0025), and where nobody waits for the effect
    it waits for `linger_s`.
    """

    durable: str
    inbox: str
    linger_s: float
    puller: Puller | None
    wait: Wait

    async def _create_subscription(self) -> None:
        self.puller = Puller(
            self.connection, self.stream.name, self.durable, self.inbox, self.pull_sub.batch_size
        )
        await self.puller.start()
        # FastStream unsubscribes it when it stops; it asks nothing else of it.
        self.subscription = cast("JetStreamContext.PullSubscription", self.puller)
        self.add_task(self._consume_pull)

    async def _consume_pull(self) -> None:
        puller = self.puller
        handled_at = -BUSY_S
        while puller is not None and self.running and goes_on():
            try:
                messages = await puller.next()
            except (Error, OSError) as error:
                self.wait.warning("broker.fetch_failed", cause=type(error).__name__)
                await asyncio.sleep(RETRY_S)
                continue
            batch_max = self.pull_sub.batch_size
            busy = time.monotonic() - handled_at < BUSY_S
            linger_s = max(self.linger_s, GATHER_S if busy else 0.0)
            if linger_s and len(messages) < batch_max:
                await asyncio.sleep(linger_s)
                messages += await puller.ready(batch_max - len(messages))
            if self.running:
                await self.consume(messages)
                handled_at = time.monotonic()


async def _as_they_came(message: "StreamMessage[list[Msg]]") -> list[Msg]:
    """Decode nothing: each message of a batch is parsed, and can fail, by itself."""
    return message.raw_message


def _security(seed_file: Path | None, tls: SSLContext | None) -> BaseSecurity | None:
    if seed_file is not None:
        return NatsNKey.from_file(seed_file, ssl_context=tls)
    return None if tls is None else BaseSecurity(ssl_context=tls)


class _Connecting(NatsBroker):
    """FastStream's broker, with a client that forgets no connection; it has no option for this."""

    async def _connect(self) -> Client:
        client = LastingClient()
        await client.connect(**self._connection_kwargs)
        self.config.connect(client)
        return client


class Broker:
    """One service's connection to its region's NATS server.

    Args:
        settings: where it is.
        service: for the connection's name and the prefix of its inbox.
        on_disconnect: called whenever the connection broke, before there is another.
        on_reconnect: called after every reconnection.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        service: str,
        on_disconnect: Callable[[], Awaitable[None]],
        on_reconnect: Callable[[], Awaitable[None]],
    ) -> None:
        seed_file = settings.nats_seed_file
        self._settings = settings
        self._inbox_prefix = f"_INBOX_{service}".encode()
        self._broker = _Connecting(
            settings.nats_url.split(","),
            name=f"aidmesh-{settings.region}-{service}",
            inbox_prefix=self._inbox_prefix,
            max_reconnect_attempts=-1,
            reconnect_time_wait=1,
            connect_timeout=int(CONNECT_S_MAX),
            ping_interval=5,
            max_outstanding_pings=2,
            drain_timeout=5,
            # Without a connection publishing raises. What nats-py buffers it sends at the next
            # connection before anybody is told, and so before the gate is asked.
            pending_size=0,
            graceful_timeout=STOP_S_MAX,
            disconnected_cb=on_disconnect,
            reconnected_cb=self._ask_anew,
            apply_types=False,
            logger=None,
            security=_security(seed_file, tls_of(settings.nats_ca_file)),
        )
        self._client: Client | None = None
        self._on_reconnect = on_reconnect
        self._subscribers: list[PromptBatchSubscriber] = []
        self._wait = Wait()

    def subscribe(self, consumer: Consumer, inlet: Inlet, linger_s: float) -> None:
        """Feed `inlet` from a durable that provisioning has made."""
        subjects = consumer.filter_subjects(self._settings.region)
        subscriber = self._broker.subscriber(
            stream=JStream(consumer.stream.value, declare=False),
            durable=consumer.durable,
            config=ConsumerConfig(filter_subjects=list(subjects)),
            pull_sub=PullSub(batch_size=self._settings.batch_max, batch=True),
            ack_policy=AckPolicy.MANUAL,
            # Named anew: the default is the common inbox, where this user may not listen.
            inbox_prefix=self._inbox_prefix + b".",
            decoder=_as_they_came,
        )
        if not isinstance(subscriber, BatchPullStreamSubscriber):
            raise TypeError("FastStream gave another subscriber than a batch puller")
        # FastStream has no option for this; the subclass replaces how it subscribes and fetches.
        subscriber.__class__ = PromptBatchSubscriber
        prompt = cast("PromptBatchSubscriber", subscriber)
        prompt.durable = consumer.durable
        prompt.inbox = f"{self._inbox_prefix.decode()}.pull.{consumer.durable}.{uuid4().hex}"
        prompt.linger_s = linger_s
        prompt.puller = None
        prompt.wait = self._wait
        self._subscribers.append(prompt)

        async def handle(messages: list[Msg]) -> None:
            await inlet.take(messages)

        subscriber(handle)

    @property
    def client(self) -> Client:
        """The connection.

        Raises:
            ConnectionError: there has not been one yet.
        """
        if self._client is None:
            raise ConnectionError("not connected to NATS yet")
        return self._client

    @property
    def connected(self) -> bool:
        """Whether the server answers now."""
        return self._client is not None and bool(self._client.is_connected)

    @property
    def closed(self) -> bool:
        """Whether the connection ended for good: the client does not try to reconnect."""
        return self._client is not None and bool(self._client.is_closed)

    async def connect(self) -> Client:
        """Connect, however long it takes: a first try can hang on a dead server."""
        while self._client is None:
            try:
                async with asyncio.timeout(2 * CONNECT_S_MAX):
                    self._client = await self._broker.connect()
                    follow(self._client, self._settings.nats_seed_file)
            except (TimeoutError, OSError, Error) as error:
                self._wait.warning("broker.waits", cause=type(error).__name__)
                await asyncio.sleep(RETRY_S)
        self._wait.over()
        return self._client

    async def _ask_anew(self) -> None:
        self._wait.over()  # a request fails only while there is no connection
        for subscriber in self._subscribers:
            if subscriber.puller is not None:
                subscriber.puller.ask_anew()
        await self._on_reconnect()

    async def peers(self) -> frozenset[str]:
        """The regions whose events come into WORLD.

        Raises:
            OSError, nats.errors.Error: the server did not say.
        """
        info = await self.client.jsm(timeout=ASK_S_MAX).stream_info(Stream.WORLD.value)
        sources = [source.external for source in info.config.sources or []]
        # $JS.<region>.API
        return frozenset(each.api.split(".")[1] for each in sources if each and each.api)

    async def start(self) -> None:
        """Start fetching."""
        await self._broker.start()

    async def stop(self) -> None:
        """Stop within a bound, whatever the link does: draining a cut one would wait."""
        try:
            async with asyncio.timeout(STOP_S_MAX):
                await self._broker.stop()
        except (TimeoutError, OSError, Error, ExceptionGroup) as error:  # one per subscriber
            log.warning("broker.cut", cause=type(error).__name__)
            if self._client is not None:
                await ending.close(self._client)
