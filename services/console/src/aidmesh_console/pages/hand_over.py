"""Hand over: what is ready at a site, by list, by number or by client code; and undo."""

import re
from collections.abc import Sequence
from typing import Annotated, Final
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Response

from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_console import i18n
from aidmesh_console.clients.inventory import Reservation
from aidmesh_console.clients.link import Away, ClientError
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
    return await _queue(visit, visit.asked_id("site"))


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


@routes.post("/hand-over/many")
async def many(form: Posted, visit: Worker) -> Response:
    """Hand over all that was ticked, in one call."""
    chosen = form.ids("reservation")
    day = form.day("served_on") or i18n.today()
    if form.faults or not chosen:
        said = "fault.day" if form.faults else "money.none_chosen"
        return await _queue(visit, form.uuid("site"), 422, visit.say(said))
    try:
        rows = await visit.inventory.hand_over(chosen, day, form.key)
    except ClientError as error:
        key = form.key if isinstance(error, Away) else None
        status = 503 if key else 409
        return await _queue(visit, form.uuid("site"), status, visit.problem(error), key)
    refused = [row for row in rows if row.status == "rejected"]
    if refused:
        count = visit.say("money.some_refused", len(refused))
        wrong = f"{count} {visit.refusal(refused[0].problem)}"
        return await _queue(visit, form.uuid("site"), 409, wrong)
    return visit.go("/hand-over", said="handed_over_many", site=form.uuid("site"))


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


async def _queue(
    visit: Visit,
    site_id: UUID | None,
    status: int = 200,
    wrong: str | None = None,
    key: UUID | None = None,
) -> Response:
    queue = await visit.hear(visit.inventory.ready(site_id, visit.asked.get("after")))
    if wrong is None and queue.error:
        wrong = visit.problem(queue.error)
    rows, next_ = (queue.value.rows, queue.value.next) if queue.value else ((), None)
    return await _page(
        visit, rows, wrong=wrong, status=status, next_=next_, site_id=site_id, key=key
    )


async def _page(
    visit: Visit,
    rows: Sequence[Reservation],
    *,
    wrong: str | None = None,
    wanted: str | None = None,
    status: int = 200,
    next_: str | None = None,
    undo: UUID | None = None,
    site_id: UUID | None = None,
    key: UUID | None = None,
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
        site=site_id,
        many=[each for each in rows if each.way == "handover"] if site_id else (),
        key=key or uuid4(),
        undo=undo or visit.asked_id("undo"),
        undo_reasons=UNDO_REASONS,
    )
