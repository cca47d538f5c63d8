"""From the news that a need is ready to a message that went out, or to a person who tells."""

import asyncio
import base64
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from aidmesh_chassis.crypto import PrivateKey
from aidmesh_chassis.keys import NOTIFICATION, Locked
from aidmesh_contracts.ids import NeedId, PersonId
from aidmesh_contracts.intake import (
    NeedClosedV1,
    NeedFulfilledV1,
    NeedReadyV1,
    NeedToldV1,
    NeedWithdrawnV1,
    PersonErasedV1,
)
from aidmesh_notification import handlers
from aidmesh_notification.channels import FileOutlet, NotSent
from aidmesh_notification.domain.cards import Channel
from aidmesh_notification.domain.hours import KYIV, Window
from aidmesh_notification.domain.sending import NotReportable, Report
from aidmesh_notification.handlers import queue_digests, settle_cut_short
from aidmesh_notification.store import outbound
from aidmesh_notification.texts import load_templates
from integration.notification.world import World, ready, spool_lines


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


@pytest.mark.parametrize("unsafe", [{"safe": False}, {"address": None}, {"hours_from": "10:00"}])
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


def withdrawn(need_id: NeedId, attempt_no: int) -> NeedWithdrawnV1:
    return NeedWithdrawnV1(need_id=need_id, attempt_no=attempt_no, reason="cancelled")


def fulfilled(need_id: NeedId, attempt_no: int) -> NeedFulfilledV1:
    return NeedFulfilledV1(
        need_id=need_id,
        attempt_no=attempt_no,
        service_no=1,
        kind="food_parcel",
        programme="food",
        person_ids=(),
        area="UA80",
        asked_on=date(2024, 5, 1),
        served_on=date(2024, 5, 6),
        quantity=1,
        unit="piece",
    )


def closed(need_id: NeedId, attempt_no: int) -> NeedClosedV1:
    return NeedClosedV1(
        need_id=need_id, attempt_no=attempt_no or None, state="cancelled", reason="not_wanted"
    )


@pytest.mark.parametrize("ending", [fulfilled, closed])
async def test_whoever_was_served_is_not_told_to_come(
    world: World, ending: Callable[[NeedId, int], NeedFulfilledV1 | NeedClosedV1]
) -> None:
    person = uuid4()
    await world.take(world.card(person))
    early, late, again = ready(person), ready(person), ready(person, attempt_no=2)
    await world.take(early, again)
    await world.take(ending(early.need_id, 1), ending(again.need_id, 1))
    await world.take(ending(late.need_id, 1), ending(NeedId(uuid4()), 0))
    await world.take(late)  # overtaken by the news that it was served
    await world.sender().run_once()
    assert len(world.recorder.sent) == 1
    states = {row["need_id"]: (row["state"], row["reason"]) for row in await world.messages()}
    assert states == {
        early.need_id: ("suppressed", "superseded"),
        late.need_id: ("suppressed", "superseded"),
        again.need_id: ("sent", None),
    }


async def test_nobody_stays_to_be_told_after_they_were_served(world: World) -> None:
    unreached = ready(None)
    await world.take(unreached)
    await world.sender().run_once()
    assert await to_tell(world) == 1
    await world.take(fulfilled(unreached.need_id, 1))
    assert await to_tell(world) == 0


async def test_a_message_cut_short_of_somebody_served_is_nobodys_task(world: World) -> None:
    event = ready(None)
    await world.take(event)
    await world.take(fulfilled(event.need_id, 1))
    async with world.database.transaction() as tx:
        await tx.conn.execute(
            "UPDATE message SET state = 'sending', claim_id = gen_random_uuid(),"
            " claimed_until = now() - interval '1 s'"
        )
    async with world.database.transaction() as tx:
        assert await settle_cut_short(load_templates("-"))(tx) == 1
    assert [row["state"] for row in await world.messages()] == ["unknown"]
    assert await to_tell(world) == 0


async def to_tell(world: World) -> int:
    async with world.database.read() as conn:
        return await outbound.count_to_tell(conn)


async def report(world: World, outcome: Report, code: str | None = None) -> str | None:
    """A gateway reports on the only message."""
    [row] = await world.messages()
    async with world.database.transaction() as tx:
        return await handlers.report(tx, row["message_id"], outcome, code)


async def sent_to_somebody(world: World) -> NeedReadyV1:
    person = uuid4()
    event = ready(person)
    await world.take(world.card(person))
    await world.take(event)
    with pytest.raises(NotReportable):
        await report(world, "delivered")
    await world.sender().run_once()
    return event


async def test_a_report_says_that_a_message_arrived(world: World) -> None:
    await sent_to_somebody(world)
    assert await report(world, "delivered") == "delivered"
    assert await report(world, "delivered") == "delivered"
    with pytest.raises(NotReportable):
        await report(world, "failed", "mailbox_full")
    [row] = await world.messages()
    assert (row["state"], row["reason"]) == ("delivered", None)
    assert row["reported_at"] is not None
    assert [event["type"] for event in await world.emitted()] == ["sent.v1"]


async def test_whom_a_message_did_not_reach_is_told_in_person(world: World) -> None:
    event = await sent_to_somebody(world)
    assert await report(world, "failed", "mailbox_full") == "failed"
    assert await report(world, "failed", "mailbox_full") == "failed"
    with pytest.raises(NotReportable):
        await report(world, "delivered")
    [row] = await world.messages()
    assert (row["state"], row["reason"], row["report_code"]) == (
        "failed", "undelivered", "mailbox_full",
    )  # fmt: skip
    assert await to_tell(world) == 1
    _, suppressed = await world.emitted()
    assert (suppressed["type"], suppressed["reason"]) == ("suppressed.v1", "failed")
    await world.take(await told(world, event.need_id, 1))
    assert await to_tell(world) == 0


async def test_a_late_report_about_somebody_served_is_nobodys_task(world: World) -> None:
    event = await sent_to_somebody(world)
    await world.take(fulfilled(event.need_id, 1))
    await report(world, "failed", "mailbox_full")
    assert await to_tell(world) == 0


async def told(world: World, need_id: NeedId, attempt_no: int) -> NeedToldV1:
    async with world.database.read() as conn:
        now = await conn.fetchval("SELECT now()")
    return NeedToldV1(
        need_id=need_id, attempt_no=attempt_no, told_at=now, how="in_person", collect_days=7
    )


async def test_what_was_withdrawn_or_told_is_not_sent_whatever_came_first(world: World) -> None:
    person = uuid4()
    await world.take(world.card(person))
    first, second, third = ready(person), ready(person), ready(person, attempt_no=2)
    await world.take(withdrawn(first.need_id, 1))
    await world.take(first, second, third)
    await world.take(await told(world, second.need_id, 1))
    await world.take(withdrawn(third.need_id, 1))  # an older attempt: no matter
    await world.sender().run_once()
    assert len(world.recorder.sent) == 1
    states = {row["need_id"]: (row["state"], row["reason"]) for row in await world.messages()}
    assert states == {
        first.need_id: ("suppressed", "superseded"),
        second.need_id: ("suppressed", "superseded"),
        third.need_id: ("sent", None),
    }
    assert all(row["settled_at"] is not None for row in await world.messages())


async def test_telling_in_person_clears_the_queue_of_people_to_tell(world: World) -> None:
    event = ready(None)
    await world.take(event)
    await world.sender().run_once()
    assert [row["settled_at"] for row in await world.messages()] == [None]
    await world.take(await told(world, event.need_id, 1))
    assert [row["settled_at"] is None for row in await world.messages()] == [False]


async def test_outside_safe_hours_a_message_waits_for_the_next_opening(world: World) -> None:
    person = uuid4()
    async with world.database.read() as conn:
        now = await conn.fetchval("SELECT now()")
    local = now.astimezone(KYIV)
    opens_min = ((local.hour + 2) * 60) % 1440
    window = Window(opens_min, (opens_min + 60) % 1440 or 1440)
    await world.take(world.card(person))
    await world.take(ready(person))
    await world.sender(default_hours=window).run_once()
    [row] = await world.messages()
    assert row["state"] == "queued"
    assert window.holds(row["due_at"])
    assert world.recorder.sent == []
    assert await world.sender(default_hours=window).run_once() == 0
    # A card with other hours is looked at at once.
    await world.take(world.card(person, 2, hours_from="00:00", hours_to="24:00"))
    await world.sender(default_hours=window).run_once()
    assert len(world.recorder.sent) == 1


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

    def locked() -> PrivateKey:
        raise Locked(NOTIFICATION)

    sender._private_key = locked
    with pytest.raises(Locked):
        await sender.run_once()
    assert [row["state"] for row in await world.messages()] == ["queued"]
    sender._private_key = lambda: world.key
    await sender.run_once()
    assert len(world.recorder.sent) == 1
