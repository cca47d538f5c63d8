"""Money that waits for a decision: facts that the books lack money for, and allotments asked for.

Both are looked at by an approver or a lead, never by who made them.
"""

import asyncio
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import Depends, Response

from aidmesh_chassis.http import Routes
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_console.clients.link import ClientError
from aidmesh_console.roles import Act
from aidmesh_console.visit import Posted, Visit, visitor

routes = Routes(include_in_schema=False)
Reader = Annotated[Visit, Depends(visitor(Act.SEE_MONEY))]
Decider = Annotated[Visit, Depends(visitor(Act.SETTLE_MONEY))]

_SAID = {"approve": "allotted", "refuse": "allotment_refused"}


@routes.get("/money/questions")
async def show(visit: Reader) -> Response:
    """What is open, the oldest first."""
    return await _page(visit)


@routes.post("/money/questions/{discrepancy_id}/settle")
async def settle(discrepancy_id: UUID, form: Posted, visit: Decider) -> Response:
    """Book it on an allotment, or say why it is not booked."""
    note, allotment_id = form.text("note", needed=True), form.uuid("allotment_id")
    if form.faults:
        return await _page(visit, 422, visit.fault(form))
    body = {"note": note} | ({"allotment_id": str(allotment_id)} if allotment_id else {})
    try:
        await visit.payments.settle_discrepancy(discrepancy_id, body, form.key)
    except ClientError as error:
        status, key = form.after(error)
        return await _page(visit, status, visit.problem(error), key)
    return visit.go("/money/questions", said="settled")


@routes.post("/money/requests/{request_id}/{step}")
async def decide(request_id: UUID, step: str, form: Posted, visit: Decider) -> Response:
    """A second person lets a budget line be exceeded, or does not."""
    if step not in _SAID:
        raise Problem(NOT_FOUND)
    try:
        await visit.payments.decide_request(request_id, step, form.key)
    except ClientError as error:
        status, key = form.after(error)
        return await _page(visit, status, visit.problem(error), key)
    return visit.go("/money/questions", said=_SAID[step])


async def _page(
    visit: Visit, status: int = 200, wrong: str | None = None, key: UUID | None = None
) -> Response:
    pages = {name: text for name in ("after", "requests") if (text := visit.asked.get(name))}
    found, requests, held = await asyncio.gather(
        visit.hear(visit.payments.discrepancies(pages.get("after"))),
        visit.hear(visit.payments.requests(pages.get("requests"))),
        visit.hear(visit.payments.held_by(visit.desk.settings.region)),
    )
    purses = [each for each in held.value or () if each.status == "active"]
    return visit.page(
        "questions",
        status,
        found=found,
        requests=requests,
        pages=pages,
        purses=sorted(purses, key=lambda each: (each.grant_code or "", each.budget_line or "")),
        wrong=wrong,
        key=key or uuid4(),
    )
