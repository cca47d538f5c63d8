"""Two copies of a service share one outbox, one durable, one set of sweeps, one set of letters."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from uuid import uuid4

from aidmesh_chassis import inbox, outbox, upkeep
from aidmesh_chassis.consuming import Received, Subscription
from aidmesh_chassis.db import Database, Tx
from aidmesh_chassis.inbox import Letter
from aidmesh_chassis.running import Running
from aidmesh_chassis.upkeep import Sweep
from aidmesh_contracts.intake import ContactSealedV1, NeedReadyUntilV1
from aidmesh_contracts.streams import Stream
from integration.chassis.parts import Producer, emit, in_stream, opened, pending
from support.servers import DatabaseFactory, NatsRegion
from support.services import relaying, service_of
from support.waiting import eventually

EVENTS = 2_500
"""More than two relays claim at once."""


async def test_two_relays_publish_one_outbox_once(
    database: DatabaseFactory, nats_region: NatsRegion
) -> None:
    dsn = await database("console")
    one, other = await opened(dsn), await opened(dsn)
    async with (
        relaying("intake", nats_region, one) as first,
        relaying("intake", nats_region, other) as second,
    ):
        await eventually(lambda: first.is_open and second.is_open, 30)
        await emit(one, range(EVENTS))
        second.wake()

        async def all_sent() -> bool:
            return await pending(one) == 0

        await eventually(all_sent, 60)
    async with one.connection() as conn:
        rows = await conn.fetch("SELECT event_id, ack_seq FROM outbox")
    assert sorted((row["ack_seq"], str(row["event_id"])) for row in rows) == await in_stream(
        nats_region
    )
    assert len(rows) == EVENTS
    await one.close()
    await other.close()


async def test_what_one_relay_holds_another_leaves_alone(database: DatabaseFactory) -> None:
    dsn = await database("console")
    one, other = await opened(dsn), await opened(dsn)
    await emit(one, range(10))
    async with one.begin() as mine, other.begin() as theirs:
        held = await outbox.claim(mine, 6)
        left = await outbox.claim(theirs, 10)
    assert len(held) == 6
    assert len(left) == 4
    assert not {row.seq for row in held} & {row.seq for row in left}
    await one.close()
    await other.close()


async def test_two_copies_take_in_one_durable_once(
    producer: Producer, database: DatabaseFactory, nats_region: NatsRegion
) -> None:
    dsn = await database("notification")
    effects, by = Counter[int](), Counter[str]()

    def copy(name: str) -> Running:
        async def handle(tx: Tx, batch: Sequence[Received[ContactSealedV1]]) -> None:
            numbers = [item.event.person_id.int for item in batch]
            await tx.conn.execute(
                "INSERT INTO taken_here SELECT * FROM unnest($1::bigint[])", numbers
            )
            by[name] += len(numbers)

        subscription = Subscription(
            Stream.PRIVATE, {ContactSealedV1: handle, NeedReadyUntilV1: handle}
        )
        own = Database(dsn, outbox.Origin("kyiv", "notification"))
        return Running(service_of("notification", nats_region, own, [subscription]))

    db = await opened(dsn, "notification")
    async with db.begin() as conn:
        await conn.execute("CREATE TABLE taken_here (number bigint NOT NULL)")
    tasks = {name: asyncio.create_task(copy(name).run()) for name in ("one", "other")}

    sent = 0

    async def all_taken() -> bool:
        async with db.read() as conn:
            rows = await conn.fetch("SELECT number, count(*) AS n FROM taken_here GROUP BY 1")
        effects.clear()
        effects.update({row["number"]: row["n"] for row in rows})
        return len(effects) == sent

    while len(by) < 2:  # both get their part: whoever asked first is not the only one
        await emit(producer.database, range(sent, sent + 100))
        sent += 100
        await eventually(all_taken, 60)
        assert sent < 20_000, by
    await emit(producer.database, range(sent, sent + 500))
    sent += 500
    tasks["one"].cancel()  # in the midst of it: what it held comes to the other
    await asyncio.gather(tasks["one"], return_exceptions=True)
    await eventually(all_taken, 90)
    assert set(effects.values()) == {1}
    tasks["other"].cancel()
    await asyncio.gather(tasks["other"], return_exceptions=True)
    await db.close()


async def test_a_sweep_runs_in_one_copy_at_a_time(database: DatabaseFactory) -> None:
    dsn = await database("console")
    databases = [await opened(dsn) for _ in range(3)]
    running, most, turns = 0, 0, Counter[int]()

    def swept_by(number: int) -> Callable[[Tx], Awaitable[int]]:
        async def run(tx: Tx) -> int:
            nonlocal running, most
            running += 1
            most = max(most, running)
            turns[number] += 1
            try:
                await tx.conn.execute("SELECT pg_sleep(0.01)")
            finally:
                running -= 1
            return 0

        return run

    tasks = [
        asyncio.create_task(
            upkeep.keep_sweeping(
                db, Sweep("one", 0.001, swept_by(number)), lambda: True, asyncio.Semaphore()
            )
        )
        for number, db in enumerate(databases)
    ]
    await eventually(lambda: len(turns) == len(databases), 60)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert most == 1
    for db in databases:
        await db.close()


async def test_a_letter_is_tried_by_one_copy(database: DatabaseFactory) -> None:
    dsn = await database("console")
    one, other = await opened(dsn), await opened(dsn)
    async with one.begin() as conn:
        letter = Letter("intake-local", uuid4(), "local.kyiv.x", {}, b"{}")
        await inbox.set_aside(conn, letter, "parked", "not_yet", 0.0)
    async with one.begin() as mine, other.begin() as theirs:
        assert await inbox.due(mine, letter.durable, 10) == [letter]
        assert await inbox.due(theirs, letter.durable, 10) == []
    async with other.begin() as conn:
        assert await inbox.due(conn, letter.durable, 10) == []  # it is being tried
        await conn.execute("UPDATE dead_letter SET retry_at = now()")  # as if that took too long
        assert await inbox.due(conn, letter.durable, 10) == [letter]
    await one.close()
    await other.close()
