"""One item: its names, and whether it is given on prescription only."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_console.clients.link import Away, ClientError
from aidmesh_console.i18n import LANGUAGES
from aidmesh_console.pages.common import names_of
from aidmesh_console.roles import Act
from aidmesh_console.visit import Posted, Visit, visitor

routes = APIRouter()
Keeper = Annotated[Visit, Depends(visitor(Act.CHANGE_STOCK))]


@routes.get("/stock/items/{code}")
async def show(code: str, visit: Keeper) -> Response:
    """An item, to be corrected."""
    return await _page(visit, code)


@routes.post("/stock/items/{code}")
async def correct(code: str, form: Posted, visit: Keeper) -> Response:
    """Give an item other names, or another need of a prescription."""
    body = {
        "version": form.whole("version", needed=True),
        "names": {each: form.text(f"name_{each}", needed=True) for each in LANGUAGES},
        "prescription": form.checked("prescription"),
    }
    if form.faults:
        return await _page(visit, code, 422, visit.say("register.faults", len(form.faults)))
    try:
        await visit.inventory.correct_item(code, body, form.key)
    except ClientError as error:
        # No answer: it may have been done all the same.
        status = 503 if isinstance(error, Away) else 409
        return await _page(visit, code, status, visit.problem(error))
    return visit.go("/stock", said="item_corrected", item=code)


async def _page(visit: Visit, code: str, status: int = 200, wrong: str | None = None) -> Response:
    names = await names_of(visit)
    item = names.items.get(code)
    if item is None:
        raise Problem(NOT_FOUND)
    return visit.page("item", status, item=item, names=names, languages=LANGUAGES, wrong=wrong)
