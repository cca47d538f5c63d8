"""A server as it is handed to an operator takes encrypted connections, of whoever has a key."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from aidmesh.credentials import FOLDER, create_credentials, seed_file
from aidmesh.embedded.nats import NatsServer
from aidmesh.embedded.ports import free_ports
from aidmesh.fetching import get_json
from aidmesh.topology import cluster as clusters
from aidmesh.topology.api import Json
from aidmesh.topology.cluster import Cluster, lay_out, warden_of
from aidmesh.topology.connections import connect_as
from aidmesh.topology.rights import READER
from aidmesh.topology.serving import FILE_GIB_MAX, GIB
from aidmesh_chassis.broker import Broker
from aidmesh_chassis.settings import ServiceSettings
from support.waiting import eventually

Served = tuple[Cluster, NatsServer]


@pytest.fixture
async def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    """One server, of ports that are free."""
    keys = tmp_path / "keys" / "kyiv"
    create_credentials(keys)
    client, monitor, leaf = free_ports(3)
    monkeypatch.setattr(clusters, "CLIENT_PORT", client)
    monkeypatch.setattr(clusters, "MONITOR_PORT", monitor)
    monkeypatch.setattr(clusters, "LEAF_PORT", leaf)
    made = Cluster("kyiv", keys, ("localhost",), {}, tmp_path / "out" / "kyiv-1")
    (folder,) = lay_out(made, tmp_path / "out")
    config = (folder / "nats.conf").read_text()
    server = NatsServer(folder, config, (client, monitor, leaf), monitor)
    await asyncio.to_thread(server.start)
    yield made, server
    await asyncio.to_thread(server.stop)


async def test_a_service_and_the_supervisor_connect_by_tls_and_to_nobody_else(
    served: Served,
) -> None:
    made, _ = served
    authority = made.keys / FOLDER / "ca.pem"
    client = await connect_as(made.nats_url, seed_file(made.keys, READER), authority)
    assert client.connected_server_version.major
    await client.close()

    async def nothing() -> None:
        return

    settings = ServiceSettings(
        region="kyiv",
        nats_url=made.nats_url,
        nats_ca_file=authority,
        nats_seed_file=seed_file(made.keys, "payments"),
    )
    broker = Broker(settings, "payments", nothing, nothing)
    connected = await broker.connect()
    assert connected.is_connected
    await broker.stop()

    warden = warden_of(made, [], 1)
    keeping = asyncio.create_task(warden.run())
    await eventually(lambda: warden.gate.is_open, 60)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)

    other = made.keys.parent / "lviv"
    create_credentials(other)
    with pytest.raises(ConnectionError):
        await connect_as(made.nats_url, seed_file(made.keys, READER), other / FOLDER / "ca.pem")
    with pytest.raises(ConnectionError):  # nobody vouches for it
        await connect_as(made.nats_url, seed_file(made.keys, READER))


async def test_what_streams_may_take_grows_while_the_server_runs(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, server = served

    def may_take() -> object:
        said = get_json(f"http://127.0.0.1:{server.monitor_port}/jsz", 5.0)
        return cast("Json", said["config"])["max_storage"]

    assert await asyncio.to_thread(may_take) == 64 * GIB
    monkeypatch.setenv(FILE_GIB_MAX, "200")
    (folder,) = lay_out(made, made.at.parent)
    await asyncio.to_thread(server.reload, (folder / "nats.conf").read_text())
    assert await asyncio.to_thread(may_take) == 200 * GIB
