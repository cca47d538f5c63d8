"""Connections to the servers of a region that `mesh.json` describes, wherever they run."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import asyncpg
import nats.errors
from nats.aio.client import Client

from aidmesh.credentials import seed_file
from aidmesh.meshfile import AwayError, RegionEntry
from aidmesh.topology.warden import connect_as

CONNECT_SECONDS_MAX = 10
CLOSE_SECONDS_MAX = 5.0
SEE = "; aidmesh doctor says why"


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
