"""Handing over to one other region: over real links, cut and lost streams, until it is answered."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast
from uuid import UUID, uuid4

import asyncpg
import pytest

from aidmesh.topology.api import JetStreamApi, section
from aidmesh_chassis import courier, handoff, letters, upkeep
from aidmesh_chassis.acknowledging import Message
from aidmesh_chassis.consuming import Handler, Inlet, Received, Subscription
from aidmesh_chassis.db import Database, Tx
from aidmesh_chassis.envelope import new_event_id, read
from aidmesh_chassis.errors import Poison
from aidmesh_chassis.outbox import Origin, row_of
from aidmesh_chassis.running import Running
from aidmesh_contracts.base import Event
from aidmesh_contracts.consumers import consumers_of
from aidmesh_contracts.payments import HandoffTakenV1, KeyChangedV1
from aidmesh_contracts.streams import Stream
from support.regions import LinkedRegions, linked_regions
from support.servers import DatabaseFactory, NatsRegion
from support.services import is_open, service_of
from support.waiting import eventually

NOON = datetime(2026, 3, 8, 12, tzinfo=UTC)


class NoteSentV1(Event, type="payments.note.sent.v1", stream=Stream.HANDOFF, key="note_id"):
    """What these tests hand over; no durable takes it, so the tests themselves do."""

    note_id: UUID
    sealed: str


async def nothing(_: Tx, __: Sequence[Received[Event]]) -> None:
    """What payments hands over in earnest is not sent here."""


def answer(handoff_id: UUID) -> Event:
    return HandoffTakenV1(handoff_id=handoff_id)


@dataclass
class Office:
    """Payments of one region, as far as handing over goes."""

    region: NatsRegion
    database: Database
    seen: list[UUID]

    async def send(self, to_region: str, count: int = 1) -> list[UUID]:
        """Hand over so many notes; their ids."""
        ids = [new_event_id() for _ in range(count)]
        async with self.database.transaction() as tx:
            for event_id in ids:
                note = NoteSentV1(note_id=uuid4(), sealed="c2VhbGVk")
                tx.hand_over(note, to_region, event_id=event_id)
        return ids

    async def rows(self) -> dict[UUID, asyncpg.Record]:
        """What awaits an answer, or had one."""
        async with self.database.connection() as conn:
            found = await conn.fetch("SELECT * FROM handoff WHERE awaits_answer")
        return {row["event_id"]: row for row in found}

    async def settled(self) -> bool:
        """Whether everything was answered."""
        return all(row["status"] == "settled" for row in (await self.rows()).values())

    async def in_stream(self) -> int:
        """How many notes the region's HANDOFF stream holds."""
        admin = await self.region.admin()
        info = await admin.jetstream().stream_info(
            "HANDOFF", subjects_filter="handoff.*.*.*.note.>"
        )
        await admin.close()
        return sum((info.state.subjects or {}).values())

    async def take(self, count: int, fault: Exception | None = None) -> None:
        """Take so many notes in from the stream, as a durable would bring them.

        Args:
            fault: why they can't be handled, if they can't.
        """
        admin = await self.region.admin()
        puller = await admin.jetstream().pull_subscribe(
            f"handoff.{self.region.region}.*.payments.note.sent.v1", stream="HANDOFF"
        )

        async def note(_: Tx, batch: Sequence[Received[NoteSentV1]]) -> None:
            if fault is not None:
                raise fault
            self.seen.extend(item.event_id for item in batch)

        inlet = Inlet(self.database, "payments-handoff", {NoteSentV1: note}, answer=answer)
        messages = await puller.fetch(count, timeout=60)
        await inlet.take(cast("list[Message]", messages))
        await admin.close()


@asynccontextmanager
async def office(region: NatsRegion, database: DatabaseFactory) -> AsyncIterator[Office]:
    db = Database(await database("payments"), Origin(region.region, "payments"))
    (taken_in,) = [each for each in consumers_of("payments") if each.stream is Stream.HANDOFF]
    handlers: dict[type[Event], Handler] = dict.fromkeys(taken_in.events, nothing)
    handlers[HandoffTakenV1] = handoff.settle
    answers = Subscription(Stream.HANDOFF, handlers, answer=answer)
    task = asyncio.create_task(Running(service_of("payments", region, db, [answers])).run())
    try:
        await eventually(lambda: is_open(db), 20)
        yield Office(region, db, [])
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@dataclass
class Pair:
    mesh: LinkedRegions
    kyiv: Office
    lviv: Office


@pytest.fixture
async def pair(
    tmp_path: Path, database: DatabaseFactory, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Pair]:
    for name, seconds in {"BEAT_S": 0.2, "WATCH_S": 0.2}.items():
        monkeypatch.setattr(f"aidmesh_chassis.running.{name}", seconds)
    monkeypatch.setattr(courier, "DARK_S", 1.0)
    monkeypatch.setattr(courier, "PUBLISH_S_MAX", 1.0)
    async with AsyncExitStack() as stack:
        mesh = await stack.enter_async_context(linked_regions(tmp_path, ("kyiv", "lviv")))
        kyiv = await stack.enter_async_context(office(mesh.regions["kyiv"], database))
        lviv = await stack.enter_async_context(office(mesh.regions["lviv"], database))
        yield Pair(mesh, kyiv, lviv)


async def test_a_handoff_is_settled_by_the_answer_alone_and_waits_while_the_link_is_cut(
    pair: Pair,
) -> None:
    kyiv, lviv = pair.kyiv, pair.lviv
    cable = pair.mesh.cable("kyiv", "lviv")
    await cable.cut()
    sent = await kyiv.send("lviv", 5)

    async def tried() -> bool:
        return any(row["tries"] >= 2 for row in (await kyiv.rows()).values())

    await eventually(tried, 20)
    assert await lviv.in_stream() == 0
    cable.heal()

    async def arrived() -> bool:
        return await lviv.in_stream() >= 5

    await eventually(arrived, 20)
    rows = await kyiv.rows()
    assert {row["status"] for row in rows.values()} == {"waiting"}  # stored is not taken in
    await lviv.take(5)
    await eventually(kyiv.settled, 20)
    assert sorted(lviv.seen) == sorted(sent)


async def forget_soon(region: NatsRegion) -> None:
    """Have the HANDOFF stream forget ids at once, as one that was lost does."""
    admin = await region.admin()
    api = JetStreamApi(admin)
    config = section(await api.stream_info("HANDOFF") or {}, "config")
    await api.update_stream({**config, "duplicate_window": 100_000_000})
    await admin.close()


def _ask_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has no answer hands over again within a moment."""
    monkeypatch.setattr(handoff, "UNANSWERED_S_MIN", 0.3)
    monkeypatch.setattr(handoff, "UNANSWERED_S_MAX", 0.3)


async def lose(region: NatsRegion) -> None:
    """Empty the HANDOFF stream."""
    admin = await region.admin()
    await JetStreamApi(admin).change("STREAM.PURGE.HANDOFF")
    await admin.close()


async def test_what_the_stream_lost_comes_again_and_is_answered_again(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    _ask_again_soon(monkeypatch)
    kyiv, lviv = pair.kyiv, pair.lviv
    await forget_soon(lviv.region)
    (sent,) = await kyiv.send("lviv")

    async def arrived() -> bool:
        return await lviv.in_stream() >= 1

    await eventually(arrived, 20)
    await lose(lviv.region)  # before anybody took it in
    await eventually(arrived, 20)
    await lviv.take(1)
    await eventually(kyiv.settled, 20)
    async with kyiv.database.connection() as conn:  # as if the answer had been lost
        await conn.execute(
            "UPDATE handoff SET status = 'waiting', settled_at = NULL, next_at = now()"
            " WHERE awaits_answer"
        )
    await lose(lviv.region)
    await eventually(arrived, 20)
    await lviv.take(1)
    await eventually(kyiv.settled, 20)
    assert lviv.seen == [sent]  # once, though it was answered twice


async def test_a_sender_waits_no_longer_for_what_a_person_dropped(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    _ask_again_soon(monkeypatch)
    kyiv, lviv = pair.kyiv, pair.lviv
    await forget_soon(lviv.region)
    (sent,) = await kyiv.send("lviv")
    await lviv.take(1, Poison("no_such_account"))
    async with lviv.database.connection() as conn:
        letter = await conn.fetchrow("SELECT id, event_id FROM dead_letter")
        assert letter is not None
        assert letter["event_id"] == sent
        assert await letters.drop(conn, letter["id"], "olena", "paid by hand")
    assert not await kyiv.settled()
    await lose(lviv.region)  # so that what is taken next is a copy
    await lviv.take(1)
    await eventually(kyiv.settled, 20)
    assert lviv.seen == []


def taken(handoff_id: UUID, region: str) -> Received[Event]:
    at = row_of(
        answer(handoff_id),
        Origin(region, "payments"),
        NOON,
        cause=None,
        event_id=None,
        version=None,
        to_region="kyiv",
    )
    return read(
        at.subject, json.loads(at.headers), at.payload, {HandoffTakenV1.type: HandoffTakenV1}
    )


@pytest.fixture
async def kyiv(database: DatabaseFactory) -> AsyncIterator[Database]:
    db = Database(await database("payments"), Origin("kyiv", "payments"))
    await db.open()
    yield db
    await db.close()


async def hand_over(db: Database, note_id: UUID, to_region: str = "lviv") -> UUID:
    event_id = new_event_id()
    async with db.transaction() as tx:
        tx.hand_over(NoteSentV1(note_id=note_id, sealed="c2VhbGVk"), to_region, event_id=event_id)
    return event_id


async def status(db: Database, event_id: UUID) -> tuple[str, bool]:
    async with db.connection() as conn:
        row = await conn.fetchrow(
            "SELECT status, payload IS NOT NULL AS kept FROM handoff WHERE event_id = $1", event_id
        )
    assert row is not None
    return row["status"], row["kept"]


async def test_only_the_region_it_was_for_can_settle_a_handoff(kyiv: Database) -> None:
    sent = await hand_over(kyiv, uuid4())
    async with kyiv.transaction() as tx:
        await handoff.settle(tx, [taken(sent, "odesa")])
    assert await status(kyiv, sent) == ("waiting", True)
    async with kyiv.transaction() as tx:
        await handoff.settle(tx, [taken(sent, "lviv")])
    assert await status(kyiv, sent) == ("settled", True)


async def test_an_erasure_withdraws_what_was_not_answered_and_blanks_the_rest(
    kyiv: Database,
) -> None:
    erased, other = uuid4(), uuid4()
    unsent, settled, kept = [await hand_over(kyiv, each) for each in (erased, erased, other)]
    async with kyiv.transaction() as tx:
        await handoff.settle(tx, [taken(settled, "lviv")])
        await handoff.withdraw(tx.conn, [erased])
    assert await status(kyiv, unsent) == ("withdrawn", False)
    assert await status(kyiv, settled) == ("settled", False)
    assert await status(kyiv, kept) == ("waiting", True)


async def test_an_erasure_reads_no_more_than_what_is_of_that_person(kyiv: Database) -> None:
    await hand_over(kyiv, uuid4())
    async with kyiv.transaction() as tx:
        await tx.conn.execute("SET LOCAL enable_seqscan = off")
        await handoff.withdraw(tx.conn, [uuid4()])
        reads = await tx.conn.fetchrow(
            "SELECT seq_scan, idx_scan FROM pg_stat_xact_user_tables WHERE relname = 'handoff'"
        )
    assert dict(reads or {}) == {"seq_scan": 0, "idx_scan": 1}


async def test_a_payload_is_blanked_a_week_after_its_answer(kyiv: Database) -> None:
    old, fresh, waits = [await hand_over(kyiv, uuid4()) for _ in range(3)]
    async with kyiv.transaction() as tx:
        await handoff.settle(tx, [taken(old, "lviv"), taken(fresh, "lviv")])
        await tx.conn.execute(
            "UPDATE handoff SET settled_at = now() - interval '8 days' WHERE event_id = $1", old
        )
    async with kyiv.transaction() as tx:
        assert await upkeep.BLANK_PRIVATE.run(tx) == 1
    assert await status(kyiv, old) == ("settled", False)
    assert await status(kyiv, fresh) == ("settled", True)
    assert await status(kyiv, waits) == ("waiting", True)


async def test_nothing_is_handed_over_within_a_region(kyiv: Database) -> None:
    with pytest.raises(ValueError, match="within a region"):
        await hand_over(kyiv, uuid4(), "kyiv")


@pytest.mark.parametrize(
    ("event", "to_region", "subject"),
    [
        (
            HandoffTakenV1(handoff_id=uuid4()),
            "kyiv",
            "handoff.kyiv.odesa.payments.handoff.taken.v1",
        ),
        (
            KeyChangedV1(purpose="seal", public="AA==", version=1),
            None,
            "aid.odesa.payments.key.changed.v1",
        ),
    ],
    ids=["handoff", "event"],
)
def test_an_event_that_names_another_region_than_its_subject_is_poison(
    event: Event, to_region: str | None, subject: str
) -> None:
    row = row_of(
        event,
        Origin("lviv", "payments"),
        NOON,
        cause=None,
        event_id=None,
        version=None,
        to_region=to_region,
    )
    known: dict[str, type[Event]] = {
        HandoffTakenV1.type: HandoffTakenV1,
        KeyChangedV1.type: KeyChangedV1,
    }
    assert read(row.subject, json.loads(row.headers), row.payload, known).region == "lviv"
    with pytest.raises(Poison, match="another_region"):
        read(subject, json.loads(row.headers), row.payload, known)
