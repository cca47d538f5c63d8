"""One item: its names, and whether it is given on prescription only."""

from typing import Annotated
from uuid import UUID, uuid4

from fastapi import Depends, Response

from aidmesh_chassis.http import Routes
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_console.clients.inventory_views import Item
from aidmesh_console.clients.link import ClientError
from aidmesh_console.forms import Form
from aidmesh_console.i18n import LANGUAGES
from aidmesh_console.pages.common import names_of
from aidmesh_console.roles import Act
from aidmesh_console.visit import Posted, Visit, visitor

routes = Routes(include_in_schema=False)
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
        return await _page(visit, code, 422, visit.say("register.faults", len(form.faults)), form)
    try:
        await visit.inventory.correct_item(code, body, form.key)
    except ClientError as error:
        status, key = form.after(error)
        return await _page(visit, code, status, visit.problem(error), form, key)
    return visit.go("/stock", said="item_corrected", item=code)


async def _page(
    visit: Visit,
    code: str,
    status: int = 200,
    wrong: str | None = None,
    form: Form | None = None,
    key: UUID | None = None,
) -> Response:
    names = await names_of(visit)
    item = names.items.get(code)
    if form is not None:
        # Shown even if nothing else can be.
        values = dict(form.values)
    elif item is not None:
        values = _stored(item)
    else:
        raise Problem(NOT_FOUND)
    if form is not None and item is not None and not (key or form.faults):
        # It was refused: the next try is on top of what others have corrected since.
        values["version"] = str(item.version)
    return visit.page(
        "item",
        status,
        code=code,
        item=item,
        names=names,
        languages=LANGUAGES,
        values=values,
        faults=form.faults if form else {},
        key=key or uuid4(),
        wrong=wrong,
    )


def _stored(item: Item) -> dict[str, str]:
    """The fields of the form as the item has them."""
    return {
        "version": str(item.version),
        **{f"name_{each}": item.names.get(each, "") for each in LANGUAGES},
        "prescription": "1" if item.prescription else "",
    }
