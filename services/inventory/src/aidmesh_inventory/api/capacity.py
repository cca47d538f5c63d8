"""The free places of this region and the others."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Literal
from uuid import UUID

import asyncpg
from pydantic import BaseModel, TypeAdapter

from aidmesh_chassis.db import Database
from aidmesh_chassis.http import Page, PageQuery, Routes
from aidmesh_chassis.peers import LinkOf, LinkState
from aidmesh_inventory.api.callers import Staff
from aidmesh_inventory.domain.shown import free_shown
from aidmesh_inventory.store import slots, world

_CAPACITY_KEY: TypeAdapter[tuple[str | None, UUID, str, str]] = TypeAdapter(
    tuple[str | None, UUID, str, str]
)
"""The region (none for this one), the site, bed or slot, and which kind."""


class CapacityRow(BaseModel):
    """Free places of one kind at one site by day, as of when that was told.

    Attributes:
        link: whether the region that told it is heard; None for the own one.
    """

    region: str
    site_id: UUID
    area: str
    resource: str
    code: str
    first_on: date
    free_by_day: list[int]
    total: int
    as_of: datetime
    link: LinkState | None = None


class CapacityOut(BaseModel):
    """Free places here and, as they told, in the other regions."""

    rows: list[CapacityRow]
    next: str | None


async def hide_sensitive(conn: asyncpg.Connection, rows: Sequence[CapacityRow]) -> None:
    """Take from the free seats of these rows those that are to look taken."""
    found = {(row.site_id, row.code): row for row in rows if row.resource == "slot"}
    if not found:
        return
    seated = await slots.with_sensitive(
        conn,
        {row.site_id for row in found.values()},
        min(row.first_on for row in found.values()),
        max(row.first_on + timedelta(days=len(row.free_by_day)) for row in found.values()),
    )
    for key, row in found.items():
        row.free_by_day = free_shown(row.first_on, row.free_by_day, seated.get(key, ()))


async def _capacity(
    conn: asyncpg.Connection, page: Page, resource: str | None
) -> tuple[list[asyncpg.Record], list[asyncpg.Record], str | None]:
    """A page of free places, this region's first, then the others'; the cursor of the next."""
    after = page.after(_CAPACITY_KEY)
    own, others = [], []
    if after is None or after[0] is None:
        last = None if after is None else after[1:]
        own = await world.own_capacity(conn, resource=resource, after=last, limit=page.limit + 1)
    room = page.limit + 1 - len(own)
    if room > 0:
        seen = None if after is None or after[0] is None else (after[0], *after[1:])
        others = await world.others_capacity(conn, resource=resource, after=seen, limit=room)
    rows = [(None, row) for row in own] + [(row["region"], row) for row in others]
    kept, cursor = page.cut(
        rows, lambda each: (each[0], each[1]["site_id"], each[1]["resource"], each[1]["code"])
    )
    return (
        [row for region, row in kept if region is None],
        [row for region, row in kept if region is not None],
        cursor,
    )


def router(database: Database, region: str, link: LinkOf) -> Routes:
    """Return the routes."""
    routes = Routes(prefix="/v1", tags=["beds and slots"])

    @routes.get("/capacity")
    async def see_capacity(
        caller: Staff, page: PageQuery, resource: Literal["bed", "slot"] | None = None
    ) -> CapacityOut:
        """Free places of the coming 14 days, here, then in the other regions."""
        async with database.read() as conn:
            own, others, after = await _capacity(conn, page, resource)
            shown = [CapacityRow(region=region, **row) for row in own]
            if not caller.sees_sensitive:
                await hide_sensitive(conn, shown)
        return CapacityOut(
            rows=[*shown, *(CapacityRow(**row, link=link(row["region"])) for row in others)],
            next=after,
        )

    return routes
