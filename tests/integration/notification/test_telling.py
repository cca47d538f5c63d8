"""Who need not be told any more, whom a message reached, and whom a person tells."""

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

import aidmesh_notification
from aidmesh_chassis.privacy import PersonalText
from aidmesh_contracts.days import KYIV, day_of
from aidmesh_contracts.ids import NeedId, PersonId
from aidmesh_contracts.intake import (
    NeedClosedV1,
    NeedFulfilledV1,
    NeedReadyV1,
    NeedToldV1,
    NeedWithdrawnV1,
    PersonErasedV1,
)
from aidmesh_contracts.pickup import end_of, ends_at
from aidmesh_contracts.values import Visit
from aidmesh_notification.channels import Unreachable
from aidmesh_notification.checks import CHECKS
from aidmesh_notification.domain.cards import Channel
from aidmesh_notification.domain.outages import Outage
from aidmesh_notification.domain.sending import NotReportable, Report
from aidmesh_notification.handlers import telling
from aidmesh_notification.handlers.sweeping import settle_cut_short
from aidmesh_notification.store import contacts, lists, outages
from aidmesh_notification.store.numbers import MEASURED
from aidmesh_notification.texts import Rendered, load_templates
from integration.notification.world import Recorder, World, ready


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


@pytest.mark.parametrize("wording", ["neutral", "plain"])
async def test_whoever_need_not_come_is_told_so_and_no_day(world: World, wording: str) -> None:
    person = uuid4()
    await world.take(world.card(person, wording=wording))
    over = datetime.now(UTC) - timedelta(hours=1)
    await world.take(ready(person, to_come=False, until_at=over))
    await world.take(ready(person, to_come=True))
    await world.sender().run_once()
    texts = sorted(message.text for _, message in world.recorder.sent)
    assert len(texts) == 2
    (stays,) = (text for text in texts if "no need to come" in text)
    assert not any(letter.isdigit() for letter in stays)
    assert ("Canary" in stays) == (wording == "plain")
    (comes,) = (text for text in texts if text != stays)
    assert "please come by" in comes.lower()


async def test_what_is_told_by_a_person_is_not_told_by_message(world: World) -> None:
    person = uuid4()
    await world.take(world.card(person))
    queued, overtaken, other = ready(person), ready(person), ready(person)
    await world.take(queued, other)
    for event in (queued, overtaken):
        changed = event.model_copy(update={"to_come": False, "in_person": True})
        await world.take(changed, changed)
    assert {row["need_id"] for row in await world.messages()} == {queued.need_id, other.need_id}
    await world.take(overtaken)
    await world.sender().run_once()
    states = {row["need_id"]: (row["state"], row["reason"]) for row in await world.messages()}
    assert states == {
        queued.need_id: ("suppressed", "superseded"),
        overtaken.need_id: ("suppressed", "superseded"),
        other.need_id: ("sent", None),
    }
    # The next attempt has a message of its own.
    await world.take(ready(person, need_id=queued.need_id, attempt_no=2, to_come=False))
    await world.sender().run_once()
    assert "no need to come" in world.recorder.sent[-1][1].text


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


async def test_a_message_of_which_nobody_knows_is_counted_until_its_person_knows(
    world: World,
) -> None:
    asked, served = ready(uuid4()), ready(uuid4())
    for event in (asked, served):
        await world.take(world.card(event.person_id or uuid4()))
    await world.take(asked, served)
    assert await counted(world) == {"queued": 2, "sending": 0, "unknown": 0}
    world.recorder.fails = ConnectionResetError()
    await world.sender().run_once()
    assert await counted(world) == {"queued": 0, "sending": 0, "unknown": 2}
    await world.take(await told(world, asked.need_id, 1))
    assert await counted(world) == {"queued": 0, "sending": 0, "unknown": 1}
    await world.take(fulfilled(served.need_id, 1))
    assert await counted(world) == {"queued": 0, "sending": 0, "unknown": 0}
    assert {row["state"] for row in await world.messages()} == {"unknown"}, "it is still true"


async def counted(world: World) -> dict[str, int]:
    """What Prometheus is told of messages."""
    sql = next(each.sql for each in MEASURED if each.spec.name == "aidmesh_messages")
    async with world.database.read() as conn:
        return {row[0]: row[1] for row in await conn.fetch(sql)}


async def to_tell(world: World) -> int:
    async with world.database.read() as conn:
        return await lists.count_to_tell(conn)


async def report(world: World, outcome: Report, code: str | None = None) -> str | None:
    """A gateway reports on the only message."""
    [row] = await world.messages()
    async with world.database.transaction() as tx:
        return await telling.report(tx, row["message_id"], outcome, code, sensitive_too=True)


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
    cause = (str(row["correlation_id"]), row["traceparent"])
    assert row["traceparent"] is not None
    assert await world.causes() == [cause, cause], "of its being sent, and of its coming back"
    _, suppressed = await world.emitted()
    assert (suppressed["type"], suppressed["reason"]) == ("suppressed.v1", "failed")
    await world.take(await told(world, event.need_id, 1))
    assert await to_tell(world) == 0


async def test_what_is_said_to_be_sent_and_what_was_sent_are_the_same(world: World) -> None:
    await sent_to_somebody(world)
    assert await report(world, "failed", "mailbox_full") == "failed"
    assert await world.wrong() == [], "what came back had been sent"
    for lie in (
        "UPDATE message SET state = 'unknown', reason = 'unknown', sent_at = NULL",
        "UPDATE outbox SET headers = '{}' WHERE headers ->> 'ce-type' LIKE '%sent.v1'",
    ):
        async with world.database.transaction() as tx:
            told = tx.conn.transaction()
            await told.start()
            await tx.conn.execute(lie)
            wrong = [row[0] for check in CHECKS for row in await tx.conn.fetch(check.sql)]
            await told.rollback()
        assert len(wrong) == 1, lie


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


async def test_a_message_says_when_to_come(world: World) -> None:
    person = uuid4()
    async with world.database.read() as conn:
        now = await conn.fetchval("SELECT date_trunc('minute', now())")
    soon = now + timedelta(hours=5)
    night = day_of(now) + timedelta(days=3)
    noon = soon + timedelta(days=4)
    await world.take(world.card(person))
    await world.take(
        ready(person, visit=Visit(starts_at=soon)),
        ready(person, visit=Visit(from_on=night, until_at=noon)),
        ready(person, visit=Visit(from_on=night, until_at=noon), until_at=end_of(night)),
        ready(person, until_at=soon),
        ready(person, until_at=now + timedelta(days=300)),
    )
    await world.sender().run_once()

    def minute(at: datetime) -> str:
        return at.astimezone(KYIV).strftime("%Y-%m-%d, %H:%M")

    assert sorted(message.text for _, message in world.recorder.sent) == sorted(
        f"Hello! Everything is ready, please come {when}. Have a nice day!"
        for when in (
            f"on {minute(soon)}",
            f"from {night} on, by {minute(noon)}",
            f"on {night}",
            f"by {minute(soon)}",
            f"by {ends_at(now, 7).astimezone(KYIV).date()}",
        )
    )


@pytest.mark.parametrize("over", [Visit(starts_at=datetime(2024, 5, 6, tzinfo=UTC)), None])
async def test_nobody_is_called_to_what_is_over(world: World, over: Visit | None) -> None:
    person = uuid4()
    gone = None if over else datetime(2024, 5, 6, tzinfo=UTC)
    await world.take(world.card(person))
    await world.take(ready(person, visit=over, until_at=gone))
    await world.sender().run_once()
    assert world.recorder.sent == []
    assert [row["reason"] for row in await world.messages()] == ["expired"]


async def holds(world: World, instant: datetime) -> set[NeedId]:
    """The needs with whose messages an instant is kept, in whatever column."""
    return {
        row["need_id"]
        for row in await world.messages()
        if instant in [each for each in row.values() if isinstance(each, datetime)]
    }


@pytest.mark.parametrize("waits", [False, True])
async def test_what_an_hour_may_tell_of_somebody_is_erased_with_them(
    world: World, waits: bool
) -> None:
    erased, other = uuid4(), uuid4()
    until_at = datetime.now(UTC) + timedelta(hours=9)
    needs = [ready(each, until_at=until_at) for each in (erased, other)]
    await world.take(world.card(erased), world.card(other))
    await world.take(*needs)
    # Their channel is away until it is of no use any more.
    world.recorder.fails = Unreachable("timeout") if waits else None
    sender = world.sender(outage_s_max=86_400 * 9)
    await sender.run_once()
    async with world.database.transaction() as tx:
        await tx.conn.execute("UPDATE message SET due_at = expires_at")
    assert await holds(world, until_at) == {each.need_id for each in needs}
    await world.take(PersonErasedV1(person_id=PersonId(erased)))
    assert await holds(world, until_at) == {needs[1].need_id}
    # A message that comes later says nothing of it, either.
    late = ready(erased, until_at=until_at)
    await world.take(late)
    assert await holds(world, until_at) == {needs[1].need_id}
    # Nor does one that comes while they are being erased.
    person = uuid4()
    crossing = ready(person, until_at=until_at)
    await world.take(crossing)
    async with world.database.transaction() as tx:
        await contacts.erase_contacts(tx.conn, [person])
    assert await holds(world, until_at) == {needs[1].need_id, crossing.need_id}
    await sender.run_once()
    assert await holds(world, until_at) == {needs[1].need_id}
    reasons = {row["need_id"]: row["reason"] for row in await world.messages()}
    assert reasons[late.need_id] == "erased"
    assert reasons[needs[0].need_id] == ("erased" if waits else None)


async def test_a_message_on_its_way_forgets_the_hour_when_it_comes_back(world: World) -> None:
    """Whom it is for is erased while a channel is asked, which turns out to be away."""
    person, until_at = uuid4(), datetime.now(UTC) + timedelta(minutes=1)
    await world.take(world.card(person))
    await world.take(ready(person, until_at=until_at))
    asked, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Recorder):
        async def send(
            self, message_id: UUID, post_id: UUID, address: PersonalText, message: Rendered
        ) -> None:
            asked.set()
            await go_on.wait()
            raise Unreachable("timeout")

    sender = world.sender({Channel.EMAIL: Slow()}, outage_s_max=86_400)
    sending = asyncio.create_task(sender.run_once())
    await asyncio.wait_for(asked.wait(), 60)
    # It was seen away long ago, so it is asked again only after the message has expired.
    async with world.database.transaction() as tx:
        await outages.put(tx.conn, {Channel.EMAIL: Outage(tx.now - timedelta(hours=9), tx.now)})
    await world.take(PersonErasedV1(person_id=PersonId(person)))
    go_on.set()
    await sending
    [row] = await world.messages()
    assert (row["state"], row["post_id"]) == ("queued", None)
    assert await holds(world, until_at) == set()
    await sender.run_once()
    assert [row["reason"] for row in await world.messages()] == ["erased"]


async def test_of_what_is_for_a_household_no_hour_is_kept(world: World) -> None:
    until_at = datetime.now(UTC) + timedelta(hours=9)
    await world.take(ready(None, until_at=until_at, visit=Visit(until_at=until_at)))
    assert await holds(world, until_at) == set()
    await world.sender().run_once()
    assert await to_tell(world) == 1


MIGRATION = (
    Path(aidmesh_notification.__file__).parent
    / "migrations"
    / "0007_notification_erased_limits.sql"
)


async def test_what_was_left_of_those_who_were_erased_before_is_removed(world: World) -> None:
    erased, other = uuid4(), uuid4()
    until_at = datetime.now(UTC) + timedelta(hours=9)
    kept = ready(other, until_at=until_at)
    await world.take(world.card(erased), world.card(other))
    await world.take(ready(erased, until_at=until_at), kept)
    # As it was left behind, until now; and a message of a household, as it was kept.
    async with world.database.transaction() as tx:
        await contacts.erase_contacts(tx.conn, [erased])
        await tx.conn.execute("UPDATE message SET until_at = NULL WHERE person_id = $1", erased)
    await world.take(ready(None))
    async with world.database.transaction() as tx:
        await tx.conn.execute(
            "UPDATE message SET until_at = $1, expires_at = $1 WHERE person_id IS NULL", until_at
        )
    assert len(await holds(world, until_at)) == 3
    statement = MIGRATION.read_text().partition("-- migrate: apply")[2]
    async with world.database.transaction() as tx:
        await tx.conn.execute(statement.partition("-- migrate: rollback")[0])
    assert await holds(world, until_at) == {kept.need_id}
