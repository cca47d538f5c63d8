"""Pulling from a real durable: by the batch, at once, and again after whatever happened."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from aidmesh_chassis.pulling import Puller
from support.servers import NatsRegion
from support.waiting import eventually

SUBJECT = "private.kyiv.intake.contact.sealed.v1"
WAIT_S = 80.0


@pytest.fixture
async def client(nats_region: NatsRegion) -> AsyncIterator[Client]:
    connected = await nats_region.connect("notification")
    yield connected
    await connected.close()


async def pulling(client: Client, batch_max: int) -> Puller:
    inbox = f"_INBOX_notification.pull.{uuid4().hex}"
    puller = Puller(client, "PRIVATE", "notification-private", inbox, batch_max)
    await puller.start()
    return puller


async def publish(region: NatsRegion, count: int) -> None:
    admin = await region.admin()
    context = admin.jetstream()
    await asyncio.gather(*(context.publish(SUBJECT, b"{}") for _ in range(count)))
    await admin.close()


async def taken(puller: Puller, count: int) -> list[list[Msg]]:
    """Acknowledge batches until so many messages have come."""
    batches: list[list[Msg]] = []
    async with asyncio.timeout(WAIT_S):
        while sum(map(len, batches)) < count:
            batches.append(await puller.next())
            for message in batches[-1]:
                await message.ack()
    return batches


async def test_batches_are_bounded_and_complete(client: Client, nats_region: NatsRegion) -> None:
    puller = await pulling(client, 16)

    await publish(nats_region, 100)
    batches = await taken(puller, 100)

    sequences = [each.metadata.sequence.stream for batch in batches for each in batch]
    assert sequences == sorted(set(sequences))
    assert len(sequences) == 100
    assert max(map(len, batches)) <= 16
    await puller.unsubscribe()


async def test_what_comes_while_one_waits_is_there_at_once(
    client: Client, nats_region: NatsRegion
) -> None:
    puller = await pulling(client, 16)
    waiting = asyncio.create_task(puller.next())

    await publish(nats_region, 1)

    async with asyncio.timeout(2.0):
        assert len(await waiting) == 1
    await puller.unsubscribe()


async def test_a_server_that_was_killed_is_asked_again(
    client: Client, nats_region: NatsRegion
) -> None:
    puller = await pulling(client, 16)
    waiting = asyncio.create_task(puller.next())
    await publish(nats_region, 1)
    (first,) = await waiting
    await first.ack_sync()
    reconnects = client.stats["reconnects"]

    nats_region.kill()
    nats_region.start()
    await eventually(
        lambda: client.stats["reconnects"] > reconnects and client.is_connected, WAIT_S
    )
    puller.ask_anew()  # as the service's broker does when it is connected again
    await publish(nats_region, 3)

    await taken(puller, 3)
    await puller.unsubscribe()


async def test_what_was_not_handed_over_goes_to_another_at_once(
    client: Client, nats_region: NatsRegion
) -> None:
    leaving = await pulling(client, 16)
    waiting = asyncio.create_task(leaving.next())
    await publish(nats_region, 1)
    for message in await waiting:
        await message.ack()
    await publish(nats_region, 8)
    manager = client.jsm()

    async def handed_out() -> bool:
        info = await manager.consumer_info("PRIVATE", "notification-private")
        return bool(info.num_ack_pending == 8)

    await eventually(handed_out)

    await leaving.unsubscribe()

    other = await pulling(client, 16)
    await taken(other, 8)  # well before the 30 s after which the server would send them again
    await other.unsubscribe()
