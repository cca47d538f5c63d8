"""Intakes of two regions, and the wire between them in the hands of the test."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from aidmesh_chassis.auth import Role
from aidmesh_contracts.base import Event
from aidmesh_contracts.intake import KeyChangedV1, NeedApprovedV1
from aidmesh_contracts.registry import REGISTRY
from aidmesh_contracts.streams import Stream, event_type_of
from aidmesh_intake.checks import CHECKS
from integration.intake.world import World, held, only, open_world
from support.servers import DatabaseFactory


@dataclass
class Side:
    """One region.

    Attributes:
        seen: handoffs that were put on the wire already.
    """

    world: World
    seen: set[UUID] = field(default_factory=set)

    async def said(self) -> list[Event]:
        """What it hands over to the other, once."""
        async with self.world.db.read() as conn:
            rows = await conn.fetch(
                "SELECT event_id, subject, payload FROM handoff WHERE status = 'waiting'"
                " ORDER BY created_at, event_id"
            )
        fresh = [row for row in rows if row["event_id"] not in self.seen]
        self.seen |= {row["event_id"] for row in fresh}
        return [
            REGISTRY[event_type_of(row["subject"])].model_validate_json(row["payload"])
            for row in fresh
        ]

    async def hear(self, region: str, *events: Event) -> list[Event]:
        """Take in what the other region hands over; what is published here since the last look."""
        return await self.world.feed(*events, stream=Stream.HANDOFF, region=region)

    async def value(self, query: str, *arguments: object) -> Any:
        async with self.world.db.read() as conn:
            return await conn.fetchval(query, *arguments)

    async def execute(self, query: str, *arguments: object) -> None:
        async with self.world.db.transaction() as tx:
            await tx.conn.execute(query, *arguments)

    async def person_of(self, need_id: UUID) -> UUID:
        return UUID(str(await self.value("SELECT person_id FROM need WHERE id = $1", need_id)))

    async def erase(self, need_id: UUID) -> None:
        """Erase whom a need is for."""
        person_id = await self.person_of(need_id)
        await self.world.post(f"/v1/persons/{person_id}:erase", None, Role.LEAD)

    async def is_readable(self, need_id: UUID) -> bool:
        """Whether anything is kept of whom a need is for."""
        return bool(
            await self.value(
                "SELECT p.details IS NOT NULL OR p.wrapped_key IS NOT NULL"
                " FROM person p JOIN need n ON n.person_id = p.id WHERE n.id = $1",
                need_id,
            )
        )

    async def hold_all(self, events: Sequence[Event]) -> None:
        """Inventory holds what is asked for."""
        for each in only(events, NeedApprovedV1):
            await self.world.feed(held(each.need_id, each.attempt_no))

    async def check(self) -> None:
        async with self.world.db.read() as conn:
            for check in CHECKS:
                assert await conn.fetch(check.sql) == [], check.name


@asynccontextmanager
async def two_sides(
    database: DatabaseFactory, folder: Path, **settings: Any
) -> AsyncIterator[tuple[Side, Side]]:
    """kyiv and lviv, each of which knows the other's key; in the end their books must hold."""
    kyiv, lviv = [
        Side(await open_world(await database("intake"), folder / region, region, **settings))
        for region in ("kyiv", "lviv")
    ]
    for one, other in ((kyiv, lviv), (lviv, kyiv)):
        await one.world.sweep("own_keys")
        keys = only(await one.world.published(), KeyChangedV1)
        await other.world.feed(*keys, stream=Stream.WORLD, region=one.world.region)
    yield kyiv, lviv
    for side in (kyiv, lviv):
        await side.check()
        await side.world.client.aclose()
        await side.world.db.close()


async def exchange(one: Side, other: Side) -> None:
    """Deliver until nothing more is said."""
    while True:
        from_one, from_other = await one.said(), await other.said()
        if not from_one and not from_other:
            return
        await other.hear(one.world.region, *from_one)
        await one.hear(other.world.region, *from_other)
