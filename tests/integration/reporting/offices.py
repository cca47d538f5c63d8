"""Reporting of several regions that know some of the same people."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx

from aidmesh_chassis.auth import Role, issue_token
from aidmesh_chassis.db import Database
from aidmesh_chassis.keys import TOKENS, KeyRing
from aidmesh_chassis.service import Service
from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import LinkId, NeedId, PersonId
from aidmesh_contracts.intake import NeedFulfilledV1
from aidmesh_contracts.intake_links import PersonLinkedV1
from aidmesh_contracts.reporting import LinkServedV1, MonthlyResultsV1
from aidmesh_contracts.streams import Stream
from aidmesh_reporting.handlers.linking import hear, tell
from aidmesh_reporting.handlers.publishing import publish
from integration.reporting.model import received

MARCH = date(2024, 3, 4)
APRIL = date(2024, 4, 4)
_numbers = count(1)


@dataclass
class Office:
    """One region's reporting."""

    region: str
    service: Service
    db: Database
    keys: Path
    seen: set[UUID] = field(default_factory=set)

    async def take(self, *events: Event, region: str | None = None) -> None:
        """Take in facts, each under an id of its own."""
        (handler,) = {
            handler
            for each in self.service.subscriptions
            if each.stream is Stream.LOCAL
            for handler in each.handlers.values()
        }
        batch = [received(event, next(_numbers), region or self.region) for event in events]
        async with self.db.transaction() as tx:
            await handler(tx, batch)

    async def hear(self, region: str, *events: LinkServedV1) -> None:
        async with self.db.transaction() as tx:
            await hear(tx, [received(event, next(_numbers), region) for event in events])

    async def serve(self, person: UUID, day: date = MARCH, need: UUID | None = None) -> UUID:
        need_id = need or uuid4()
        await self.take(
            NeedFulfilledV1(
                need_id=NeedId(need_id), service_no=1, kind="food_parcel", programme="food",
                person_ids=(PersonId(person),), area="UA80", asked_on=day, served_on=day,
                quantity=1, unit="piece", sensitive=False,
            )
        )  # fmt: skip
        return need_id

    async def spread(self, *offices: "Office") -> None:
        """Tell what there is to tell to these offices."""
        async with self.db.transaction() as tx:
            await tell(tx)
        async with self.db.transaction() as tx:
            await publish(tx)
        async with self.db.read() as conn:
            said = await conn.fetch("SELECT event_id, to_region, payload FROM handoff")
            published = await conn.fetch("SELECT event_id, payload FROM outbox ORDER BY seq")
        by_name = {each.region: each for each in offices}
        for row in said:
            if row["event_id"] not in self.seen and row["to_region"] in by_name:
                self.seen.add(row["event_id"])
                event = LinkServedV1.model_validate_json(row["payload"])
                await by_name[row["to_region"]].hear(self.region, event)
        for row in published:
            for office in offices:
                event_id = UUID(int=row["event_id"].int ^ hash(office.region) & 0xFFFF)
                if event_id not in self.seen:
                    self.seen.add(event_id)
                    month = MonthlyResultsV1.model_validate_json(row["payload"])
                    await office.take(month, region=self.region)

    async def whole(self, *roles: Role, to: str = "2024-03-31", by: str = "") -> dict[str, Any]:
        signer = KeyRing(self.keys, [TOKENS]).token_signer()
        token = issue_token(
            signer, uuid4(), roles or (Role.LEAD,), self.region, datetime.now(UTC), 600
        )
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(self.service.app), base_url="http://reporting"
        ) as client:
            answer = await client.get(
                "/v1/results",
                params={"from": "2024-03-01", "to": to, "by": by},
                headers={"Authorization": f"Bearer {token}"},
            )
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()["whole"]
        return found

    async def people(self, **query: Any) -> int:
        total = (await self.whole(**query))["total"]
        assert total["people_exact"]
        return int(total["people"])

    async def value(self, query: str) -> Any:
        async with self.db.read() as conn:
            return await conn.fetchval(query)


Offices = Callable[..., Awaitable[list[Office]]]


async def settle(*offices: Office) -> None:
    """Until everybody knows everything: links first, then the months that they change."""
    for _ in range(3):
        for office in offices:
            await office.spread(*(each for each in offices if each is not office))


async def link(one: Office, ours: UUID, other: Office, theirs: UUID) -> LinkId:
    link_id = LinkId(uuid4())
    await one.take(PersonLinkedV1(link_id=link_id, person_id=PersonId(ours), region=other.region))
    await other.take(PersonLinkedV1(link_id=link_id, person_id=PersonId(theirs), region=one.region))
    return link_id
