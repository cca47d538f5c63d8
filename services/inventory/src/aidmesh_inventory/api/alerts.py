"""Alerts over areas: while one lasts nobody loses what waits for them because they did not come."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Response
from pydantic import BaseModel

from aidmesh_chassis.auth import Caller, Role, require
from aidmesh_chassis.db import Database
from aidmesh_chassis.http import PageQuery, Routes
from aidmesh_chassis.idempotency import Once
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_contracts.values import Area
from aidmesh_inventory.api.callers import ANYONE
from aidmesh_inventory.api.problems import problem
from aidmesh_inventory.api.sites import Reason
from aidmesh_inventory.domain.areas import iso_code_of
from aidmesh_inventory.handlers import sites as handlers
from aidmesh_inventory.store import alerts

_Watch = Annotated[Caller, Depends(require(Role.LEAD, Role.ONCALL))]


class AlertIn(Reason):
    """A new alert.

    Attributes:
        area: P-code; sites in it and in what lies inside it are meant.
    """

    area: Area


class AlertOut(BaseModel):
    """An alert; `ended_at` is None while it lasts."""

    alert_id: UUID
    area: str
    reason: str
    began_at: datetime
    ended_at: datetime | None


class AlertList(BaseModel):
    """Alerts that last, the oldest first."""

    rows: list[AlertOut]
    next: str | None


def _out(row: alerts.AlertRow) -> AlertOut:
    return AlertOut.model_validate(row, from_attributes=True)


def router(database: Database) -> Routes:
    """Return the routes."""
    routes = Routes(prefix="/v1", tags=["alerts"])

    @routes.post("/alerts", status_code=201, response_model=AlertOut)
    async def begin_alert(body: AlertIn, caller: _Watch, once: Once) -> Response:
        """Begin an alert: pick-up clocks in the area stand still. One that lasts is given back."""
        if iso_code_of(body.area) is None:
            raise problem("unknown-area")
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            row, is_new = await handlers.begin_alert(tx, body.area, body.reason, caller.staff_id)
            return await once.answer(
                tx,
                201 if is_new else 200,
                _out(row).model_dump(mode="json"),
                location=f"/v1/alerts/{row.alert_id}",
            )

    @routes.get("/alerts", dependencies=[ANYONE])
    async def list_alerts(page: PageQuery) -> AlertList:
        """The alerts that last; an area has one at a time."""
        async with database.read() as conn:
            rows = await alerts.lasting(conn)
        kept, after = page.of(rows, lambda row: (row.began_at.isoformat(), str(row.alert_id)))
        return AlertList(rows=[_out(row) for row in kept], next=after)

    @routes.get("/alerts/{alert_id}", dependencies=[ANYONE])
    async def get_alert(alert_id: UUID) -> AlertOut:
        """One alert."""
        async with database.read() as conn:
            row = await alerts.get(conn, alert_id)
        if row is None:
            raise Problem(NOT_FOUND)
        return _out(row)

    @routes.post("/alerts/{alert_id}:end", response_model=AlertOut)
    async def end_alert(alert_id: UUID, caller: _Watch, once: Once) -> Response:
        """End an alert: people get the time back, except where another alert or a closing lasts."""
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            row = await handlers.end_alert(tx, alert_id, caller.staff_id)
            row = row or await alerts.get(tx.conn, alert_id)
            if row is None:
                raise Problem(NOT_FOUND)
            return await once.answer(tx, 200, _out(row).model_dump(mode="json"))

    return routes
