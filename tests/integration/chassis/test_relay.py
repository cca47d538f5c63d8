"""What the relay does when rows, streams or the connection fail it."""

import asyncio
from collections.abc import Sequence
from uuid import uuid4

import asyncpg
import pytest

from aidmesh_chassis import outbox
from aidmesh_chassis.db import Database
from aidmesh_chassis.outbox import Pending
from aidmesh_chassis.relay import FEW, Opened, Relay
from integration.chassis.parts import Producer, emit, in_stream, pending
from support.servers import NatsRegion
from support.waiting import eventually

EVENT = "intake.need.ready.v1"
SERVER_BYTES_MAX = 1024 * 1024


def row(stream: str, subject: str, payload: bytes = b"{}") -> outbox.Row:
    one = uuid4()
    headers = f'{{"Nats-Msg-Id": "{one}", "ce-id": "{one}"}}'
    return outbox.Row(one, stream, subject, headers, payload, b"hash")


async def write(database: Database, *rows: outbox.Row) -> None:
    async with database.connection() as conn:
        await outbox.insert(conn, rows)


async def state_of(database: Database, one: outbox.Row) -> asyncpg.Record:
    async with database.connection() as conn:
        found = await conn.fetchrow(
            "SELECT status, ack_seq, retry_at - now() > interval '1 s' AS postponed"
            " FROM outbox WHERE event_id = $1",
            one.event_id,
        )
    assert found is not None
    return found


@pytest.mark.parametrize(
    "bad",
    [
        # Even the second, which a server takes without headers, would end the connection.
        row("LOCAL", f"local.kyiv.{EVENT}", b"x" * SERVER_BYTES_MAX),
        row("LOCAL", f"local.kyiv.{EVENT}", b"x" * (SERVER_BYTES_MAX - 10)),
        row("LOCAL", f"handoff.lviv.kyiv.{EVENT}"),
        row("LOCAL", f"local.kyiv.{EVENT} and a blank"),
    ],
    ids=["too large", "too large with its headers", "no stream takes it", "no subject"],
)
async def test_a_row_that_cannot_be_sent_keeps_nobody_waiting(
    producer: Producer, nats_region: NatsRegion, bad: outbox.Row
) -> None:
    await eventually(lambda: producer.relay.is_open)
    first, last = row("LOCAL", f"local.kyiv.{EVENT}"), row("LOCAL", f"local.kyiv.{EVENT}")
    await write(producer.database, first, bad, last)
    await emit(producer.database, range(1, 11))

    async def others_sent() -> bool:
        return await pending(producer.database) == 1

    await eventually(others_sent)
    state = await state_of(producer.database, bad)
    assert (state["status"], state["postponed"]) == ("pending", True)
    assert len(await in_stream(nats_region, "LOCAL")) == 2
    assert len(await in_stream(nats_region, "PRIVATE")) == 10
    assert producer.relay.is_open
    await emit(producer.database, [11])
    await eventually(others_sent)


async def test_what_was_taken_is_recorded_though_another_stream_does_not_answer(
    producer: Producer, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Relay._publish_atomically
    failing = asyncio.Event()
    failing.set()

    async def publish(self: Relay, batch: Sequence[Pending], opened: Opened) -> int:
        if batch[0].stream == "EVENTS" and failing.is_set():
            raise TimeoutError
        return await real(self, batch, opened)

    monkeypatch.setattr(Relay, "_publish_atomically", publish)
    stuck = [row("EVENTS", f"aid.kyiv.{EVENT}") for _ in range(FEW + 1)]
    good = [row("LOCAL", f"local.kyiv.{EVENT}") for _ in range(FEW + 1)]
    await write(producer.database, *stuck, *good)

    async def good_recorded() -> bool:
        states = [await state_of(producer.database, one) for one in good]
        return all(state["status"] == "acked" for state in states)

    await eventually(good_recorded)
    states = [await state_of(producer.database, one) for one in stuck]
    assert [(state["status"], state["postponed"]) for state in states] == [("pending", None)] * (
        FEW + 1
    )

    async def reported() -> bool:
        try:
            await producer.relay.publish_once()
        except TimeoutError:
            return True
        return False

    await eventually(reported)
    failing.clear()

    async def all_sent() -> bool:
        return await pending(producer.database) == 0

    await eventually(all_sent)


@pytest.mark.parametrize("rows", [1, FEW, FEW + 1, 40])
async def test_rows_go_in_order_however_many_there_are(
    producer: Producer, nats_region: NatsRegion, rows: int
) -> None:
    await eventually(lambda: producer.relay.is_open)
    await emit(producer.database, range(rows))

    async def all_sent() -> bool:
        return await pending(producer.database) == 0

    await eventually(all_sent)
    async with producer.database.connection() as conn:
        found = await conn.fetch("SELECT event_id, ack_seq FROM outbox ORDER BY seq")
    stored = await in_stream(nats_region)
    assert [(each["ack_seq"], str(each["event_id"])) for each in found] == stored
    assert [seq for seq, _ in stored] == list(range(1, rows + 1))


@pytest.mark.parametrize("place", [0, FEW, 2 * FEW])
async def test_what_a_server_refuses_in_a_batch_keeps_nobody_waiting(
    producer: Producer, place: int
) -> None:
    """Only the commit asks for an answer, wherever in the batch the refused row is."""
    await eventually(lambda: producer.relay.is_open)
    rows = [row("LOCAL", f"local.kyiv.{EVENT}") for _ in range(2 * FEW + 1)]
    bad = row("LOCAL", f"handoff.lviv.kyiv.{EVENT}")  # no stream takes it
    rows[place] = bad
    await write(producer.database, *rows)

    async def others_sent() -> bool:
        states = [await state_of(producer.database, one) for one in rows if one is not bad]
        return all(state["status"] == "acked" for state in states)

    await eventually(others_sent)
    assert (await state_of(producer.database, bad))["status"] == "pending"


async def test_an_answer_of_a_connection_that_broke_is_not_written_down(
    producer: Producer, nats_region: NatsRegion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next connection may lead to a log that was put back and does not hold the message."""
    real = Relay._publish_atomically
    breaks = 1

    async def publish(self: Relay, batch: Sequence[Pending], opened: Opened) -> int:
        nonlocal breaks
        last = await real(self, batch, opened)
        if breaks:
            breaks -= 1
            self.close_gate()
        return last

    recorded: list[bool] = []
    real_acknowledge = outbox.acknowledge

    async def acknowledge(
        conn: asyncpg.Connection,
        acked: Sequence[tuple[Pending, int]],
        stream_created: dict[str, object],
    ) -> None:
        recorded.append(producer.relay.is_open)
        await real_acknowledge(conn, acked, stream_created)  # type: ignore[arg-type]

    monkeypatch.setattr(Relay, "_publish_atomically", publish)
    monkeypatch.setattr(outbox, "acknowledge", acknowledge)
    await eventually(lambda: producer.relay.is_open)
    await emit(producer.database, range(1, 6))

    async def all_sent() -> bool:
        return await pending(producer.database) == 0

    await eventually(all_sent)
    assert recorded == [True]  # once, and only by the second connection
    async with producer.database.connection() as conn:
        rows = await conn.fetch("SELECT event_id, ack_seq FROM outbox ORDER BY seq")
    stored = await in_stream(nats_region)
    assert [(each["ack_seq"], str(each["event_id"])) for each in rows] == stored


@pytest.mark.parametrize("rows", [1, 10], ids=["one by one", "in a batch"])
async def test_nobody_waits_for_an_answer_of_a_connection_that_broke(
    producer: Producer, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    """Whoever compares the logs would wait for it as well, and with them the gate of all."""
    asked, let_go = asyncio.Event(), asyncio.Event()

    async def never(*_: object, **__: object) -> object:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            let_go.set()
        raise AssertionError

    relay = producer.relay
    await eventually(lambda: relay.is_open)
    monkeypatch.setattr(relay._client, "request", never)
    monkeypatch.setattr(relay._js, "publish", never)
    await emit(producer.database, range(rows))
    await asked.wait()
    relay.close_gate()
    await eventually(let_go.is_set)
    monkeypatch.undo()

    async def all_sent() -> bool:
        return await pending(producer.database) == 0

    await eventually(all_sent)


async def test_a_gate_that_closed_while_it_was_asked_stays_closed(
    producer: Producer, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay = producer.relay
    await eventually(lambda: relay.is_open)
    real = relay._client.request
    asked = 0

    async def request(subject: str, *args: object, **options: object) -> object:
        nonlocal asked
        reply = await real(subject, *args, **options)  # type: ignore[arg-type]
        asked += 1
        if asked == 1:
            relay.close_gate()
            assert not relay.is_open
        return reply

    monkeypatch.setattr(relay._client, "request", request)
    relay.close_gate()
    await eventually(lambda: relay.is_open)
    assert asked == 2
    await emit(producer.database, [1])


async def test_while_the_server_is_away_nothing_is_buffered(
    producer: Producer, nats_region: NatsRegion, monkeypatch: pytest.MonkeyPatch
) -> None:
    await eventually(lambda: producer.relay.is_open)
    await asyncio.to_thread(nats_region.kill)
    await eventually(lambda: not producer.relay.is_open)
    with pytest.raises(Exception, match="outbound buffer limit"):
        await producer.relay._client.publish(f"local.kyiv.{EVENT}", b"{}")
    assert producer.relay._client.pending_data_size == 0
    await asyncio.to_thread(nats_region.start)
