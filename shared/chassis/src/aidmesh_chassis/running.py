"""A running service: wait for what is missing, work, say how it is, stop within a bound."""

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import asyncpg
import structlog
from nats.aio.msg import Msg

from aidmesh_chassis import ending, handoff, inbox, logs, outbox, standings, upkeep
from aidmesh_chassis.broker import Broker
from aidmesh_chassis.consuming import Inlet
from aidmesh_chassis.courier import Courier
from aidmesh_chassis.db import Database
from aidmesh_chassis.durables import DurableDiffers, DurableMissing, Durables
from aidmesh_chassis.ending import goes_on, lasting
from aidmesh_chassis.errors import OUTAGES, TRANSIENT
from aidmesh_chassis.metrics import Levels, MessageNumbers, Metrics
from aidmesh_chassis.migrating import migrations_of
from aidmesh_chassis.peers import Peers, Trouble
from aidmesh_chassis.relay import Relay
from aidmesh_chassis.service import Service
from aidmesh_chassis.serving import serve_http
from aidmesh_chassis.settings import ServiceSettings
from aidmesh_chassis.waits import Wait
from aidmesh_contracts.consumers import Consumer
from aidmesh_contracts.documents import asyncapi
from aidmesh_contracts.streams import BEAT_SUBJECT, BEATS_SUBJECT, WORLD_REPORTS_SUBJECT

if TYPE_CHECKING:
    from aidmesh_chassis.spans import Spans

log = logs.get_logger()

WATCH_S = 5.0
ABREAST_S = 1.0
"""How often it is looked at whether what came during an outage was taken in."""
BEAT_S = 2.0
MEASURE_S = 10.0
RETRY_S = 1.0
OUTBOX_AGE_S_MAX = 60.0

NOT_YET: tuple[type[BaseException], ...] = (*OUTAGES, asyncpg.PostgresError, LookupError)
"""While starting: the server, the role, the tables or the consumers are not there yet."""


class Running:
    """The moving parts of one service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._relay: Relay | None = None
        self._broker = Broker(
            service.settings, service.name, self._on_disconnect, self._on_reconnect
        )
        self._peers = service.peers or Peers(service.settings.region)
        self._troubles: dict[str, Trouble | None] = {}
        self._numbers: MessageNumbers | None = None
        self._levels: Levels
        self._spans: Spans | None = service.app.state.spans
        self._inlets: dict[str, Inlet] = {}
        self._breaks = 0
        self._is_abreast = False
        consumers: list[Consumer] = []
        if service.database is not None:
            metrics: Metrics = service.app.state.metrics
            self._numbers = MessageNumbers(metrics)
            self._levels = Levels(metrics, service.measured)
            self._numbers.gate_open.set_function(lambda: float(self._gate_is_open))
            for subscription in service.subscriptions:
                consumer = subscription.consumer_of(service.name)
                inlet = Inlet(
                    service.database,
                    consumer.durable,
                    subscription.handlers,
                    self._numbers,
                    subscription.answer,
                    self._spans,
                )
                self._broker.subscribe(consumer, inlet, subscription.linger_s)
                consumers.append(consumer)
                self._inlets[consumer.durable] = inlet
            late_s_max = service.settings.peer_late_s_max
            service.app.state.details["peers"] = lambda: self._peers.report(late_s_max)
        self._durables = Durables(
            service.settings.region, consumers, lambda: self._broker.client, self._count_pending
        )
        service.health.attach(self)
        service.app.add_api_route(
            "/asyncapi.json", lambda: asyncapi(service.name), include_in_schema=False
        )

    async def run(self) -> None:
        """Run until cancelled.

        Raises:
            RuntimeError: a durable consumer vanished while the gate was open, or is another than
                agreed, or the connection to NATS ended for good; the supervisor starts the service
                anew.
        """
        structlog.contextvars.bind_contextvars(
            **bound_by(self._service.name, self._service.settings)
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(lasting(serve_http(self._service.app, self._service.settings)))
            for name, task in self._service.tasks.items():
                tasks.create_task(lasting(task()), name=name)
            if self._service.database is not None:
                tasks.create_task(lasting(self._work(self._service.database)))

    async def _work(self, database: Database) -> None:
        await self._wait_for_database(database)
        self._say_database_is(up=True)
        client = await self._broker.connect()
        relay = self._relay = Relay(database, client, self._spans)
        database.on_commit(relay.wake)
        try:
            await self._wait_for_consumers()
            await self._broker.start()
            await client.subscribe(BEATS_SUBJECT, cb=self._hear)
            await client.subscribe(WORLD_REPORTS_SUBJECT, cb=self._hear_report)
            ending.check()
            log.info("service.started", durables=self._durables.names)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(lasting(relay.run()))
                if any(each.answer is not None for each in self._service.subscriptions):
                    courier = Courier(database, self._service.settings, self._peers, self._spans)
                    database.on_handoff(courier.wake)
                    tasks.create_task(lasting(courier.run()))
                tasks.create_task(lasting(self._watch_broker()))
                tasks.create_task(lasting(self._beat()))
                tasks.create_task(lasting(self._measure(database)))
                tasks.create_task(lasting(upkeep.keep_partitions(database)))
                tasks.create_task(lasting(upkeep.take_parked(database, self._inlets)))
                turns = asyncio.Semaphore(upkeep.SWEEPING_MAX)
                for sweep in (*upkeep.SWEEPS, *self._service.sweeps):
                    work = upkeep.keep_sweeping(
                        database, sweep, lambda: self._is_abreast, turns, self._spans
                    )
                    tasks.create_task(lasting(work), name=sweep.name)
        finally:
            await self._broker.stop()
            await database.close()
            log.info("service.stopped")

    async def _wait_for_database(self, database: Database) -> None:
        wait = Wait()
        while goes_on():
            try:
                await database.open(partial(upkeep.prepare, migrations_of(self._service.name)))
            except NOT_YET as error:
                wait.warning("database.waits", cause=type(error).__name__)
                await asyncio.sleep(RETRY_S)
            else:
                wait.over()
                return

    async def _wait_for_consumers(self) -> None:
        wait = Wait()
        while goes_on():
            self._end_if_closed()
            try:
                await self._look_at_durables()
            except NOT_YET as error:
                wait.warning("broker.waits", cause=type(error).__name__)
                await asyncio.sleep(RETRY_S)
            else:
                wait.over()
                return

    async def _watch_broker(self) -> None:
        wait = Wait()
        while goes_on():
            self._end_if_closed()
            try:
                self._peers.expect(await self._broker.peers())
                await asyncio.sleep(WATCH_S if self._is_abreast else ABREAST_S)
                await self._look_at_durables()
                wait.over()
            except DurableMissing as error:
                if not self._gate_is_open:  # a lost log is being made anew, its durables with it
                    wait.warning("broker.waits", cause=type(error).__name__)
                    continue
                log.critical("consumer.missing", durable=str(error))
                raise RuntimeError("a durable consumer is missing") from error
            except DurableDiffers as error:
                log.critical("consumer.differs", difference=str(error))
                raise RuntimeError("a durable consumer is not the one agreed") from error
            except OUTAGES:
                await asyncio.sleep(WATCH_S)

    async def _look_at_durables(self) -> None:
        """Check them; nothing that waits means that everything said so far was heard.

        Once is enough for a connection: over it what is said next comes at once. Until the gate is
        open it may be said and not be in the streams: a lost log is being put back, or it waits in
        other services' outboxes.
        """
        breaks, was_open = self._breaks, self._gate_is_open
        waiting = await self._durables.check()
        if waiting == 0 and was_open and breaks == self._breaks:
            self._is_abreast = True

    def _end_if_closed(self) -> None:
        if self._broker.closed:
            log.critical("broker.closed")
            raise RuntimeError("the connection to NATS ended for good")

    async def _beat(self) -> None:
        """Last value only, over the connection itself: no outbox, no inbox."""
        subject = BEAT_SUBJECT.format(region=self._service.settings.region)
        while goes_on():
            if self._broker.connected:
                with suppress(*OUTAGES):
                    await self._broker.client.publish(subject, self._service.name.encode())
            await asyncio.sleep(BEAT_S)

    async def _hear(self, message: Msg) -> None:
        self._peers.heard(message.subject, message.data)

    async def _hear_report(self, message: Msg) -> None:
        self._peers.reported(message.subject, message.data)

    async def _measure(self, database: Database) -> None:
        """Bring the numbers up to date that are not counted where they arise."""
        numbers = self._numbers
        wait = Wait()
        while numbers is not None and goes_on():
            self._measure_peers(numbers)
            try:
                async with database.read() as conn:
                    self._peers.set_standings(await standings.known(conn))
                    waiting = await outbox.backlog(conn)
                    numbers.set_letters(await inbox.open_letters(conn))
                    unanswered = await handoff.waiting(conn)
                    await self._levels.measure(conn)
            except TRANSIENT as error:
                self._say_database_is(up=False)
                wait.warning("database.waits", cause=type(error).__name__)
            else:
                self._say_database_is(up=True)
                wait.over()
                numbers.set_handoffs(unanswered)
                self._peers.handed_over(unanswered)
                numbers.outbox_rows.set(waiting.rows)
                numbers.outbox_age_s.set(waiting.age_s)
            await asyncio.sleep(MEASURE_S)

    def _say_database_is(self, *, up: bool) -> None:
        if self._numbers is not None:
            self._numbers.database_up.set(up)

    def _measure_peers(self, numbers: MessageNumbers) -> None:
        """Say how peers are; what has become wrong, or right again, is logged once."""
        peers = self._peers
        late_s_max = self._service.settings.peer_late_s_max
        before, self._troubles = self._troubles, peers.troubles(late_s_max)
        numbers.set_peers(peers, self._troubles)
        for peer, trouble in self._troubles.items():
            if trouble != before.get(peer):
                _log_trouble(peer, trouble, late_s_max)

    def _count_pending(self, durable: str, events: int) -> None:
        if self._numbers is not None:
            self._numbers.consumer_pending.labels(durable).set(events)

    @property
    def _gate_is_open(self) -> bool:
        return self._relay is not None and self._relay.is_open

    async def _on_disconnect(self) -> None:
        self._breaks += 1
        self._is_abreast = False
        if self._relay is not None:
            self._relay.close_gate()

    async def _on_reconnect(self) -> None:
        log.warning("broker.reconnected")

    async def check_database(self) -> None:
        """Raise unless the database answers."""
        if self._service.database is not None:
            async with self._service.database.read() as conn:
                await conn.fetchval("SELECT 1")

    def check_broker(self) -> None:
        """Raise unless the broker answers and the gate is open."""
        if self._service.database is None:
            return
        if not self._broker.connected:
            raise ConnectionError("no connection to NATS")
        if not self._gate_is_open:
            raise ConnectionError("the region's gate is closed")

    async def check_consumers(self) -> None:
        """Raise `LookupError` for a durable that is not there, or not as agreed."""
        await self._durables.check()

    async def check_outbox(self) -> None:
        """Raise when events wait for long."""
        if self._service.database is None:
            return
        async with self._service.database.read() as conn:
            waiting = await outbox.backlog(conn)
        if waiting.age_s > OUTBOX_AGE_S_MAX:
            raise TimeoutError(f"the oldest unsent event waits for {waiting.age_s:.0f} s")


def bound_by(name: str, settings: ServiceSettings) -> dict[str, str]:
    """What every line of a service says of who wrote it."""
    return {"service": name, **({"instance": settings.instance} if settings.instance else {})}


def _log_trouble(peer: str, trouble: Trouble | None, late_s_max: float) -> None:
    if trouble == "dark":
        log.warning("peer.dark", peer=peer, late_s_max=late_s_max)
    elif trouble == "behind":
        log.warning("peer.behind", peer=peer, late_s_max=late_s_max)
    elif trouble == "unanswered":
        log.warning("peer.unanswered", peer=peer, late_s_max=late_s_max)
    else:
        log.info("peer.fine", peer=peer)
