"""Facts that do not fit the books."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel

from aidmesh_chassis.db import Database
from aidmesh_chassis.http import Body, PageQuery, Routes
from aidmesh_chassis.idempotency import Once
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_contracts.values import Code
from aidmesh_inventory.api.callers import UUID_KEY, Staff, Storekeeper
from aidmesh_inventory.store import discrepancies


class DiscrepancyOut(BaseModel):
    """A fact that does not fit the books."""

    discrepancy_id: UUID
    need_id: UUID | None
    site_id: UUID | None
    about: str
    code: str
    quantity: int
    why: str
    shipment_id: UUID | None
    status: str
    opened_at: datetime
    settled_at: datetime | None
    settled_reason: str | None


class DiscrepancyPage(BaseModel):
    """Discrepancies by id."""

    rows: list[DiscrepancyOut]
    next: str | None


class SettleIn(Body):
    """How a discrepancy was settled: a code, such as `counted` or `entered_later`."""

    reason: Code


def router(database: Database) -> Routes:
    """Return the routes."""
    routes = Routes(prefix="/v1", tags=["stock"])

    @routes.get("/discrepancies")
    async def list_discrepancies(
        caller: Staff, page: PageQuery, status: Literal["open", "settled"] = "open"
    ) -> DiscrepancyPage:
        """Facts that do not fit the books, for a person to settle."""
        async with database.read() as conn:
            rows = await discrepancies.page(
                conn,
                status=status,
                sensitive_too=caller.sees_sensitive,
                after=page.after(UUID_KEY),
                limit=page.limit + 1,
            )
        kept, after = page.cut(rows, lambda row: row["discrepancy_id"])
        return DiscrepancyPage(rows=[DiscrepancyOut(**row) for row in kept], next=after)

    @routes.post("/discrepancies/{discrepancy_id}:settle")
    async def settle(
        discrepancy_id: UUID, body: SettleIn, caller: Storekeeper, once: Once
    ) -> Response:
        """Say how a discrepancy was settled."""
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            if not await discrepancies.settle(
                tx.conn,
                discrepancy_id,
                caller.staff_id,
                body.reason,
                sensitive_too=caller.sees_sensitive,
            ):
                raise Problem(NOT_FOUND)
            return await once.answer(tx, 200, {"discrepancy_id": discrepancy_id})

    return routes
