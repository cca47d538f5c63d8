"""People who are perhaps known in two regions: asking, and deciding what was found."""

import asyncio
from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, Response

from aidmesh_chassis.http import Routes
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_console.clients import links as client
from aidmesh_console.clients.link import Away, ClientError
from aidmesh_console.roles import Act
from aidmesh_console.visit import Posted, Visit, visitor

routes = Routes(include_in_schema=False)
Decider = Annotated[Visit, Depends(visitor(Act.DECIDE_NEEDS))]
_SAID: Final = {"confirm": "link_yes", "refuse": "link_no"}


@routes.get("/links")
async def show(visit: Decider) -> Response:
    """Whoever was found, the latest first."""
    return await _page(visit, None)


@routes.get("/links/of/{person_id}")
async def show_person(person_id: UUID, visit: Decider) -> Response:
    """Where else one person was looked for and found."""
    return await _page(visit, person_id)


@routes.post("/links/of/{person_id}")
async def look_for(person_id: UUID, form: Posted, visit: Decider) -> Response:
    """Ask another region whether it knows the person."""
    region = form.text("region", needed=True)
    if region is None:
        return await _page(visit, person_id, 422, visit.say("fault.choice"))
    try:
        await client.look_for(visit.intake.link, person_id, region, form.text("code"), form.key)
    except ClientError as error:
        return await _failed(visit, person_id, error)
    return visit.go(f"/links/of/{person_id}", said="lookup_asked")


@routes.post("/links/{link_id}/{step}")
async def decide(link_id: UUID, step: str, form: Posted, visit: Decider) -> Response:
    """Say that they are one person, or two."""
    if step not in _SAID:
        raise Problem(NOT_FOUND)
    person_id = form.uuid("person")
    try:
        await client.decide(visit.intake.link, link_id, step, form.key)
    except ClientError as error:
        return await _failed(visit, person_id, error)
    path = "/links" if person_id is None else f"/links/of/{person_id}"
    return visit.go(path, said=_SAID[step])


async def _failed(visit: Visit, person_id: UUID | None, error: ClientError) -> Response:
    status = 503 if isinstance(error, Away) else 409
    return await _page(visit, person_id, status, visit.problem(error))


async def _page(
    visit: Visit, person_id: UUID | None, status: int = 200, wrong: str | None = None
) -> Response:
    link = visit.intake.link
    pages = {name: text for name in ("twins", "asked") if (text := visit.asked.get(name))}
    twins = visit.hear(client.twins(link, person_id, pages.get("twins")))
    if person_id is None:
        found, lookups = await twins, None
    else:
        found, lookups = await asyncio.gather(
            twins, visit.hear(client.lookups(link, person_id, pages.get("asked")))
        )
    return visit.page(
        "links",
        status,
        person_id=person_id,
        twins=found,
        lookups=lookups,
        pages=pages,
        wrong=wrong,
    )
