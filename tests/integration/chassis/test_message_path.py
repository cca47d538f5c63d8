"""From one service's transaction to another's: outbox, relay, stream, inbox, dead letters.

Real PostgreSQL and NATS; what is killed is killed for real.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

import asyncpg
import pytest

from aidmesh.embedded.postgres import PostgresServer
from aidmesh_chassis.consuming import Inlet, Received, Subscription
from aidmesh_chassis.db import Tx
from aidmesh_chassis.errors import Park, Poison
from aidmesh_chassis.relay import Relay
from aidmesh_contracts.ids import NeedId
from aidmesh_contracts.intake import ContactSealedV1, NeedToldV1
from aidmesh_contracts.streams import Stream
from integration.chassis.parts import (
    FakeMessage,
    Producer,
    Taker,
    card,
    emit,
    in_stream,
    opened,
    pending,
    record,
    wire,
)
from support.loglines import written
from support.servers import DatabaseFactory, NatsRegion
from support.waiting import eventually


async def test_events_reach_the_stream_once_with_their_sequence_recorded(
    producer: Producer, nats_region: NatsRegion
) -> None:
    await emit(producer.database, range(1, 701))

    async def all_sent() -> bool:
        return await pending(producer.database) == 0

    await eventually(all_sent)
    stored = await in_stream(nats_region)
    async with producer.database.connection() as conn:
        rows = await conn.fetch("SELECT event_id, ack_seq FROM outbox ORDER BY seq")
    assert [(row["ack_seq"], str(row["event_id"])) for row in rows] == stored
    assert len(stored) == 700


async def test_a_rolled_back_transaction_publishes_nothing(producer: Producer) -> None:
    async def fail() -> None:
        async with producer.database.transaction() as tx:
            tx.emit(card(1))
            await tx.flush()
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        await fail()
    async with producer.database.connection() as conn:
        assert await conn.fetchval("SELECT count(*) FROM outbox") == 0


async def test_a_crash_between_publishing_and_recording_stores_nothing_twice(
    producer: Producer, nats_region: NatsRegion
) -> None:
    await emit(producer.database, range(1, 101))

    async def all_sent() -> bool:
        return await pending(producer.database) == 0

    await eventually(all_sent)
    before = await in_stream(nats_region)
    async with producer.database.connection() as conn:  # as if the commit had been lost
        await conn.execute(
            "UPDATE outbox SET status='pending', ack_seq=NULL, acked_at=NULL WHERE seq % 2 = 0"
        )
    await emit(producer.database, range(101, 111))
    await eventually(all_sent)
    after = await in_stream(nats_region)
    assert after[:100] == before
    assert len(after) == 110
    async with producer.database.connection() as conn:
        rows = await conn.fetch("SELECT event_id, ack_seq FROM outbox")
    assert {(row["ack_seq"], str(row["event_id"])) for row in rows} == set(after)


async def test_two_relays_share_the_work(
    producer: Producer, nats_region: NatsRegion, database: DatabaseFactory
) -> None:
    client = await nats_region.connect("intake")
    second = Relay(producer.database, client)
    task = asyncio.create_task(second.run())
    try:
        for start in range(1, 2001, 100):
            await emit(producer.database, range(start, start + 100))

        async def all_sent() -> bool:
            return await pending(producer.database) == 0

        await eventually(all_sent)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await client.close()
    stored = await in_stream(nats_region)
    assert len(stored) == len({event_id for _, event_id in stored}) == 2000


async def test_nats_killed_in_the_middle_of_publishing_loses_and_doubles_nothing(
    producer: Producer, nats_region: NatsRegion
) -> None:
    async def load() -> None:
        for start in range(1, 3001, 50):
            await emit(producer.database, range(start, start + 50))
            await asyncio.sleep(0)

    loading = asyncio.create_task(load())
    await eventually(lambda: producer.relay.is_open)
    await asyncio.to_thread(nats_region.kill)
    await loading
    await asyncio.to_thread(nats_region.start)

    async def all_sent() -> bool:
        return await pending(producer.database) == 0

    await eventually(all_sent, 30)
    stored = await in_stream(nats_region)
    assert len(stored) == len({event_id for _, event_id in stored}) == 3000


async def test_every_event_is_handled_once(producer: Producer, taker: Taker) -> None:
    await emit(producer.database, range(1, 501))

    async def all_there() -> bool:
        return await taker.seen() == dict.fromkeys(range(1, 501), 1)

    await eventually(all_there)
    async with taker.database.connection() as conn:
        assert await conn.fetchval("SELECT count(*) FROM inbox") == 500


async def test_poison_hurts_only_itself(producer: Producer, taker: Taker) -> None:
    async def picky(tx: Tx, batch: Sequence[Received[ContactSealedV1]]) -> None:
        await record(tx, batch)
        if any(item.event.person_id.int == 7 for item in batch):
            raise Poison("seven")

    taker.effect[0] = picky
    await emit(producer.database, range(1, 41))
    expected = {n: 1 for n in range(1, 41) if n != 7}

    async def others_there() -> bool:
        return await taker.seen() == expected and bool(await taker.letters("dead"))

    await eventually(others_there)
    (letter,) = await taker.letters("dead")
    assert letter["reason"] == "seven"
    assert UUID(int=7).hex[-4:] in letter["payload"].decode()


async def test_what_fails_again_and_again_becomes_a_dead_letter_and_can_be_retried(
    producer: Producer, taker: Taker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aidmesh_chassis.consuming.ATTEMPTS_MAX", 2)

    async def broken(tx: Tx, batch: Sequence[Received[ContactSealedV1]]) -> None:
        raise ZeroDivisionError

    taker.effect[0] = broken
    await emit(producer.database, [1])

    async def is_dead() -> bool:
        return bool(await taker.letters("dead"))

    await eventually(is_dead, 20)
    (letter,) = await taker.letters("dead")
    assert (letter["attempts"], letter["reason"]) == (2, "ZeroDivisionError")
    taker.effect[0] = record
    async with taker.database.connection() as conn:
        await conn.execute("UPDATE dead_letter SET status='parked', retry_at=now()")

    async def handled() -> bool:
        return await taker.seen() == {1: 1} and bool(await taker.letters("done"))

    await eventually(handled, 20)


async def test_a_parked_message_comes_again_by_itself(producer: Producer, taker: Taker) -> None:
    calls = 0

    async def not_yet(tx: Tx, batch: Sequence[Received[ContactSealedV1]]) -> None:
        nonlocal calls
        calls += 1
        if calls <= 2:  # in the batch, then alone
            raise Park("too_early", retry_s=0.0)
        await record(tx, batch)

    taker.effect[0] = not_yet
    await emit(producer.database, [1])

    async def handled() -> bool:
        return await taker.seen() == {1: 1} and bool(await taker.letters("done"))

    await eventually(handled, 20)


async def test_postgres_killed_while_events_stream_in(
    producer: Producer, taker: Taker, postgres: PostgresServer
) -> None:
    await emit(producer.database, range(1, 1001))

    async def some_there() -> bool:
        return bool(await taker.seen())

    await eventually(some_there)
    await asyncio.to_thread(postgres.kill)
    await asyncio.to_thread(postgres.start)

    async def all_there() -> bool:
        try:
            return await taker.seen() == dict.fromkeys(range(1, 1001), 1)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False

    await eventually(all_there, 45)
    assert not await taker.letters("dead")


async def test_what_is_handled_by_itself_is_named_in_its_lines(database: DatabaseFactory) -> None:
    db = await opened(await database("console"), "notification")

    async def note(tx: Tx, batch: Sequence[Received[NeedToldV1]]) -> None:
        tx.log.info("service.started", messages=len(batch))

    def told(number: int) -> NeedToldV1:
        return NeedToldV1(
            need_id=NeedId(UUID(int=number)),
            attempt_no=1,
            told_at=datetime(2024, 3, 8, tzinfo=UTC),
            how="in_person",
            collect_days=7,
        )

    inlet = Inlet(db, "notification-local", {NeedToldV1: note})
    event_id = uuid4()
    with written("notification") as lines:
        await inlet.take([wire(told(1), event_id)])
        await inlet.take([wire(told(2), uuid4()), wire(told(3), uuid4())])
    alone, together = lines.of("service.started")
    assert (alone["need_id"], alone["event_id"]) == (str(UUID(int=1)), str(event_id))
    assert (together["messages"], "need_id" in together) == (2, False)
    await db.close()


async def test_a_reused_id_with_other_content_is_a_dead_letter(database: DatabaseFactory) -> None:
    dsn = await database("console")
    db = await opened(dsn, "notification")
    handled: list[int] = []

    async def note(tx: Tx, batch: Sequence[Received[ContactSealedV1]]) -> None:
        handled.extend(item.event.person_id.int for item in batch)

    inlet = Inlet(db, "notification-private", {ContactSealedV1: note})
    event_id = uuid4()
    first, again, other = wire(card(1), event_id), wire(card(1), event_id), wire(card(2), event_id)
    await inlet.take([first])
    await inlet.take([again])
    await inlet.take([other])
    assert (first.outcome, again.outcome, other.outcome) == (["ack"], ["ack"], ["term"])
    assert handled == [1]
    async with db.connection() as conn:
        reason = await conn.fetchval("SELECT reason FROM dead_letter")
    assert reason == "id_reused_with_other_content"
    await db.close()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda m: setattr(m, "data", b"{"), "bad_payload"),
        (lambda m: m.headers.pop("ce-time"), "bad_envelope"),
        (lambda m: m.headers.update({"ce-time": "2024-03-08T00:00:00"}), "bad_envelope"),
        (lambda m: setattr(m, "headers", None), "bad_envelope"),
        (lambda m: setattr(m, "subject", "private.kyiv.intake.x.y.v9"), "unknown_event_type"),
    ],
)
async def test_what_is_no_event_is_a_dead_letter(
    database: DatabaseFactory, spoil: Callable[[FakeMessage], object], reason: str
) -> None:
    db = await opened(await database("console"), "notification")

    async def never(tx: Tx, batch: Sequence[Received[ContactSealedV1]]) -> None:
        raise AssertionError("must not be called")

    message = wire(card(1), uuid4())
    spoil(message)
    await Inlet(db, "notification-private", {ContactSealedV1: never}).take([message])
    assert message.outcome == ["term"]
    async with db.connection() as conn:
        assert await conn.fetchval("SELECT reason FROM dead_letter") == reason
    await db.close()


async def test_a_connection_that_the_pool_took_back_broken_is_an_outage(
    database: DatabaseFactory,
) -> None:
    db = await opened(await database("console"))

    async def cut_off() -> None:
        async with db.connection() as conn:
            pid = await conn.fetchval("SELECT pg_backend_pid()")
            async with db.connection() as other:
                await other.execute("SELECT pg_terminate_backend($1)", pid)

            async def taken_back() -> bool:
                return "released" in repr(conn)

            await eventually(taken_back)
            await conn.execute("SELECT 1")

    with pytest.raises(ConnectionResetError):
        await cut_off()
    await db.close()


def test_handlers_other_than_the_contracts_name_are_refused() -> None:
    with pytest.raises(ValueError, match="handlers and contracts differ: ContactSealedV1"):
        Subscription(Stream.PRIVATE, {}).consumer_of("notification")
    with pytest.raises(ValueError, match="no consumer"):
        Subscription(Stream.WORLD, {}).consumer_of("notification")
