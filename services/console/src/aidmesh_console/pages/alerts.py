"""Alerts: while one lasts over an area, nobody there loses what is set aside for them."""

import asyncio
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Response

from aidmesh_chassis.http import Routes
from aidmesh_console.clients.link import Away, ClientError
from aidmesh_console.forms import Form, shown_again
from aidmesh_console.pages.common import ALERT_REASONS, AREAS, names_of
from aidmesh_console.roles import Act
from aidmesh_console.visit import Posted, Visit, visitor

routes = Routes(include_in_schema=False)
Watch = Annotated[Visit, Depends(visitor(Act.RUN_ALERTS))]


@routes.get("/alerts")
async def show(visit: Watch) -> Response:
    """What makes pick-up clocks stand still now: alerts, and sites that are closed."""
    return await _page(visit)


@routes.post("/alerts/begin")
async def begin(form: Posted, visit: Watch) -> Response:
    """Begin an alert over an area."""
    area, reason = form.choice("area", AREAS), form.choice("reason", ALERT_REASONS)
    if area is None or reason is None:
        return await _page(visit, 422, visit.say("register.faults", len(form.faults)), form)
    try:
        await visit.alerts.begin(area, reason, form.key)
    except ClientError as error:
        return await _failed(visit, error, form)
    return visit.go("/alerts", said="alert_begun")


@routes.post("/alerts/{alert_id}/end")
async def end(alert_id: UUID, form: Posted, visit: Watch) -> Response:
    """End an alert; one that somebody else has ended stays so."""
    try:
        await visit.alerts.end(alert_id, form.key)
    except ClientError as error:
        return await _failed(visit, error, None)
    return visit.go("/alerts", said="alert_ended")


async def _failed(visit: Visit, error: ClientError, form: Form | None) -> Response:
    # No answer: it may have been done all the same, so a second try keeps its key.
    away = isinstance(error, Away)
    key = form.key if form is not None and away else None
    return await _page(visit, 503 if away else 409, visit.problem(error), form, key)


async def _page(
    visit: Visit,
    status: int = 200,
    wrong: str | None = None,
    form: Form | None = None,
    key: UUID | None = None,
) -> Response:
    names, alerts, sites = await asyncio.gather(
        names_of(visit), visit.hear(visit.alerts.lasting()), visit.hear(visit.inventory.sites())
    )
    return visit.page(
        "alerts",
        status,
        names=names,
        alerts=alerts,
        closed=[each for each in sites.value or () if each.status != "open"],
        wrong=wrong,
        **shown_again(form, key),
        reasons=ALERT_REASONS,
    )
