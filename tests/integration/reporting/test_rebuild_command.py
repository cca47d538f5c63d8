"""`python -m aidmesh_reporting rebuild`, as an operator runs it."""

import asyncio
import os
import random
import sys

from aidmesh.topology.rights import READER
from aidmesh_chassis.db import Database
from aidmesh_chassis.outbox import Origin
from aidmesh_reporting.handlers import record
from aidmesh_reporting.store import results
from integration.reporting.model import FROM, TO, history, received
from support.servers import DatabaseFactory, NatsRegion


async def command(dsn: str, *arguments: str, **settings: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "aidmesh_reporting",
        *arguments,
        env={
            **os.environ,
            "AIDMESH_REPORTING_REGION": "kyiv",
            "AIDMESH_REPORTING_DATABASE_URL": dsn,
            **settings,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_rebuilding_gives_the_same_results(
    database: DatabaseFactory, nats_region: NatsRegion
) -> None:
    dsn = await database("reporting")
    db = Database(dsn, Origin("kyiv", "reporting"))
    await db.open()
    try:
        events = history(random.Random(5), needs=30)
        async with db.transaction() as tx:
            await record(tx, [received(event, number) for number, event in enumerate(events)])
        async with db.read() as conn:
            before = await results.lines(conn, FROM, TO, ("kind", "month", "grant"))
        # Damage that a rebuild repairs.
        async with db.transaction() as tx:
            await tx.conn.execute("DELETE FROM service_person")
            await tx.conn.execute("UPDATE service SET quantity = 1000")
        code, output = await command(dsn, "rebuild")
        assert code == 0, output
        assert f'"events":{len(events)}' in output
        async with db.read() as conn:
            assert await results.lines(conn, FROM, TO, ("kind", "month", "grant")) == before
    finally:
        await db.close()

    code, output = await command(dsn, "rebuild", "--from-stream")
    assert code != 0
    assert "AIDMESH_REPORTING_READER_SEED_FILE" in output
    code, output = await command(
        dsn,
        "rebuild",
        "--from-stream",
        AIDMESH_REPORTING_NATS_URL=nats_region.url,
        AIDMESH_REPORTING_READER_SEED_FILE=str(nats_region.seed_file(READER)),
    )
    assert code == 0, output
    code, output = await command(dsn, "rebuild", "--all")
    assert code != 0
    assert "usage" in output
