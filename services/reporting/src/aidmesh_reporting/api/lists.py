"""Months, names of grants, and needs that no service was for."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, Path, Response
from pydantic import TypeAdapter

from aidmesh_chassis.auth import Caller, Role, require
from aidmesh_chassis.db import Database
from aidmesh_chassis.http import PageQuery, Routes
from aidmesh_chassis.idempotency import Once
from aidmesh_chassis.problems import Problem
from aidmesh_contracts.days import day_of
from aidmesh_reporting.api.answers import (
    ClosedOut,
    ClosedPage,
    GrantOut,
    GrantPage,
    MonthOut,
    MonthPage,
    WaitingOut,
    WaitingPage,
)
from aidmesh_reporting.api.results import MAY_SEE, Seer
from aidmesh_reporting.domain.months import months_over
from aidmesh_reporting.problems import NOT_OVER
from aidmesh_reporting.store import money, needs
from aidmesh_reporting.store import months as month_store

_MONTH: Final[TypeAdapter[str]] = TypeAdapter(str)
_GRANT: Final[TypeAdapter[tuple[str, UUID]]] = TypeAdapter(tuple[str, UUID])
_WAITING: Final[TypeAdapter[needs.WaitingKey]] = TypeAdapter(needs.WaitingKey)


def router(database: Database) -> Routes:
    """Return the routes."""
    routes = Routes(prefix="/v1")

    @routes.get("/months")
    async def months(caller: Seer, page: PageQuery) -> MonthPage:
        """Months with services or settled: since when, and which version was published."""
        async with database.read() as conn:
            rows = await month_store.list_months(
                conn,
                sensitive_too=caller.sees_sensitive,
                after=page.after(_MONTH),
                limit=page.limit + 1,
            )
        kept, following = page.cut(rows, lambda row: row["month"])
        return MonthPage(months=[MonthOut(**dict(row)) for row in kept], next=following)

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
            if not months_over([month], day_of(tx.now)):
                raise Problem(NOT_OVER)
            await month_store.settle(tx.conn, month, caller.staff_id)
            await month_store.mark_dirty(tx.conn, [month])  # the others are told that it is settled
            return await once.answer(tx, 200, {"month": month, "state": "settled"})

    @routes.get("/grants", dependencies=[MAY_SEE])
    async def grants(page: PageQuery) -> GrantPage:
        """Names of grants, this region's and those of others."""
        async with database.read() as conn:
            rows = await money.list_grants(conn, page.after(_GRANT), page.limit + 1)
        kept, following = page.cut(rows, lambda row: (row["code"], row["grant_id"]))
        return GrantPage(grants=[GrantOut(**dict(row)) for row in kept], next=following)

    @routes.get("/waiting")
    async def waiting(
        caller: Annotated[Caller, Depends(require())], page: PageQuery
    ) -> WaitingPage:
        """Where need outgrows supply: needs that wait now; not those asked for or ready."""
        async with database.read() as conn:
            rows = await needs.waiting(
                conn,
                sensitive_too=caller.sees_sensitive,
                after=page.after(_WAITING),
                limit=page.limit + 1,
            )
        kept, following = page.cut(
            rows,
            lambda row: (row["needs"], row["kind"], row["area"], row["resource"], row["code"]),
        )
        return WaitingPage(waiting=[WaitingOut(**dict(row)) for row in kept], next=following)

    @routes.get("/closed")
    async def closed(caller: Seer, page: PageQuery) -> ClosedPage:
        """Needs that ended without a service, by state and, to some, by reason."""
        async with database.read() as conn:
            rows = await needs.closed(conn, reasons=caller.sees_sensitive)
        kept, following = page.of(rows, lambda row: (row["state"], row["reason"] or ""))
        return ClosedPage(closed=[ClosedOut(**dict(row)) for row in kept], next=following)

    return routes
