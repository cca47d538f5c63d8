"""What was planned while a table was small is as good when it is large."""

from datetime import UTC, datetime
from typing import Final

from aidmesh_chassis import outbox
from aidmesh_chassis.db import Database
from integration.chassis.parts import emit
from support.servers import DatabaseFactory

KEPT_AFTER: Final = 8
"""Executions after which a server has settled on a plan that it keeps: five, and some more."""
MANY: Final = 5000


async def acknowledge_one(db: Database, number: int) -> None:
    await emit(db, [number])
    async with db.begin() as conn:
        rows = await outbox.claim(conn, 10)
        created = dict.fromkeys((row.stream for row in rows), datetime.now(UTC))
        await outbox.acknowledge(conn, [(row, number) for row in rows], created)


async def read_so_far(db: Database) -> int:
    """Rows of the outbox that were read one after the other, in all transactions that ended."""
    async with db.read() as conn:
        await conn.execute("SELECT pg_stat_force_next_flush()")
    async with db.read() as conn:
        total: int = await conn.fetchval(
            "SELECT sum(seq_tup_read)::bigint FROM pg_stat_user_tables WHERE relname ^@ 'outbox'"
        )
    return total


async def test_a_plan_that_was_made_early_does_not_read_the_whole_outbox(
    database: DatabaseFactory,
) -> None:
    db = Database(await database("console"), outbox.Origin("kyiv", "intake"), pool_max=1)
    await db.open()
    await acknowledge_one(db, 1)
    async with db.connection() as conn:
        await conn.execute("ANALYZE outbox")  # as the server does by itself, soon after a start
    for number in range(2, KEPT_AFTER + 1):
        await acknowledge_one(db, number)
    async with db.begin() as conn:
        await conn.execute(
            """
            INSERT INTO outbox (event_id, stream, subject, headers, payload, payload_hash, status,
                                ack_seq)
            SELECT gen_random_uuid(), stream, subject, headers, payload, payload_hash, 'acked',
                   100 + n
            FROM outbox, generate_series(1, $1) AS n WHERE seq = (SELECT min(seq) FROM outbox)
            """,
            MANY,
        )
    before = await read_so_far(db)
    await acknowledge_one(db, KEPT_AFTER + 1)
    assert await read_so_far(db) - before < MANY
    await db.close()
