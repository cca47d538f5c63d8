"""The parts of notification on a real database, with an outlet that a test controls."""

import base64
import json
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from aidmesh_chassis.crypto import PrivateKey, seal, unseal
from aidmesh_chassis.db import Database
from aidmesh_chassis.envelope import Received, new_event_id
from aidmesh_chassis.privacy import PersonalText
from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import NeedId, PersonId
from aidmesh_contracts.intake import ContactSealedV1, NeedReadyV1
from aidmesh_contracts.values import Visit
from aidmesh_notification import consumers
from aidmesh_notification.channels import Outlet
from aidmesh_notification.checks import CHECKS
from aidmesh_notification.domain.cards import Channel
from aidmesh_notification.sender import Sender
from aidmesh_notification.texts import Rendered, load_templates


class Recorder:
    """An outlet that notes what it was given, or fails as told."""

    concurrency = 4

    def __init__(self) -> None:
        self.asked: list[UUID] = []
        self.posted: list[UUID] = []
        self.sent: list[tuple[str, Rendered]] = []
        self.fails: Exception | None = None

    async def send(
        self, message_id: UUID, post_id: UUID, address: PersonalText, message: Rendered
    ) -> None:
        self.asked.append(message_id)
        self.posted.append(post_id)
        if self.fails is not None:
            raise self.fails
        self.sent.append((address.reveal(), message))

    async def close(self) -> None:
        return


class World:
    """The service's parts, and what other services would send it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.key = PrivateKey.random()
        self.recorder = Recorder()
        self.handlers = {
            event: handler
            for subscription in consumers.subscriptions(72)
            for event, handler in subscription.handlers.items()
        }

    def sender(
        self,
        outlets: dict[Channel, Outlet] | None = None,
        *,
        batch_max: int = 512,
        tries_max: int = 3,
        outage_s_max: float = 0.001,
    ) -> Sender:
        return Sender(
            self.database,
            lambda: partial(unseal, self.key),
            {Channel.EMAIL: self.recorder} if outlets is None else outlets,
            load_templates("Canary Organization"),
            batch_max=batch_max,
            call_ms_max=1000,
            tries_max=tries_max,
            retry_s=0.001,
            outage_s_max=outage_s_max,
        )

    async def take(self, *events: Event) -> None:
        """Hand a batch of events of one class to its handler."""
        async with self.database.transaction() as tx:
            await self.handlers[type(events[0])](tx, [_received(tx.now, event) for event in events])

    def card(self, person_id: UUID, version: int = 1, **changes: object) -> ContactSealedV1:
        fields: dict[str, object] = {
            "person_id": str(person_id),
            "version": version,
            "language": "en",
            "channel": "email",
            "address": "canary.person@example.org",
            "hours_from": "00:00",
            "hours_to": "24:00",
            "wording": "neutral",
            "safe": True,
        }
        plain = json.dumps({**fields, **changes}).encode()
        return ContactSealedV1(
            person_id=PersonId(person_id),
            version=version,
            sealed=base64.b64encode(seal(self.key.public, plain)).decode(),
        )

    async def wrong(self) -> list[str]:
        """What `aidmesh verify` finds wrong in the books."""
        async with self.database.read() as conn:
            return [
                f"{check.name}: {row[0]}" for check in CHECKS for row in await conn.fetch(check.sql)
            ]

    async def messages(self) -> list[dict[str, Any]]:
        async with self.database.read() as conn:
            rows = await conn.fetch("SELECT * FROM message ORDER BY queued_at, message_id")
        return [dict(row) for row in rows]

    async def causes(self) -> list[tuple[object, object]]:
        """Correlation id and trace context of what is in the outbox."""
        async with self.database.read() as conn:
            rows = await conn.fetch("SELECT headers FROM outbox ORDER BY seq")
        found = [json.loads(row["headers"]) for row in rows]
        return [(each["aid-correlation"], each.get("traceparent")) for each in found]

    async def emitted(self) -> list[dict[str, object]]:
        """Payloads of the outbox, each with its type."""
        async with self.database.read() as conn:
            rows = await conn.fetch("SELECT subject, payload FROM outbox ORDER BY seq")
        return [
            {"type": ".".join(row["subject"].split(".")[-2:]), **json.loads(row["payload"])}
            for row in rows
        ]


def _received(now: datetime, event: Event) -> Received[Event]:
    return Received(
        event=event,
        event_id=new_event_id(),
        correlation_id=uuid4(),
        occurred_at=now,
        region="kyiv",
        epoch=1,
        version=None,
        content_hash=b"",
        traceparent=f"00-{uuid4().hex}-{uuid4().hex[:16]}-01",
    )


def ready(
    person_id: UUID | None,
    *,
    attempt_no: int = 1,
    sensitive: bool = False,
    need_id: UUID | None = None,
    visit: Visit | None = None,
    until_at: datetime | None = None,
    to_come: bool | None = None,
    in_person: bool = False,
) -> NeedReadyV1:
    return NeedReadyV1(
        need_id=NeedId(need_id or uuid4()),
        attempt_no=attempt_no,
        kind="food_parcel",
        sensitive=sensitive,
        person_id=None if person_id is None else PersonId(person_id),
        site_id=None,
        collect_days=7,
        visit=visit,
        until_at=until_at,
        to_come=to_come,
        in_person=in_person,
    )


def spool_lines(path: Path) -> Sequence[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
