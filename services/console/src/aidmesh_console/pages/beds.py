"""Beds: the next fourteen nights of a shelter; checking in and out, sending on."""

import asyncio
from datetime import timedelta
from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, Response

from aidmesh_chassis.http import Routes
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_console import i18n
from aidmesh_console.clients.link import ClientError
from aidmesh_console.pages.common import names_of
from aidmesh_console.roles import Act
from aidmesh_console.visit import Posted, Visit, visitor

routes = Routes(include_in_schema=False)
Reader = Annotated[Visit, Depends(visitor(Act.SEE_BEDS))]
Keeper = Annotated[Visit, Depends(visitor(Act.RUN_BEDS))]
Stores = Annotated[Visit, Depends(visitor(Act.CHANGE_STOCK))]

DAYS: Final = 14
LEFT_DAYS: Final = 7
"""For how many days a check-out is offered to be taken back; later it is on the need's page."""
PAGES: Final = ("after", "gone", "left")
"""Each list of the page goes on by a field of the address of its own."""
_SAID: Final = {
    "check-in": "guest_came",
    "check-out": "checked_out",
    "relocate": "sent_on",
    "undo-check-out": "stays_on",
}
_BED_SAID: Final = {"retire": "bed_retired", "restore": "bed_restored"}
_DAY_FIELD: Final = {"check-in": "served_on", "check-out": "left_on"}


@routes.get("/beds")
async def show(visit: Reader) -> Response:
    """The nights of one shelter, and how many beds the others have tonight."""
    return await _page(visit, visit.asked_id("site"))


@routes.post("/beds/{reservation_id}/{step}")
async def act(reservation_id: UUID, step: str, form: Posted, visit: Keeper) -> Response:
    """Check in, check out, say that someone is still here, or send on to another shelter."""
    if step not in _SAID:
        raise Problem(NOT_FOUND)
    site_id = form.uuid("site")
    body: dict[str, str] = {}
    if step in _DAY_FIELD:
        body[_DAY_FIELD[step]] = (form.day("day") or i18n.today()).isoformat()
    if step == "undo-check-out":
        body["reason"] = "still_here"
    if form.faults:
        return await _page(visit, site_id, 422, visit.say("fault.day"))
    try:
        await visit.inventory.act(reservation_id, step, body, form.key)
    except ClientError as error:
        return await _page(visit, site_id, 409, visit.problem(error))
    return visit.go("/beds", said=_SAID[step], site=site_id)


@routes.post("/beds/{step}")
async def change(step: str, form: Posted, visit: Stores) -> Response:
    """Take a bed out of use, or into use again."""
    if step not in _BED_SAID:
        raise Problem(NOT_FOUND)
    site_id, bed_id = form.uuid("site"), form.uuid("bed", needed=True)
    if bed_id is None:
        return await _page(visit, site_id, 422, visit.say("fault.choice"))
    try:
        await visit.inventory.act_on_bed(bed_id, step, form.key)
    except ClientError as error:
        return await _page(visit, site_id, 409, visit.problem(error))
    return visit.go("/beds", said=_BED_SAID[step], site=site_id)


async def _page(
    visit: Visit, site_id: UUID | None, status: int = 200, wrong: str | None = None
) -> Response:
    first_on = i18n.today()
    names, capacity = await asyncio.gather(names_of(visit), visit.hear(visit.inventory.all_beds()))
    every = capacity.value or ()
    own = [each for each in every if each.region is None]
    if site_id is None and own:
        site_id = own[0].site_id
    pages = {name: text for name in PAGES if (text := visit.asked.get(name))}
    beds = gone = left = None
    if site_id:
        since = first_on - timedelta(days=LEFT_DAYS)
        beds, gone, left = await asyncio.gather(
            visit.hear(visit.inventory.beds(site_id, first_on, DAYS, pages.get("after"))),
            visit.hear(visit.inventory.check_outs(site_id, pages.get("gone"))),
            visit.hear(visit.inventory.left_since(site_id, since, pages.get("left"))),
        )
    found = beds.value.beds if beds and beds.value else ()
    rows = [bed for bed in found if bed.status == "active" or bed.bookings]
    retired = [bed for bed in found if bed not in rows]
    return visit.page(
        "beds",
        status,
        names=names,
        capacity=capacity,
        shelters=own,
        away=[each for each in every if each.region is not None],
        site=site_id,
        pages={"site": site_id, **pages},
        beds=beds,
        gone=gone,
        left=left,
        days=[first_on + timedelta(days=number) for number in range(DAYS)],
        rows=rows,
        retired=retired,
        free=[night.count("free") for night in zip(*(row.nights for row in rows), strict=True)],
        wrong=wrong,
    )
