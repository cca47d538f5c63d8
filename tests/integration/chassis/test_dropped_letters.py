"""What a person dropped, or an erasure, is handled by no copy, retry or replay of it."""

import asyncio
from uuid import UUID

import pytest

from aidmesh_chassis import inbox, letters
from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import new_event_id
from aidmesh_chassis.errors import Park
from aidmesh_chassis.migrating import CHASSIS_MIGRATIONS
from integration.chassis.desk import Desk, failing
from integration.chassis.parts import FakeMessage, card, wire
from support.loglines import written
from support.waiting import eventually


async def test_what_was_dropped_for_an_erasure_stays_dropped(desk: Desk) -> None:
    message = wire(card(1), new_event_id())
    desk.effect = failing(ZeroDivisionError(), 100)
    await desk.inlet.take([message])
    async with desk.database.connection() as conn:
        await inbox.blank_letters(conn, [UUID(int=1)])
    message.outcome.clear()
    await desk.inlet.take([message])
    assert message.outcome == ["term"]
    assert await desk.letters() == [("dropped", "ZeroDivisionError", 1)]


@pytest.mark.parametrize("later_fails", [True, False], ids=["fails still", "would go well"])
@pytest.mark.parametrize("is_blanked", [True, False], ids=["blanked", "as it came"])
async def test_no_copy_of_what_a_person_dropped_is_handled(
    desk: Desk, later_fails: bool, is_blanked: bool
) -> None:
    event_id = new_event_id()
    desk.effect = failing(ZeroDivisionError(), 2)  # in the batch, then alone
    await desk.inlet.take([wire(card(1), event_id)])
    if is_blanked:
        async with desk.database.connection() as conn:
            await conn.execute("UPDATE dead_letter SET payload = ''")
    assert await desk.drop()
    assert not await desk.drop()
    desk.tried.clear()
    desk.effect = failing(ZeroDivisionError(), 100) if later_fails else None
    alone, again, other = (wire(card(n), each) for n, each in (
        (1, event_id), (1, event_id), (1, new_event_id())
    ))  # fmt: skip
    await desk.inlet.take([alone])
    assert (desk.tried, alone.outcome) == ([], ["ack"])
    desk.effect = None
    await desk.inlet.take([again, other])
    assert (desk.tried, again.outcome) == ([1], ["ack"])
    await desk.inlet.take_parked()
    assert await desk.letters() == [("dropped", "ZeroDivisionError", 1)]


async def test_what_a_person_dropped_comes_back_by_no_retry_and_no_replay(desk: Desk) -> None:
    message = wire(card(1), new_event_id())
    desk.effect = failing(ZeroDivisionError(), 2)
    await desk.inlet.take([message])
    assert await desk.drop()
    event_id = UUID((message.headers or {})["ce-id"])
    letter = inbox.Letter("notification-private", event_id, message.subject, {}, message.data)
    async with desk.database.connection() as conn:
        assert not await letters.retry(conn, 1, "olena", "after all")
        assert await letters.not_taken_in(conn, [event_id]) == set()
        assert not await letters.hand_again(conn, letter, "olena", "after all")
    await desk.inlet.take_parked()
    assert await desk.letters() == [("dropped", "ZeroDivisionError", 1)]
    assert desk.handled == []


async def test_other_content_under_an_id_that_was_dropped_is_not_handled_either(desk: Desk) -> None:
    event_id = new_event_id()
    desk.effect = failing(Park("too_early", retry_s=600), 2)
    await desk.inlet.take([wire(card(1), event_id)])
    assert await desk.drop()
    other = wire(card(2), event_id)
    with written("notification") as lines:
        await desk.inlet.take([other])
    assert (other.outcome, desk.handled) == (["term"], [])
    assert not lines.of("message.dead"), "a person has seen to that letter"


async def test_the_other_content_of_an_id_is_dropped_and_what_was_handled_stays(
    desk: Desk,
) -> None:
    event_id = new_event_id()
    await desk.inlet.take([wire(card(1), event_id)])
    await desk.inlet.take([wire(card(2), event_id)])
    assert await desk.drop()
    await desk.inlet.take([wire(card(2), event_id)])
    assert await desk.letters() == [("dropped", inbox.OTHER_CONTENT, 1)]
    assert desk.handled == [1]


async def test_what_is_no_event_is_dropped_without_further_words(desk: Desk) -> None:
    message = wire(card(1), new_event_id())
    message.data = b"{}"
    nameless = FakeMessage(message.subject, b"{}", None)
    await desk.inlet.take([message, nameless])
    async with desk.database.connection() as conn:
        for number in (1, 2):
            assert await letters.drop(conn, number, "olena", "no event of ours")
    with written("notification") as lines:
        await desk.inlet.take([message, nameless])
    assert not lines.of("message.dead")
    assert await desk.letters() == [("dropped", "bad_payload", 1), ("dropped", "bad_envelope", 1)]


async def test_what_was_dropped_by_an_older_version_is_not_handled_either(desk: Desk) -> None:
    messages = [wire(card(number), new_event_id()) for number in (1, 2)]
    desk.effect = failing(Park("too_early", retry_s=600), 3)  # as a batch, then each
    await desk.inlet.take(messages)
    migration = (CHASSIS_MIGRATIONS / "0013_dropped.sql").read_text(encoding="utf-8")
    async with desk.database.transaction() as tx:
        await tx.conn.execute(
            "UPDATE dead_letter SET status = 'dropped',"
            " decided_by = CASE id WHEN 1 THEN 'olena' END"
        )
        await tx.conn.execute(migration.partition("-- migrate: rollback")[0])
    for message in messages:
        await desk.inlet.take([message])
    assert desk.handled == [2], "whoever that spoke of was erased: its handler knows"


@pytest.mark.parametrize("goes_well", [True, False])
async def test_what_is_being_handled_is_dropped_only_if_that_fails(
    desk: Desk, goes_well: bool
) -> None:
    desk.effect = failing(ZeroDivisionError(), 2)
    event_id = new_event_id()
    await desk.inlet.take([wire(card(1), event_id)])
    begun, goes_on = asyncio.Event(), asyncio.Event()

    async def long(_: Tx, __: int) -> None:
        begun.set()
        await goes_on.wait()
        if not goes_well:
            raise ZeroDivisionError

    desk.effect = long
    taking = asyncio.create_task(desk.inlet.take([wire(card(1), event_id)]))
    await begun.wait()
    dropping = asyncio.create_task(desk.drop())

    async def waits() -> bool:
        async with desk.database.connection() as conn:
            return bool(
                await conn.fetchval(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND wait_event_type = 'Lock'"
                )
            )

    await eventually(waits)
    goes_on.set()
    assert await dropping is not goes_well
    await taking
    await desk.inlet.take_parked()
    (status, _, _), *others = await desk.letters()
    assert (status, others) == ("done" if goes_well else "dropped", [])
    assert desk.handled == ([1] if goes_well else [])
