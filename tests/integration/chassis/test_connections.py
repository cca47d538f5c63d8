"""Nothing that was meant for one connection is said over the next. Real servers."""

import asyncio

from aidmesh.topology.rights import SUPERVISOR
from aidmesh_chassis.client import Client
from support.servers import NatsRegion
from support.waiting import eventually


async def test_what_a_broken_connection_did_not_send_any_more_the_next_does_not_send(
    nats_region: NatsRegion,
) -> None:
    """It would be published before the gate is asked."""
    client = Client()
    await client.connect(
        nats_region.url,
        nkeys_seed=str(nats_region.seed_file(SUPERVISOR)),  # it may listen as well
        max_reconnect_attempts=-1,
        reconnect_time_wait=1,
        pending_size=0,
    )
    heard = await client.subscribe("local.kyiv.intake.>")
    await client.flush()
    await client._send_command(b"PUB local.kyiv.intake.need.ready.v1 3\r\nold\r\n")  # not flushed
    await asyncio.to_thread(nats_region.kill)
    await eventually(lambda: not client.is_connected)
    await asyncio.to_thread(nats_region.start)
    await eventually(lambda: client.is_connected, 30)
    await eventually(lambda: nats_region.warden.gate.is_open, 30)
    await client.publish("local.kyiv.intake.need.ready.v1", b"new")
    first = await heard.next_msg(timeout=20)
    assert first.data == b"new"
    await client.close()
