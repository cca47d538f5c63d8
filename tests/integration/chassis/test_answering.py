"""Who is answered that hands something over, and when nobody is. Real PostgreSQL."""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from aidmesh_chassis import conflicts, letters, standings
from aidmesh_chassis.consuming import Handler, Inlet
from aidmesh_chassis.db import Database, Tx
from aidmesh_chassis.envelope import Received, new_event_id
from aidmesh_chassis.errors import Park
from aidmesh_chassis.outbox import Origin, row_of
from aidmesh_chassis.standings import Stand
from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import PayoutId
from aidmesh_contracts.payments import HandoffTakenV1, PayoutWithdrawnV1
from aidmesh_contracts.payments_regions import Standing
from integration.chassis.parts import FakeMessage
from support.loglines import written
from support.servers import DatabaseFactory

NOON = datetime(2030, 3, 8, 12, tzinfo=UTC)


def answer(handoff_id: UUID) -> Event:
    return HandoffTakenV1(handoff_id=handoff_id)


def handed(event: Event, region: str = "lviv", epoch: int = 1) -> FakeMessage:
    """What payments of another region hands over to kyiv, as its stream brings it."""
    row = row_of(
        event,
        Origin(region, "payments", epoch),
        NOON,
        cause=None,
        event_id=new_event_id(),
        version=None,
        to_region="kyiv",
    )
    return FakeMessage(row.subject, row.payload, json.loads(row.headers))


def withdrawal() -> PayoutWithdrawnV1:
    return PayoutWithdrawnV1(payout_id=PayoutId(uuid4()))


def id_of(message: FakeMessage) -> UUID:
    return UUID((message.headers or {})["ce-id"])


@dataclass
class Office:
    """Payments of kyiv; what it handled, and what it says next to what comes."""

    database: Database
    handled: list[UUID] = field(default_factory=list)
    refusal: Exception | None = None

    def __post_init__(self) -> None:
        handlers: dict[type[Event], Handler] = {
            PayoutWithdrawnV1: self._handle,
            HandoffTakenV1: self._handle,
        }
        self.inlet = Inlet(self.database, "payments-handoff", handlers, answer=answer)

    async def _handle(self, _: Tx, batch: Sequence[Received[Event]]) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.handled += [item.event_id for item in batch]

    async def take(self, *messages: FakeMessage) -> None:
        """Take these in, and wait for no answer of before."""
        async with self.database.transaction() as tx:
            await tx.conn.execute("DELETE FROM handoff")
        await self.inlet.take(messages)

    async def answered(self) -> list[tuple[UUID, str]]:
        """What waits to be told to whom."""
        async with self.database.read() as conn:
            rows = await conn.fetch("SELECT payload, to_region FROM handoff ORDER BY event_id")
        return [
            (HandoffTakenV1.model_validate_json(row["payload"]).handoff_id, row["to_region"])
            for row in rows
        ]

    async def hear(self, standing: Standing, epoch: int) -> None:
        """How lviv stands."""
        async with self.database.transaction() as tx:
            said = {"lviv": (Stand(standing, epoch, tx.now), "odesa")}
            await standings.take_in(tx, said, standings.nothing_follows)

    async def drop(self) -> None:
        """Have a person drop the only letter."""
        async with self.database.connection() as conn:
            [number] = await conn.fetch("SELECT id FROM dead_letter")
            assert await letters.drop(conn, number["id"], "olena", "seen to by telephone")

    async def statuses(self) -> list[str]:
        async with self.database.read() as conn:
            return [row["status"] for row in await conn.fetch("SELECT status FROM dead_letter")]


@pytest.fixture
async def kyiv(database: DatabaseFactory) -> AsyncIterator[Office]:
    db = Database(await database("payments"), Origin("kyiv", "payments"))
    await db.open()
    yield Office(db)
    await db.close()


async def test_what_was_set_aside_is_not_answered_until_it_is_said_in_a_new_epoch(
    kyiv: Office,
) -> None:
    late, other = handed(withdrawal()), handed(withdrawal(), "odesa")
    await kyiv.hear("lost", 1)
    await kyiv.take(late, other)
    assert await kyiv.answered() == [(id_of(other), "odesa")]
    assert kyiv.handled == [id_of(other)]
    async with kyiv.database.read() as conn:
        [conflict] = await conflicts.listed(conn, None, 10)
    assert conflict["event_id"] == id_of(late)
    await kyiv.take(late)  # it goes on asking
    assert await kyiv.answered() == []
    await kyiv.hear("member", 2)
    still_late = handed(withdrawal())
    for _ in range(2):  # an answer would settle what never counts
        await kyiv.take(late, still_late)
        assert await kyiv.answered() == []
    anew = handed(withdrawal(), epoch=2)
    await kyiv.take(late, anew)
    assert await kyiv.answered() == [(id_of(anew), "lviv")]
    assert kyiv.handled == [id_of(other), id_of(anew)]


async def test_what_is_said_in_a_new_epoch_counts_though_it_came_before_the_news_of_it(
    kyiv: Office,
) -> None:
    early, late = handed(withdrawal(), epoch=2), handed(withdrawal())
    await kyiv.hear("lost", 1)
    await kyiv.take(early, late)
    async with kyiv.database.read() as conn:
        aside = await conn.fetch("SELECT epoch, may_count, payload FROM conflict ORDER BY epoch")
    # Sealed things are not kept: it comes again.
    assert [tuple(row) for row in aside] == [(1, False, None), (2, True, None)]
    await kyiv.hear("member", 2)
    await kyiv.take(early, late)
    assert await kyiv.answered() == [(id_of(early), "lviv")]
    await kyiv.take(early, late)
    assert kyiv.handled == [id_of(early)]
    async with kyiv.database.read() as conn:
        assert [each["event_id"] for each in await conflicts.listed(conn, None, 10)] == [
            id_of(late)
        ]
    await kyiv.hear("retired", 2)
    await kyiv.take(late)  # it never counts
    assert kyiv.handled == [id_of(early)]


async def test_what_was_taken_in_before_is_answered_once_its_region_is_back(kyiv: Office) -> None:
    taken = handed(withdrawal())
    await kyiv.take(taken)
    await kyiv.hear("lost", 1)
    await kyiv.take(taken)
    assert await kyiv.answered() == []
    await kyiv.hear("member", 2)
    await kyiv.take(taken)
    assert await kyiv.answered() == [(id_of(taken), "lviv")]
    assert kyiv.handled == [id_of(taken)]


async def test_what_was_parked_until_its_region_was_lost_is_not_answered(kyiv: Office) -> None:
    kyiv.refusal = Park("too_early", retry_s=0)
    await kyiv.take(handed(withdrawal()))
    assert await kyiv.answered() == []
    await kyiv.hear("lost", 1)
    kyiv.refusal = None
    assert await kyiv.inlet.take_parked() == 1
    assert await kyiv.statuses() == ["done"]
    assert (await kyiv.answered(), kyiv.handled) == ([], [])


async def test_a_region_that_retires_has_all_its_answers(kyiv: Office) -> None:
    late = handed(withdrawal())
    await kyiv.hear("retired", 1)
    await kyiv.take(late)
    assert await kyiv.answered() == [(id_of(late), "lviv")]


async def test_what_a_person_dropped_is_answered_and_has_no_effect(kyiv: Office) -> None:
    sent = handed(withdrawal())
    kyiv.refusal = ZeroDivisionError()
    for _ in range(5):
        await kyiv.take(sent)
    assert await kyiv.statuses() == ["dead"]
    assert await kyiv.answered() == []
    await kyiv.drop()
    kyiv.refusal = None
    await kyiv.take(sent)
    assert await kyiv.answered() == [(id_of(sent), "lviv")]
    assert (kyiv.handled, await kyiv.statuses()) == ([], ["dropped"])


async def test_what_nobody_can_read_is_answered_once_a_person_dropped_it(kyiv: Office) -> None:
    sent = handed(withdrawal())
    sent.data = b"{}"
    await kyiv.take(sent)
    assert (await kyiv.answered(), await kyiv.statuses()) == ([], ["dead"])
    await kyiv.drop()
    with written("payments") as lines:
        await kyiv.take(sent)
    assert await kyiv.answered() == [(id_of(sent), "lviv")]
    assert not lines.of("message.dead")
    await kyiv.hear("lost", 1)
    await kyiv.take(sent)
    assert await kyiv.answered() == []
    assert await kyiv.statuses() == ["dropped"]


@pytest.mark.parametrize("is_readable", [True, False])
async def test_an_answer_is_not_answered(kyiv: Office, is_readable: bool) -> None:
    sent = handed(answer(uuid4()))
    if not is_readable:
        sent.data = b"{}"
        await kyiv.take(sent)
        await kyiv.drop()
    await kyiv.take(sent)
    assert await kyiv.answered() == []
