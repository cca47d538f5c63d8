"""Register: who asks, and for what; what can be had now stands beside each kind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Final
from uuid import UUID, uuid4

from fastapi import Depends, Response

from aidmesh_chassis.http import Routes
from aidmesh_console import i18n
from aidmesh_console.clients.catalogue_views import Kind
from aidmesh_console.clients.intake_views import Person
from aidmesh_console.clients.inventory_views import Supply
from aidmesh_console.clients.link import Away, ClientError, Refused
from aidmesh_console.forms import Form, as_text
from aidmesh_console.pages.common import channels_to_choose, names_of
from aidmesh_console.pages.known import DESCRIBING, unlike
from aidmesh_console.pages.registering import (
    ANSWERS,
    CONSENTS,
    FOR_THEM,
    FOR_WHOM,
    faults_of,
    request_of,
)
from aidmesh_console.roles import Act
from aidmesh_console.supply import wanted_of
from aidmesh_console.visit import Heard, Posted, Visit, visitor

routes = Routes(include_in_schema=False)
MOST_ASKED: Final = "food"
"""The programme whose kinds are shown at once; those of others are a tap away."""
Worker = Annotated[Visit, Depends(visitor(Act.REGISTER))]


@dataclass(frozen=True, slots=True)
class Offer:
    """A kind of need and what can be had of it; None of money, or where nobody can say."""

    kind: Kind
    supply: Supply | None


@dataclass(frozen=True, slots=True)
class Found:
    """Whose client code it is; None of a new one."""

    person_id: UUID | None


@dataclass(frozen=True, slots=True)
class Other:
    """Somebody known by the code of a form that says something else of them, and what."""

    person_id: UUID
    unlike: tuple[str, ...]


@routes.get("/register")
async def show(visit: Worker) -> Response:
    """An empty form; `?given` begins with aid that was already given."""
    return await _page(visit, {"given": "1"} if "given" in visit.asked else {}, {})


@routes.post("/register/find")
async def find(form: Posted, visit: Worker) -> Response:
    """Whether the client code is known here; the rest of the form stays as it is."""
    code = form.text("client_code", needed=True)
    found: Found | None = None
    wrong: str | None = None
    if code is not None:
        try:
            found = Found(await visit.intake.find(code))
        except ClientError as error:
            wrong = visit.problem(error)
    return await _page(visit, form.values, form.faults, key=form.key, found=found, wrong=wrong)


@routes.post("/register")
async def register(form: Posted, visit: Worker) -> Response:
    """Enter the request."""
    return await _enter(form, visit, None)


@routes.get("/people/{person_id}/request")
async def show_for(person_id: UUID, visit: Worker) -> Response:
    """An empty form for somebody who is known; intake remembers who looked.

    It has an address of its own, so that signing in anew or another language keeps the person.
    """
    person = await visit.intake.person(person_id)
    if person.person_id != person_id:
        return visit.go(f"/people/{person.person_id}/request")
    return await _page(visit, {}, {}, person_id=person_id, person=Heard(person))


@routes.post("/people/{person_id}/request")
async def register_for(person_id: UUID, form: Posted, visit: Worker) -> Response:
    """Enter the request of somebody who is known."""
    return await _enter(form, visit, person_id)


async def _enter(form: Form, visit: Visit, person_id: UUID | None) -> Response:
    again = partial(_page, visit, form.values, person_id=person_id)
    try:
        known = (await visit.intake.catalogue()).kinds
    except ClientError as error:
        return await again({}, status=503, key=form.key, wrong=visit.problem(error))
    kinds = [kind for kind in known if kind.active or form.checked("given")]
    request = request_of(form, kinds, i18n.today(), person_id)
    if form.faults:
        wrong = visit.say("register.faults", len(form.faults))
        return await again(form.faults, status=422, key=form.key, wrong=wrong)
    try:
        other = await _other_of(visit, request)
        if other is not None and form.uuid("same_as") != other.person_id:
            return await again({}, status=409, key=form.key, other=other)
        done = await visit.intake.register(request, form.key)
    except Refused as error:
        faults = faults_of(error.faults, request)
        return await again(faults, status=error.status, wrong=visit.problem(error))
    except Away as error:
        # It may have been entered all the same: the same key makes a second try harmless.
        return await again({}, status=503, key=form.key, wrong=visit.problem(error))
    if person_id is not None:
        return visit.go(f"/people/{done.person_id or person_id}", said="registered_again")
    if done.person_id is not None and form.text("client_code") is None:
        # Nothing that could be typed in finds them: from their page the next request is made.
        return visit.go(f"/people/{done.person_id}", said="registered_without_code")
    return visit.go("/needs", said="registered", request=done.request_id)


def opened_of(offers: Mapping[str, Sequence[Offer]], values: Mapping[str, str]) -> set[str]:
    """The programmes to show opened: those with a kind that is ticked, else the one most asked."""
    ticked = {
        programme
        for programme, kinds in offers.items()
        if any(values.get(f"need_{offer.kind.code}") for offer in kinds)
    }
    return ticked or {MOST_ASKED if MOST_ASKED in offers else next(iter(offers), "")}


def _home(person: Heard[Person] | None, values: Mapping[str, str]) -> str | None:
    """The household of somebody who is known: as it is now, or where nobody says, as it was."""
    if person is None or person.value is None:
        return values.get("household_id") or None
    return as_text(person.value.household_id)


async def _other_of(visit: Visit, request: Mapping[str, Any]) -> Other | None:
    """Whoever has the code of a request that describes somebody else, or them anew.

    They are looked at only if the request describes somebody; intake remembers who looked.
    """
    said = request.get("person", {})
    code = said.get("client_code")
    if code is None or not any(name in said for name in DESCRIBING):
        return None
    person_id = await visit.intake.find(code)
    if person_id is None:
        return None
    person = await visit.intake.person(person_id)
    differing = unlike(said, person)
    return Other(person.person_id, differing) if differing else None


async def _page(
    visit: Visit,
    values: Mapping[str, str],
    faults: Mapping[str, str],
    *,
    status: int = 200,
    key: UUID | None = None,
    found: Found | None = None,
    wrong: str | None = None,
    person_id: UUID | None = None,
    person: Heard[Person] | None = None,
    other: Other | None = None,
) -> Response:
    if person_id is not None and person is None:
        person = await visit.hear(visit.intake.person(person_id))
    names = await names_of(visit, kinds=True)
    # What was given is entered even if its kind has ended.
    kinds = (names.kinds if values.get("given") else names.offered).values()
    wanted = [ask for kind in kinds if (ask := wanted_of(kind)) is not None]
    supply = await visit.hear(visit.inventory.supply(wanted))
    offers: dict[str, list[Offer]] = {}
    for kind in kinds:
        had = (supply.value or {}).get(kind.code)
        offers.setdefault(kind.programme, []).append(Offer(kind, had))
    return visit.page(
        "register",
        status,
        names=names,
        offers=offers,
        opened=opened_of(offers, values),
        values=values,
        faults=faults,
        key=key or uuid4(),
        found=found,
        wrong=wrong,
        other=other,
        person_id=person_id,
        person=person,
        home=_home(person, values),
        for_whom=FOR_WHOM if person_id is None else FOR_THEM,
        channels=await channels_to_choose(visit),
        consents=CONSENTS,
        answers=ANSWERS,
        answer_fields=[f"answer_{each}" for each in ANSWERS],
        supply=supply,
    )
