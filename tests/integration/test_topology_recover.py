"""A log that lost acknowledged messages is made anew before anything is published into it."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client

from aidmesh.topology import recover as recovery
from aidmesh.topology import warden
from aidmesh.topology.api import JetStreamApi
from aidmesh.topology.history import Mark, Published
from aidmesh.topology.plan import Plan
from aidmesh.topology.progress import Progress
from aidmesh.topology.recover import Log, goes_on_in, lost
from aidmesh_chassis import outbox, relay
from aidmesh_chassis.db import Database
from aidmesh_chassis.running import Running
from support.regions import LinkedRegions, ids_in, linked_regions
from support.servers import DatabaseFactory, NatsRegion
from support.services import is_open, service_of
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
    """Services as they run in production, for as long as the block."""
    tasks = [
        asyncio.create_task(
            Running(service_of(shop.service, mesh.regions["kyiv"], shop.database)).run()
        )
        for shop in shops
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def all_sent(shops: Sequence[Shop]) -> bool:
    return not any([await shop.pending() for shop in shops])


@pytest.mark.parametrize(
    ("damage", "lost_count"),
    [
        ("wiped", 100),
        ("rolled back", 10),
        ("rolled back", 1),
        ("wiped, and the recovery is cut off", 100),
        ("wiped, and the recovery is cut off before it wrote down what it did", 100),
    ],
)
async def test_history_is_published_again_before_anything_new(
    tmp_path: Path,
    database: DatabaseFactory,
    monkeypatch: pytest.MonkeyPatch,
    damage: str,
    lost_count: int,
) -> None:
    monkeypatch.setattr(relay, "SWEEP_S", 0.05)  # relays try many times while the server is away
    dsns = {service: await database(service) for service in ("intake", "payments")}
    shops = [Shop(service, dsn) for service, dsn in dsns.items()]
    async with (
        linked_regions(tmp_path, ("kyiv", "lviv"), {"kyiv": list(dsns.values())}) as mesh,
        relaying(shops, mesh),
    ):
        kyiv, lviv = mesh.regions["kyiv"], mesh.regions["lviv"]
        store, saved = kyiv.folder / "nats" / "jetstream", tmp_path / "saved"
        old: dict[str, set[str]] = {stream: set() for stream in SUBJECTS}

        async def write(count: int) -> dict[str, set[str]]:
            written = [await shop.write(count) for shop in shops]
            return {s: set().union(*(ids[s] for ids in written)) for s in SUBJECTS}

        async def in_world(wanted: set[str]) -> bool:
            return wanted <= set(await ids_in(lviv, "WORLD"))

        await asyncio.gather(*(eventually(partial(is_open, shop.database)) for shop in shops))
        for stream, ids in (await write(150)).items():
            old[stream] |= ids
        await eventually(lambda: all_sent(shops), 20)
        await asyncio.to_thread(kyiv.stop)
        shutil.copytree(store, saved)
        await asyncio.to_thread(kyiv.start)
        for stream, ids in (await write(lost_count)).items():
            old[stream] |= ids
        await eventually(lambda: all_sent(shops), 20)
        await eventually(lambda: in_world(old["EVENTS"]), 20)

        await asyncio.to_thread(kyiv.kill)
        shutil.rmtree(store)
        if damage == "rolled back":
            shutil.copytree(saved, store)
        if "cut off" in damage:
            cut_off_once(monkeypatch, after_batches=2, published="wrote down" in damage)
        new = await write(50)  # more than were lost: published early they would hide the loss
        await asyncio.to_thread(kyiv.start)
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


STAND_STILL = """
    CREATE FUNCTION stand_still() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END $$;
    CREATE TRIGGER stand_still BEFORE UPDATE OF ack_seq ON outbox EXECUTE FUNCTION stand_still();
"""
WAITING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND wait_event = 'advisory'
"""


async def test_what_a_relay_was_about_to_call_sent_is_not_lost_with_the_log(
    tmp_path: Path, database: DatabaseFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the old log's answer, and stands still while the new log is compared with the rows."""
    monkeypatch.setattr(warden, "LOGS_LOOK_S", 3600.0)  # a later look sees the newest row alone
    dsn = await database("intake")
    shop = Shop("intake", dsn)
    blocker, looker = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    async with (
        linked_regions(tmp_path, ("kyiv",), {"kyiv": [dsn]}) as mesh,
        relaying([shop], mesh),
    ):
        kyiv = mesh.regions["kyiv"]

        async def waiting() -> int:
            return int(await looker.fetchval(WAITING))

        async def compared() -> bool:
            return kyiv.warden.gate.is_open or await waiting() > 1

        await eventually(partial(is_open, shop.database))
        await blocker.execute(STAND_STILL)
        async with blocker.transaction():
            await blocker.execute("SELECT pg_advisory_xact_lock(1)")
            ids = await shop.write(1)
            await eventually(waiting)
            assert await ids_in(kyiv, "LOCAL") == ids["LOCAL"]
            await asyncio.to_thread(kyiv.kill)
            shutil.rmtree(kyiv.folder / "nats" / "jetstream")
            await eventually(lambda: not kyiv.warden.gate.is_open)
            await asyncio.to_thread(kyiv.start)
            await eventually(compared, 30)
        await eventually(lambda: all_sent([shop]), 20)
        for stream in SUBJECTS:
            await eventually(partial(holds, kyiv, stream, ids[stream]), 20)
    for each in (blocker, looker):
        await each.close()


async def holds(region: NatsRegion, stream: str, ids: Sequence[str]) -> bool:
    return await ids_in(region, stream) == ids


async def test_what_is_waited_for_in_vain_when_the_server_goes_is_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was asked for over a connection that broke is never answered: nobody waits for it."""
    begun: list[Client] = []

    async def recover_never_at_first(
        client: Client, _: Plan, __: Sequence[str], ___: Progress
    ) -> list[recovery.Recovered]:
        begun.append(client)
        if len(begun) == 1:
            await asyncio.Event().wait()
        return []

    monkeypatch.setattr(warden, "recover", recover_never_at_first)
    kyiv = NatsRegion(tmp_path)
    await asyncio.to_thread(kyiv.start)
    opening = asyncio.create_task(kyiv.open(60))
    try:
        await eventually(lambda: bool(begun), 60)
        await asyncio.to_thread(kyiv.kill)
        await asyncio.to_thread(kyiv.start)
        await opening
    finally:
        opening.cancel()
        await kyiv.close()
    assert len(begun) == 2


async def test_a_log_that_is_lost_before_the_first_look_at_it_is_made_anew(
    nats_region: NatsRegion,
) -> None:
    """The gate has just opened: nobody looked since, and there is nothing to compare with."""
    admin = await nats_region.admin()
    try:
        await JetStreamApi(admin).delete_stream("EVENTS")

        async def is_there() -> bool:
            return await JetStreamApi(admin).stream_info("EVENTS") is not None

        await eventually(is_there, 60)
        await eventually(lambda: nats_region.warden.gate.is_open, 60)
    finally:
        await admin.close()


async def no_longer_lost(mesh: LinkedRegions, dsns: list[str]) -> dict[str, str]:
    client = await mesh.regions["kyiv"].admin()
    try:
        return await recovery.check(JetStreamApi(client), dsns)
    finally:
        await client.close()


async def sequences_are_true(mesh: LinkedRegions, dsns: Iterable[str]) -> None:
    """Every acknowledged row names the sequence at which its message really is."""
    client = await mesh.regions["kyiv"].admin()
    context = client.jetstream(timeout=60)
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


def cut_off_once(monkeypatch: pytest.MonkeyPatch, after_batches: int, *, published: bool) -> None:
    """Cut off a recovery at its second batch; of that, all is `published`, or nothing."""
    real, count = recovery.publish_batch, 0

    async def publish(client: Client, batch: Sequence[Published]) -> int:
        nonlocal count
        count += 1
        if count == after_batches and not published:
            raise ConnectionResetError
        last = await real(client, batch)
        if count == after_batches:
            raise ConnectionResetError
        return last

    monkeypatch.setattr(recovery, "publish_batch", publish)
    monkeypatch.setattr(recovery, "BATCH_MAX", 100)


TIMES = st.sampled_from([datetime(2024, 1, day, tzinfo=UTC) for day in (1, 2, 3)])
IDS = st.sampled_from([UUID(int=n) for n in range(4)])
MARKS = st.lists(st.builds(Mark, st.integers(1, 20), TIMES, IDS), max_size=4)
HELD = st.dictionaries(st.integers(1, 20), st.one_of(st.none(), IDS.map(str)))


@given(found=st.builds(Log, TIMES, st.integers(0, 20), st.just(value=False)), marks=MARKS, ids=HELD)
def test_a_log_is_whole_only_if_it_holds_what_was_acknowledged_highest(
    found: Log, marks: list[Mark], ids: dict[int, str | None]
) -> None:
    if lost(found, marks, ids) is None:
        assert all(mark.ack_seq <= found.last_seq for mark in marks)
        assert not marks or max(marks).stream_created == found.created
        here = [mark for mark in marks if mark.stream_created == found.created]
        assert all(ids[mark.ack_seq] == str(mark.event_id) for mark in here)
    else:
        assert marks


@given(marks=MARKS, ids=HELD)
def test_a_missing_or_half_recovered_log_is_lost(
    marks: list[Mark], ids: dict[int, str | None]
) -> None:
    assert (lost(None, marks, ids) is None) == (not marks)
    half = Log(datetime(2024, 1, 1, tzinfo=UTC), last_seq=100, recovering=True)
    assert lost(half, marks, ids) is not None


MADE = datetime(2024, 1, 2, tzinfo=UTC)
BEFORE, LATER = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 3, tzinfo=UTC)
HALF = Log(MADE, last_seq=1_020, recovering=True, first_seq=1_001)


@pytest.mark.parametrize(
    ("found", "marks", "goes_on"),
    [
        pytest.param(HALF, [Mark(1_020, MADE, UUID(int=1))], True, id="all of it is there"),
        pytest.param(HALF, [Mark(900, BEFORE, UUID(int=1))], True, id="nothing was written down"),
        pytest.param(HALF, [Mark(1_020, MADE, UUID(int=2))], False, id="another is in its place"),
        pytest.param(HALF, [Mark(1_030, MADE, UUID(int=1))], False, id="it is shorter than it was"),
        pytest.param(HALF, [Mark(9_001, LATER, UUID(int=1))], False, id="a later log came after"),
        pytest.param(
            replace(HALF, recovering=False), [], False, id="it is none that a recovery began"
        ),
        pytest.param(replace(HALF, last_seq=0), [], False, id="it forgot where it begins"),
        pytest.param(replace(HALF, first_seq=0), [], False, id="it never knew"),
    ],
)
def test_only_a_log_that_kept_what_was_put_back_is_gone_on_with(
    found: Log, marks: list[Mark], goes_on: bool
) -> None:
    ids: dict[int, str | None] = {1_020: str(UUID(int=1)), 1_030: None}
    assert goes_on_in(found, marks, ids) is goes_on


async def test_a_log_that_was_put_back_and_grew_again_is_found_out(
    tmp_path: Path, database: DatabaseFactory
) -> None:
    """Whoever published into it: the messages there are not those that were acknowledged."""
    dsn = await database("intake")
    shop = Shop("intake", dsn)
    async with linked_regions(tmp_path, ("kyiv", "lviv"), {"kyiv": [dsn]}) as mesh:
        kyiv = mesh.regions["kyiv"]
        async with relaying([shop], mesh):
            await eventually(lambda: is_open(shop.database))
            await shop.write(5)
            await eventually(lambda: all_sent([shop]), 20)
        assert not await no_longer_lost(mesh, [dsn])
        admin = await kyiv.admin()
        last = (await admin.jetstream().stream_info("LOCAL")).state.last_seq
        await JetStreamApi(admin).change("STREAM.MSG.DELETE.LOCAL", {"seq": last})
        found = await no_longer_lost(mesh, [dsn])
        assert list(found) == ["LOCAL"]
        await admin.close()


async def test_what_was_blanked_or_is_about_to_age_out_is_not_missed(
    tmp_path: Path, database: DatabaseFactory
) -> None:
    dsn = await database("intake")
    shop = Shop("intake", dsn)
    async with linked_regions(tmp_path, ("kyiv", "lviv"), {"kyiv": [dsn]}) as mesh:
        async with relaying([shop], mesh):
            await eventually(lambda: is_open(shop.database))
            await shop.write(5)
            await eventually(lambda: all_sent([shop]), 20)
        admin = await mesh.regions["kyiv"].admin()
        await JetStreamApi(admin).change("STREAM.PURGE.PRIVATE")
        await admin.close()
        assert list(await no_longer_lost(mesh, [dsn])) == ["PRIVATE"]
        conn = await asyncpg.connect(dsn)
        change = "UPDATE outbox SET {} WHERE stream = 'PRIVATE'"
        await conn.execute(change.format("payload = NULL"))
        assert not await no_longer_lost(mesh, [dsn])
        await conn.execute(
            change.format("payload = '1', acked_at = now() - interval '6 days 23.5 hours'")
        )
        assert not await no_longer_lost(mesh, [dsn])
        await conn.close()
