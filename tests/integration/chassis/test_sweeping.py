"""What others can change is swept only by a service that has heard them. Real servers."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from uuid import uuid4

from aidmesh_chassis.consuming import Received, Subscription
from aidmesh_chassis.db import Tx
from aidmesh_chassis.running import Running
from aidmesh_chassis.upkeep import Sweep
from aidmesh_contracts.intake import ContactSealedV1, NeedReadyUntilV1
from aidmesh_contracts.streams import Stream
from integration.chassis.parts import Producer, emit, in_stream, opened
from support.servers import DatabaseFactory, NatsRegion
from support.services import service_of
from support.waiting import eventually

ROUNDS = 5


async def test_a_careful_sweep_waits_for_what_came_during_an_outage(
    producer: Producer, database: DatabaseFactory, nats_region: NatsRegion
) -> None:
    let_go, seen, swept = asyncio.Event(), Counter[int](), Counter[str]()

    async def handle(_: Tx, batch: Sequence[Received[ContactSealedV1]]) -> None:
        seen.update(item.event.person_id.int for item in batch)
        await let_go.wait()

    def sweep(name: str) -> Callable[[Tx], Awaitable[int]]:
        async def run(_: Tx) -> int:
            swept[name] += 1
            return 0

        return run

    async def time_passes() -> None:
        enough = swept["other"] + ROUNDS
        await eventually(lambda: swept["other"] >= enough, 30)

    service = service_of(
        "notification",
        nats_region,
        await opened(await database("notification"), "notification"),
        [Subscription(Stream.PRIVATE, {ContactSealedV1: handle, NeedReadyUntilV1: handle})],
    )
    service.sweeps = (
        Sweep("careful", 0.05, sweep("careful"), when_abreast=True),
        Sweep("other", 0.05, sweep("other")),
    )
    running = Running(service)
    await emit(producer.database, [1])
    await eventually(lambda: in_stream(nats_region), 30)  # before it looks whether something waits
    task = asyncio.create_task(running.run())
    try:
        await eventually(lambda: seen[1], 30)
        await time_passes()
        assert not swept["careful"]
        let_go.set()
        await eventually(lambda: swept["careful"], 30)

        let_go.clear()
        await emit(producer.database, [2])
        await eventually(lambda: seen[2], 30)
        await asyncio.to_thread(nats_region.kill)
        await eventually(lambda: not running._broker.connected, 30)
        await time_passes()  # and what was being swept is done
        before = swept["careful"]
        await time_passes()
        await asyncio.to_thread(nats_region.start)
        await eventually(lambda: running._broker.connected, 30)
        await time_passes()
        assert swept["careful"] == before
        let_go.set()
        await eventually(lambda: swept["careful"] > before, 60)
    finally:
        let_go.set()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_every_service_forgets_answers_after_a_month(
    database: DatabaseFactory, nats_region: NatsRegion
) -> None:
    db = await opened(await database("notification"), "notification")
    async with db.begin() as conn:
        await conn.executemany(
            "INSERT INTO idempotency (id, content_hash, status, body, answered_at)"
            " VALUES ($1, $2, 200, '', now() - make_interval(days => $3))",
            [(uuid4(), bytes(32), 29), (uuid4(), bytes(32), 31)],
        )

    async def left() -> bool:
        async with db.connection() as conn:
            answers: int = await conn.fetchval("SELECT count(*) FROM idempotency")
        return answers == 1

    task = asyncio.create_task(Running(service_of("notification", nats_region, db, [])).run())
    try:
        await eventually(left, 30)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
