"""Months, names of grants, and needs that no service was for."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from aidmesh_chassis.auth import Caller, Role, require
from aidmesh_chassis.db import Database
from aidmesh_chassis.idempotency import Once
from aidmesh_chassis.problems import Problem
from aidmesh_reporting.answers import ClosedOut, GrantOut, MonthOut, WaitingOut
from aidmesh_reporting.api.results import MAY_SEE, Seer
from aidmesh_reporting.domain.months import last_day
from aidmesh_reporting.problems import NOT_OVER
from aidmesh_reporting.store import results
from aidmesh_reporting.store.months import mark_dirty


def router(database: Database) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/v1")

    @routes.get("/months", dependencies=[MAY_SEE])
    async def months() -> list[MonthOut]:
        """Months with services: settled or not, and which version was published."""
        async with database.read() as conn:
            return [MonthOut(**dict(row)) for row in await results.list_months(conn)]

    @routes.post("/months/{month}:settle")
    async def settle(
        month: Annotated[str, Path(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$")],
        caller: Annotated[Caller, Depends(require(Role.LEAD))],
        once: Once,
    ) -> Response:
        """Call a month settled: its results are no longer provisional, corrections restate them."""
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            if tx.now.date() <= last_day(month):
                raise Problem(NOT_OVER)
            await results.settle(tx.conn, month, caller.staff_id)
            await mark_dirty(tx.conn, [month])  # the others are told that it is settled
            return await once.answer(tx, 200, {"month": month, "state": "settled"})

    @routes.get("/grants", dependencies=[MAY_SEE])
    async def grants() -> list[GrantOut]:
        """Names of grants, this region's and those of others."""
        async with database.read() as conn:
            return [GrantOut(**dict(row)) for row in await results.grants(conn)]

    @routes.get("/waiting")
    async def waiting(caller: Annotated[Caller, Depends(require())]) -> list[WaitingOut]:
        """Where need outgrows supply: needs that wait now; not those asked for or ready."""
        async with database.read() as conn:
            rows = await results.waiting(conn, sensitive_too=caller.sees_sensitive)
        return [WaitingOut(**dict(row)) for row in rows]

    @routes.get("/closed")
    async def closed(caller: Seer) -> list[ClosedOut]:
        """Needs that ended without a service, by state and, to some, by reason."""
        async with database.read() as conn:
            rows = await results.closed(conn, reasons=caller.sees_sensitive)
        return [ClosedOut(**dict(row)) for row in rows]

    return routes
