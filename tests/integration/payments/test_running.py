"""The whole service on real servers: a need is approved, held, confirmed and committed."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from nats.js.api import ConsumerConfig
from pydantic import SecretStr

from aidmesh_chassis.db import Database
from aidmesh_chassis.keys import create_region_keys
from aidmesh_chassis.outbox import Origin, row_of
from aidmesh_chassis.running import Running
from aidmesh_contracts.base import Event
from aidmesh_contracts.payments import CommitmentHeldV1
from aidmesh_payments.app import build
from aidmesh_payments.config import Settings
from aidmesh_payments.handlers.office import Office
from integration.payments.offices import Desk, approved, confirmed
from support.servers import DatabaseFactory, NatsRegion
from support.waiting import eventually


async def test_money_is_committed_through_real_servers(
    database: DatabaseFactory, nats_region: NatsRegion, tmp_path: Path
) -> None:
    create_region_keys(tmp_path / "keys")
    url = await database("payments")
    service = build(
        Settings(
            region="kyiv",
            database_url=SecretStr(url),
            nats_url=nats_region.url,
            nats_seed_file=nats_region.seed_file("payments"),
            keys_dir=tmp_path / "keys",
        )
    )
    desk = Desk(Office("kyiv", {}, lambda: None), Database(url, Origin("kyiv", "payments")))
    await desk.db.open()
    await desk.purse(300_000)
    intake = await nats_region.admin()
    running = asyncio.create_task(Running(service).run())
    try:
        js = intake.jetstream()

        async def publish(event: Event) -> None:
            row = row_of(
                event,
                Origin("kyiv", "intake"),
                datetime.now(UTC),
                cause=None,
                event_id=None,
                version=None,
            )
            await js.publish(row.subject, row.payload, headers=json.loads(row.headers))

        needs = {need.need_id: need for need in (approved(5_000) for _ in range(40))}
        for need in needs.values():
            await publish(need)
        answers = await js.subscribe(
            CommitmentHeldV1.subject("kyiv"),
            stream="LOCAL",
            config=ConsumerConfig(name=uuid4().hex),
            ordered_consumer=True,
        )
        for _ in needs:
            message = await answers.next_msg(timeout=20)
            held = CommitmentHeldV1.model_validate_json(message.data)
            await publish(confirmed(needs[held.need_id]))
        count = "SELECT count(*) = 40 FROM payout WHERE state = 'draft'"
        await eventually(lambda: desk.value(count), 20)
        assert await desk.value("SELECT committed_minor FROM allotment") == 200_000
        await desk.check()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await intake.close()
        await desk.db.close()
