"""Needs: which there are, what each waits for, and what a person may decide about it."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Final
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Response

from aidmesh_console.clients.inventory import Reservation
from aidmesh_console.clients.link import ClientError
from aidmesh_console.pages.common import CANCEL_REASONS, DECLINE_REASONS, UNDO_REASONS, names_of
from aidmesh_console.roles import Act
from aidmesh_console.visit import Form, Posted, Visit, visitor

routes = APIRouter()
Reader = Annotated[Visit, Depends(visitor(Act.SEE_NEEDS))]
Decider = Annotated[Visit, Depends(visitor(Act.DECIDE_NEEDS))]

STATES: Final = (
    "requested", "waitlisted", "approved", "held", "ready", "fulfilled", "declined", "cancelled",
    "expired", "referred",
)  # fmt: skip
_SAID: Final = {
    "approve": "approved",
    "told": "told",
    "cancel": "cancelled",
    "decline": "declined",
}


@routes.get("/needs")
async def show(visit: Reader) -> Response:
    """A page of needs; the filters are codes, so the address says nothing about a person."""
    state, kind, area = (visit.asked.get(name) or None for name in ("state", "kind", "area"))
    after = visit.asked.get("after")
    found, names, waitlist = await asyncio.gather(
        visit.hear(visit.intake.needs(state=state, kind=kind, area=area, after=after)),
        names_of(visit, kinds=True),
        visit.hear(visit.intake.waitlist()),
    )
    return visit.page(
        "needs",
        names=names,
        needs=found,
        waitlist=waitlist if state == "waitlisted" else None,
        states=STATES,
        asked={
            name: value
            for name, value in (("state", state), ("kind", kind), ("area", area))
            if value
        },
    )


@routes.get("/needs/{need_id}")
async def one(need_id: UUID, visit: Reader) -> Response:
    """One need: its history, what is set aside for it, and what may be done."""
    return await _page(visit, need_id)


@routes.post("/needs/{need_id}/{step}")
async def decide(need_id: UUID, step: str, form: Posted, visit: Decider) -> Response:
    """Approve, tell in person, cancel or decline."""
    try:
        if step == "approve":
            await visit.intake.approve(need_id, form.key)
        elif step == "told":
            await visit.intake.told(need_id, form.key)
        elif step in {"cancel", "decline"}:
            known = CANCEL_REASONS if step == "cancel" else DECLINE_REASONS
            reason = form.text("reason")
            if reason is None or reason not in known:
                return await _page(visit, need_id, 422, visit.say("fault.reason"), form)
            await visit.intake.end(need_id, step, reason, form.key)
        else:
            return await _page(visit, need_id, 404, visit.say("problem.not-found"))
    except ClientError as error:
        return await _page(visit, need_id, 409, visit.problem(error), form)
    return visit.go(f"/needs/{need_id}", said=_SAID[step])


async def _page(
    visit: Visit,
    need_id: UUID,
    status: int = 200,
    wrong: str | None = None,
    form: Form | None = None,
) -> Response:
    need, aside, names = await asyncio.gather(
        visit.intake.need(need_id),
        visit.hear(visit.inventory.of_needs([need_id])),
        names_of(visit, kinds=True),
    )
    return visit.page(
        "need",
        status,
        need=need,
        names=names,
        aside=aside,
        current=_current(aside.value or ()),
        wrong=wrong,
        key=form.key if form else uuid4(),
        cancel_reasons=CANCEL_REASONS,
        decline_reasons=DECLINE_REASONS,
        undo_reasons=UNDO_REASONS,
    )


def _current(found: Sequence[Reservation]) -> Reservation | None:
    """What is set aside now or was handed over, not what lapsed."""
    live = [each for each in found if each.state in {"held", "confirmed", "issued"}]
    return live[-1] if live else None
