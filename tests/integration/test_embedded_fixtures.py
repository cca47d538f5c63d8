"""The fixtures that all other integration tests stand on."""

import json

import asyncpg
import pytest

from aidmesh.embedded.postgres import PostgresServer
from aidmesh_contracts.consumers import CONSUMERS
from support.servers import DatabaseFactory, NatsRegion
from support.waiting import eventually


async def test_every_database_is_fresh_and_migrated(database: DatabaseFactory) -> None:
    first, second = await database("intake"), await database("intake")
    assert first != second
    for dsn in (first, second):
        connection = await asyncpg.connect(dsn)
        assert await connection.fetchval("SELECT count(*) FROM outbox") == 0
        await connection.close()


async def test_a_killed_database_keeps_what_was_committed(
    postgres: PostgresServer, database: DatabaseFactory
) -> None:
    dsn = await database("intake")
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)")
    postgres.kill()
    with pytest.raises((OSError, asyncpg.PostgresError, asyncpg.InterfaceError)):
        await connection.fetchval("SELECT 1")
    connection.terminate()
    postgres.start()
    again = await asyncpg.connect(dsn)
    assert await again.fetchval("SELECT n FROM kept") == 1
    await again.close()


async def test_the_gate_answers_services_and_closes_with_the_server(
    nats_region: NatsRegion,
) -> None:
    client = await nats_region.connect("intake")
    answer = json.loads((await client.request("gate.kyiv", timeout=30)).data)
    assert answer["open"]
    assert answer["epoch"] == 1
    assert {"EVENTS", "LOCAL", "PRIVATE", "HANDOFF", "WORLD"} == set(answer["streams"])
    nats_region.kill()
    await eventually(lambda: not nats_region.warden.gate.is_open)
    nats_region.start()
    await eventually(lambda: nats_region.warden.gate.is_open)
    await client.close()


async def test_every_declared_durable_exists(nats_region: NatsRegion) -> None:
    client = await nats_region.admin()
    context = client.jetstream()
    for consumer in CONSUMERS:
        info = await context.consumer_info(consumer.stream.value, consumer.durable)
        assert info.config.max_ack_pending == 4096
    await client.close()
