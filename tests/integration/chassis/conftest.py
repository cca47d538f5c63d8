"""Fixtures of the chassis' integration tests."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import asyncpg
import pytest

from aidmesh_chassis import outbox
from aidmesh_chassis.consuming import Received, Subscription
from aidmesh_chassis.db import Database, Tx
from aidmesh_chassis.running import Running
from aidmesh_contracts.intake import ContactSealedV1, NeedReadyUntilV1
from aidmesh_contracts.streams import Stream
from integration.chassis.desk import Desk
from integration.chassis.parts import Effect, Producer, Taker, opened, record
from support.servers import DatabaseFactory, NatsRegion
from support.services import is_open, relaying, service_of
from support.waiting import eventually


@pytest.fixture
async def producer(database: DatabaseFactory, nats_region: NatsRegion) -> AsyncIterator[Producer]:
    db = await opened(await database("console"))
    async with relaying("intake", nats_region, db) as relay:
        yield Producer(db, relay)
    await db.close()


@pytest.fixture
async def taker(database: DatabaseFactory, nats_region: NatsRegion) -> AsyncIterator[Taker]:
    dsn = await database("notification")
    conn = await asyncpg.connect(dsn)
    await conn.execute("CREATE TABLE seen (person_id uuid NOT NULL)")
    await conn.close()
    db = Database(dsn, outbox.Origin("kyiv", "notification"))
    effect: list[Effect] = [record]

    async def handle(tx: Tx, batch: Sequence[Received[ContactSealedV1]]) -> None:
        await effect[0](tx, batch)

    subscription = Subscription(Stream.PRIVATE, {ContactSealedV1: handle, NeedReadyUntilV1: handle})
    service = service_of("notification", nats_region, db, [subscription])
    task = asyncio.create_task(Running(service).run())
    await eventually(lambda: is_open(db))
    yield Taker(db, service, effect, task)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def desk(database: DatabaseFactory) -> AsyncIterator[Desk]:
    """An inlet on a real database; a statement that takes long is broken off."""
    origin = outbox.Origin("kyiv", "notification")
    db = Database(await database("notification"), origin, statement_s_max=0.3)
    await db.open()
    yield Desk(db)
    await db.close()
