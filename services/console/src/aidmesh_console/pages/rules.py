"""What is done for other regions by rule."""

import asyncio
import re
from typing import Annotated, Final
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Response

from aidmesh_console.clients import rules as client
from aidmesh_console.clients.link import ClientError
from aidmesh_console.forms import Form
from aidmesh_console.pages.common import names_of
from aidmesh_console.roles import Act
from aidmesh_console.visit import Posted, Visit, visitor

routes = APIRouter(prefix="/shipments/rules")
Keeper = Annotated[Visit, Depends(visitor(Act.CHANGE_STOCK))]

ACCEPT: Final = "/v1/accept-rules"
_REGION: Final = re.compile(r"[a-z][a-z0-9]{1,19}")


@routes.get("")
async def show(visit: Keeper) -> Response:
    """The rules in force, and a form for another."""
    return await _page(visit)


@routes.post("/accept")
async def set_accept(form: Posted, visit: Keeper) -> Response:
    """Have asks of other regions accepted by rule."""
    body: dict[str, object] = {
        "item": form.text("item"),
        "site_id": _text(form.uuid("site_id")),
        "regions": _regions(form),
        "keep_pieces": form.whole("keep_pieces", least=0) or 0,
        "keep_days": form.whole("keep_days", least=0) or 0,
        "ask_max": form.whole("ask_max", needed=True),
        "week_max": form.whole("week_max", needed=True),
    }
    return await _set(visit, form, ACCEPT, body)


@routes.post("/accept/{rule_id}/end")
async def end_accept(rule_id: UUID, form: Posted, visit: Keeper) -> Response:
    """Have asks wait for a person again."""
    return await _end(visit, form, ACCEPT, rule_id)


async def _set(visit: Visit, form: Form, path: str, body: dict[str, object]) -> Response:
    if form.faults:
        return await _page(visit, 422, visit.say("rules.check"), form)
    try:
        await client.set_rule(visit.inventory.link, path, body, form.key)
    except ClientError as error:
        status, key = form.after(error)
        return await _page(visit, status, visit.problem(error), form, key)
    return visit.go("/shipments/rules", said="rule_set")


async def _end(visit: Visit, form: Form, path: str, rule_id: UUID) -> Response:
    try:
        await client.end_rule(visit.inventory.link, path, rule_id, form.key)
    except ClientError as error:
        return await _page(visit, form.after(error)[0], visit.problem(error))
    return visit.go("/shipments/rules", said="rule_end")


def _regions(form: Form) -> list[str] | None:
    """Names apart by blanks or commas; None for all regions."""
    names = (form.text("regions") or "").replace(",", " ").split()
    if not all(_REGION.fullmatch(each) for each in names):
        form.faults["regions"] = "regions"
    return sorted(set(names)) or None


def _text(number: UUID | None) -> str | None:
    return None if number is None else str(number)


async def _page(
    visit: Visit,
    status: int = 200,
    wrong: str | None = None,
    form: Form | None = None,
    key: UUID | None = None,
) -> Response:
    accept, names = await asyncio.gather(
        visit.hear(client.accept_rules(visit.inventory.link)), names_of(visit)
    )
    return visit.page(
        "rules",
        status,
        accept=accept,
        names=names,
        items=sorted(((code, names.item(code)) for code in names.items), key=lambda each: each[1]),
        values=form.values if form else {},
        faults=form.faults if form else {},
        key=key or uuid4(),
        wrong=wrong,
    )
