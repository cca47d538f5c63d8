"""The power goes while a region publishes.

What a test can do about power is less than what a failing supply does: a killed process leaves what
it wrote to the kernel, which loses nothing. So what had not been flushed is taken away by hand. A
server with `sync_interval: always` flushes a message before anybody hears of it, by an
acknowledgment or by a peer's source: of each log the test keeps what was acknowledged or has
reached a peer, the least that such a server can have kept, and cuts off everything behind it, also
in the middle of a write, or with the zeros that file systems leave. That server and disk do flush
is not shown here, only that the server is told to.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import asyncpg
import pytest

from aidmesh.topology.api import JetStreamApi
from aidmesh.topology.reporter import arrived_from
from aidmesh_chassis import outbox
from integration.test_topology_recover import SUBJECTS, Shop, all_sent, relaying
from support.blocks import cut_after
from support.monitor import flushes_always
from support.regions import ids_in, linked_regions
from support.servers import DatabaseFactory, NatsRegion
from support.services import is_open
from support.waiting import eventually

ACKED_MIN = 60
BACKLOG_MAX = 60
BACK_S_MAX = 60.0
LOOKS = 10
Ids = dict[str, set[str]]


async def marks_of(dsns: Sequence[str]) -> Mapping[str, int]:
    """The highest sequence of each stream that an outbox knows to be acknowledged."""
    marks = dict.fromkeys(SUBJECTS, 0)
    for dsn in dsns:
        connection = await asyncpg.connect(dsn)
        rows = await connection.fetch(
            "SELECT stream, max(ack_seq) AS seq FROM outbox WHERE status = 'acked' GROUP BY stream"
        )
        await connection.close()
        marks |= {row["stream"]: max(marks[row["stream"]], row["seq"]) for row in rows}
    return marks


async def arrived(region: NatsRegion, origin: str) -> int:
    """The last sequence of an origin's log that is in a region's WORLD."""
    client = await region.admin()
    try:
        return (await arrived_from(JetStreamApi(client), origin)).last_seq
    finally:
        await client.close()


async def created(region: NatsRegion) -> Mapping[str, str]:
    """When the region's logs were made."""
    client = await region.admin()
    try:
        api = JetStreamApi(client)
        found = {stream: await api.stream_info(stream) for stream in SUBJECTS}
        return {stream: str((info or {})["created"]) for stream, info in found.items()}
    finally:
        await client.close()


@asynccontextmanager
async def writing(shops: Sequence[Shop], ids: Ids) -> AsyncIterator[None]:
    """Events without a pause, for as long as the block; `ids` gets them by stream."""
    over = asyncio.Event()

    async def write(shop: Shop) -> None:
        while not over.is_set():
            for stream, each in (await shop.write(3)).items():
                ids[stream] |= set(each)

            async def has_room() -> bool:
                return over.is_set() or await shop.pending() <= BACKLOG_MAX

            await eventually(has_room, BACK_S_MAX)

    tasks = [asyncio.create_task(write(shop)) for shop in shops]
    try:
        yield
    finally:
        over.set()
        await asyncio.gather(*tasks)


async def test_what_was_acknowledged_outlasts_the_power_and_what_was_not_is_published_again(
    tmp_path: Path, database: DatabaseFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    note, armed = outbox.acknowledge, asyncio.Event()
    noted = Counter[str]()  # the last sequence by stream that any service began to note

    async def note_or_die(
        conn: asyncpg.Connection,
        acked: Sequence[tuple[outbox.Pending, int]],
        stream_created: Mapping[str, datetime],
    ) -> None:
        nonlocal noted
        last = Counter[str]()
        for row, sequence in acked:
            last[row.stream] = max(last[row.stream], sequence)
        # What the other service notes may come after this: then nothing would be missing.
        is_last = any(last[stream] > noted[stream] for stream in ("LOCAL", "PRIVATE"))
        if (armed.is_set() and is_last) or not kyiv.server.alive:
            kyiv.kill()
            raise ConnectionResetError
        noted |= last
        await note(conn, acked, stream_created)

    monkeypatch.setattr(outbox, "acknowledge", note_or_die)
    dsns = {service: await database(service) for service in ("intake", "payments")}
    shops = [Shop(service, dsn) for service, dsn in dsns.items()]
    ids: Ids = {stream: set() for stream in SUBJECTS}
    async with (
        linked_regions(
            tmp_path, ("kyiv", "lviv"), {"kyiv": list(dsns.values())}, durable=True
        ) as mesh,
        relaying(shops, mesh),
    ):
        kyiv, lviv = mesh.regions["kyiv"], mesh.regions["lviv"]
        store = kyiv.folder / "nats" / "jetstream"
        for region in (kyiv, lviv):
            assert flushes_always(region.server.monitor_port)
        for shop in shops:
            await eventually(lambda opened=shop.database: is_open(opened), BACK_S_MAX)
        made = await created(kyiv)

        async def known() -> dict[str, int]:
            """What anybody outside the server knows that it holds."""
            marks = dict(await marks_of(list(dsns.values())))
            marks["EVENTS"] = max(marks["EVENTS"], await arrived(lviv, "kyiv"))
            return marks

        async def power_cut() -> dict[str, int]:
            """Kill the server between its word and its being noted; what it is known to hold."""
            before = await known()

            async def went_on() -> bool:
                now = await known()
                return all(now[stream] >= before[stream] + ACKED_MIN for stream in SUBJECTS)

            async with writing(shops, ids):
                await eventually(went_on, BACK_S_MAX)
                armed.set()
                await eventually(lambda: not kyiv.server.alive, BACK_S_MAX)
                armed.clear()
            return await still(known)

        async def all_there() -> None:
            await eventually(lambda: all_sent(shops), BACK_S_MAX)
            await eventually(each_once, BACK_S_MAX)
            await eventually(in_world, BACK_S_MAX)

        async def each_once() -> bool:
            for stream in SUBJECTS:
                assert sorted(await ids_in(kyiv, stream)) == sorted(ids[stream]), stream
            return True

        async def in_world() -> bool:
            return ids["EVENTS"] <= set(await ids_in(lviv, "WORLD"))

        for tail in ("nothing", "half", "zeros"):
            held, gone = await power_cut(), Counter[str]()
            for stream, sequence in held.items():
                gone[stream] += cut_after(store, stream, sequence, tail)
            assert gone["LOCAL"] or gone["PRIVATE"]
            await asyncio.to_thread(kyiv.start)
            await all_there()
            # Nothing acknowledged was missing, so nothing had to be made anew.
            assert await created(kyiv) == made

        # A disk that only said that it had flushed: what was acknowledged is rebuilt.
        await power_cut()
        for stream, sequence in (await marks_of(list(dsns.values()))).items():
            assert cut_after(store, stream, sequence - 20, "half") >= 20
        await asyncio.to_thread(kyiv.start)
        await all_there()
        remade = await created(kyiv)
        assert all(remade[stream] != made[stream] for stream in SUBJECTS)


async def still(look: Callable[[], Awaitable[dict[str, int]]]) -> dict[str, int]:
    """What is seen once it has stopped changing: what was on its way has arrived."""
    seen: list[dict[str, int]] = []

    async def unchanged() -> bool:
        seen.append(await look())
        return len(seen) >= LOOKS and all(each == seen[-1] for each in seen[-LOOKS:])

    await eventually(unchanged, BACK_S_MAX)
    return seen[-1]
