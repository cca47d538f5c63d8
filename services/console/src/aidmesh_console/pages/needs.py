"""Needs: which there are, what each waits for, and what a person may decide about it."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Final
from uuid import UUID, uuid4

from fastapi import Depends, Response

from aidmesh_chassis.http import Routes
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_console import i18n
from aidmesh_console.clients.inventory_views import Reservation
from aidmesh_console.clients.link import Away, ClientError, Refused
from aidmesh_console.forms import Form
from aidmesh_console.pages.common import (
    ALL,
    AREAS,
    CANCEL_REASONS,
    DECLINE_REASONS,
    OVERRIDE_REASONS,
    UNDO_REASONS,
    names_of,
)
from aidmesh_console.pages.registering import payee_of
from aidmesh_console.roles import Act
from aidmesh_console.visit import Posted, Visit, visitor

routes = Routes(include_in_schema=False)
Reader = Annotated[Visit, Depends(visitor(Act.SEE_NEEDS))]
Decider = Annotated[Visit, Depends(visitor(Act.DECIDE_NEEDS))]

STATES: Final = (
    "requested", "waitlisted", "approved", "held", "ready", "fulfilled", "declined", "cancelled",
    "expired", "referred",
)  # fmt: skip
OPEN: Final = STATES[:5]
"""What is not over."""
BANDS: Final = ("emergency", "urgent", "raised", "normal")
_SAID: Final = {
    "approve": "approved",
    "told": "told",
    "cancel": "cancelled",
    "decline": "declined",
    "serve": "served",
    "move": "moved",
    "reverse": "undone",
    "settle": "settled",
    "choose": "need_chosen",
    "unchoose": "need_unchosen",
}
SETTLEMENTS: Final = ("given_twice", "taken_back")
_REASONS: Final = {
    "cancel": CANCEL_REASONS,
    "decline": DECLINE_REASONS,
    "reverse": UNDO_REASONS,
    "settle": (*SETTLEMENTS, "theirs", "seen_to"),
}
PAYEE: Final = "new"
"""What the fields of a payee end with, as those of a kind do where someone is registered."""
_NEEDS_OVERRIDE: Final = "needs-a-decision"


@routes.get("/needs")
async def show(visit: Reader) -> Response:
    """A page of needs, those that are not over where nothing is asked for.

    What is to be looked at is mostly over: of that all is shown. The filters are codes, so the
    address says nothing about a person.
    """
    fields = ("state", "kind", "area", "band", "attention", "to_tell")
    asked = {name: text for name in fields if (text := visit.asked.get(name))}
    if "attention" in asked:
        asked.setdefault("state", ALL)
    request_id = visit.asked_id("request")
    state = asked.get("state")
    states = [state] if state in STATES else [] if state == ALL or request_id else OPEN
    pages = {name: text for name in ("after", "queues") if (text := visit.asked.get(name))}
    found, names, waitlist = await asyncio.gather(
        visit.hear(
            visit.intake.needs(
                states=states,
                kind=asked.get("kind"),
                area=asked.get("area"),
                band=asked.get("band"),
                attention="attention" in asked,
                to_tell="to_tell" in asked,
                request_id=request_id,
                after=pages.get("after"),
            )
        ),
        names_of(visit, kinds=True),
        visit.hear(visit.intake.waitlist(pages.get("queues"))),
    )
    return visit.page(
        "needs",
        names=names,
        needs=found,
        waitlist=waitlist if asked.get("state") == "waitlisted" else None,
        states=STATES,
        request=request_id,
        bands=BANDS,
        asked=asked,
        pages=pages,
    )


@routes.get("/needs/{need_id}")
async def one(need_id: UUID, visit: Reader) -> Response:
    """One need: its history, what is set aside for it, and what may be done."""
    return await _page(visit, need_id)


@routes.get("/needs/{need_id}/reasons")
async def explain(need_id: UUID, visit: Decider) -> Response:
    """The same page with the answers, their points and the note; intake remembers who looked."""
    return await _page(visit, need_id, explained=True)


@routes.post("/needs/{need_id}/payee")
async def correct_payee(need_id: UUID, form: Posted, visit: Decider) -> Response:
    """Have the person paid elsewhere: the paying office gets the new details, sealed."""
    payee = payee_of(form, PAYEE)
    if payee is None:
        form.faults[f"payee_name_{PAYEE}"] = "missing"
    if form.faults or payee is None:
        return await _page(visit, need_id, 422, visit.fault(form), form)
    try:
        await visit.intake.correct_payee(need_id, payee, form.key)
    except ClientError as error:
        status = 503 if isinstance(error, Away) else 409
        return await _page(visit, need_id, status, visit.problem(error), form)
    return visit.go(f"/needs/{need_id}", said="payee_corrected")


@routes.post("/needs/{need_id}/{step}")
async def decide(need_id: UUID, step: str, form: Posted, visit: Decider) -> Response:
    """Approve, tell, cancel, decline, serve, take back, settle, move, or have rules serve it."""
    if step not in _SAID:
        raise Problem(NOT_FOUND)
    body = _body(step, form)
    if form.faults:
        return await _page(visit, need_id, 422, visit.fault(form), form)
    try:
        await visit.intake.act(need_id, step, body, form.key)
    except ClientError as error:
        hindered = isinstance(error, Refused) and error.slug == _NEEDS_OVERRIDE
        kept = form if isinstance(error, Away) else None
        wrong = visit.problem(error)
        return await _page(visit, need_id, 409, wrong, kept, hindered=hindered)
    return visit.go(f"/needs/{need_id}", said=_SAID[step])


def _body(step: str, form: Form) -> Mapping[str, str]:
    """What intake wants to know for a step; what is missing is in `form.faults`."""
    if step in _REASONS:
        reason = form.text("reason")
        if reason is None or reason not in _REASONS[step]:
            form.faults["reason"] = "reason"
        return {"reason": reason or ""}
    if step == "approve":
        override = form.text("override_reason")
        return {"override_reason": override} if override in OVERRIDE_REASONS and override else {}
    if step == "serve":
        return {"served_on": (form.day("served_on") or i18n.today()).isoformat()}
    if step == "move":
        area, site_id = form.text("place_area"), form.uuid("site_id")
        if area not in AREAS or area is None:
            form.faults["place_area"] = "choice"
        return {"place_area": area or ""} | ({"site_id": str(site_id)} if site_id else {})
    return {}


async def _page(
    visit: Visit,
    need_id: UUID,
    status: int = 200,
    wrong: str | None = None,
    form: Form | None = None,
    *,
    hindered: bool = False,
    explained: bool = False,
) -> Response:
    need, aside, names = await asyncio.gather(
        visit.intake.need(need_id),
        visit.hear(visit.inventory.of_needs([need_id])),
        names_of(visit, kinds=True),
    )
    reasons = await visit.hear(visit.intake.reasons(need.request_id)) if explained else None
    pays = need.ask.pays_out and visit.may(Act.DECIDE_NEEDS)
    paid = await visit.hear(visit.payments.of_need(need_id)) if pays else None
    # Of a household's that is no one member's somebody is to be told in person all the same.
    home = need.household_id if need.person_id is None and visit.may(Act.DECIDE_NEEDS) else None
    household = await visit.hear(visit.intake.household(home)) if home is not None else None
    return visit.page(
        "need",
        status,
        need=need,
        paid=paid,
        household=household,
        reasons=reasons,
        names=names,
        aside=aside,
        current=_current(aside.value or ()),
        wrong=wrong,
        hindered=hindered,
        key=form.key if form else uuid4(),
        cancel_reasons=CANCEL_REASONS,
        decline_reasons=DECLINE_REASONS,
        override_reasons=OVERRIDE_REASONS,
        undo_reasons=UNDO_REASONS,
        entered=form.values if form else {},
        faults=form.faults if form else {},
        settlements=SETTLEMENTS,
    )


def _current(found: Sequence[Reservation]) -> Reservation | None:
    """What is set aside now or was handed over, not what lapsed."""
    live = [each for each in found if each.state in {"held", "confirmed", "issued"}]
    return live[-1] if live else None
