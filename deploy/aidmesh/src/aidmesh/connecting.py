"""Connections to the servers of a region that `mesh.json` describes, wherever they run."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import wraps
from typing import TypeVar, cast

import asyncpg
import nats.errors
from nats.aio.client import Client

from aidmesh.credentials import seed_file
from aidmesh.meshfile import AwayError, RegionEntry
from aidmesh.topology.connections import connect_as

CONNECT_SECONDS_MAX = 10
CLOSE_SECONDS_MAX = 5.0
CANCEL_SECONDS_MAX = 10.0
"""A server that lives breaks its statement off by itself; one that hangs is left."""
SEE = "; aidmesh doctor says why"
Ask = TypeVar("Ask", bound=Callable[..., Awaitable[object]])


async def connect(entry: RegionEntry, user: str) -> Client:
    """One connection, for a command that ends soon.

    Args:
        entry: whose servers.
        user: whose key to come with; the supervisor may do everything, the reader looks.

    Raises ConnectionError when no server answers, or none knows the key.
    """
    return await connect_as(entry.nats.url, seed_file(entry.keys, user), entry.nats.ca_file)


async def connect_database(
    region: str, dsn: str, *, answer_s_max: float | None = None
) -> asyncpg.Connection:
    """A connection to a service's database.

    Args:
        region: whose it is.
        dsn: where it is.
        answer_s_max: how long each statement may take; without a bound when None.

    Raises AwayError when the server does not answer.
    """
    with databases_of(region):
        conn: asyncpg.Connection = await asyncpg.connect(
            dsn, timeout=CONNECT_SECONDS_MAX, command_timeout=answer_s_max
        )
    return conn


@contextmanager
def database_of(region: str, service: str) -> Iterator[None]:
    """Say of a database that does not answer a question, or not in time, whose it is.

    Raises AwayError.
    """
    try:
        yield
    except (
        OSError,
        asyncpg.InterfaceError,
        asyncpg.OperatorInterventionError,
        asyncpg.PostgresConnectionError,
    ) as error:
        raise AwayError(f"the database of {service} in {region} did not answer{SEE}") from error


def _named(ask: Ask) -> Ask:
    @wraps(ask)
    async def asked(conn: "Asking", *args: object, **options: object) -> object:
        with database_of(conn.region, conn.service):
            return await ask(conn, *args, **options)

    return cast("Ask", asked)


class Asking(asyncpg.Connection):
    """A connection to the database of `service` in `region`, which says so where it is silent.

    Of many that are asked at a time it is known thus which one did not answer. What it is told to
    do, by `execute`, ends as anywhere else; questions raise AwayError.
    """

    region: str
    service: str
    fetch = _named(asyncpg.Connection.fetch)
    fetchrow = _named(asyncpg.Connection.fetchrow)
    fetchval = _named(asyncpg.Connection.fetchval)
    copy_from_query = _named(asyncpg.Connection.copy_from_query)


async def connect_asking(
    region: str, service: str, dsn: str, answer_s_max: float, settings: Mapping[str, str]
) -> Asking:
    """A connection for whoever looks from outside.

    Args:
        region: whose it is.
        service: whose database there.
        dsn: where it is.
        answer_s_max: seconds that each statement may take: then the server breaks it off, and
            where it does not, `CANCEL_SECONDS_MAX` later nobody waits for it any more.
        settings: of the server, for this connection.

    Raises AwayError when the server does not answer.
    """
    bound = {"statement_timeout": f"{answer_s_max * 1000:.0f}"}
    with databases_of(region):
        conn = await asyncpg.connect(
            dsn,
            timeout=CONNECT_SECONDS_MAX,
            command_timeout=answer_s_max + CANCEL_SECONDS_MAX,
            server_settings={**settings, **bound},
            connection_class=Asking,
        )
    conn.region, conn.service = region, service
    return conn


async def close_database(conn: asyncpg.Connection) -> None:
    """Close a connection to a database, which takes `CLOSE_SECONDS_MAX` at the most.

    A statement that was broken off is canceled first, and asyncpg waits for the server to say so:
    without an end if the server hangs. Then the connection is cut, and that is no error: what was
    found stands, and so does why it was broken off.
    """
    with suppress(TimeoutError):
        await conn.close(timeout=CLOSE_SECONDS_MAX)


@contextmanager
def databases_of(region: str) -> Iterator[None]:
    """Say of databases that do not answer whose they are. Raises AwayError."""
    try:
        yield
    except (
        OSError,
        asyncpg.CannotConnectNowError,
        asyncpg.PostgresConnectionError,
        asyncpg.TooManyConnectionsError,
    ) as error:
        raise AwayError(f"the databases of {region} do not answer{SEE}") from error


@contextmanager
def nats_of(region: str) -> Iterator[None]:
    """Say of NATS servers that do not answer whose they are. Raises AwayError."""
    try:
        yield
    except (OSError, nats.errors.Error) as error:
        raise AwayError(f"NATS of {region} does not answer{SEE}") from error
