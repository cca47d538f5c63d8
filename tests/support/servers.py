"""Real servers for tests."""

import asyncio
import contextlib
import secrets
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from uuid import uuid4

import asyncpg
import nats
from nats.aio.client import Client

from aidmesh.credentials import create_credentials, create_keys, seed_file
from aidmesh.embedded.nats import NatsServer
from aidmesh.embedded.ports import free_ports
from aidmesh.embedded.postgres import NOT_DURABLE, PostgresServer
from aidmesh.topology.config import render
from aidmesh.topology.rights import SUPERVISOR, SYSTEM
from aidmesh.topology.serving import PeerEnd, Ports, Served, Setup, read_setup
from aidmesh.topology.warden import Warden
from aidmesh_chassis.migrating import migrate
from support.waiting import eventually

ROOT = Path(__file__).parents[2]
KeysOf = Callable[[str], Path]
DatabaseFactory = Callable[[str], Awaitable[str]]
SERVICE_PASSWORD = "service"  # one machine, one test


def keys_in(folder: Path) -> KeysOf:
    """Gives the folder of keys of a region, below that one; made when it is asked for."""

    def keys_of(region: str) -> Path:
        create_keys(folder / region)
        return folder / region

    return keys_of


def new_postgres(folder: Path) -> PostgresServer:
    """A server that is not started yet; it forgets a power cut's worth of data for speed."""
    (port,) = free_ports(1)
    return PostgresServer(folder, port, secrets.token_urlsafe(24), settings=NOT_DURABLE)


class Databases:
    """Fresh databases, cloned from a template that is migrated once per server."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._admin = Admin(server)
        self._templates: set[str] = set()
        self._made: list[str] = []

    async def create(self, service: str) -> str:
        """The DSN of a new database of a service, as the role that owns it."""
        role, template = f"{service}_role", f"{service}_template"
        if service not in self._templates:
            await self._admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{SERVICE_PASSWORD}'")
            await self._admin.execute(f"CREATE DATABASE {template} OWNER {role}")
            migrations = ROOT / f"services/{service}/src/aidmesh_{service}/migrations"
            await migrate(self._dsn(template, role), [migrations] if migrations.is_dir() else [])
            self._templates.add(service)
        name = f"{service}_{uuid4().hex[:12]}"
        # Copying files is several times as fast as writing the same into the log.
        await self._admin.execute(
            f"CREATE DATABASE {name} TEMPLATE {template} OWNER {role} STRATEGY file_copy"
        )
        self._made.append(name)
        return self._dsn(name, role)

    async def drop(self) -> None:
        """Drop what was created, cutting connections that are still open."""
        if not self._server.alive:
            self._made.clear()
        while self._made:
            await self._admin.execute(f"DROP DATABASE IF EXISTS {self._made.pop()} WITH (FORCE)")

    def close(self) -> None:
        """Make and drop no more."""
        self._admin.close()

    def _dsn(self, database: str, role: str) -> str:
        return self._server.dsn(database, role, SERVICE_PASSWORD)


class Admin:
    """A superuser's connection that outlives the event loops of tests.

    To connect costs a fifth of what it costs to make a database. A server that was killed and
    started again gets a new connection.
    """

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._server_pid = 0
        self._conn: asyncpg.Connection | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="admin", daemon=True)
        self._thread.start()

    async def execute(self, statement: str) -> None:
        """Run a statement, outside of any transaction."""
        running = asyncio.run_coroutine_threadsafe(self._execute(statement), self._loop)
        await asyncio.wrap_future(running)

    def close(self) -> None:
        """Close the connection."""
        asyncio.run_coroutine_threadsafe(self._disconnect(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _execute(self, statement: str) -> None:
        if self._conn is None or self._conn.is_closed() or self._server_pid != self._server.pid:
            await self._disconnect()
            self._conn = await asyncpg.connect(self._server.dsn("postgres"))
            self._server_pid = self._server.pid
        await self._conn.execute(statement)

    async def _disconnect(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None and not conn.is_closed():
            if self._server_pid == self._server.pid and self._server.alive:
                await conn.close()
            else:
                conn.terminate()


class NatsRegion:
    """A region's real NATS server with its streams, durables, gate and link watcher.

    `url` is the server's; services connect with `seed_file(<service>)` and inbox prefix
    `_INBOX_<service>`. `kill`, `stop` and `start` act on the server alone: the gate closes and
    opens again by itself. `keys` is its folder of keys, made where it is missing. Not `durable`
    it flushes now and then only, for speed.
    """

    def __init__(
        self,
        folder: Path,
        region: str = "kyiv",
        *,
        peers: Mapping[str, PeerEnd] | None = None,
        leaf_port: int | None = None,
        outbox_dsns: Sequence[str] = (),
        epoch: int = 1,
        keys: Path | None = None,
        durable: bool = False,
    ) -> None:
        client_port, monitor_port = free_ports(2)
        ports = Ports(client_port, monitor_port, leaf_port)
        self.keys = folder / "keys" / region if keys is None else keys
        create_credentials(self.keys)

        def read() -> Setup:
            return read_setup(
                region,
                self.keys,
                folder / "nats",
                ports,
                peers or {},
                log_file=folder / "nats.log",
                durable=durable,
            )

        setup = read()
        self.folder = folder
        self.region = region
        self.url = f"nats://127.0.0.1:{client_port}"
        self.server = NatsServer(
            folder / "nats",
            render(setup.config),
            tuple(port for port in (client_port, monitor_port, leaf_port) if port is not None),
            monitor_port,
            files=setup.files,
        )
        self.served = Served(self.server, setup, read)
        self.warden = Warden(
            region=region,
            peers=sorted(peers or {}),
            url=self.url,
            seed_file=self.seed_file(SUPERVISOR),
            monitors={("127.0.0.1", monitor_port): self.served.redialer()},
            epoch=epoch,
            outbox_dsns=outbox_dsns,
            system_seed_file=self.seed_file(SYSTEM),
        )
        self._task: asyncio.Task[None] | None = None

    def seed_file(self, user: str) -> Path:
        """Where the seed of a user's nkey lies."""
        return seed_file(self.keys, user)

    def start(self) -> None:
        """Start the server."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.server.start()

    def stop(self) -> None:
        """Stop the server in order."""
        self.server.stop()

    def kill(self) -> None:
        """SIGKILL the server."""
        self.server.kill()

    async def open(self, deadline_s: float = 20.0) -> None:
        """Let the warden provision; done when the gate is open."""
        if self._task is None:
            self._task = asyncio.create_task(self.warden.run())
        await eventually(lambda: self.warden.gate.is_open, deadline_s)

    async def close(self) -> None:
        """Stop warden and server."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        await asyncio.to_thread(self.server.stop)

    async def admin(self) -> Client:
        """A new connection that may do everything; close it."""
        return await nats.connect(
            self.url, nkeys_seed=str(self.seed_file(SUPERVISOR)), allow_reconnect=False
        )

    async def connect(self, service: str) -> Client:
        """A new connection with a service's rights; close it."""
        return await nats.connect(
            self.url,
            nkeys_seed=str(self.seed_file(service)),
            inbox_prefix=f"_INBOX_{service}".encode(),
            max_reconnect_attempts=-1,
        )
