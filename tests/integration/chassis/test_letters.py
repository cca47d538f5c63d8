"""Messages that fail, and what becomes of their letters. Real PostgreSQL."""

import asyncio
import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

import asyncpg
import pytest

from aidmesh_chassis import inbox, letters, upkeep
from aidmesh_chassis.consuming import ATTEMPTS_MAX, Received
from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import new_event_id
from aidmesh_chassis.errors import Park
from aidmesh_contracts.intake import ContactSealedV1
from integration.chassis.desk import Desk, Effect, failing
from integration.chassis.parts import Producer, Taker, card, emit, wire
from support.loglines import written
from support.waiting import eventually


async def test_a_letter_is_settled_when_its_message_comes_again_in_a_batch(
    producer: Producer, taker: Taker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "PARKED_S", 0.1)
    calls = 0
    real = taker.effect[0]

    async def twice_broken(tx: Tx, batch: Sequence[Received[ContactSealedV1]]) -> None:
        nonlocal calls
        calls += 1
        if calls <= 2:  # in the batch, then alone
            raise ZeroDivisionError
        await real(tx, batch)

    taker.effect[0] = twice_broken
    await emit(producer.database, [1])

    async def settled() -> bool:
        return await taker.seen() == {1: 1} and len(await taker.letters("done")) == 1

    await eventually(settled, 20)
    assert not await taker.letters("failing")


async def test_a_crash_after_the_letter_and_before_the_server_knew_leaves_no_open_letter(
    desk: Desk,
) -> None:
    message = wire(card(1), new_event_id())
    letter = inbox.Letter(
        "notification-private",
        UUID((message.headers or {})["ce-id"]),
        message.subject,
        message.headers or {},
        message.data,
    )
    async with desk.database.transaction() as tx:
        await inbox.count_failure(tx.conn, letter, "ZeroDivisionError", attempts_max=1)
    assert await desk.letters() == [("dead", "ZeroDivisionError", 1)]
    await desk.inlet.take([message])  # the server brings it again
    await desk.inlet.take_parked()
    assert desk.handled == [1]
    assert await desk.letters() == [("done", "ZeroDivisionError", 1)]


async def test_a_letter_of_other_content_stays_open_though_its_id_was_handled(desk: Desk) -> None:
    event_id = new_event_id()
    await desk.inlet.take([wire(card(1), event_id)])
    await desk.inlet.take([wire(card(2), event_id)])
    await desk.inlet.take_parked()
    assert await desk.letters() == [("dead", inbox.OTHER_CONTENT, 1)]


async def parked(desk: Desk) -> None:
    """One letter that a handler parked, now due."""
    desk.effect = failing(Park("too_early", retry_s=600), 2)
    await desk.inlet.take([wire(card(1), new_event_id())])
    assert await desk.letters() == [("parked", "too_early", 0)]
    await desk.time_passes()


async def test_a_deadlock_does_not_kill_a_parked_letter(desk: Desk) -> None:
    await parked(desk)
    desk.effect = failing(asyncpg.DeadlockDetectedError("deadlock"), 2)
    await desk.inlet.take_parked()
    assert desk.handled == [1]
    assert await desk.letters() == [("done", "too_early", 0)]


async def test_a_parked_letter_that_fails_waits_longer_each_time_and_is_dead_at_last(
    desk: Desk,
) -> None:
    await parked(desk)
    desk.effect = failing(ZeroDivisionError(), ATTEMPTS_MAX)
    waits = []
    for attempt in range(1, ATTEMPTS_MAX):
        assert await desk.inlet.take_parked() == 1
        assert await desk.letters() == [("parked", "ZeroDivisionError", attempt)]
        assert await desk.inlet.take_parked() == 0  # not yet
        async with desk.database.connection() as conn:
            waits.append(await conn.fetchval("SELECT retry_at - changed_at FROM dead_letter"))
        await desk.time_passes()
    assert all(later == 2 * sooner for sooner, later in itertools.pairwise(waits))
    with written("notification") as lines:
        await desk.inlet.take_parked()
    async with desk.database.read() as conn:
        letter = await conn.fetchrow("SELECT event_id::text, subject FROM dead_letter")
    assert letter is not None
    for name in ("message.failed", "message.dead"):
        (line,) = lines.of(name)
        assert (line["event_id"], line["subject"]) == tuple(letter)
    assert await desk.letters() == [("dead", "ZeroDivisionError", ATTEMPTS_MAX)]
    assert desk.handled == []


async def test_to_be_parked_again_is_no_failure(desk: Desk) -> None:
    await parked(desk)
    for _ in range(ATTEMPTS_MAX + 1):
        desk.effect = failing(Park("too_early", retry_s=600), 1)
        await desk.inlet.take_parked()
        await desk.time_passes()
    desk.effect = failing(ZeroDivisionError(), 1)
    await desk.inlet.take_parked()
    assert await desk.letters() == [("parked", "ZeroDivisionError", 1)]


async def test_contention_while_letters_are_looked_up_does_not_end_the_service(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "PARKED_S", 0.01)
    errors = [asyncpg.LockNotAvailableError("busy"), asyncpg.QueryCanceledError("slow")]
    real = inbox.due

    async def due(conn: asyncpg.Connection, durable: str, limit: int) -> list[inbox.Letter]:
        if errors:
            raise errors.pop()
        return await real(conn, durable, limit)

    monkeypatch.setattr(inbox, "due", due)
    await parked(desk)
    desk.effect = None
    task = asyncio.create_task(
        upkeep.take_parked(desk.database, {"notification-private": desk.inlet})
    )
    await eventually(lambda: desk.handled == [1])
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def slow(tx: Tx, number: int) -> None:
    if number == 7:
        await tx.conn.execute("SELECT pg_sleep(5)")


async def no_file(tx: Tx, number: int) -> None:
    if number == 7:
        raise FileNotFoundError("template")


@pytest.mark.parametrize(
    ("effect", "reason"), [(slow, "QueryCanceledError"), (no_file, "FileNotFoundError")]
)
async def test_what_waiting_does_not_cure_is_no_outage(
    desk: Desk, effect: Effect, reason: str
) -> None:
    desk.effect = effect
    messages = {number: wire(card(number), new_event_id()) for number in (6, 7, 8)}
    await desk.inlet.take(list(messages.values()))
    assert desk.handled == [6, 8]
    assert {number: message.outcome for number, message in messages.items()} == {
        6: ["ack"],
        7: ["nak"],
        8: ["ack"],
    }
    assert await desk.letters() == [("failing", reason, 1)]


async def test_a_message_that_fails_comes_again_later_each_time_and_is_dead_at_last(
    desk: Desk,
) -> None:
    desk.effect = failing(ZeroDivisionError(), 2 * ATTEMPTS_MAX)  # as a batch, then by itself
    message = wire(card(1), new_event_id())
    for _ in range(ATTEMPTS_MAX):
        await desk.inlet.take([message])
    assert message.outcome == ["nak"] * (ATTEMPTS_MAX - 1) + ["term"]
    assert message.delays_s == [2.0**attempt for attempt in range(1, ATTEMPTS_MAX)]
    assert await desk.letters() == [("dead", "ZeroDivisionError", ATTEMPTS_MAX)]


@pytest.mark.parametrize("event_id", [new_event_id(), uuid4()], ids=["by time", "at random"])
async def test_an_id_is_handled_once_whatever_time_the_message_names(
    desk: Desk, event_id: UUID
) -> None:
    first, later, other = (wire(card(n), event_id) for n in (1, 1, 2))
    for number, message in enumerate((first, later, other)):
        assert message.headers is not None
        message.headers["ce-time"] = datetime(2024, 1 + number, 1, tzinfo=UTC).isoformat()
        await desk.inlet.take([message])
    assert desk.handled == [1]
    assert (first.outcome, later.outcome, other.outcome) == (["ack"], ["ack"], ["term"])
    assert await desk.letters() == [("dead", inbox.OTHER_CONTENT, 1)]


async def test_one_id_with_two_contents_in_a_batch_is_found_out(desk: Desk) -> None:
    event_id = new_event_id()
    messages = [wire(card(1), event_id), wire(card(2), event_id), wire(card(3), new_event_id())]
    await desk.inlet.take(messages)
    assert desk.handled == [1, 3]
    assert [message.outcome for message in messages] == [["ack"], ["term"], ["ack"]]
    twice = new_event_id()
    await desk.inlet.take([wire(card(4), twice), wire(card(4), twice)])
    assert desk.handled == [1, 3, 4]


async def test_sealed_letters_are_blank_after_a_week(desk: Desk) -> None:
    desk.effect = failing(Park("too_early", retry_s=600), 100)
    for number in (1, 2):
        await desk.inlet.take([wire(card(number), new_event_id())])
    desk.effect = failing(ZeroDivisionError(), 100)
    await desk.inlet.take([wire(card(3), new_event_id())])
    async with desk.database.transaction() as tx:
        await tx.conn.execute("UPDATE dead_letter SET status = 'dead' WHERE status = 'failing'")
        await tx.conn.execute("UPDATE dead_letter SET first_at = now() - interval '6 days'")
        assert await upkeep.BLANK_PRIVATE.run(tx) == 0
        await tx.conn.execute(
            "UPDATE dead_letter SET first_at = now() - interval '8 days' WHERE id <> 1"
        )
        assert await upkeep.BLANK_PRIVATE.run(tx) == 2
        assert await upkeep.BLANK_PRIVATE.run(tx) == 0
        kept = await tx.conn.fetch("SELECT payload <> '' AS kept FROM dead_letter ORDER BY id")
    assert [row["kept"] for row in kept] == [True, False, False]
    assert [(status, reason) for status, reason, _ in await desk.letters()] == [
        ("parked", "too_early"),
        ("dead", inbox.EXPIRED),
        ("dead", "ZeroDivisionError"),
    ]


async def test_acknowledgments_are_repeated_until_the_link_is_back(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aidmesh_chassis.acknowledging.ACK_RETRY_S", 0.01)
    messages = [wire(card(number), new_event_id()) for number in (1, 2)]
    real, cuts = messages[1].ack, 3

    async def ack() -> None:
        nonlocal cuts
        if cuts:
            cuts -= 1
            raise ConnectionResetError
        await real()

    monkeypatch.setattr(messages[1], "ack", ack)
    await desk.inlet.take(messages)
    assert [message.outcome for message in messages] == [["ack"], ["ack"]]


async def test_letters_with_one_cause_are_handled_again_and_the_dropped_ones_stay(
    desk: Desk,
) -> None:
    subjects = {
        "bug": "local.kyiv.intake.need.ready.v1",
        "other": "local.kyiv.intake.need.ready.v1",
        "bug ": "local.kyiv.intake.need.told.v1",
    }
    async with desk.database.transaction() as tx:
        for reason, subject in subjects.items():
            for status in ("dead", "dropped", "parked"):
                letter = inbox.Letter("notification-local", uuid4(), subject, {}, b"{}")
                await inbox.set_aside(tx.conn, letter, status, reason.strip(), 3600)
        blanked = inbox.Letter("notification-local", uuid4(), "private.kyiv.x.y.z.v1", {}, b"")
        await inbox.set_aside(tx.conn, blanked, "dead", "bug", None)
    which = letters.Waiting("bug", "need.ready")
    async with desk.database.transaction() as tx:
        assert await letters.count_dead(tx.conn, letters.Waiting()) == 3
        assert await letters.count_dead(tx.conn, letters.Waiting("bug")) == 2
        assert await letters.count_dead(tx.conn, letters.Waiting(event="ready")) == 2
        assert await letters.count_dead(tx.conn, letters.Waiting(event="eed.ready")) == 0
        assert await letters.retry_dead(tx.conn, which, "olena", "mended") == 1
        assert await letters.retry_dead(tx.conn, which, "olena", "mended") == 0
    async with desk.database.connection() as conn:
        rows = await conn.fetch(
            "SELECT status, reason, subject, attempts FROM dead_letter WHERE decided_by = 'olena'"
            " AND note = 'mended' AND retry_at <= now()"
        )
    assert [tuple(row) for row in rows] == [("parked", "bug", "local.kyiv.intake.need.ready.v1", 0)]
