"""Slots with professionals: which there are from today on, and canceling one."""

import asyncio
from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, Response

from aidmesh_chassis.http import Routes
from aidmesh_console.clients.link import ClientError
from aidmesh_console.pages.common import names_of
from aidmesh_console.roles import Act
from aidmesh_console.visit import Posted, Visit, visitor

routes = Routes(include_in_schema=False)
Reader = Annotated[Visit, Depends(visitor(Act.SEE_BEDS))]
Keeper = Annotated[Visit, Depends(visitor(Act.CHANGE_STOCK))]

PATH: Final = "/stock/slots"
FILTERS: Final = ("site", "after")
"""What the address asks for, of a form too: slots of which site, and how far they are read."""


@routes.get(PATH)
async def show(visit: Reader) -> Response:
    """The slots from today on, of one site or all."""
    return await _page(visit)


@routes.post(PATH + "/{slot_id}/cancel")
async def cancel(slot_id: UUID, form: Posted, visit: Keeper) -> Response:
    """Cancel a slot; those who had a seat are placed anew."""
    try:
        await visit.inventory.cancel_slot(slot_id, form.key)
    except ClientError as error:
        status, key = form.after(error)
        return await _page(visit, status, visit.problem(error), slot_id, key)
    return visit.go(PATH, said="slot_cancelled", site=visit.asked_id("site"))


async def _page(
    visit: Visit,
    status: int = 200,
    wrong: str | None = None,
    opened: UUID | None = None,
    key: UUID | None = None,
) -> Response:
    asked = {name: text for name in FILTERS if (text := visit.asked.get(name))}
    site_id = visit.asked_id("site")
    slots, names = await asyncio.gather(
        visit.hear(visit.inventory.slots(site_id, asked.get("after"))), names_of(visit)
    )
    return visit.page(
        "slots",
        status,
        names=names,
        slots=slots,
        site=site_id,
        asked=asked,
        wrong=wrong,
        opened=opened,
        key=key,
    )
