"""Hand over: what is ready at a site, by list, by number or by client code; and undo."""

import re
from collections.abc import Sequence
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_console import i18n
from aidmesh_console.clients.inventory import Reservation
from aidmesh_console.clients.link import ClientError
from aidmesh_console.pages.common import UNDO_REASONS, names_of
from aidmesh_console.roles import Act
from aidmesh_console.visit import Posted, Visit, visitor

routes = APIRouter()
Worker = Annotated[Visit, Depends(visitor(Act.HAND_OVER))]

WAYS: Final = {"handover": "issue", "check_in": "check-in", "attendance": "attend"}
_NEEDS_MAX: Final = 100
_NUMBER: Final = re.compile(r"[0-9a-fA-F]{8}")


@routes.get("/hand-over")
async def show(visit: Worker) -> Response:
    """The queue of a site, or of all."""
    site_id = visit.asked_id("site")
    queue = await visit.hear(visit.inventory.ready(site_id, visit.asked.get("after")))
    rows = queue.value.rows if queue.value else ()
    wrong = visit.problem(queue.error) if queue.error else None
    return await _page(visit, rows, wrong=wrong, next_=queue.value.next if queue.value else None)


@routes.post("/hand-over/find")
async def find(form: Posted, visit: Worker) -> Response:
    """By the number of a need or by a client code, which never shows in an address."""
    wanted = form.text("wanted", needed=True)
    if wanted is None:
        return visit.go("/hand-over")
    try:
        rows = await _found(visit, wanted)
    except ClientError as error:
        return await _page(visit, (), wrong=visit.problem(error), wanted=wanted)
    wrong = None if rows else visit.say("hand_over.nothing_found")
    return await _page(visit, rows, wrong=wrong, wanted=wanted)


@routes.post("/hand-over/{reservation_id}/{step}")
async def act(reservation_id: UUID, step: str, form: Posted, visit: Worker) -> Response:
    """Hand over, check in, note attendance or absence, or undo one of these."""
    if step not in _SAID:
        raise Problem(NOT_FOUND)
    body: dict[str, str | bool] = {}
    if step == "undo":
        reason = form.text("reason")
        if reason not in UNDO_REASONS:
            return await _page(
                visit, (), wrong=visit.say("fault.reason"), status=422, undo=reservation_id
            )
        body["reason"] = reason
    else:
        body["served_on"] = (form.day("served_on") or i18n.today()).isoformat()
        if form.faults:
            return await _page(visit, (), wrong=visit.say("fault.day"), status=422)
    try:
        await visit.inventory.act(reservation_id, WAYS.get(step, step), body, form.key)
    except ClientError as error:
        return await _page(visit, (), wrong=visit.problem(error), status=409)
    undoable = reservation_id if step in WAYS else None
    return visit.go("/hand-over", said=_SAID[step], site=form.uuid("site"), undo=undoable)


_SAID: Final = {
    "handover": "handed_over",
    "check_in": "checked_in",
    "attendance": "attended",
    "no-show": "no_show",
    "undo": "undone",
}


async def _found(visit: Visit, wanted: str) -> Sequence[Reservation]:
    number = wanted.replace("-", "").replace(" ", "")
    if _NUMBER.fullmatch(number):
        queue = await visit.inventory.ready(limit=200)
        near = [each for each in queue.rows if each.need_id.hex.startswith(number.lower())]
        if near:
            return near
    try:
        need_ids = [UUID(wanted)]
    except ValueError:
        person_id = await visit.intake.find(wanted)
        if person_id is None:
            return ()
        needs = await visit.intake.needs(person_id=person_id, state="ready", limit=_NEEDS_MAX)
        need_ids = [need.need_id for need in needs.needs]
    if not need_ids:
        return ()
    aside = await visit.inventory.of_needs(need_ids)
    return [each for each in aside if each.state == "confirmed"]


async def _page(
    visit: Visit,
    rows: Sequence[Reservation],
    *,
    wrong: str | None = None,
    wanted: str | None = None,
    status: int = 200,
    next_: str | None = None,
    undo: UUID | None = None,
) -> Response:
    names = await names_of(visit)
    return visit.page(
        "hand_over",
        status,
        names=names,
        rows=rows,
        wrong=wrong,
        wanted=wanted,
        next=next_,
        site=visit.asked_id("site"),
        undo=undo or visit.asked_id("undo"),
        undo_reasons=UNDO_REASONS,
    )
