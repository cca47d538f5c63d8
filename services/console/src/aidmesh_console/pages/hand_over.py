"""Hand over: what is ready at a site, by list, by number or by client code; and undo."""

import re
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
from aidmesh_console.pages.common import UNDO_REASONS, Names, names_of
from aidmesh_console.roles import Act
from aidmesh_console.visit import Posted, Visit, visitor

routes = Routes(include_in_schema=False)
Worker = Annotated[Visit, Depends(visitor(Act.HAND_OVER))]

WAYS: Final = {"handover": "issue", "check_in": "check-in", "attendance": "attend"}
OVER: Final = "reservation-over"
_NEEDS_MAX: Final = 100
_NUMBER: Final = re.compile(r"[0-9a-fA-F]{8,32}")
_BETWEEN: Final = re.compile(r"[\n\r,;]+")
_SERIAL_CHARS_MAX: Final = 64


@routes.get("/hand-over")
async def show(visit: Worker) -> Response:
    """The queue of a site, or of all; or what is ready for one person, or under one number."""
    person_id, number = visit.asked_id("person"), visit.asked.get("number", "")
    if person_id is not None:
        rows = await _of_person(visit, person_id)
    elif _NUMBER.fullmatch(number):
        rows = await _of_number(visit, number)
    else:
        return await _queue(visit, visit.asked_id("site"))
    return await _page(visit, rows)


@routes.post("/hand-over/find")
async def find(form: Posted, visit: Worker) -> Response:
    """By the number of a need or by a client code, which never shows in an address.

    Codes say who somebody is: whoever decides about no needs finds by numbers alone. What is found
    has an address of its own, by random ids, so that one can come back to it.
    """
    wanted = form.text("wanted", needed=True)
    if wanted is None:
        return visit.go("/hand-over")
    number = wanted.replace("-", "").replace(" ", "")
    is_number, by_code = _NUMBER.fullmatch(number), visit.may(Act.DECIDE_NEEDS)
    try:
        if is_number and await _of_number(visit, number):
            return visit.go("/hand-over", number=number.lower())
        person_id = await visit.intake.find(wanted) if by_code else None
        if person_id is not None and await _of_person(visit, person_id):
            return visit.go("/hand-over", person=person_id)
    except ClientError as error:
        return await _page(visit, (), wrong=visit.problem(error), wanted=wanted)
    said = "nothing_found" if by_code else "nothing_of_number" if is_number else "no_number"
    return await _page(visit, (), wrong=visit.say(f"hand_over.{said}"), wanted=wanted)


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
        status, key = form.after(error)
        return await _queue(visit, form.uuid("site"), status, visit.problem(error), key)
    refused = [row for row in rows if row.status == "rejected"]
    if refused:
        visit.spent.add(str(form.key))
        count = visit.say("money.some_refused", len(refused))
        wrong = f"{count} {visit.refusal(refused[0].problem)}"
        over = any(row.problem == OVER for row in refused)
        return await _queue(visit, form.uuid("site"), 409, wrong, over=over)
    return visit.go("/hand-over", said="handed_over_many", site=form.uuid("site"))


@routes.post("/hand-over/{reservation_id}/{step}")
async def act(reservation_id: UUID, step: str, form: Posted, visit: Worker) -> Response:
    """Hand over, check in, note attendance or absence, or undo one of these."""
    if step not in _SAID:
        raise Problem(NOT_FOUND)
    body: dict[str, object] = {}
    if step == "undo":
        reason = form.text("reason")
        if reason not in UNDO_REASONS:
            return await _page(
                visit, (), wrong=visit.say("fault.reason"), status=422, undo=reservation_id
            )
        body["reason"] = reason
    else:
        body["served_on"] = (form.day("served_on") or i18n.today()).isoformat()
        if form.checked("numbered"):
            body |= _numbered(form)
        if form.faults:
            return await _again(visit, reservation_id, visit.fault(form), 422, form)
        if step == "handover" and form.checked("prescription_seen"):
            body["prescription_seen_on"] = i18n.today().isoformat()
    try:
        await visit.inventory.act(reservation_id, WAYS.get(step, step), body, form.key)
    except ClientError as error:
        return await _again(visit, reservation_id, visit.problem(error), 409, form, error)
    undoable = reservation_id if step in WAYS else None
    return visit.go("/hand-over", said=_SAID[step], site=form.uuid("site"), undo=undoable)


_SAID: Final = {
    "handover": "handed_over",
    "check_in": "checked_in",
    "attendance": "attended",
    "no-show": "no_show",
    "undo": "undone",
}


def _numbered(form: Form) -> dict[str, object]:
    """The serial numbers of what is handed over, and the center that receives it."""
    serials = [each.strip() for each in _BETWEEN.split(form.text("serials") or "")]
    named = [each for each in serials if each]
    if any(len(each) > _SERIAL_CHARS_MAX for each in named):
        form.faults["serials"] = "serials"
    return {"to_site_id": str(form.uuid("to_site_id", needed=True)), "serials": named}


async def _again(
    visit: Visit,
    reservation_id: UUID,
    wrong: str,
    status: int,
    form: Form,
    error: ClientError | None = None,
) -> Response:
    """What could not be handed over, with what was entered, as long as it is still set aside."""
    found = (await visit.hear(visit.inventory.set_aside(reservation_id))).value or ()
    rows = [each for each in found if each.state == "confirmed"]
    kept = form.key if isinstance(error, Away) else None
    over = isinstance(error, Refused) and error.slug == OVER
    return await _page(
        visit, rows, wrong=wrong, status=status, values=form.values, key=kept,
        site_id=form.uuid("site"), over=over, over_needs=[each.need_id for each in found if over],
    )  # fmt: skip


async def _of_number(visit: Visit, number: str) -> Sequence[Reservation]:
    near = await visit.inventory.of_number(number)
    return [each for each in near if each.state == "confirmed"]


async def _of_person(visit: Visit, person_id: UUID) -> Sequence[Reservation]:
    needs = await visit.intake.needs(person_id=person_id, states=["ready"], limit=_NEEDS_MAX)
    if not needs.needs:
        return ()
    aside = await visit.inventory.of_needs([need.need_id for need in needs.needs])
    return [each for each in aside if each.state == "confirmed"]


async def _queue(
    visit: Visit,
    site_id: UUID | None,
    status: int = 200,
    wrong: str | None = None,
    key: UUID | None = None,
    *,
    over: bool = False,
) -> Response:
    queue = await visit.hear(visit.inventory.ready(site_id, visit.asked.get("after")))
    if wrong is None and queue.error:
        wrong = visit.problem(queue.error)
    rows, next_ = (queue.value.rows, queue.value.next) if queue.value else ((), None)
    return await _page(
        visit, rows, wrong=wrong, status=status, next_=next_, site_id=site_id, key=key, over=over
    )


def _is_plain(each: Reservation, names: Names) -> bool:
    """Whether it can go with many others.

    Prescriptions and numbers are looked at one by one, and what is out of date.
    """
    return (
        each.way == "handover"
        and (each.expiry is None or each.expiry >= i18n.today())
        and not names.numbered(each.lines)
        and not names.on_prescription(line.item for line in each.lines)
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
    values: Mapping[str, str] | None = None,
    over: bool = False,
    over_needs: Sequence[UUID] = (),
) -> Response:
    names = await names_of(visit)
    parcels = [each for each in rows if _is_plain(each, names)]
    return visit.page(
        "hand_over",
        status,
        names=names,
        rows=rows,
        wrong=wrong,
        wanted=wanted,
        next=next_,
        site=site_id,
        many=[each.reservation_id for each in parcels] if site_id and values is None else (),
        key=key or uuid4(),
        values=values or {},
        over=over,
        over_needs=over_needs,
        undo=undo or visit.asked_id("undo"),
        undo_reasons=UNDO_REASONS,
    )
