"""A log that lost acknowledged messages is made anew before anything is published into it."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client

from aidmesh.topology import recover as recovery
from aidmesh.topology.api import JetStreamApi
from aidmesh.topology.history import Mark, Published
from aidmesh.topology.recover import Log, lost
from aidmesh_chassis import outbox
from aidmesh_chassis.db import Database
from aidmesh_chassis.relay import Relay
from support.regions import LinkedRegions, ids_in, linked_regions
from support.servers import DatabaseFactory
from support.waiting import eventually

SUBJECTS = {
    "EVENTS": "aid.kyiv.{service}.grant.changed.v1",
    "LOCAL": "local.kyiv.{service}.need.ready.v1",
    "PRIVATE": "private.kyiv.{service}.contact.sealed.v1",
}


class Shop:
    """A service that has nothing but an outbox and a relay."""

    def __init__(self, service: str, dsn: str) -> None:
        self.service = service
        self.database = Database(dsn, outbox.Origin("kyiv", service))

    async def write(self, count: int) -> dict[str, list[str]]:
        """Write events to the outbox; returns their ids by stream, in order."""
        rows = []
        ids: dict[str, list[str]] = {stream: [] for stream in SUBJECTS}
        for number in range(count):
            for stream, subject in SUBJECTS.items():
                one = uuid4()
                ids[stream].append(str(one))
                rows.append(
                    outbox.Row(
                        one,
                        stream,
                        subject.format(service=self.service),
                        json.dumps({"Nats-Msg-Id": str(one), "ce-id": str(one)}),
                        str(number).encode(),
                        b"hash",
                    )
                )
        async with self.database.connection() as conn:
            await outbox.insert(conn, rows)
        return ids

    async def pending(self) -> int:
        """How many are not acknowledged."""
        async with self.database.connection() as conn:
            count: int = await conn.fetchval("SELECT count(*) FROM outbox WHERE status = 'pending'")
        return count


@asynccontextmanager
async def relaying(shops: Sequence[Shop], mesh: LinkedRegions) -> AsyncIterator[None]:
    """Relays as a service runs them, for as long as the block."""
    clients, tasks = [], []
    try:
        for shop in shops:
            await shop.database.open()
            client = await mesh.regions["kyiv"].connect(shop.service)
            clients.append(client)
            relay = Relay(shop.database, client)

            async def close_gate(relay: Relay = relay) -> None:
                relay.close_gate()

            client._disconnected_cb = close_gate
            client._reconnected_cb = close_gate
            tasks.append(asyncio.create_task(relay.run()))
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for client in clients:
            await client.close()
        for shop in shops:
            await shop.database.close()


async def all_sent(shops: Sequence[Shop]) -> bool:
    return not any([await shop.pending() for shop in shops])


@pytest.mark.parametrize("damage", ["wiped", "rolled back", "wiped, and the recovery is cut off"])
async def test_history_is_published_again_before_anything_new(
    tmp_path: Path, database: DatabaseFactory, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    dsns = {service: await database(service) for service in ("intake", "payments")}
    shops = [Shop(service, dsn) for service, dsn in dsns.items()]
    async with (
        linked_regions(tmp_path, ("kyiv", "lviv"), {"kyiv": list(dsns.values())}) as mesh,
        relaying(shops, mesh),
    ):
        kyiv, lviv = mesh.regions["kyiv"], mesh.regions["lviv"]
        store, saved = kyiv.folder / "jetstream", tmp_path / "saved"
        old: dict[str, set[str]] = {stream: set() for stream in SUBJECTS}

        async def write(count: int) -> dict[str, set[str]]:
            written = [await shop.write(count) for shop in shops]
            return {s: set().union(*(ids[s] for ids in written)) for s in SUBJECTS}

        async def in_world(wanted: set[str]) -> bool:
            return wanted <= set(await ids_in(lviv, "WORLD"))

        for stream, ids in (await write(150)).items():
            old[stream] |= ids
        await eventually(lambda: all_sent(shops), 20)
        kyiv.stop()
        shutil.copytree(store, saved)
        kyiv.start()
        for stream, ids in (await write(100)).items():
            old[stream] |= ids
        await eventually(lambda: all_sent(shops), 20)
        await eventually(lambda: in_world(old["EVENTS"]), 20)

        kyiv.kill()
        shutil.rmtree(store)
        if damage == "rolled back":
            shutil.copytree(saved, store)
        if damage == "wiped, and the recovery is cut off":
            cut_off_once(monkeypatch, after_batches=2)
        new = await write(50)
        kyiv.start()
        await eventually(lambda: all_sent(shops), 40)

        for stream in SUBJECTS:
            present = await ids_in(kyiv, stream)
            assert sorted(present) == sorted(old[stream] | new[stream]), stream
            history, fresh = present[: len(old[stream])], present[len(old[stream]) :]
            assert set(history) == old[stream]
            assert set(fresh) == new[stream]
        await eventually(lambda: in_world(old["EVENTS"] | new["EVENTS"]), 30)
        await sequences_are_true(mesh, dsns.values())
        assert not await no_longer_lost(mesh, list(dsns.values()))


async def no_longer_lost(mesh: LinkedRegions, dsns: list[str]) -> dict[str, str]:
    client = await mesh.regions["kyiv"].admin()
    try:
        return await recovery.check(JetStreamApi(client), dsns)
    finally:
        await client.close()


async def sequences_are_true(mesh: LinkedRegions, dsns: Iterable[str]) -> None:
    """Every acknowledged row names the sequence at which its message really is."""
    client = await mesh.regions["kyiv"].admin()
    context = client.jetstream()
    for dsn in dsns:
        connection = await asyncpg.connect(dsn)
        rows = await connection.fetch("SELECT stream, event_id, ack_seq FROM outbox")
        await connection.close()
        messages = await asyncio.gather(
            *(context.get_msg(row["stream"], row["ack_seq"], direct=True) for row in rows)
        )
        for row, message in zip(rows, messages, strict=True):
            assert (message.headers or {})["Nats-Msg-Id"] == str(row["event_id"])
    await client.close()


def cut_off_once(monkeypatch: pytest.MonkeyPatch, after_batches: int) -> None:
    real, count = recovery.publish_batch, 0

    async def publish(client: Client, batch: Sequence[Published]) -> int:
        nonlocal count
        count += 1
        if count == after_batches:
            raise ConnectionResetError
        return await real(client, batch)

    monkeypatch.setattr(recovery, "publish_batch", publish)
    monkeypatch.setattr(recovery, "BATCH_MAX", 100)


TIMES = st.sampled_from([datetime(2024, 1, day, tzinfo=UTC) for day in (1, 2, 3)])
MARKS = st.lists(st.builds(Mark, st.integers(1, 20), TIMES), max_size=4)


@given(found=st.builds(Log, TIMES, st.integers(0, 20), st.just(value=False)), marks=MARKS)
def test_a_log_is_whole_only_if_it_reaches_the_highest_acknowledged(
    found: Log, marks: list[Mark]
) -> None:
    if lost(found, marks) is None:
        assert all(mark.ack_seq <= found.last_seq for mark in marks)
        assert not marks or max(marks).stream_created == found.created
    else:
        assert marks


@given(marks=MARKS)
def test_a_missing_or_half_recovered_log_is_lost(marks: list[Mark]) -> None:
    assert (lost(None, marks) is None) == (not marks)
    half = Log(datetime(2024, 1, 1, tzinfo=UTC), last_seq=100, recovering=True)
    assert lost(half, marks) is not None
