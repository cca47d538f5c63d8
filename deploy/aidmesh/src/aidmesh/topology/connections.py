"""Connections to a region's server for whoever needs one for a while, and what a server is told."""

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from typing import cast

import asyncpg
import nats.errors

from aidmesh.topology.api import ApiError, Json
from aidmesh_chassis import ending
from aidmesh_chassis.client import Client
from aidmesh_chassis.nkey import tls_of

CONNECT_SECONDS_MAX = 5
RECONNECTS_MAX = 60
RECONNECT_S = 2
CLOSE_SECONDS_MAX = 1.0
OUTAGES = (
    OSError,
    TimeoutError,
    nats.errors.Error,
    ApiError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
)
"""What NATS or PostgreSQL is met with while it is away."""


async def connect_as(
    url: str, seed_file: Path, ca_file: Path | None = None, *, lasting: bool = False
) -> Client:
    """One connection of a user of the server, for a command that ends soon.

    Args:
        url: the server's; several separated by commas, one of which has to answer.
        seed_file: of the user's nkey; the supervisor may do everything, the reader looks.
        ca_file: what vouches for the servers' certificates; None for servers on this machine.
        lasting: connect anew when the server was away; for whoever looks for long.

    Raises ConnectionError when the server does not answer, or does not know the key.
    """
    client = Client()
    try:
        async with asyncio.timeout(CONNECT_SECONDS_MAX):
            await client.connect(
                url.split(","),
                nkeys_seed=str(seed_file),
                tls=tls_of(ca_file),
                name="aidmesh-topology",
                connect_timeout=CONNECT_SECONDS_MAX,
                allow_reconnect=lasting,
                max_reconnect_attempts=RECONNECTS_MAX if lasting else 1,
                reconnect_time_wait=RECONNECT_S if lasting else 0,
                error_cb=_be_quiet,  # what matters is raised
            )
    except (OSError, TimeoutError, nats.errors.Error) as error:
        with suppress(TimeoutError):  # after a certificate that was refused it never ends
            async with asyncio.timeout(CLOSE_SECONDS_MAX):
                await ending.close(client)
        raise ConnectionError(f"NATS does not answer at {url}; does the mesh run?") from error
    return client


async def tell_server(client: Client, server_id: str, what: str, body: bytes) -> Json:
    """Have a server do something to itself, such as KICK or RELOAD; returns what it answers.

    Raises TimeoutError or nats.errors.Error when it does not.

    Args:
        client: of the system account.
        server_id: as the server's monitor says.
        what: the last word of the request's subject.
        body: as JSON.
    """
    subject = f"$SYS.REQ.SERVER.{server_id}.{what}"
    reply = await client.request(subject, body, timeout=CONNECT_SECONDS_MAX)
    return cast("Json", json.loads(reply.data)) if reply.data else {}


async def _be_quiet(_: Exception) -> None:
    return
