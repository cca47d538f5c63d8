"""A region's store is lost, or an old one put back, while money moves: no peer misses anything."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from aidmesh_contracts.ids import GrantId
from integration.payments.offices import Desk, open_desk
from support.regions import ids_in
from support.regions_running import RunningRegions, running_regions
from support.servers import DatabaseFactory, NatsRegion
from support.waiting import eventually

WAIT_S = 90.0
BEFORE = 60
SENT = """
    SELECT event_id::text FROM outbox WHERE stream = 'EVENTS' AND status IN ('acked', 'pending')
"""
EFFECTS = {
    # the same money, once in the books of whoever gave it and once in the other's
    "allotments": (
        "SELECT id, amount_minor FROM grant_allotment WHERE holder = 'lviv' ORDER BY 1",
        "SELECT id, received_minor FROM allotment ORDER BY 1",
    ),
    "transfers": (
        "SELECT id, amount_minor FROM transfer WHERE state = 'received' ORDER BY 1",
        "SELECT id, amount_minor FROM transfer ORDER BY 1",
    ),
    "states": (
        """
        SELECT allotment_id, received_minor, version FROM allotment_elsewhere ORDER BY 1
        """,
        "SELECT id, received_minor, version FROM allotment ORDER BY 1",
    ),
}


async def test_a_lost_or_old_store_costs_the_peers_nothing(
    tmp_path: Path, database: DatabaseFactory
) -> None:
    async with running_regions(tmp_path, database, ("kyiv", "lviv"), ("payments",)) as mesh:
        kyiv = await open_desk(mesh["kyiv"].dsns["payments"], "kyiv")
        lviv = await open_desk(mesh["lviv"].dsns["payments"], "lviv")
        grant_id = await kyiv.grant(100_000_000)
        async with _allotting(kyiv, grant_id, at_least=BEFORE):
            pass
        await eventually(partial(_settled, mesh, kyiv, lviv), WAIT_S)
        ours = mesh["kyiv"].nats
        old = tmp_path / "old"
        await asyncio.to_thread(ours.stop)
        shutil.copytree(_store(ours), old)
        await asyncio.to_thread(ours.start)

        for region, put_back in (("kyiv", old), ("kyiv", None), ("lviv", None)):
            server = mesh[region].nats
            async with _allotting(kyiv, grant_id, at_least=BEFORE):
                # All of this is acknowledged, and then it never was.
                await eventually(partial(_has_sent, kyiv, BEFORE // 4), WAIT_S)
                await asyncio.to_thread(server.kill)
                shutil.rmtree(_store(server))
                if put_back is not None:
                    shutil.copytree(put_back, _store(server))
                await asyncio.to_thread(server.start)
                await eventually(partial(_is_open, server), WAIT_S)
            await eventually(partial(_settled, mesh, kyiv, lviv), WAIT_S)
        for desk in (kyiv, lviv):
            await desk.check()
            await desk.db.close()


def _is_open(server: NatsRegion) -> bool:
    return server.warden.gate.is_open


@asynccontextmanager
async def _allotting(kyiv: Desk, grant_id: GrantId, *, at_least: int) -> AsyncIterator[None]:
    """Give money to Lviv all the time, whatever happens meanwhile."""
    over = asyncio.Event()

    async def give() -> None:
        given = 0
        while not over.is_set() or given < at_least:
            await kyiv.allot(grant_id, 1_000 + given, to="lviv")
            given += 1

    work = asyncio.create_task(give())
    try:
        yield
    finally:
        over.set()
        await work


async def _has_sent(desk: Desk, count: int) -> bool:
    """Whether so many more events than before the last damage were acknowledged."""
    query = """
        SELECT count(*) FROM outbox
        WHERE status = 'acked' AND acked_at > now() - interval '2 seconds'
    """
    return bool(await desk.value(query) >= count)


async def _settled(mesh: RunningRegions, kyiv: Desk, lviv: Desk) -> bool:
    """Everything that was ever sent is with the peer, and has had its effect there, once."""
    for name, (given, taken) in EFFECTS.items():
        async with kyiv.db.read() as ours, lviv.db.read() as theirs:
            rows = [tuple(row) for row in await ours.fetch(given)]
            assert rows == [tuple(row) for row in await theirs.fetch(taken)], name
            assert rows
    for sender, reader in ((kyiv, lviv), (lviv, kyiv)):
        async with sender.db.read() as ours, reader.db.read() as theirs:
            sent = {row[0] for row in await ours.fetch(SENT)}
            taken_in = {row[0] for row in await theirs.fetch("SELECT event_id::text FROM inbox")}
            letters = await theirs.fetchval("SELECT count(*) FROM dead_letter")
        world = set(await ids_in(mesh[reader.office.region].nats, "WORLD"))
        assert sent <= world, f"{len(sent - world)} of {len(sent)} are not in WORLD"
        assert sent == taken_in
        assert letters == 0
    return True


def _store(server: NatsRegion) -> Path:
    return server.folder / "nats" / "jetstream"
