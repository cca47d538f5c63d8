"""The whole service on real servers: events in, a message on the spool, an event out."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from nats.js.api import ConsumerConfig
from pydantic import SecretStr

from aidmesh_chassis.crypto import PrivateKey
from aidmesh_chassis.db import Database
from aidmesh_chassis.outbox import Origin, row_of
from aidmesh_chassis.running import Running
from aidmesh_contracts.notification import MessageSentV1
from aidmesh_notification.app import build
from aidmesh_notification.config import Settings
from integration.notification.world import World, ready, spool_lines
from support.servers import DatabaseFactory, NatsRegion
from support.waiting import eventually


async def test_a_ready_need_is_told_through_real_servers(
    database: DatabaseFactory, nats_region: NatsRegion, keys_dir: Path, tmp_path: Path
) -> None:
    spool = tmp_path / "spool.jsonl"
    service = build(
        Settings(
            region="kyiv",
            database_url=SecretStr(await database("notification")),
            nats_url=nats_region.url,
            nats_seed_file=nats_region.seed_file("notification"),
            keys_dir=keys_dir,
            spool_path=spool,
        )
    )
    world = World(Database("postgresql://unused", Origin("kyiv", "intake")))
    world.key = PrivateKey((keys_dir / "notification.key").read_bytes())
    people = [uuid4() for _ in range(50)]
    intake = await nats_region.admin()
    running = asyncio.create_task(Running(service).run())
    try:
        js = intake.jetstream()
        for person in people:
            # The card comes last, as it may: it travels in another stream.
            for event in (ready(person), world.card(person, channel="file")):
                row = row_of(
                    event,
                    Origin("kyiv", "intake"),
                    datetime.now(UTC),
                    cause=None,
                    event_id=None,
                    version=None,
                )
                await js.publish(row.subject, row.payload, headers=json.loads(row.headers))
        await eventually(lambda: spool.exists() and len(spool_lines(spool)) == 50, 30)
        subscription = await js.subscribe(
            MessageSentV1.subject("kyiv"),
            stream="LOCAL",
            config=ConsumerConfig(name=uuid4().hex),
            ordered_consumer=True,
        )
        needs = set()
        for _ in range(50):
            message = await subscription.next_msg(timeout=20)
            needs.add(MessageSentV1.model_validate_json(message.data).need_id)
        assert len(needs) == 50
        assert service.database is not None
        assert await World(service.database).wrong() == []
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await intake.close()
