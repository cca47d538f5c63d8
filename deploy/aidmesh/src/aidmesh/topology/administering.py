"""Changing streams and durables over the server's system account.

In the region's own account the server does not do it for anybody: what it sends itself, to a reply
subject that somebody has made up, has every right there (decision 0094). Whoever has the key of
the system account names the region's account in a header.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

from nats.aio.client import Client as NatsClient

from aidmesh.topology.rights import SYSTEM
from aidmesh_chassis import ending
from aidmesh_chassis.client import Client

CONNECT_SECONDS_MAX = 5


def on_behalf(administrator: NatsClient) -> dict[str, str]:
    """The header that says whose streams are meant; a cluster places streams by its name."""
    cluster = administrator._server_info.get("cluster")  # noqa: SLF001  # nats-py shows it nowhere
    info = {"acc": "AID", **({} if cluster is None else {"cluster": cluster})}
    return {"Nats-Request-Info": json.dumps(info)}


@asynccontextmanager
async def administrator_of(supervisor: NatsClient) -> AsyncIterator[Client]:
    """A connection of the system account to a server that a supervisor is connected to.

    Its key lies beside the supervisor's.

    Raises OSError, TimeoutError or nats.errors.Error when no server answers.
    """
    seed = cast("str", supervisor._nkeys_seed)  # noqa: SLF001  # nats-py shows it nowhere else
    client = Client()
    await client.connect(
        [uri.geturl() for uri in supervisor.servers],
        nkeys_seed=str(Path(seed).with_name(f"{SYSTEM}.nk")),
        tls=supervisor.options.get("tls"),
        name="aidmesh-administrator",
        connect_timeout=CONNECT_SECONDS_MAX,
        allow_reconnect=False,
        max_reconnect_attempts=1,
        reconnect_time_wait=0,
        error_cb=_be_quiet,  # what matters is raised
    )
    try:
        yield client
    finally:
        await ending.close(client)


async def _be_quiet(_: Exception) -> None:
    return
