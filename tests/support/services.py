"""A service as it runs in production, put together from parts that a test gives."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aidmesh_chassis.auth import Verifier
from aidmesh_chassis.broker import Broker
from aidmesh_chassis.consuming import Subscription
from aidmesh_chassis.db import Database
from aidmesh_chassis.http import create_app
from aidmesh_chassis.relay import Relay
from aidmesh_chassis.service import Health, Service
from aidmesh_chassis.settings import ServiceSettings
from support.servers import NatsRegion


def is_open(database: Database) -> bool:
    """Whether a running service has opened its pool."""
    try:
        return bool(database.pool)
    except ConnectionError:
        return False


def settings_for(name: str, region: NatsRegion) -> ServiceSettings:
    """Settings of a service that connects to a region's server."""
    return ServiceSettings(
        region=region.region,
        nats_url=region.url,
        nats_seed_file=region.seed_file(name),
        batch_max=64,
    )


def service_of(
    name: str, region: NatsRegion, database: Database, subscriptions: Sequence[Subscription] = ()
) -> Service:
    """A service with that database; its HTTP side takes any free port."""
    return service_at(name, settings_for(name, region), database, subscriptions)


def service_at(
    name: str,
    settings: ServiceSettings,
    database: Database,
    subscriptions: Sequence[Subscription] = (),
) -> Service:
    """The same with settings of its own."""
    health = Health()
    verifier = Verifier(Ed25519PrivateKey.generate().public_key(), settings.region)
    return Service(
        name=name,
        settings=settings,
        database=database,
        app=create_app(name, settings.region, verifier, checks=health.checks),
        health=health,
        subscriptions=tuple(subscriptions),
    )


@asynccontextmanager
async def relaying(name: str, region: NatsRegion, database: Database) -> AsyncIterator[Relay]:
    """A relay over a connection like a service's, for as long as the block."""
    relays: list[Relay] = []

    async def broke() -> None:
        for relay in relays:
            relay.close_gate()

    async def came_back() -> None:
        return

    broker = Broker(settings_for(name, region), name, broke, came_back)
    relay = Relay(database, await broker.connect())
    relays.append(relay)
    database.on_commit(relay.wake)
    task = asyncio.create_task(relay.run())
    try:
        yield relay
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await broker.stop()
