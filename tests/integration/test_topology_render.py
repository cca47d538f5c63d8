"""A server as it is handed to an operator takes encrypted connections, of whoever has a key."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aidmesh.credentials import FOLDER, create_credentials, seed_file
from aidmesh.embedded.nats import NatsServer
from aidmesh.embedded.ports import free_ports
from aidmesh.topology import cluster as clusters
from aidmesh.topology.cluster import Cluster, lay_out, warden_of
from aidmesh.topology.rights import READER
from aidmesh.topology.warden import connect_as
from aidmesh_chassis.broker import Broker
from aidmesh_chassis.settings import ServiceSettings
from support.waiting import eventually


@pytest.fixture
async def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cluster]:
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
    yield made
    await asyncio.to_thread(server.stop)


async def test_a_service_and_the_supervisor_connect_by_tls_and_to_nobody_else(
    served: Cluster,
) -> None:
    authority = served.keys / FOLDER / "ca.pem"
    client = await connect_as(served.nats_url, seed_file(served.keys, READER), authority)
    assert client.connected_server_version.major
    await client.close()

    async def nothing() -> None:
        return

    settings = ServiceSettings(
        region="kyiv",
        nats_url=served.nats_url,
        nats_ca_file=authority,
        nats_seed_file=seed_file(served.keys, "payments"),
    )
    broker = Broker(settings, "payments", nothing, nothing)
    connected = await broker.connect()
    assert connected.is_connected
    await broker.stop()

    warden = warden_of(served, [], 1)
    keeping = asyncio.create_task(warden.run())
    await eventually(lambda: warden.gate.is_open, 60)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)

    other = served.keys.parent / "lviv"
    create_credentials(other)
    with pytest.raises(ConnectionError):
        await connect_as(served.nats_url, seed_file(served.keys, READER), other / FOLDER / "ca.pem")
    with pytest.raises(ConnectionError):  # nobody vouches for it
        await connect_as(served.nats_url, seed_file(served.keys, READER))
