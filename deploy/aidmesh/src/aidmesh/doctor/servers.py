"""What is wrong with a region's servers: how PostgreSQL is set, and what NATS keeps."""

import asyncio
from datetime import UTC, datetime
from typing import Final, cast

import asyncpg

from aidmesh.asking import asked
from aidmesh.connecting import close_database, connect
from aidmesh.doctor.clocks import Served, clock_of, differing
from aidmesh.doctor.findings import Finding
from aidmesh.fetching import get_json
from aidmesh.meshfile import MeshFile, RegionEntry
from aidmesh.topology.api import JetStreamApi, Json
from aidmesh.topology.plan import Remedy, plan_of
from aidmesh.topology.provision import differences
from aidmesh.topology.recover import check
from aidmesh.topology.rights import READER
from aidmesh.topology.serving import FILE_GIB_MAX, GIB

STREAM_SHARE_MAX: Final = 0.8
SAFE_SETTINGS: Final = ("fsync", "synchronous_commit", "full_page_writes")


async def database(region: str, dsn: str, timeout_s: float) -> list[Finding]:
    """What is wrong with how a PostgreSQL is set, and with its clock. Raises as `AWAY`.

    Args:
        timeout_s: how long each of its answers may take, in seconds.
    """
    where = f"{region} postgres"
    conn = await asyncpg.connect(dsn, timeout=timeout_s, command_timeout=timeout_s)
    try:
        rows = await conn.fetch(
            "SELECT name, setting FROM pg_settings WHERE name = ANY($1::text[])",
            list(SAFE_SETTINGS),
        )
        before = datetime.now(UTC)
        told: datetime = await conn.fetchval("SELECT clock_timestamp()")
        after = datetime.now(UTC)
    finally:
        await close_database(conn)
    found = [
        Finding("error", where, f"{row['name']} is {row['setting']}",
                "What was accepted can be lost when the power fails.",
                f"ALTER SYSTEM RESET {row['name']}, then reload.")
        for row in rows
        if row["setting"] != "on"
    ]  # fmt: skip
    why = "Holds and pick-up deadlines go by the clock of the database: ahead, they end early."
    return [*found, *differing(where, told, before, after, why)]


async def streams(
    region: str, entry: RegionEntry, mesh: MeshFile, timeout_s: float
) -> list[Finding]:
    """What is wrong with a region's streams, and with the servers that keep them. Raises as `AWAY`.

    Args:
        timeout_s: how long a server's monitor may take to answer, in seconds.
    """
    where = f"{region} nats"
    servers = [
        (f"{where} {number}" if entry.nats.others else where,
         await asked(asyncio.to_thread(_jetstream, host, port, timeout_s)))
        for number, (host, port) in enumerate(entry.nats.monitors, start=1)
    ]  # fmt: skip
    client = await connect(entry, READER)
    try:
        api = JetStreamApi(client)
        wanted = plan_of(region, mesh.peers(region), replicas=len(entry.nats.nodes))
        unlike = await differences(api, wanted)
        lost = await check(api, entry.outbox_dsns)
    finally:
        await client.close()
    return [
        *(each for which, server in servers if server is not None
          for each in (*jetstream(which, server.said), *clock_of(which, server))),
        *(
            Finding("error", where, str(each), "Services wait, or miss events.",
                    "aidmesh topology apply; find out who changed it.")
            for each in unlike
            if each.remedy is not Remedy.LEAVE
        ),
        *(
            Finding("error", where, f"{stream} lost acknowledged messages: {reason}",
                    "The gate stays closed until the stream is made anew from the outboxes; a mesh "
                    "that starts waits for it, and its services with it.",
                    "It is done by itself, however long it takes: stream.recovering in the log "
                    "says how far it is; if that does not grow, read gate.stays_closed there.")
            for stream, reason in lost.items()
        ),
    ]  # fmt: skip


def _jetstream(host: str, port: int, timeout_s: float) -> Served:
    before = datetime.now(UTC)
    said = get_json(f"http://{host}:{port}/jsz", timeout_s)
    return Served(said, before, datetime.now(UTC))


def jetstream(where: str, server: Json) -> list[Finding]:
    """What is wrong with a server's JetStream, by what it says on `/jsz`."""
    config = cast("Json", server.get("config") or {})
    found = []
    if config.get("sync_always") is not True:
        found.append(
            Finding("error", where, "JetStream does not write every message to disk at once",
                    "What was acknowledged can be lost when the power fails.",
                    "Set sync_interval: always in its configuration.")
        )  # fmt: skip
    used = int(cast("int", server.get("storage", 0)))
    most = int(cast("int", config.get("max_storage", 0)))
    if most and used > STREAM_SHARE_MAX * most:
        found.append(
            Finding("warning", where,
                    f"streams take {used / most:.0%} of the {most / GIB:.0f} GiB that they may",
                    "When they are full nothing is published any more; work goes on, unheard.",
                    f"Start aidmesh up with a larger {FILE_GIB_MAX}, if its disk has the room "
                    "(docs/scaling.md, Streams that grow).")
        )  # fmt: skip
    return found
