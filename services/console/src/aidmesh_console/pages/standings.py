"""Regions that are held for lost: declaring, deciding as another lead, what they said too late."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Final
from uuid import UUID, uuid4

from fastapi import Depends, Response

from aidmesh_chassis.http import Routes
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_console.clients import standings as client
from aidmesh_console.clients.link import ClientError, Link
from aidmesh_console.roles import Act
from aidmesh_console.visit import Posted, Visit, visitor

routes = Routes(include_in_schema=False)
Lead = Annotated[Visit, Depends(visitor(Act.DECLARE_LOST))]

LOST_REASONS: Final = ("no_contact", "data_lost", "office_lost", "keys_stolen")
NOTE_CHARS_MAX: Final = 500
_SAID: Final = {
    "confirm-lost": "region_lost",
    "not-lost": "region_not_lost",
    "readmit": "region_readmitted",
}


@routes.get("/regions")
async def show(visit: Lead) -> Response:
    """Who is held for lost or has retired, and what is to be decided."""
    return await _page(visit)


@routes.post("/regions/declare")
async def declare(form: Posted, visit: Lead) -> Response:
    """Say that a region is lost; another lead has to agree."""
    region, reason = form.code("region"), form.choice("reason", LOST_REASONS)
    if region is None or reason is None:
        return await _page(visit, 422, visit.say("fault.choice"))
    try:
        await client.declare(visit.payments.link, region, reason, form.key)
    except ClientError as error:
        status, key = form.after(error)
        return await _page(visit, status, visit.problem(error), key)
    return visit.go("/regions", said="region_declared")


@routes.post("/regions/conflicts/{service}/{event_id}")
async def close(service: str, event_id: UUID, form: Posted, visit: Lead) -> Response:
    """Say what was found out about something that had no effect."""
    link = _links(visit).get(service)
    if link is None:
        raise Problem(NOT_FOUND)
    note = form.text("note", needed=True)
    if note is None or len(note) > NOTE_CHARS_MAX:
        return await _page(visit, 422, visit.say("regions.note_fault"))
    try:
        await client.close(link, event_id, note, form.key)
    except ClientError as error:
        status, key = form.after(error)
        return await _page(visit, status, visit.problem(error), key)
    return visit.go("/regions", said="conflict_closed")


@routes.post("/regions/{region}/{step}")
async def decide(region: str, step: str, form: Posted, visit: Lead) -> Response:
    """Agree that a region is lost, or not; or let it in again."""
    if step not in _SAID or not (region.isascii() and region.isalnum()):
        raise Problem(NOT_FOUND)
    try:
        await client.decide(visit.payments.link, region, step, form.key)
    except ClientError as error:
        status, key = form.after(error)
        return await _page(visit, status, visit.problem(error), key)
    return visit.go("/regions", said=_SAID[step])


def _links(visit: Visit) -> Mapping[str, Link]:
    """The services that set aside what lost regions say."""
    return {
        "intake": visit.intake.link,
        "inventory": visit.inventory.link,
        "payments": visit.payments.link,
        "reporting": visit.reporting.link,
    }


async def _page(
    visit: Visit, status: int = 200, wrong: str | None = None, key: UUID | None = None
) -> Response:
    links = _links(visit)
    pages = {name: text for name in links if (text := visit.asked.get(name))}
    (found, regions), lists = await asyncio.gather(
        asyncio.gather(
            visit.hear(client.standings(links["payments"])),
            visit.hear(visit.payments.regions()),
        ),
        asyncio.gather(
            *(visit.hear(client.conflicts(link, pages.get(name))) for name, link in links.items())
        ),
    )
    asked = {each.region for each in found.value.asked} if found.value else set()
    own = visit.desk.settings.region
    return visit.page(
        "standings",
        status,
        found=found,
        left_out=[visit.say.code("list", each) for each in found.value.left_out]
        if found.value
        else [],
        others=[name for name in regions.value or () if name != own and name not in asked],
        conflicts=dict(zip(links, lists, strict=True)),
        pages=pages,
        reasons=LOST_REASONS,
        note_chars_max=NOTE_CHARS_MAX,
        wrong=wrong,
        key=key or uuid4(),
    )
