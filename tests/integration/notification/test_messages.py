"""From the news that a need is ready to a message that went out, or to a person who tells."""

import asyncio
import base64
import time
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from aidmesh_chassis.crypto import unseal
from aidmesh_chassis.keys import NOTIFICATION, Locked
from aidmesh_chassis.privacy import PersonalText
from aidmesh_chassis.restoring import doubt
from aidmesh_contracts.days import KYIV
from aidmesh_contracts.ids import PersonId
from aidmesh_contracts.intake import PersonErasedV1
from aidmesh_notification.channels import FileOutlet, NotSent
from aidmesh_notification.domain.cards import Channel
from aidmesh_notification.domain.hours import parse_hours
from aidmesh_notification.handlers.sweeping import queue_digests, settle_cut_short
from aidmesh_notification.sender import Opener, Sender
from aidmesh_notification.store import restoring
from aidmesh_notification.texts import Rendered, load_templates
from integration.notification.world import Recorder, World, ready, spool_lines


async def test_a_ready_need_becomes_one_neutral_message_and_one_event(world: World) -> None:
    person = uuid4()
    event = ready(person)
    await world.take(world.card(person))
    await world.take(event)
    await world.take(event)
    sender = world.sender()
    assert await sender.run_once() == 1
    assert await sender.run_once() == 0
    [(address, message)] = world.recorder.sent
    assert address == "canary.person@example.org"
    assert "Canary" not in message.subject + message.text
    [row] = await world.messages()
    assert row["state"] == "sent"
    [sent] = await world.emitted()
    assert sent["type"] == "sent.v1"
    assert sent["need_id"] == str(event.need_id)
    assert sent["attempt_no"] == 1


async def test_plain_wording_is_used_when_marked_safe_but_never_for_sensitive_needs(
    world: World,
) -> None:
    person = uuid4()
    await world.take(world.card(person, wording="plain"))
    await world.take(ready(person))
    await world.sender().run_once()
    await world.take(ready(person, sensitive=True))
    await world.sender().run_once()
    plain, neutral = (message.text for _, message in world.recorder.sent)
    assert "Canary Organization" in plain
    assert "Canary Organization" not in neutral


@pytest.mark.parametrize(
    "unsafe",
    [
        {"safe": False},
        {"address": None},
        {"hours_from": None},
        {"hours_from": None, "hours_to": None},
    ],
)
async def test_without_a_safe_contact_somebody_tells_in_person(
    world: World, unsafe: dict[str, Any]
) -> None:
    person = uuid4()
    await world.take(world.card(person, **unsafe))
    await world.take(ready(person), ready(None))
    await world.sender().run_once()
    assert world.recorder.sent == []
    assert {row["state"] for row in await world.messages()} == {"suppressed"}
    assert [event["reason"] for event in await world.emitted()] == ["no_safe_contact"] * 2
    rows = await world.messages()
    assert set(await world.causes()) == {
        (str(row["correlation_id"]), row["traceparent"]) for row in rows
    }


async def test_a_card_that_comes_later_than_the_message_is_still_used(world: World) -> None:
    person = uuid4()
    await world.take(ready(person))
    await world.sender().run_once()
    assert [row["reason"] for row in await world.messages()] == ["no_safe_contact"]
    await world.take(world.card(person))
    await world.sender().run_once()
    assert len(world.recorder.sent) == 1
    assert [event["type"] for event in await world.emitted()] == ["suppressed.v1", "sent.v1"]


async def test_the_highest_version_of_a_card_wins_in_any_order(world: World) -> None:
    person = uuid4()
    await world.take(world.card(person, 3, address="third@example.org"))
    await world.take(world.card(person, 2, address="second@example.org"), world.card(person, 1))
    await world.take(ready(person))
    await world.sender().run_once()
    assert [address for address, _ in world.recorder.sent] == ["third@example.org"]


async def test_a_card_filed_under_another_person_is_never_used(world: World) -> None:
    person = uuid4()
    forged = world.card(uuid4()).model_copy(update={"person_id": PersonId(person)})
    await world.take(forged)
    await world.take(ready(person))
    await world.sender().run_once()
    assert world.recorder.sent == []
    assert [row["reason"] for row in await world.messages()] == ["no_safe_contact"]


async def test_an_erased_person_gets_nothing_and_no_late_card_brings_them_back(
    world: World,
) -> None:
    person = uuid4()
    await world.take(world.card(person))
    await world.take(ready(person))
    await world.take(PersonErasedV1(person_id=PersonId(person)))
    await world.take(world.card(person, 9))
    async with world.database.read() as conn:
        assert await conn.fetchval("SELECT sealed FROM contact") is None
    await world.sender().run_once()
    assert world.recorder.sent == []
    assert [row["reason"] for row in await world.messages()] == ["erased"]
    assert [event["reason"] for event in await world.emitted()] == ["no_safe_contact"]


async def test_outside_safe_hours_a_message_waits_for_the_next_opening(world: World) -> None:
    person = uuid4()
    later = await _hours_later(world)
    await world.take(world.card(person, 1, **later))
    await world.take(ready(person))
    await world.sender().run_once()
    [row] = await world.messages()
    assert row["state"] == "queued"
    assert parse_hours(**later).holds(row["due_at"])
    assert world.recorder.sent == []
    assert await world.sender().run_once() == 0
    # A card with other hours is looked at at once.
    await world.take(world.card(person, 2, hours_from="00:00", hours_to="24:00"))
    await world.sender().run_once()
    assert len(world.recorder.sent) == 1


class Asleep(Recorder):
    """An outlet on a machine that falls asleep after the first message."""

    concurrency = 1

    sender: Sender

    def __init__(self, monkeypatch: pytest.MonkeyPatch, world: World) -> None:
        super().__init__()
        self._monkeypatch = monkeypatch
        self._world = world

    async def send(
        self, message_id: UUID, post_id: UUID, address: PersonalText, message: Rendered
    ) -> None:
        await super().send(message_id, post_id, address, message)
        # The clock on the wall went on, the one that `asyncio` reads stood still.
        wakes_at = time.time() + 6 * 3600
        self._monkeypatch.setattr("aidmesh_notification.until.time.time", lambda: wakes_at)
        # Its sweeps may come first, and the database says that everything has run out.
        sweep = settle_cut_short(load_templates("x"), lambda: self.sender.claims)
        async with self._world.database.transaction() as tx:
            await tx.conn.execute(
                "UPDATE message SET claimed_until = now() - interval '1 s' WHERE state = 'sending'"
            )
        async with self._world.database.transaction() as tx:
            assert await sweep(tx) == 0


async def test_what_a_machine_slept_over_is_decided_on_anew(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [uuid4() for _ in range(3)]
    for person in people:
        await world.take(world.card(person))
        await world.take(ready(person))
    asleep = Asleep(monkeypatch, world)
    asleep.sender = world.sender({Channel.EMAIL: asleep})
    await asleep.sender.run_once()
    assert len(asleep.sent) == 1
    rows = await world.messages()
    assert sorted((row["state"], row["tries"]) for row in rows) == [
        ("queued", 0), ("queued", 0), ("sent", 1),
    ]  # fmt: skip
    # The hours of those who are left are looked at again.
    later = await _hours_later(world)
    await world.take(*(world.card(person, 2, **later) for person in people))
    await world.sender({Channel.EMAIL: asleep}).run_once()
    assert len(asleep.sent) == 1


async def _hours_later(world: World) -> dict[str, str]:
    """An hour of the day, by the clocks of Kyiv, that begins an hour from now or later."""
    hour = (await _now(world)).astimezone(KYIV).hour
    return {
        "hours_from": f"{(hour + 2) % 24:02}:00",
        "hours_to": f"{(hour + 3) % 24 or 24:02}:00",
    }


async def _now(world: World) -> datetime:
    async with world.database.read() as conn:
        now: datetime = await conn.fetchval("SELECT now()")
    return now


async def test_what_waited_too_long_expires(world: World) -> None:
    person = uuid4()
    await world.take(world.card(person))
    await world.take(ready(person))
    async with world.database.transaction() as tx:
        await tx.conn.execute("UPDATE message SET expires_at = now() - interval '1 second'")
    await world.sender().run_once()
    assert [row["state"] for row in await world.messages()] == ["expired"]
    assert [event["reason"] for event in await world.emitted()] == ["expired"]


async def test_a_channel_that_is_not_set_up_fails_and_somebody_tells(world: World) -> None:
    person = uuid4()
    await world.take(world.card(person, channel="sms"))
    await world.take(ready(person))
    await world.sender().run_once()
    assert [(row["state"], row["reason"]) for row in await world.messages()] == [
        ("failed", "rejected")
    ]
    assert [event["reason"] for event in await world.emitted()] == ["failed"]


async def test_a_passing_refusal_is_tried_again_and_then_fails(world: World) -> None:
    person = uuid4()
    await world.take(world.card(person))
    await world.take(ready(person))
    world.recorder.fails = NotSent(lasting=False)
    sender = world.sender(tries_max=3)
    for _ in range(3):
        async with world.database.transaction() as tx:
            await tx.conn.execute("UPDATE message SET due_at = now()")
        await sender.run_once()
    assert [(row["state"], row["tries"]) for row in await world.messages()] == [("failed", 3)]
    assert [event["reason"] for event in await world.emitted()] == ["failed"]


async def test_an_interrupted_call_leaves_the_message_unknown_and_is_never_repeated(
    world: World,
) -> None:
    person = uuid4()
    await world.take(world.card(person))
    await world.take(ready(person))
    world.recorder.fails = ConnectionResetError()
    await world.sender().run_once()
    world.recorder.fails = None
    assert await world.sender().run_once() == 0
    assert [row["state"] for row in await world.messages()] == ["unknown"]
    assert [event["reason"] for event in await world.emitted()] == ["unknown"]


class Crash(BaseException):
    """Ends the process in the middle of a call."""


async def test_after_a_crash_in_mid_call_a_person_decides(world: World) -> None:
    person = uuid4()
    await world.take(world.card(person))
    await world.take(ready(person))
    world.recorder.fails = Crash()  # type: ignore[assignment]
    with pytest.raises(BaseExceptionGroup):
        await world.sender().run_once()
    world.recorder.fails = None
    assert [row["state"] for row in await world.messages()] == ["sending"]
    sweep = settle_cut_short(load_templates("x"))
    async with world.database.transaction() as tx:
        assert await sweep(tx) == 0  # its sender may still live
    async with world.database.transaction() as tx:
        await tx.conn.execute("UPDATE message SET claimed_until = now() - interval '1 second'")
    async with world.database.transaction() as tx:
        assert await sweep(tx) == 1
    assert await world.sender().run_once() == 0
    assert [row["state"] for row in await world.messages()] == ["unknown"]
    assert [event["reason"] for event in await world.emitted()] == ["unknown"]


async def test_what_may_have_left_since_the_backup_is_for_a_person(world: World) -> None:
    waits, missed, later = ready(uuid4()), ready(uuid4()), ready(uuid4())
    for event in (waits, missed, later):
        assert event.person_id is not None
        if event is not missed:
            await world.take(world.card(event.person_id))
    await world.take(waits, missed)
    async with world.database.transaction() as tx:
        await tx.conn.execute(
            """
            UPDATE message SET state = 'suppressed', reason = 'no_safe_contact' WHERE need_id = $1
            """,
            missed.need_id,
        )
        assert await restoring.doubt_queued(tx.conn) == 1
        await doubt(tx.conn, "need", [each.need_id for each in (waits, missed, later)])
    await world.take(later)
    await world.take(world.card(missed.person_id or uuid4()))
    new = ready(uuid4())
    await world.take(world.card(new.person_id or uuid4()))
    await world.take(new)
    async with world.database.transaction() as tx:
        assert await settle_cut_short(load_templates("x"))(tx) == 2
    assert await world.sender().run_once() == 1
    states = {row["need_id"]: row["state"] for row in await world.messages()}
    assert states == {
        waits.need_id: "unknown",
        later.need_id: "unknown",
        missed.need_id: "suppressed",
        new.need_id: "sent",
    }


async def test_a_digest_for_staff_is_sent_again_after_a_crash(world: World) -> None:
    staff = uuid4()
    await world.take(ready(None))
    await world.sender().run_once()
    async with world.database.transaction() as tx:
        await tx.conn.execute(
            "INSERT INTO subscription (staff_id, sealed) VALUES ($1, $2)",
            staff,
            _sealed(world, staff),
        )
    digests = queue_digests(0, 24)
    async with world.database.transaction() as tx:
        assert await digests(tx) == 1
    async with world.database.transaction() as tx:
        assert await digests(tx) == 0  # one a day
    world.recorder.fails = Crash()  # type: ignore[assignment]
    with pytest.raises(BaseExceptionGroup):
        await world.sender().run_once()
    world.recorder.fails = None
    async with world.database.transaction() as tx:
        await tx.conn.execute(
            "UPDATE message SET claimed_until = now() - interval '1 second' WHERE state='sending'"
        )
    async with world.database.transaction() as tx:
        await settle_cut_short(load_templates("x"))(tx)
    await world.sender().run_once()
    [(address, message)] = world.recorder.sent
    assert address == "canary.person@example.org"
    assert "1" in message.text
    # The digest itself concerns no need: nothing is told to intake about it.
    assert [event["reason"] for event in await world.emitted()] == ["no_safe_contact"]


def _sealed(world: World, staff: UUID) -> bytes:
    return base64.b64decode(world.card(staff).sealed)


async def test_two_senders_never_send_the_same_message(world: World, tmp_path: Path) -> None:
    people = [uuid4() for _ in range(300)]
    await world.take(
        *(
            world.card(person, channel="file", address=f"phone-{number}")
            for number, person in enumerate(people)
        )
    )
    await world.take(*(ready(person) for person in people))
    spool = tmp_path / "spool.jsonl"
    senders = [world.sender({Channel.FILE: FileOutlet(spool)}, batch_max=40) for _ in range(2)]

    async def drain(index: int) -> None:
        while await senders[index].run_once():
            pass

    await asyncio.gather(drain(0), drain(1))
    addresses = [line["address"] for line in spool_lines(spool)]
    assert sorted(addresses) == sorted(f"phone-{number}" for number in range(300))
    assert spool.stat().st_mode & 0o777 == 0o600
    assert len(await world.emitted()) == 300


async def test_without_its_key_messages_wait(world: World) -> None:
    person = uuid4()
    await world.take(world.card(person))
    await world.take(ready(person))
    sender = world.sender()

    def locked() -> Opener:
        raise Locked(NOTIFICATION)

    sender._opener = locked
    with pytest.raises(Locked):
        await sender.run_once()
    assert [row["state"] for row in await world.messages()] == ["queued"]
    sender._opener = lambda: partial(unseal, world.key)
    await sender.run_once()
    assert len(world.recorder.sent) == 1
