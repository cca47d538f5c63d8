"""One person: what is known, changing it, two records that are one, and erasure."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Final
from uuid import UUID, uuid4

from fastapi import Depends, Response

from aidmesh_chassis.http import Routes
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_console import i18n
from aidmesh_console.clients.intake_views import Person
from aidmesh_console.clients.link import Away, ClientError, Refused
from aidmesh_console.forms import Form
from aidmesh_console.pages.common import channels_to_choose, names_of
from aidmesh_console.pages.registering import (
    CONSENTS,
    SAFE,
    change_of,
    faults_of_person,
    lacking_of,
)
from aidmesh_console.roles import Act
from aidmesh_console.visit import Posted, Visit, visitor

routes = Routes(include_in_schema=False)
Worker = Annotated[Visit, Depends(visitor(Act.DECIDE_NEEDS))]
Uniter = Annotated[Visit, Depends(visitor(Act.PROPOSE_MERGE))]
Lead = Annotated[Visit, Depends(visitor(Act.UNITE_OR_ERASE))]

_CONFLICT: Final = "conflict"
_DECIDED: Final = {"confirm": "merged", "withdraw": "merge_withdrawn"}


@routes.get("/people/{person_id}")
async def show(person_id: UUID, visit: Worker) -> Response:
    """A person and their needs; intake remembers who looked."""
    person = await visit.intake.person(person_id)
    if person.person_id != person_id:
        return visit.go(f"/people/{person.person_id}")
    return await _page(visit, person)


@routes.post("/people/{person_id}")
async def change(person_id: UUID, form: Posted, visit: Worker) -> Response:
    """Write the person anew, unless somebody else did meanwhile."""
    person = await visit.intake.person(person_id)
    if person.person_id != person_id:
        # The page was of a record that another stands for now: nothing typed is of this one.
        return await _page(visit, person, 409, visit.say("problem.conflict"), "change")
    body = change_of(form, person, i18n.today())
    if form.faults:
        wrong = visit.say("register.faults", len(form.faults))
        return await _page(visit, person, 422, wrong, "change", form)
    try:
        await visit.intake.change_person(person_id, body)
    except Refused as error:
        if error.slug == _CONFLICT:
            # Shown as it is now: what was typed would overwrite what somebody else wrote.
            return await _again(visit, person_id, 409, visit.problem(error), "change", None)
        form.faults.update(faults_of_person(error.faults))
        return await _page(visit, person, error.status, visit.problem(error), "change", form)
    except Away as error:
        return await _page(visit, person, 503, visit.problem(error), "change", form)
    return visit.go(f"/people/{person_id}", said="person_changed")


@routes.post("/people/{person_id}/merge")
async def merge(person_id: UUID, form: Posted, visit: Uniter) -> Response:
    """Another record, named by its client code, is this person too: a lead is to confirm it."""
    code = form.text("other_code", needed=True)
    if code is None or not form.checked("sure"):
        return await _again(visit, person_id, 422, visit.say("people.merge_unsure"), "merge", form)
    try:
        other = await visit.intake.find(code)
        if other is None:
            wrong = visit.say("people.unknown_code")
            return await _again(visit, person_id, 404, wrong, "merge", form)
        await visit.intake.merge(other, person_id, form.key)
    except ClientError as error:
        return await _failed(visit, person_id, error, "merge", form)
    return visit.go(f"/people/{person_id}", said="merge_proposed")


@routes.get("/merges")
async def proposals(visit: Uniter) -> Response:
    """Records that somebody says are one person, for somebody else to confirm."""
    return await _proposals(visit)


@routes.post("/merges/{merge_id}/{step}")
async def decide(merge_id: UUID, step: str, form: Posted, visit: Uniter) -> Response:
    """Confirm, as a lead who did not propose it, or withdraw."""
    if step not in _DECIDED:
        raise Problem(NOT_FOUND)
    try:
        await visit.intake.decide_merge(merge_id, step, form.key)
    except ClientError as error:
        status = 503 if isinstance(error, Away) else 409
        return await _proposals(visit, status, visit.problem(error))
    return visit.go("/merges", said=_DECIDED[step])


@routes.post("/people/{person_id}/unmerge")
async def unmerge(person_id: UUID, form: Posted, visit: Lead) -> Response:
    """This record, merged into another, is somebody else after all."""
    into = form.uuid("into")
    try:
        await visit.intake.unmerge(person_id, form.key)
    except ClientError as error:
        return await _failed(visit, into or person_id, error, "merge", form)
    return visit.go(f"/people/{person_id}", said="unmerged")


@routes.post("/people/{person_id}/leave")
async def leave(person_id: UUID, form: Posted, visit: Worker) -> Response:
    """Take the person out of the household that the page showed."""
    household_id = form.uuid("household_id")
    if household_id is None or not form.checked("sure"):
        return await _again(visit, person_id, 422, visit.say("people.leave_unsure"), "leave", form)
    try:
        await visit.intake.leave(household_id, person_id, form.key)
    except ClientError as error:
        return await _failed(visit, person_id, error, "leave", form)
    return visit.go(f"/people/{person_id}", said="left_household")


@routes.post("/people/{person_id}/erase")
async def erase(person_id: UUID, form: Posted, visit: Lead) -> Response:
    """Erase, once the word for it was typed."""
    if (form.text("word") or "").casefold() != visit.say("people.erase_word").casefold():
        return await _again(visit, person_id, 422, visit.say("people.erase_unsure"), "erase", form)
    try:
        await visit.intake.erase(person_id, form.key)
    except ClientError as error:
        return await _failed(visit, person_id, error, "erase", form)
    return visit.go("/needs", said="erased")


async def _proposals(visit: Visit, status: int = 200, wrong: str | None = None) -> Response:
    found = await visit.hear(visit.intake.merges(after=visit.asked.get("after")))
    return visit.page("merges", status, merges=found, wrong=wrong)


async def _failed(
    visit: Visit, person_id: UUID, error: ClientError, opened: str, form: Form
) -> Response:
    status, key = form.after(error)
    wrong = visit.problem(error)
    return await _again(visit, person_id, status, wrong, opened, form, key or uuid4())


async def _again(
    visit: Visit,
    person_id: UUID,
    status: int,
    wrong: str,
    opened: str,
    form: Form | None,
    key: UUID | None = None,
) -> Response:
    person = await visit.intake.person(person_id)
    return await _page(visit, person, status, wrong, opened, form, key)


async def _page(
    visit: Visit,
    person: Person,
    status: int = 200,
    wrong: str | None = None,
    opened: str | None = None,
    form: Form | None = None,
    key: UUID | None = None,
) -> Response:
    pages = {name: text for name in ("after", "merges") if (text := visit.asked.get(name))}
    needs, merges, names, channels = await asyncio.gather(
        visit.hear(visit.intake.needs(person_id=person.person_id, after=pages.get("after"))),
        visit.hear(visit.intake.merges(person.person_id, pages.get("merges"))),
        names_of(visit, kinds=True),
        channels_to_choose(visit),
    )
    languages = dict.fromkeys((*person.languages, *i18n.LANGUAGES))
    kept = form if opened == "change" else None
    return visit.page(
        "person",
        status,
        person=person,
        needs=needs,
        merges=merges,
        pages=pages,
        names=names,
        wrong=wrong,
        opened=opened,
        values=kept.values if kept else _values(person),
        also=kept.many("also") if kept else person.languages[1:],
        faults=form.faults if form else {},
        key=key or (form.key if form else uuid4()),
        typed=form.values if form else {},
        spoken=[(each, visit.say.code("language", each)) for each in languages],
        channels=channels,
        lacking=lacking_of(person),
        consents=CONSENTS,
        safe=SAFE,
    )


def _values(person: Person) -> Mapping[str, str]:
    """What the form begins with. A new contact begins without marks: they are asked anew."""
    details, contact = person.details, person.details.contact
    texts = {
        "version": str(person.version),
        "client_code": details.client_code and details.client_code.reveal(),
        "chosen_name": details.chosen_name and details.chosen_name.reveal(),
        "legal_name": details.legal_name and details.legal_name.reveal(),
        "birth_year": details.birth_year and str(details.birth_year.reveal()),
        "note": details.note and details.note.reveal(),
        "language": person.languages[0] if person.languages else None,
        "area": person.area,
        "origin_area": person.origin_area,
        "contact_channel": contact and contact.channel,
        "contact_address": contact and contact.address.reveal(),
        "wording": contact and contact.wording,
        **{f"consent_{each}": "1" for each in person.consents},
    }
    hours = {}
    if contact is not None:
        # Empty ones are kept: no hours are proposed to somebody who named none.
        hours = {"hours_from": contact.hours_from or "", "hours_to": contact.hours_to or ""}
    return {name: text for name, text in texts.items() if text} | hours
