"""Messages between services, carried by the test: in any order, late, and more than once."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from aidmesh_chassis.consuming import Subscription
from aidmesh_chassis.db import Database
from aidmesh_chassis.envelope import Received
from aidmesh_contracts.base import Event
from aidmesh_contracts.registry import REGISTRY


@dataclass
class Part:
    """A service: where it keeps what it says, and what it listens to."""

    name: str
    database: Database
    subscriptions: Sequence[Subscription]
    read_to: int = 0

    def hears(self, event: Event) -> bool:
        """Whether it takes such events in."""
        return any(type(event) in each.handlers for each in self.subscriptions)


@dataclass(frozen=True)
class Letter:
    """An event on its way to one service."""

    to: str
    received: Received[Event]


class Post:
    """Letters that were written and are not handed on yet, and those that were.

    Handlers get a letter that is carried twice under the same id, and no inbox in between: what
    they promise is more than what they need.
    """

    def __init__(self, parts: Iterable[Part]) -> None:
        self.parts = {part.name: part for part in parts}
        self.waiting: list[Letter] = []
        self.carried: list[Letter] = []
        self.events: list[Event] = []

    def forget(self) -> None:
        """Begin anew; whatever was said is not carried any more."""
        self.waiting.clear()
        self.carried.clear()
        self.events.clear()

    async def collect(self) -> None:
        """Fetch what the services have written."""
        for part in self.parts.values():
            async with part.database.read() as conn:
                rows = await conn.fetch(
                    "SELECT seq, event_id, headers, payload FROM outbox WHERE seq > $1"
                    " ORDER BY seq",
                    part.read_to,
                )
            for row in rows:
                part.read_to = row["seq"]
                received = _received(row["event_id"], json.loads(row["headers"]), row["payload"])
                self.events.append(received.event)
                self.waiting += [
                    Letter(each.name, received)
                    for each in self.parts.values()
                    if each.hears(received.event)
                ]

    async def carry(self, letters: Sequence[Letter], *, again: bool = False) -> None:
        """Hand some letters on, those to one service as one batch; `again` carries copies."""
        if not again:
            chosen = {id(each) for each in letters}
            self.waiting = [each for each in self.waiting if id(each) not in chosen]
            self.carried += letters
        for part in self.parts.values():
            mine = [each.received for each in letters if each.to == part.name]
            if mine:
                await _hand(part, mine)
        await self.collect()


async def _hand(part: Part, batch: Sequence[Received[Event]]) -> None:
    """Give a batch to the handlers, in the order in which the service wants it."""
    for subscription in part.subscriptions:
        for handler in dict.fromkeys(subscription.handlers.values()):
            group = [
                each for each in batch if subscription.handlers.get(type(each.event)) is handler
            ]
            if group:
                async with part.database.transaction() as tx:
                    await handler(tx, group)


def _received(event_id: UUID, headers: dict[str, str], payload: bytes) -> Received[Event]:
    version = headers.get("aid-version")
    return Received(
        event=REGISTRY[headers["ce-type"]].model_validate_json(payload),
        event_id=event_id,
        correlation_id=UUID(headers["aid-correlation"]),
        occurred_at=datetime.fromisoformat(headers["ce-time"]),
        region="kyiv",
        epoch=int(headers["aid-epoch"]),
        version=None if version is None else int(version),
        content_hash=b"",
    )
