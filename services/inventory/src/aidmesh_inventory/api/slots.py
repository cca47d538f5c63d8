"""Slots: time with a professional."""

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID, uuid4

import asyncpg
from fastapi import Query, Response
from pydantic import BaseModel, Field, TypeAdapter

from aidmesh_chassis.db import Database
from aidmesh_chassis.http import Body, PageQuery, Routes, take
from aidmesh_chassis.idempotency import Once
from aidmesh_chassis.routing import BulkRoute
from aidmesh_contracts.days import EnteredDay, EnteredMoment, day_of
from aidmesh_contracts.values import Code
from aidmesh_inventory.api.bulk import BulkIn, BulkOut, SiteRow, add_at_sites
from aidmesh_inventory.api.callers import Staff, Storekeeper
from aidmesh_inventory.api.problems import problem
from aidmesh_inventory.domain.shown import surplus
from aidmesh_inventory.handlers import places
from aidmesh_inventory.store import slots
from aidmesh_inventory.store.slots import NewSlot

_SLOT_KEY: TypeAdapter[tuple[datetime, UUID]] = TypeAdapter(tuple[datetime, UUID])


class SlotFields(Body):
    """Time with a professional.

    Attributes:
        professional: a code, never a name; nobody is in two slots at once.
        seats: more than one for a group.
    """

    code: Code
    professional: Code
    starts_at: EnteredMoment
    minutes: Annotated[int, Field(ge=1, le=1440)]
    seats: Annotated[int, Field(ge=1, le=1000)] = 1


class SlotIn(SlotFields):
    """A new slot at a site."""

    site_id: UUID


class SlotRow(SiteRow, SlotFields):
    """A new slot, as a row of a bulk form."""


class SlotOut(BaseModel):
    """A slot; seats for what is sensitive are shown in steps to those who may not see it."""

    slot_id: UUID
    site_id: UUID
    code: str
    professional: str
    starts_at: datetime
    minutes: int
    seats: int
    taken: int
    status: str


class SlotPage(BaseModel):
    """Slots, earliest first."""

    rows: list[SlotOut]
    next: str | None


def _slot(row: asyncpg.Record, *, sensitive_too: bool) -> SlotOut:
    """A slot as the caller may see it."""
    out = SlotOut(**{name: row[name] for name in SlotOut.model_fields})
    if not sensitive_too:
        out.taken += surplus(row["sensitive"], out.seats - out.taken)
    return out


def _new_slot(slot_id: UUID, site_id: UUID, slot: SlotFields) -> NewSlot:
    starts_at = slot.starts_at.astimezone(UTC)
    return NewSlot(
        slot_id,
        site_id,
        slot.code,
        slot.professional,
        starts_at,
        starts_at + timedelta(minutes=slot.minutes),
        slot.minutes,
        slot.seats,
    )


def router(database: Database, region: str) -> Routes:
    """Return the routes."""
    routes = Routes(prefix="/v1", tags=["beds and slots"])
    bulk_routes = Routes(prefix="/v1", tags=["beds and slots"], route_class=BulkRoute)

    @routes.post("/slots", status_code=201)
    async def add_slot(body: SlotIn, caller: Storekeeper, once: Once) -> Response:
        """Add a slot."""
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            slot_id = uuid4()
            faults = await places.add_slots(tx, [_new_slot(slot_id, body.site_id, body)])
            if slot_id in faults:
                raise problem(faults[slot_id])
            return await once.answer(tx, 201, {"slot_id": slot_id})

    @bulk_routes.post("/slots:bulk", response_model=BulkOut)
    async def add_slot_rows(body: BulkIn, caller: Storekeeper, once: Once) -> Response:
        """Rows with the fields of a slot and `site_id` or `site_code`."""
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            done = await add_at_sites(
                tx, region, "slots", body, SlotRow, _new_slot, places.add_slots
            )
            return await once.answer(tx, 200, done)

    @routes.post("/slots/{slot_id}:cancel")
    async def cancel_slot(slot_id: UUID, caller: Storekeeper, once: Once) -> Response:
        """Cancel a slot; those who had a seat are placed anew."""
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            fault = await places.cancel_slot(tx, slot_id)
            if fault is not None:
                raise problem(fault)
            return await once.answer(tx, 200, {"slot_id": slot_id})

    @routes.get("/slots")
    async def see_slots(
        caller: Staff,
        page: PageQuery,
        site_id: UUID | None = None,
        code: str | None = None,
        from_on: Annotated[EnteredDay | None, Query(alias="from")] = None,
    ) -> SlotPage:
        """Slots from today or a given day on."""
        async with database.read() as conn:
            rows = await slots.page(
                conn,
                site_id=site_id,
                code=code,
                from_on=from_on or day_of(datetime.now(UTC)),
                after=page.after(_SLOT_KEY),
                limit=page.limit + 1,
            )
        kept, after = page.cut(rows, lambda row: (row["starts_at"], row["slot_id"]))
        return SlotPage(
            rows=[_slot(row, sensitive_too=caller.sees_sensitive) for row in kept], next=after
        )

    take(routes, bulk_routes)
    return routes
