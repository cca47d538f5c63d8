"""A service that only publishes and one that only takes in, and messages made by hand."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

import asyncpg
from nats.js.api import ConsumerConfig

from aidmesh_chassis import outbox
from aidmesh_chassis.consuming import Received
from aidmesh_chassis.db import Database, Tx
from aidmesh_chassis.relay import Relay
from aidmesh_chassis.service import Service
from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import PersonId
from aidmesh_contracts.intake import ContactSealedV1
from support.servers import NatsRegion


def card(number: int) -> ContactSealedV1:
    return ContactSealedV1(person_id=PersonId(UUID(int=number)), version=1, sealed="c2VhbGVk")


async def opened(dsn: str, service: str = "intake") -> Database:
    database = Database(dsn, outbox.Origin("kyiv", service))
    await database.open()
    return database


async def emit(database: Database, numbers: Sequence[int]) -> None:
    async with database.transaction() as tx:
        for number in numbers:
            tx.emit(card(number))


@dataclass
class Producer:
    """A service that only publishes."""

    database: Database
    relay: Relay


async def pending(database: Database) -> int:
    async with database.connection() as conn:
        return int(await conn.fetchval("SELECT count(*) FROM outbox WHERE status = 'pending'"))


async def in_stream(region: NatsRegion, name: str = "PRIVATE") -> list[tuple[int, str]]:
    """Every message of a stream: sequence and event id, read straight from the server."""
    client = await region.admin()
    try:
        js = client.jetstream()
        total = (await js.stream_info(name)).state.messages
        reader = await js.subscribe(
            ">",
            stream=name,
            config=ConsumerConfig(name=uuid4().hex),
            ordered_consumer=True,
            pending_msgs_limit=100_000,
        )
        found: list[tuple[int, str]] = []
        while len(found) < total:
            message = await reader.next_msg(timeout=30)
            found.append((message.metadata.sequence.stream, (message.headers or {})["ce-id"]))
        return found
    finally:
        await client.close()


Effect = Callable[[Tx, Sequence[Received[ContactSealedV1]]], Awaitable[None]]


@dataclass
class Taker:
    """A running service that takes contact cards into a table of its own."""

    database: Database
    service: Service
    effect: list[Effect]
    task: "asyncio.Task[None]"

    async def seen(self) -> dict[int, int]:
        async with self.database.connection() as conn:
            rows = await conn.fetch("SELECT person_id, count(*) AS n FROM seen GROUP BY 1")
        return {row["person_id"].int: row["n"] for row in rows}

    async def letters(self, status: str) -> list[asyncpg.Record]:
        async with self.database.connection() as conn:
            return await conn.fetch("SELECT * FROM dead_letter WHERE status = $1", status)


async def record(tx: Tx, batch: Sequence[Received[ContactSealedV1]]) -> None:
    await tx.conn.execute(
        "INSERT INTO seen SELECT * FROM unnest($1::uuid[])",
        [item.event.person_id for item in batch],
    )


class FakeMessage:
    """A message that notes what was done with it; for cases a server would not send."""

    def __init__(self, subject: str, data: bytes, headers: dict[str, str] | None) -> None:
        self.subject, self.data, self.headers = subject, data, headers
        self.outcome: list[str] = []
        self.delays_s: list[float | None] = []

    async def ack(self) -> None:
        self.outcome.append("ack")

    async def nak(self, delay: float | None = None) -> None:
        self.outcome.append("nak")
        self.delays_s.append(delay)

    async def term(self) -> None:
        self.outcome.append("term")

    async def in_progress(self) -> None:
        self.outcome.append("in_progress")


def wire(event: Event, event_id: UUID) -> FakeMessage:
    at = datetime(2024, 3, 8, tzinfo=UTC)
    row = outbox.row_of(
        event, outbox.Origin("kyiv", "intake"), at, cause=None, event_id=event_id, version=None
    )
    return FakeMessage(row.subject, row.payload, json.loads(row.headers))
