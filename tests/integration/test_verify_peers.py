"""A peer on another machine says how much of a region's public events it has taken."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from nats.aio.client import Client

from aidmesh.meshfile import NatsEntry, PostgresEntry, RegionEntry
from aidmesh.quiet import RegionProbe
from aidmesh.topology import reporter
from aidmesh.topology.connections import connect_as
from aidmesh.topology.rights import READER
from aidmesh.verification import peers
from aidmesh.verification.peers import peers_elsewhere, public_events_reported
from aidmesh.verification.streams import marks_of
from support.regions import LinkedRegions, ids_in, linked_regions
from support.servers import DatabaseFactory
from support.waiting import eventually

SENT = 5


@pytest.fixture
async def mesh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LinkedRegions]:
    monkeypatch.setattr(reporter, "REPORT_S", 0.2)
    monkeypatch.setattr(peers, "REPORT_S", 0.5)
    async with linked_regions(tmp_path, ("kyiv", "lviv")) as linked:
        yield linked


@asynccontextmanager
async def probe_of_kyiv(mesh: LinkedRegions, dsn: str) -> AsyncIterator[RegionProbe]:
    """As if Lviv were on another machine."""
    entry = RegionEntry(
        keys=Path("keys"),
        postgres=PostgresEntry(port=1, password="x"),
        nats=NatsEntry(client_port=1, monitor_port=1, leaf_port=1),
        services={},
    )
    kyiv = mesh.regions["kyiv"]
    client = await connect_as(kyiv.url, kyiv.seed_file(READER))  # as `aidmesh verify` does
    conn = await asyncpg.connect(dsn)
    yield RegionProbe("kyiv", entry, client, {"payments": conn})
    await conn.close()
    await client.close()


async def send(client: Client, conn: asyncpg.Connection, number: int) -> None:
    """Publish one event and write down that it was acknowledged."""
    ack = await client.jetstream().publish(
        "aid.kyiv.payments.grant.changed.v1", b"{}", headers={"Nats-Msg-Id": f"m{number}"}
    )
    await wrote(conn, ack.seq)


async def wrote(conn: asyncpg.Connection, seq: int) -> None:
    await conn.execute(
        "INSERT INTO outbox (event_id, stream, subject, headers, payload, payload_hash, status, "
        "ack_seq) VALUES (gen_random_uuid(), 'EVENTS', 'x', '{}', '', '', 'acked', $1)",
        seq,
    )


async def test_a_peer_elsewhere_is_asked_for_what_it_has(
    mesh: LinkedRegions, database: DatabaseFactory
) -> None:
    async with probe_of_kyiv(mesh, await database("payments")) as probe:
        conn = probe.connections["payments"]
        admin = await mesh.regions["kyiv"].admin()
        for number in range(SENT):
            await send(admin, conn, number)
        await admin.close()

        async def arrived() -> bool:
            return len(await ids_in(mesh.regions["lviv"], "WORLD")) == SENT

        await eventually(arrived, 20)
        assert await peers_elsewhere(probe, ["kyiv"]) == ["lviv"]
        assert await peers_elsewhere(probe, ["kyiv", "lviv"]) == []

        complete = await public_events_reported(probe, await marks_of(probe), "lviv")
        assert complete.ok, complete.detail

        await wrote(conn, SENT + 1)  # said to be sent, and not there
        lacking = await public_events_reported(probe, await marks_of(probe), "lviv")
        assert not lacking.ok
        assert f"lviv reports {SENT} of {SENT + 1} events" in lacking.detail

        await mesh.cable("kyiv", "lviv").cut()
        await eventually(lambda: not mesh.regions["kyiv"].warden.watcher.linked, 20)
        silent = await public_events_reported(probe, await marks_of(probe), "lviv")
        assert not silent.ok
        assert "reported nothing" in silent.detail
