"""`/v1/conflicts`: what lost regions said too late, for people to look at.

A service that takes in events of other regions includes `router(database)`. What is listed has had
no effect: people find out what it was about, put things right as they do after any fact, and close
it with a note.
"""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, Response
from pydantic import BaseModel, StringConstraints, TypeAdapter

from aidmesh_chassis import conflicts
from aidmesh_chassis.auth import Caller, Role, require
from aidmesh_chassis.db import Database
from aidmesh_chassis.http import Body, PageQuery, Routes
from aidmesh_chassis.idempotency import Once
from aidmesh_chassis.problems import NOT_FOUND, Problem

_AFTER: Final = TypeAdapter(tuple[datetime, UUID])
Lead = Annotated[Caller, Depends(require(Role.LEAD))]
Reader = Annotated[Caller, Depends(require(Role.LEAD, Role.ONCALL))]


class ConflictView(BaseModel):
    """An event that was not applied: of which kind, about what, and of which epoch.

    Attributes:
        may_count: its region may have been let in again before it said this. It is applied by
            itself once that is heard, and never if it was not.
    """

    event_id: UUID
    region: str
    epoch: int
    event_type: str
    aggregate: str
    occurred_at: datetime
    arrived_at: datetime
    may_count: bool


class ConflictPage(BaseModel):
    """A page of open conflicts; `next` is the `after` of the page that follows."""

    conflicts: list[ConflictView]
    next: str | None


class Note(Body):
    """What was found out, and what was done."""

    note: Annotated[str, StringConstraints(min_length=1, max_length=500)]


def router(database: Database) -> Routes:
    """The routes of one service's conflicts."""
    routes = Routes(prefix="/v1/conflicts", tags=["conflicts"])

    @routes.get("")
    async def listed(caller: Reader, page: PageQuery) -> ConflictPage:
        """What lost regions said too late and nobody has seen to, the oldest first."""
        async with database.read() as conn:
            rows = await conflicts.listed(conn, page.after(_AFTER), page.limit + 1)
        kept, following = page.cut(rows, lambda row: (row["arrived_at"], row["event_id"]))
        views = [ConflictView.model_validate(dict(row)) for row in kept]
        return ConflictPage(conflicts=views, next=following)

    @routes.post("/{event_id}:close")
    async def close(event_id: UUID, body: Note, caller: Lead, once: Once) -> Response:
        """A lead has seen to it."""
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            if not await conflicts.close(tx.conn, event_id, body.note, caller.staff_id):
                raise Problem(NOT_FOUND)
            return await once.answer(tx, 200, {"event_id": event_id})

    return routes
