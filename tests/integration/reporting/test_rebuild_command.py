"""`aidmesh rebuild`, and `python -m aidmesh_reporting rebuild` where there is no mesh.json."""

import asyncio
import json
import os
import random
import sys
from pathlib import Path

from aidmesh.meshfile import MeshFile, NatsEntry, RegionEntry, ServiceEntry, write_mesh
from aidmesh.topology.rights import READER
from aidmesh_chassis.db import Database
from aidmesh_chassis.outbox import Origin
from aidmesh_reporting.handlers.facts import record
from aidmesh_reporting.store import results
from integration.reporting.model import FROM, TO, history, received
from support.servers import DatabaseFactory, NatsRegion


async def command(
    dsn: str, *arguments: str, module: str = "aidmesh_reporting", **settings: str
) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
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
    async with asyncio.timeout(240):
        output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def damage(db: Database) -> None:
    """Damage that a rebuild repairs."""
    async with db.transaction() as tx:
        await tx.conn.execute("DELETE FROM service_person")
        await tx.conn.execute("UPDATE service SET quantity = 1000")


def mesh_of(dsn: str, nats: NatsRegion) -> MeshFile:
    """What an operator's folder says of the region."""
    port = int(nats.url.rpartition(":")[2])
    servers = NatsEntry(client_port=port, monitor_port=1, leaf_port=1)
    services = {"reporting": ServiceEntry(database_url=dsn)}
    return MeshFile(regions={"kyiv": RegionEntry(keys=nats.keys, nats=servers, services=services)})


async def test_rebuilding_gives_the_same_results(
    database: DatabaseFactory, nats_region: NatsRegion, tmp_path: Path
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
        await damage(db)
        code, output = await command(dsn, "rebuild")
        assert code == 0, output
        assert f'"events":{len(events)}' in output
        async with db.read() as conn:
            assert await results.lines(conn, FROM, TO, ("kind", "month", "grant")) == before

        write_mesh(tmp_path, mesh_of(dsn, nats_region))
        of_mesh = ("rebuild", "kyiv", "--data", str(tmp_path), "--json")
        for more, from_stream in (((), False), (("--from-stream",), True)):
            await damage(db)
            code, output = await command("unused", *of_mesh, *more, module="aidmesh")
            assert code == 0, output
            assert json.loads(output) == {
                "region": "kyiv", "events": len(events), "from_stream": from_stream,
            }  # fmt: skip
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
    assert "run | migrate | rebuild [--from-stream]" in output
