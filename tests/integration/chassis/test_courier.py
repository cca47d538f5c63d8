"""The courier among many peers: one that does not answer keeps nobody else waiting."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import cast
from uuid import uuid4

import pytest
from nats.errors import TimeoutError as NoAnswerError

from aidmesh_chassis import courier, handoff
from aidmesh_chassis.client import Client
from aidmesh_chassis.courier import CLAIM_MAX, Courier
from aidmesh_chassis.db import Database
from aidmesh_chassis.handoff import UNANSWERED_S_MAX, UNANSWERED_S_MIN
from aidmesh_chassis.outbox import Origin
from aidmesh_chassis.peers import Peers
from aidmesh_contracts.payments import PayoutWithdrawnV1
from support.servers import DatabaseFactory, NatsRegion
from support.services import settings_for
from support.waiting import eventually


@dataclass
class Wire:
    """A connection over which some regions answer, and others are silent or can store nothing."""

    silent: set[str] = field(default_factory=set)
    full: set[str] = field(default_factory=set)
    tried: Counter[str] = field(default_factory=Counter)
    is_connected: bool = True
    is_closed: bool = False

    async def request(self, subject: str, *_: object, **__: object) -> object:
        to_region = subject.split(".")[1]
        self.tried[to_region] += 1
        if to_region in self.silent:
            raise NoAnswerError
        answer: dict[str, object] = {"stream": "HANDOFF", "seq": 1}
        if to_region in self.full:
            answer |= {"seq": 0, "error": {"code": 503, "err_code": 10077, "description": "full"}}
        return SimpleNamespace(data=json.dumps(answer).encode())


@pytest.fixture
async def kyiv(database: DatabaseFactory) -> AsyncIterator[Database]:
    db = Database(await database("payments"), Origin("kyiv", "payments"))
    await db.open()
    yield db
    await db.close()


async def hand_over(db: Database, to_region: str, count: int) -> None:
    async with db.transaction() as tx:
        for _ in range(count):
            tx.hand_over(PayoutWithdrawnV1.model_validate({"payout_id": uuid4()}), to_region)


async def reached(db: Database, region: str) -> int:
    async with db.connection() as conn:
        count: int = await conn.fetchval(
            "SELECT count(*) FROM handoff WHERE to_region = $1 AND published_at IS NOT NULL", region
        )
    return count


async def due_again(db: Database) -> None:
    async with db.connection() as conn:
        await conn.execute("UPDATE handoff SET next_at = now() WHERE status = 'waiting'")


def courier_of(db: Database, wire: Wire, region: NatsRegion) -> Courier:
    made = Courier(db, settings_for("payments", region), Peers("kyiv"))
    made._client = cast("Client", wire)
    return made


async def test_thousands_that_wait_for_one_region_keep_no_other_waiting(
    kyiv: Database, nats_region: NatsRegion
) -> None:
    wire = Wire(silent={"lviv"})
    made = courier_of(kyiv, wire, nats_region)
    await hand_over(kyiv, "lviv", 3 * CLAIM_MAX)
    await made.hand_over_once()
    await hand_over(kyiv, "odesa", 5)
    wire.tried.clear()
    await made.hand_over_once()
    assert await reached(kyiv, "odesa") == 5
    assert wire.tried["lviv"] <= 1
    for _ in range(3):  # however often it is looked, it is not tried before its time
        await due_again(kyiv)
        await made.hand_over_once()
    assert wire.tried["lviv"] <= 2


async def test_what_waits_for_a_region_goes_once_it_takes_something(
    kyiv: Database, nats_region: NatsRegion, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(courier, "monotonic", lambda: now[0])
    wire = Wire(silent={"lviv"})
    made = courier_of(kyiv, wire, nats_region)
    await hand_over(kyiv, "lviv", 9)
    tries = []
    for second in range(1, 70):
        now[0] = float(second)
        await due_again(kyiv)
        wire.tried.clear()
        await made.hand_over_once()
        if wire.tried["lviv"]:
            tries.append(second)
    assert tries == [1, 2, 4, 8, 16, 32, 62], "twice as long each time, and half a minute at most"
    wire.silent.clear()
    now[0] = 200.0
    await due_again(kyiv)
    await made.hand_over_once()
    assert await reached(kyiv, "lviv") == 1
    await made.hand_over_once()
    assert await reached(kyiv, "lviv") == 9


async def test_what_a_region_could_not_store_has_not_reached_it(
    kyiv: Database, nats_region: NatsRegion
) -> None:
    made = courier_of(kyiv, Wire(full={"lviv"}), nats_region)
    await hand_over(kyiv, "lviv", 2)
    await hand_over(kyiv, "odesa", 2)
    await made.hand_over_once()
    assert (await reached(kyiv, "lviv"), await reached(kyiv, "odesa")) == (0, 2)


async def test_who_was_away_is_asked_for_an_answer_as_soon_as_anybody(
    kyiv: Database, nats_region: NatsRegion
) -> None:
    """However often it was tried in vain: an answer may be lost, and nothing else brings it."""
    wire = Wire(silent={"lviv"})
    made = courier_of(kyiv, wire, nats_region)
    await hand_over(kyiv, "lviv", 1)

    async def try_again() -> int:
        """How many seconds it waits then."""
        await due_again(kyiv)
        made._away.clear()
        await made.hand_over_once()
        async with kyiv.connection() as conn:
            waits: float = await conn.fetchval(
                "SELECT EXTRACT(EPOCH FROM next_at - now())::float8 FROM handoff"
            )
        return round(waits)

    for _ in range(8):
        await try_again()
    wire.silent.clear()
    assert await try_again() <= UNANSWERED_S_MIN
    assert await reached(kyiv, "lviv") == 1
    waits = [await try_again() for _ in range(8)]
    assert waits == sorted(waits)
    assert waits[-1] > UNANSWERED_S_MAX / 2
    async with kyiv.connection() as conn:
        assert await handoff.hurry(conn, ["lviv"]) == 1
    assert await try_again() <= UNANSWERED_S_MIN


async def test_a_connection_that_ended_for_good_is_made_anew(
    kyiv: Database, nats_region: NatsRegion
) -> None:
    made = Courier(kyiv, settings_for("payments", nats_region), Peers("kyiv"))
    running = asyncio.create_task(made.run())

    def is_connected() -> bool:
        return bool(made._client.is_connected)

    try:
        await eventually(is_connected, 60)
        before = made._client
        await before.close()  # as after an error that the server sent
        made.wake()
        await eventually(is_connected, 60)
        assert made._client is not before
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
