"""What regions do for each other by rule."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, Response

from aidmesh_chassis.http import Routes
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_console.clients import rules as client
from aidmesh_console.clients.link import ClientError, Link
from aidmesh_console.forms import Form, as_text, shown_again
from aidmesh_console.pages.common import names_of
from aidmesh_console.roles import Act
from aidmesh_console.visit import Posted, Visit, visitor

routes = Routes(include_in_schema=False)
Keeper = Annotated[Visit, Depends(visitor(Act.CHANGE_STOCK))]
Leader = Annotated[Visit, Depends(visitor(Act.SET_REFER_RULES))]

ACCEPT: Final = "/v1/accept-rules"
ASK: Final = "/v1/ask-rules"
REFER: Final = "/v1/refer-rules"
GOODS_PAGE: Final = "/shipments/rules"
NEEDS_PAGE: Final = "/referrals/rules"
OFFER_HOURS: Final = 24


@routes.get(GOODS_PAGE)
async def show_goods(visit: Keeper) -> Response:
    """The rules for goods in force, and forms for others."""
    return await _goods(visit)


@routes.post(GOODS_PAGE + "/accept")
async def set_accept(form: Posted, visit: Keeper) -> Response:
    """Have asks of other regions accepted by rule."""
    body = {
        "item": form.text("item"),
        "site_id": as_text(form.uuid("site_id")),
        "regions": form.regions("regions"),
        "keep_pieces": form.whole("keep_pieces", least=0) or 0,
        "keep_days": form.whole("keep_days", least=0) or 0,
        "ask_max": form.whole("ask_max", needed=True),
        "week_max": form.whole("week_max", needed=True),
    }
    return await _set(visit, form, visit.inventory.link, ACCEPT, body)


@routes.post(GOODS_PAGE + "/ask")
async def set_ask(form: Posted, visit: Keeper) -> Response:
    """Have other regions asked by rule."""
    body = {
        "item": form.text("ask_item", needed=True),
        "to_site_id": as_text(form.uuid("to_site_id", needed=True)),
        "regions": form.regions("regions"),
        "open_max": form.whole("open_max", needed=True),
        "chosen_only": form.text("chosen_only") is not None,
    }
    return await _set(visit, form, visit.inventory.link, ASK, body)


@routes.post(GOODS_PAGE + "/{sort}/{rule_id}/end")
async def end_goods(sort: str, rule_id: UUID, form: Posted, visit: Keeper) -> Response:
    """Have people decide again."""
    if sort not in {"accept", "ask"}:
        raise Problem(NOT_FOUND)
    path = ACCEPT if sort == "accept" else ASK
    return await _end(visit, form, visit.inventory.link, path, rule_id)


@routes.get(NEEDS_PAGE)
async def show_needs(visit: Leader) -> Response:
    """The rules for needs in force, and a form for another."""
    return await _needs(visit)


@routes.post(NEEDS_PAGE + "/refer")
async def set_refer(form: Posted, visit: Leader) -> Response:
    """Have needs of a kind offered to other regions by rule."""
    body = {
        "kind": form.text("kind", needed=True),
        "regions": form.regions("regions"),
        "open_max": form.whole("open_max", needed=True),
        "hours": form.whole("hours") or OFFER_HOURS,
        "chosen_only": form.text("chosen_only") is not None,
    }
    return await _set(visit, form, visit.intake.link, REFER, body)


@routes.post(NEEDS_PAGE + "/refer/{rule_id}/end")
async def end_refer(rule_id: UUID, form: Posted, visit: Leader) -> Response:
    """Have people offer them again."""
    return await _end(visit, form, visit.intake.link, REFER, rule_id)


async def _set(
    visit: Visit, form: Form, link: Link, path: str, body: Mapping[str, object]
) -> Response:
    if form.faults:
        return await _again(visit, path, 422, visit.say("rules.check"), form)
    try:
        await client.set_rule(link, path, body, form.key)
    except ClientError as error:
        status, key = form.after(error)
        return await _again(visit, path, status, visit.problem(error), form, key)
    return visit.go(NEEDS_PAGE if path == REFER else GOODS_PAGE, said="rule_set")


async def _end(visit: Visit, form: Form, link: Link, path: str, rule_id: UUID) -> Response:
    try:
        await client.end_rule(link, path, rule_id, form.key)
    except ClientError as error:
        return await _again(visit, path, form.after(error)[0], visit.problem(error))
    return visit.go(NEEDS_PAGE if path == REFER else GOODS_PAGE, said="rule_end")


async def _again(
    visit: Visit,
    path: str,
    status: int,
    wrong: str,
    form: Form | None = None,
    key: UUID | None = None,
) -> Response:
    if path == REFER:
        return await _needs(visit, status, wrong, form, key)
    return await _goods(visit, status, wrong, form, key, sort=path)


async def _goods(
    visit: Visit,
    status: int = 200,
    wrong: str | None = None,
    form: Form | None = None,
    key: UUID | None = None,
    *,
    sort: str | None = None,
) -> Response:
    link = visit.inventory.link
    accept, ask, names = await asyncio.gather(
        visit.hear(client.accept_rules(link)), visit.hear(client.ask_rules(link)), names_of(visit)
    )
    items = [(code, names.item(code)) for code in names.items]
    return visit.page(
        "rules",
        status,
        accept=accept,
        ask=ask,
        names=names,
        items=sorted(items, key=lambda each: each[1]),
        open_form=sort if form else None,
        **shown_again(form, key),
        wrong=wrong,
    )


async def _needs(
    visit: Visit,
    status: int = 200,
    wrong: str | None = None,
    form: Form | None = None,
    key: UUID | None = None,
) -> Response:
    refer, names = await asyncio.gather(
        visit.hear(client.refer_rules(visit.intake.link)), names_of(visit, kinds=True)
    )
    kinds = [(code, names.kind(code)) for code, each in names.offered.items() if each.capacity]
    return visit.page(
        "refer_rules",
        status,
        refer=refer,
        names=names,
        kinds=sorted(kinds, key=lambda each: each[1]),
        hours=OFFER_HOURS,
        **shown_again(form, key),
        wrong=wrong,
    )
