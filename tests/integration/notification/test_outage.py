"""A mail server that is away or silent: what did not leave waits for it."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from aidmesh_chassis.privacy import PersonalText
from aidmesh_notification.channels import Unreachable
from aidmesh_notification.domain.cards import Channel
from aidmesh_notification.sender import Outcome, Outgoing
from aidmesh_notification.store.numbers import MEASURED
from aidmesh_notification.texts import Rendered
from integration.notification.mailbox import PATIENT_MS, SHORT_MS, SILENCE, Mailbox, outlet
from integration.notification.world import World, ready

NOW = datetime(2024, 1, 1, tzinfo=UTC)


async def wait_for_somebody(world: World, people: int = 1) -> None:
    """Have messages queued for so many people."""
    persons = [uuid4() for _ in range(people)]
    await world.take(*(world.card(person) for person in persons))
    await world.take(*(ready(person) for person in persons))


@pytest.mark.parametrize("step", ["EHLO", "MAIL", "RCPT", "DATA"])
async def test_what_a_silent_server_never_asked_for_waits(world: World, step: str) -> None:
    mailbox = Mailbox()
    mailbox.answers[step] = SILENCE
    await wait_for_somebody(world)
    async with mailbox.listen() as port:
        smtp = outlet(port, offer_ms_max=SHORT_MS)
        await world.sender({Channel.EMAIL: smtp}).run_once()
        await smtp.close()
    assert [row["state"] for row in await world.messages()] == ["queued"]
    assert await world.emitted() == []


async def test_what_a_server_fell_silent_over_is_for_a_person(world: World) -> None:
    mailbox = Mailbox()
    mailbox.answers["TEXT"] = SILENCE
    await wait_for_somebody(world)
    async with mailbox.listen() as port:
        smtp = outlet(port, offer_ms_max=PATIENT_MS, send_ms_max=SHORT_MS)
        await world.sender({Channel.EMAIL: smtp}).run_once()
        await smtp.close()
    assert [row["state"] for row in await world.messages()] == ["unknown"]


async def messages_due(world: World) -> None:
    """Let the times pass that messages are put off for."""
    async with world.database.transaction() as tx:
        await tx.conn.execute(
            "UPDATE message SET due_at = least(due_at, now()) WHERE state = 'queued'"
        )


async def due_now(world: World) -> None:
    """Let the times pass that messages and channels are put off for."""
    await messages_due(world)
    async with world.database.transaction() as tx:
        await tx.conn.execute(
            "UPDATE channel_outage SET look_at = since + interval '1 us' WHERE look_at > now()"
        )


async def outages(world: World) -> list[str]:
    async with world.database.read() as conn:
        return [row["channel"] for row in await conn.fetch("SELECT channel FROM channel_outage")]


async def free_port() -> int:
    async with Mailbox().listen() as port:
        return port


async def test_an_outage_uses_up_no_try_and_what_waited_leaves_when_it_is_over(
    world: World,
) -> None:
    port = await free_port()
    await wait_for_somebody(world, 40)
    smtp = outlet(port)
    sender = world.sender({Channel.EMAIL: smtp}, batch_max=15, tries_max=2, outage_s_max=60)
    for _ in range(5):
        await due_now(world)
        while await sender.run_once():
            pass
    assert {(row["state"], row["tries"]) for row in await world.messages()} == {("queued", 0)}
    assert await outages(world) == ["email"]
    assert await world.emitted() == []
    mailbox = Mailbox()
    await due_now(world)
    async with mailbox.listen(port):
        batches = 0
        while await sender.run_once():
            batches += 1
        await smtp.close()
    # One message finds out that it is back, the others follow in whole batches at once.
    assert batches == 1 + -(-39 // 15)
    assert len(mailbox.mails) == 40
    assert {(row["state"], row["tries"]) for row in await world.messages()} == {("sent", 1)}
    assert await outages(world) == []


async def test_while_a_channel_is_away_one_message_at_a_time_finds_out(world: World) -> None:
    await wait_for_somebody(world, 9)
    world.recorder.fails = Unreachable("Refused")
    sender = world.sender(outage_s_max=60)
    await sender.run_once()
    assert len(world.recorder.asked) <= world.recorder.concurrency
    for _ in range(3):
        await due_now(world)
        world.recorder.asked.clear()
        while await sender.run_once():
            pass
        assert len(world.recorder.asked) == 1


async def test_another_sender_knows_of_the_outage(world: World) -> None:
    await wait_for_somebody(world)
    world.recorder.fails = Unreachable("Refused")
    await world.sender(outage_s_max=60).run_once()
    await wait_for_somebody(world)
    world.recorder.asked.clear()
    await world.sender(outage_s_max=60).run_once()
    assert world.recorder.asked == []
    assert {(row["state"], row["tries"]) for row in await world.messages()} == {("queued", 0)}


async def test_what_an_outage_outlasts_is_told_in_person(world: World) -> None:
    await wait_for_somebody(world)
    world.recorder.fails = Unreachable("Refused")
    sender = world.sender(outage_s_max=600)
    async with world.database.transaction() as tx:
        await tx.conn.execute(
            "INSERT INTO channel_outage VALUES ('email', now() - interval '1 hour', now())"
        )
        await tx.conn.execute("UPDATE message SET expires_at = now() + interval '2 minutes'")
    for asked in (1, 0):  # it finds out that the channel is away still, then it waits for it
        await due_now(world) if asked else await messages_due(world)
        world.recorder.asked.clear()
        await sender.run_once()
        assert len(world.recorder.asked) == asked
        [row] = await world.messages()
        assert row["due_at"] == row["expires_at"], "it is looked at as soon as it has expired"
    async with world.database.transaction() as tx:
        await tx.conn.execute("UPDATE message SET expires_at = now(), due_at = now()")
    await sender.run_once()
    assert [(row["state"], row["settled_at"]) for row in await world.messages()] == [
        ("expired", None)
    ]
    assert [event["reason"] for event in await world.emitted()] == ["expired"]


async def test_a_channel_lost_over_one_message_holds_up_no_other(world: World) -> None:
    mailbox = Mailbox()
    mailbox.answers["RCPT"] = None
    await wait_for_somebody(world, 3)
    async with mailbox.listen() as port:
        smtp = outlet(port)
        sender = world.sender({Channel.EMAIL: smtp}, tries_max=1, outage_s_max=60)
        await sender.run_once()
        assert mailbox.conversations == 3
        assert {(row["state"], row["tries"]) for row in await world.messages()} == {("queued", 0)}
        assert await outages(world) == []
        mailbox.answers["RCPT"] = "450 busy"
        await due_now(world)
        await sender.run_once()
        await smtp.close()
    assert {(row["state"], row["tries"]) for row in await world.messages()} == {("failed", 1)}


async def test_an_outage_of_another_day_is_over(world: World) -> None:
    await wait_for_somebody(world)
    world.recorder.fails = Unreachable("Refused")
    async with world.database.transaction() as tx:
        began = tx.now
        await tx.conn.execute(
            "INSERT INTO channel_outage VALUES ('email', $1, $1)", began - timedelta(days=1)
        )
    await world.sender(outage_s_max=60).run_once()
    async with world.database.read() as conn:
        assert await conn.fetchval("SELECT since FROM channel_outage") >= began


def test_a_channel_that_was_lost_in_mid_batch_is_away() -> None:
    sent, lost = (
        Outgoing(
            uuid4(), uuid4(), 1, NOW, channel, PersonalText("x"), Rendered(subject="", text="")
        )
        for channel in (Channel.SMS, Channel.EMAIL)
    )
    outcome = Outcome(sent=[sent, lost], away={Channel.EMAIL: "Refused"})
    assert outcome.answered == {Channel.SMS}


async def test_what_nobody_got_round_to_was_not_tried(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aidmesh_notification.sender.BEGIN_S_MAX", -1.0)
    await wait_for_somebody(world)
    await world.sender().run_once()
    assert [(row["state"], row["tries"]) for row in await world.messages()] == [("queued", 0)]


async def test_the_numbers_tell_how_long_a_channel_is_away(world: World) -> None:
    sql = next(each.sql for each in MEASURED if each.spec.name == "aidmesh_channel_away_seconds")
    await wait_for_somebody(world)
    world.recorder.fails = Unreachable("Refused")
    sender = world.sender(outage_s_max=60)
    await sender.run_once()
    async with world.database.transaction() as tx:
        await tx.conn.execute("UPDATE channel_outage SET since = since - interval '1 hour'")
        [(channel, away_s)] = await tx.conn.fetch(sql)
        assert (channel, away_s >= 3600) == ("email", True)
        await tx.conn.execute("UPDATE channel_outage SET look_at = now() - interval '11 minutes'")
        assert await tx.conn.fetch(sql) == []
