"""A running service: wait for what is missing, serve, stop within a bound.

`serve` runs one service or all of a region in one process: each has its own pool, its own
broker connection and its own port; they share nothing but the event loop.
"""

import asyncio
import gc
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import structlog
import uvicorn
import uvloop
from fastapi import FastAPI
from nats.js.errors import NotFoundError

from aidmesh_chassis import ending, inbox, logs, outbox
from aidmesh_chassis.broker import Broker
from aidmesh_chassis.consuming import Inlet, Subscription
from aidmesh_chassis.db import (
    Database,
    Tx,
    ensure_partitions,
    is_migrated,
    migrate,
    migrations_of,
)
from aidmesh_chassis.ending import goes_on
from aidmesh_chassis.errors import OUTAGES
from aidmesh_chassis.relay import Relay
from aidmesh_chassis.settings import ServiceSettings
from aidmesh_contracts.documents import asyncapi
from aidmesh_contracts.streams import BEAT_SUBJECT

log = logs.get_logger()

WATCH_S = 5.0
BEAT_S = 2.0
RETRY_S = 1.0
OUTBOX_AGE_S_MAX = 60.0
PARTITIONS_S = 6 * 3600.0

NOT_YET: tuple[type[BaseException], ...] = (*OUTAGES, asyncpg.PostgresError, LookupError)
"""While starting: the server, the role, the tables or the consumers are not there yet."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """Work that time brings about, such as holds that ran out.

    Attributes:
        every_s: pause after a sweep that found less than `limit`.
        run: does at most `limit` rows in one transaction, returns how many.
    """

    name: str
    every_s: float
    run: Callable[[Tx], Awaitable[int]]
    limit: int = 500


async def _blank_private(tx: Tx) -> int:
    limit = BLANK_PRIVATE.limit
    published = await outbox.blank_private(tx.conn, limit)
    letters = await inbox.blank_settled_letters(tx.conn, outbox.PRIVATE_KEPT_DAYS, limit)
    return max(published, letters)


BLANK_PRIVATE = Sweep("blank_private", 3600.0, _blank_private, limit=1000)
"""Of every service: sealed personal data stays neither in the history nor in letters."""


class Health:
    """What `/readyz` asks. Made before the app, filled in by the running service."""

    def __init__(self) -> None:
        self._running: _Running | None = None

    def attach(self, running: "_Running") -> None:
        """Answer for this running service from now on."""
        self._running = running

    @property
    def checks(self) -> Mapping[str, Callable[[], Awaitable[object]]]:
        """Checks by name; each raises when something is wrong."""
        return {
            "database": self._database,
            "broker": self._broker,
            "consumers": self._consumers,
            "outbox": self._outbox,
        }

    def _get(self) -> "_Running":
        if self._running is None:
            raise ConnectionError("still starting")
        return self._running

    async def _database(self) -> None:
        await self._get().check_database()

    async def _broker(self) -> None:
        self._get().check_broker()

    async def _consumers(self) -> None:
        await self._get().check_consumers()

    async def _outbox(self) -> None:
        await self._get().check_outbox()


@dataclass(slots=True)
class Service:
    """One service, put together by its `app.build()`.

    Attributes:
        database: None for one that holds no truth.
        subscriptions: at most one per stream; they match the contracts.
        tasks: further work for as long as the service runs, by name.
    """

    name: str
    settings: ServiceSettings
    database: Database | None
    app: FastAPI
    health: Health
    subscriptions: Sequence[Subscription] = ()
    sweeps: Sequence[Sweep] = ()
    tasks: Mapping[str, Callable[[], Coroutine[None, None, None]]] = field(default_factory=dict)


def open_database(name: str, settings: ServiceSettings) -> Database:
    """Return the (still closed) database of a service.

    Raises:
        ValueError: its settings name none.
    """
    if settings.database_url is None:
        raise ValueError(f"AIDMESH_{name.upper()}_DATABASE_URL is not set")
    return Database(
        settings.database_url.get_secret_value(),
        outbox.Origin(settings.region, name),
        pool_max=settings.pool_max,
        pooler=settings.pooler,
    )


class _Running:
    """The moving parts of one service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._relay: Relay | None = None
        self._broker = Broker(service.settings, service.name, self._on_reconnect)
        self._durables: dict[str, str] = {}
        self._inlets: list[Inlet] = []
        if service.database is not None:
            for subscription in service.subscriptions:
                consumer = subscription.consumer_of(service.name)
                inlet = Inlet(service.database, consumer.durable, subscription.handlers)
                self._broker.subscribe(consumer, inlet, subscription.linger_s)
                self._durables[consumer.durable] = consumer.stream.value
                self._inlets.append(inlet)
        service.health.attach(self)
        service.app.add_api_route(
            "/asyncapi.json", lambda: asyncapi(service.name), include_in_schema=False
        )

    async def run(self) -> None:
        """Run until cancelled.

        Raises:
            RuntimeError: a durable consumer vanished; the supervisor starts the service anew.
        """
        structlog.contextvars.bind_contextvars(service=self._service.name)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._serve_http())
            for name, task in self._service.tasks.items():
                tasks.create_task(task(), name=name)
            if self._service.database is not None:
                tasks.create_task(self._work(self._service.database))

    async def _work(self, database: Database) -> None:
        await self._wait_for_database(database)
        client = await self._broker.connect()
        relay = self._relay = Relay(database, client)
        database.on_commit(relay.wake)
        try:
            await self._wait_for_consumers()
            await self._broker.start()
            ending.check()
            log.info("service.started", durables=sorted(self._durables))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(relay.run())
                tasks.create_task(self._watch_consumers())
                tasks.create_task(self._beat())
                tasks.create_task(self._keep_partitions(database))
                tasks.create_task(self._take_parked())
                tasks.create_task(self._sweep(database, BLANK_PRIVATE), name=BLANK_PRIVATE.name)
                for sweep in self._service.sweeps:
                    tasks.create_task(self._sweep(database, sweep), name=sweep.name)
        finally:
            await self._broker.stop()
            await database.close()
            log.info("service.stopped")

    async def _serve_http(self) -> None:
        settings = self._service.settings
        server = _Server(
            uvicorn.Config(
                self._service.app,
                host=settings.http_host,
                port=settings.http_port,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=30,
                timeout_graceful_shutdown=5,
                lifespan="on",
            )
        )
        serving = asyncio.create_task(server.serve())
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            server.should_exit = True
            await serving  # bounded by timeout_graceful_shutdown
            raise

    async def _wait_for_database(self, database: Database) -> None:
        while goes_on():
            try:
                await database.open()
                async with database.connection() as conn:
                    # All of it: between two migrations there are tables that others need.
                    if await is_migrated(conn, migrations_of(self._service.name)):
                        await ensure_partitions(conn)
                        return
                log.warning("database.waits", cause="not_migrated")
            except NOT_YET as error:
                log.warning("database.waits", cause=type(error).__name__)
            await database.close()
            await asyncio.sleep(RETRY_S)

    async def _wait_for_consumers(self) -> None:
        while goes_on():
            try:
                await self.check_consumers()
            except NOT_YET as error:
                log.warning("broker.waits", cause=type(error).__name__)
                await asyncio.sleep(RETRY_S)
            else:
                return

    async def _watch_consumers(self) -> None:
        """A durable that vanished makes a puller spin in silence, so look for them."""
        while goes_on():
            await asyncio.sleep(WATCH_S)
            try:
                await self.check_consumers()
            except LookupError as error:
                log.critical("consumer.missing", durable=str(error))
                raise RuntimeError("a durable consumer is missing") from error
            except OUTAGES:
                continue

    async def _beat(self) -> None:
        """Last value only, over the connection itself: no outbox, no inbox."""
        region = self._service.settings.region
        subject = f"{BEAT_SUBJECT.format(region=region)}"
        while goes_on():
            if self._broker.connected:
                await self._broker.client.publish(subject, self._service.name.encode())
            await asyncio.sleep(BEAT_S)

    async def _keep_partitions(self, database: Database) -> None:
        while goes_on():
            try:
                async with database.connection() as conn:
                    await ensure_partitions(conn)
            except OUTAGES as error:
                log.warning("database.waits", cause=type(error).__name__)
                await asyncio.sleep(RETRY_S)
            else:
                await asyncio.sleep(PARTITIONS_S)

    async def _take_parked(self) -> None:
        while goes_on():
            await asyncio.sleep(WATCH_S)
            try:
                for inlet in self._inlets:
                    await inlet.take_parked()
            except OUTAGES as error:
                log.warning("database.waits", cause=type(error).__name__)

    async def _sweep(self, database: Database, sweep: Sweep) -> None:
        while goes_on():
            try:
                async with database.transaction() as tx:
                    done = await sweep.run(tx)
            except OUTAGES as error:
                log.warning("sweep.waits", sweep=sweep.name, cause=type(error).__name__)
                done = 0
            except Exception:
                log.exception("sweep.failed", sweep=sweep.name)
                done = 0
            if done < sweep.limit:
                await asyncio.sleep(sweep.every_s)

    async def _on_reconnect(self) -> None:
        log.warning("broker.reconnected")
        if self._relay is not None:
            self._relay.close_gate()

    async def check_database(self) -> None:
        """Raise unless the database answers."""
        if self._service.database is not None:
            async with self._service.database.connection() as conn:
                await conn.fetchval("SELECT 1")

    def check_broker(self) -> None:
        """Raise unless the broker answers and the gate is open."""
        if self._service.database is None:
            return
        if not self._broker.connected:
            raise ConnectionError("no connection to NATS")
        if self._relay is None or not self._relay.is_open:
            raise ConnectionError("the region's gate is closed")

    async def check_consumers(self) -> None:
        """Raise `LookupError` for a durable that is not there."""
        manager = self._broker.client.jsm(timeout=2.0) if self._durables else None
        for durable, stream in self._durables.items():
            if manager is not None:
                try:
                    await manager.consumer_info(stream, durable)
                except NotFoundError as error:
                    raise LookupError(durable) from error

    async def check_outbox(self) -> None:
        """Raise when events wait for long."""
        if self._service.database is None:
            return
        async with self._service.database.connection() as conn:
            age_s = await outbox.oldest_pending_s(conn)
        if age_s > OUTBOX_AGE_S_MAX:
            raise TimeoutError(f"the oldest unsent event waits for {age_s:.0f} s")


class _Server(uvicorn.Server):
    """uvicorn without signal handlers: `serve` has them for the whole process."""

    def capture_signals(self) -> "_NoSignals":  # type: ignore[override]
        return _NoSignals()


class _NoSignals:
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def _collect_rarely() -> None:
    """Let the garbage collector look at fewer objects, less often (decision 0016).

    A batch makes tens of thousands of objects that live until it is committed; the default of
    700 has the collector walk them again and again in vain.
    """
    gc.collect()
    gc.freeze()  # what was imported stays for good
    gc.set_threshold(50_000, 20, 50)


async def serve(services: Sequence[Service]) -> None:
    """Run services until SIGTERM or SIGINT.

    Raises:
        RuntimeError: one of them can't go on; the process should end and be started anew.
    """
    _collect_rarely()
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    running = [asyncio.create_task(_Running(service).run()) for service in services]
    waiter = asyncio.create_task(stop.wait())
    await asyncio.wait([*running, waiter], return_when=asyncio.FIRST_COMPLETED)
    for task in (*running, waiter):
        task.cancel()
    results = await asyncio.gather(*running, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseExceptionGroup):
            log.critical("service.failed", exc_info=result)
    if not stop.is_set():
        raise RuntimeError("a service ended by itself")


def main(name: str, build: Callable[[], Service], migrations: Path | None) -> None:
    """The command line of a service: `run` or `migrate`.

    Args:
        name: the service's name.
        build: its composition root.
        migrations: its folder of migrations, None where it has no database.
    """
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command == "migrate" and migrations is not None:
        service = build()
        logs.configure(name, service.settings.region, level=service.settings.log_level)
        url = service.settings.database_url
        if url is None:
            sys.exit(f"AIDMESH_{name.upper()}_DATABASE_URL is not set")
        asyncio.run(migrate(url.get_secret_value(), [migrations]))
    elif command == "run":
        service = build()
        logs.configure(name, service.settings.region, level=service.settings.log_level)
        run([service])
    else:
        sys.exit(f"usage: python -m aidmesh_{name} run{' | migrate' if migrations else ''}")


def run(services: Sequence[Service]) -> None:
    """Run services on the fastest event loop there is, until told to stop."""
    uvloop.run(serve(services))
