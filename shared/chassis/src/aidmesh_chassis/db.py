"""The service's database: a bounded pool, and transactions that carry their events along."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, cast
from uuid import UUID

import asyncpg

from aidmesh_chassis import handoff, outbox
from aidmesh_chassis.logs import Deferred
from aidmesh_chassis.pace import Pace
from aidmesh_contracts.base import Event

if TYPE_CHECKING:
    from aidmesh_chassis.envelope import Received

ACQUIRE_S_MAX = 10.0


class Flushed(NamedTuple):
    """What a transaction will send once it commits."""

    events: int
    handoffs: int


def _sleep_on() -> None:
    """Nobody sends anything yet."""


async def _nothing(_: asyncpg.Connection) -> None:
    """What is done before the pool is used, where nothing has to be."""


class Commits:
    """How many transactions were committed by whoever set this as `COMMITS`."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


COMMITS: ContextVar[Commits | None] = ContextVar("COMMITS", default=None)
"""Counts the commits of this task: what committed nothing can be run again."""


class Tx:
    """One transaction: a connection, the database's clock, and what follows from its commit.

    That is the events that it will publish, and the lines of `log`.
    """

    def __init__(self, conn: asyncpg.Connection, now: datetime, origin: outbox.Origin) -> None:
        self.conn = conn
        self.now = now
        self.origin = origin
        self._events: list[outbox.Row] = []
        self._handoffs: list[tuple[str, outbox.Row, bool]] = []
        self.log = Deferred()

    @property
    def region(self) -> str:
        """Whose database this is."""
        return self.origin.region

    def emit(
        self,
        event: Event,
        *,
        cause: "Received[Event] | None" = None,
        version: int | None = None,
    ) -> None:
        """Publish `event` if, and only if, this transaction commits.

        Args:
            event: what happened.
            cause: the message this follows from; its correlation id is carried on.
            version: the aggregate's version, on state events.
        """
        self._events.append(
            outbox.row_of(event, self.origin, self.now, cause=cause, version=version)
        )

    def hand_over(
        self,
        event: Event,
        to_region: str,
        *,
        awaits_answer: bool = True,
        cause: "Received[Event] | None" = None,
        event_id: UUID | None = None,
    ) -> None:
        """Send a HANDOFF event to one other region if this transaction commits.

        Args:
            event: what it is told; anything personal in it is sealed to that region.
            to_region: any but the own one.
            awaits_answer: False for an answer itself.
            cause: as of `emit`.
            event_id: given where a retry must find the same id, else a new time-ordered one.

        Raises:
            ValueError: it is for the own region: no stream would ever answer.
        """
        if to_region == self.origin.region:
            raise ValueError("nothing is handed over within a region")
        row = outbox.row_of(
            event,
            self.origin,
            self.now,
            cause=cause,
            event_id=event_id,
            version=None,
            to_region=to_region,
        )
        self._handoffs.append((to_region, row, awaits_answer))

    async def flush(self) -> Flushed:
        """Write the collected events and handoffs; returns how many there were."""
        flushed = Flushed(len(self._events), len(self._handoffs))
        if self._events:
            await outbox.insert(self.conn, self._events)
            self._events.clear()
        if self._handoffs:
            await handoff.insert(self.conn, self._handoffs)
            self._handoffs.clear()
        return flushed


class Database:
    """A pool of connections to the one database that this service owns.

    Args:
        dsn: `postgresql://role:password@host:port/name`.
        origin: who writes events here: region, service and epoch.
        pool_max: connections at most.
        pooler: True where a transaction-mode pooler stands in between: then nothing is kept in
            the session (no prepared statements, no settings), and every transaction sets its own
            bounds.
        statement_s_max: a statement that runs longer is ended by the server.
        password_file: passwords, one a line, of which any may be the right one by now; in place of
            that in `dsn`. Connections are made anew when it has changed.
    """

    def __init__(
        self,
        dsn: str,
        origin: outbox.Origin,
        *,
        pool_max: int = 10,
        pooler: bool = False,
        statement_s_max: float = 30.0,
        password_file: Path | None = None,
    ) -> None:
        self._dsn = dsn
        self._password_file = password_file
        self._passwords_of = _stamp_of(password_file)
        self.origin = origin
        self._pool_max = pool_max
        self._pooler = pooler
        self._statement_s_max = statement_s_max
        self._bounds = {
            "statement_timeout": str(int(statement_s_max * 1000)),
            "idle_in_transaction_session_timeout": "60000",
            "lock_timeout": "10000",
            # Whoever stands still while rows are sent to it, or is gone without a word, is given
            # up like one that stands still in a transaction.
            "tcp_user_timeout": "60000",
            # Statements are planned once and kept, often while a table is still small (decision
            # 0097): reading all of it must not look cheap.
            "enable_seqscan": "off",
        }
        self._pool: asyncpg.Pool | None = None
        self.pace = Pace()
        self._wake_relay: Callable[[], None] = _sleep_on
        self._wake_courier: Callable[[], None] = _sleep_on

    async def open(
        self, prepare: Callable[[asyncpg.Connection], Awaitable[None]] = _nothing
    ) -> None:
        """Open the pool.

        Args:
            prepare: what must be done before anybody may use it; if it raises, nobody can.

        Raises:
            OSError, asyncpg.PostgresError: the server can't be reached, or refuses.
        """
        name = {"application_name": f"aidmesh-{self.origin.service}"}
        pool = await asyncpg.create_pool(
            self._dsn,
            connect=partial(connect, self._password_file),
            min_size=1,
            max_size=self._pool_max,
            timeout=5.0,
            command_timeout=self._statement_s_max + 5.0,
            statement_cache_size=0 if self._pooler else 200,
            server_settings={} if self._pooler else name | self._bounds,
            # Nothing is ever left in a session, so nothing has to be reset: a round trip saved.
            reset=_keep_as_it_is,
        )
        try:
            async with pool.acquire(timeout=ACQUIRE_S_MAX) as proxy:
                await prepare(cast("asyncpg.Connection", proxy))
        except BaseException:
            # Also when it is cancelled: whoever called knows of no pool that they could close.
            pool.terminate()
            raise
        self._pool = pool

    async def close(self) -> None:
        """Close the pool; connections still busy after 5 s are cut."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        try:
            async with asyncio.timeout(5.0):
                await pool.close()
        except TimeoutError:
            pool.terminate()

    def on_commit(self, wake: Callable[[], None]) -> None:
        """Call `wake` after every commit that wrote events."""
        self._wake_relay = wake

    def on_handoff(self, wake: Callable[[], None]) -> None:
        """Call `wake` after every commit that handed something over."""
        self._wake_courier = wake

    @property
    def pool(self) -> asyncpg.Pool:
        """The open pool.

        Raises:
            ConnectionError: it is not open; handled like any other outage.
        """
        if self._pool is None or self._pool.is_closing():
            raise ConnectionError("the database pool is not open")
        return self._pool

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection outside any transaction, for those who keep their own.

        Nothing is asked outside of one: behind a pooler it would have no bounds, and the next
        question may reach another server.
        """
        pool = self.pool
        await self._follow_passwords(pool)
        try:
            proxy = await pool.acquire(timeout=ACQUIRE_S_MAX)
        except (FileNotFoundError, PermissionError) as error:
            # The socket of a server on this machine that is not up: no fault of the caller's.
            raise ConnectionRefusedError("the database's socket is not there") from error
        # The pool's proxy forwards everything, so callers need to know one type only.
        conn = cast("asyncpg.Connection", proxy)
        try:
            yield conn
        except asyncpg.InterfaceError as error:
            # The same class means misuse and a connection that broke under a transaction.
            if _is_gone(conn):
                raise ConnectionResetError("the database connection broke") from error
            raise
        finally:
            await pool.release(proxy)

    async def _follow_passwords(self, pool: asyncpg.Pool) -> None:
        """Use no connection any more that was made with passwords of before."""
        stamp = _stamp_of(self._password_file)
        if stamp != self._passwords_of:
            self._passwords_of = stamp
            await pool.expire_connections()

    @asynccontextmanager
    async def transaction(self, *, looks: bool = False) -> AsyncIterator[Tx]:
        """Begin, yield, write the events, commit; then wake those who send them, and log.

        Args:
            looks: it looks whether there is anything to do, which does not make a service busy.
        """
        async with self.connection() as conn:
            async with self.begun(conn):
                tx = Tx(conn, await self._now(conn), self.origin)
                yield tx
                flushed = await tx.flush()
            if (commits := COMMITS.get()) is not None:
                commits.count += 1
            if not looks:
                self.pace.worked()
            if flushed.events:
                self._wake_relay()
            if flushed.handoffs:
                self._wake_courier()
            tx.log.write()

    async def _now(self, conn: asyncpg.Connection) -> datetime:
        """When this transaction began. The region's epoch is followed, as far as it is known here.

        A service that was just started has to know it before the gate can tell: what it wrote with
        an epoch that is over, others would set aside.
        """
        row = await conn.fetchrow(
            "SELECT now() AS at, (SELECT epoch FROM region_epoch WHERE region = $1) AS epoch",
            self.origin.region,
        )
        assert row is not None  # noqa: S101 - one row, whatever the tables hold
        self.origin.epoch = max(self.origin.epoch, row["epoch"] or self.origin.epoch)
        now: datetime = row["at"]
        return now

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[asyncpg.Connection]:
        """A transaction that publishes nothing."""
        async with self.connection() as conn, self.begun(conn):
            yield conn

    @asynccontextmanager
    async def read(self, *, at_one_moment: bool = False) -> AsyncIterator[asyncpg.Connection]:
        """A connection for queries only.

        Args:
            at_one_moment: all of them see the database as it was at the first.
        """
        async with (
            self.connection() as conn,
            self.begun(conn, at_one_moment=at_one_moment, readonly=True),
        ):
            yield conn

    @asynccontextmanager
    async def begun(
        self,
        conn: asyncpg.Connection,
        *,
        at_one_moment: bool = False,
        readonly: bool = False,
    ) -> AsyncIterator[None]:
        """A transaction on a connection; bounded, whoever is in between."""
        isolation: Literal["repeatable_read"] | None = "repeatable_read" if at_one_moment else None
        async with conn.transaction(isolation=isolation, readonly=readonly):
            if self._pooler:
                bounds = (f"SET LOCAL {name} = {value}" for name, value in self._bounds.items())
                await conn.execute("; ".join(bounds))
            yield


_CONNECT = cast("Callable[..., Awaitable[asyncpg.Connection]]", asyncpg.connect)


async def connect(password_file: Path | None, *given: object, **more: object) -> asyncpg.Connection:
    """A connection as asyncpg makes it, with whichever password of a file is the right one by now.

    Args:
        password_file: passwords, one a line; None, or not there: what the URL says.
        given, more: for asyncpg.

    Raises:
        asyncpg.InvalidPasswordError: none of them is.
    """
    refused: asyncpg.InvalidPasswordError | None = None
    for _ in range(2):  # they may be replaced between reading them and connecting
        for password in _passwords_in(password_file):
            try:
                return await _CONNECT(*given, **more, **password)
            except asyncpg.InvalidPasswordError as error:
                refused = error
    assert refused is not None  # noqa: S101 - there is always one to try
    raise refused


def _passwords_in(path: Path | None) -> list[dict[str, str]]:
    """What is to be tried, as asyncpg takes it."""
    try:
        lines = [] if path is None else path.read_text(encoding="ascii").split()
    except FileNotFoundError:
        lines = []
    return [{"password": each} for each in lines] or [{}]


def _stamp_of(path: Path | None) -> tuple[int, int] | None:
    """Another one whenever a file was replaced."""
    try:
        found = None if path is None else path.stat()
    except OSError:
        return None
    return None if found is None else (found.st_mtime_ns, found.st_ino)


def _is_gone(conn: asyncpg.Connection) -> bool:
    """Whether a connection broke; one that the pool has taken back already says no more."""
    try:
        return conn.is_closed()
    except asyncpg.InterfaceError:
        return True


async def clock(conn: asyncpg.Connection) -> datetime:
    """The database's clock, as of when this transaction began."""
    now: datetime = await conn.fetchval("SELECT now()")
    return now


async def _keep_as_it_is(_: asyncpg.Connection) -> None:
    """What the pool does to a connection that comes back."""
