"""What was sealed leaves the history: after a week, and at once when its person is erased."""

import asyncio
from uuid import UUID

from aidmesh_chassis import outbox
from aidmesh_chassis.upkeep import BLANK_PRIVATE
from integration.chassis.parts import Producer, emit, in_stream, opened, pending
from support.servers import DatabaseFactory, NatsRegion
from support.waiting import eventually


async def test_sealed_payloads_leave_the_history_after_a_week(database: DatabaseFactory) -> None:
    db = await opened(await database("console"))
    await emit(db, [1, 2, 3])
    async with db.transaction() as tx:
        for number, days in ((1, 8), (2, 6)):
            await tx.conn.execute(
                "UPDATE outbox SET status = 'acked', ack_seq = seq,"
                " acked_at = now() - make_interval(days => $2) WHERE headers ->> 'ce-subject' = $1",
                str(UUID(int=number)),
                days,
            )
    async with db.transaction() as tx:
        await tx.conn.execute(
            """
            INSERT INTO dead_letter (durable, event_id, subject, headers, payload, status, reason,
                                     first_at)
            SELECT 'x-private', gen_random_uuid(), subject, '{}', 'sealed', status, 'broken',
                   now() - make_interval(days => days)
            FROM (VALUES ('private.kyiv.x', 'done', 8), ('private.kyiv.x', 'done', 6),
                         ('private.kyiv.x', 'dead', 8), ('local.kyiv.x', 'done', 8))
                 AS n (subject, status, days)
            """
        )
        assert await BLANK_PRIVATE.run(tx) == 2
        assert await BLANK_PRIVATE.run(tx) == 0
        letters = await tx.conn.fetchval("SELECT count(*) FROM dead_letter WHERE payload <> ''")
        assert letters == 2
        kept = await tx.conn.fetch(
            "SELECT payload IS NOT NULL AS kept, octet_length(payload_hash) AS hashed"
            " FROM outbox ORDER BY seq"
        )
    assert [(row["kept"], row["hashed"]) for row in kept] == [(False, 16), (True, 16), (True, 16)]
    await db.close()


async def test_what_was_sealed_of_the_erased_is_withdrawn(
    producer: Producer, nats_region: NatsRegion
) -> None:
    db = producer.database
    producer.relay.close_gate()
    nats_region.kill()
    await emit(db, [1, 2])
    async with db.transaction() as tx:
        await outbox.withdraw_sealed(tx.conn, [UUID(int=1)])
        await outbox.withdraw_sealed(tx.conn, [UUID(int=1)])
    nats_region.start()

    async def all_sent() -> bool:
        return await pending(db) == 0

    await eventually(all_sent, 30.0)
    async with db.transaction() as tx:
        await outbox.withdraw_sealed(tx.conn, [UUID(int=2)])
        rows = await tx.conn.fetch(
            "SELECT status, payload, octet_length(payload_hash), ack_seq IS NULL"
            " FROM outbox ORDER BY seq"
        )
    assert [tuple(row) for row in rows] == [
        ("withdrawn", None, 16, True),
        ("acked", None, 16, False),
    ]
    assert len(await in_stream(nats_region)) == 1


async def test_a_withdrawal_waits_for_the_relay_that_publishes_just_now(
    database: DatabaseFactory,
) -> None:
    db = await opened(await database("console"))
    await emit(db, [1])

    async def withdraw() -> None:
        async with db.transaction() as tx:
            await outbox.withdraw_sealed(tx.conn, [UUID(int=1)])

    async with db.connection() as conn, conn.transaction():
        (row,) = await outbox.claim(conn, 10)
        erasure = asyncio.create_task(withdraw())

        async def waits() -> bool:
            async with db.connection() as other:
                return bool(
                    await other.fetchval(
                        "SELECT EXISTS (SELECT FROM pg_stat_activity"
                        " WHERE wait_event_type = 'Lock' AND datname = current_database())"
                    )
                )

        await eventually(waits)
        await outbox.acknowledge(conn, [(row, 7)], {row.stream: row.created_at})
    await erasure
    async with db.connection() as conn:
        left = await conn.fetch("SELECT status, payload, ack_seq FROM outbox")
    assert [tuple(row) for row in left] == [("acked", None, 7)]
    await db.close()
