"""Who waits for money, here and in other regions, and what of the own grants could serve them."""

import asyncio
import re
from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, Response

from aidmesh_chassis.http import Routes
from aidmesh_console.clients import waits as client
from aidmesh_console.clients.link import ClientError
from aidmesh_console.forms import Form, as_text, shown_again
from aidmesh_console.roles import Act
from aidmesh_console.visit import Posted, Visit, visitor

routes = Routes(include_in_schema=False)
Reader = Annotated[Visit, Depends(visitor(Act.SEE_MONEY))]
Sender = Annotated[Visit, Depends(visitor(Act.ALLOT_AND_BUY))]
Leader = Annotated[Visit, Depends(visitor(Act.AMEND_GRANTS))]

PAGE: Final = "/money/waits"
_CURRENCY: Final = re.compile(r"[A-Z]{3}")


@routes.get(PAGE)
async def show(visit: Reader) -> Response:
    """What waits, what could be sent, and the rules that send it."""
    return await _page(visit)


@routes.post(PAGE + "/serve")
async def serve(form: Posted, visit: Sender) -> Response:
    """Send what is proposed, or less."""
    what = _what(form)
    allotment_id = form.uuid("allotment_id")
    body = what | {
        "grant_id": as_text(form.uuid("grant_id", needed=True)),
        "budget_line": form.text("budget_line", needed=True),
        "allotment_id": as_text(allotment_id),
        "amount_minor": form.money("amount", _currency(form), needed=True),
    }
    if form.faults:
        return await _page(visit, 422, visit.fault(form))
    try:
        await client.serve(visit.payments.link, body, form.key)
    except ClientError as error:
        return await _page(visit, form.after(error)[0], visit.problem(error))
    return visit.go(PAGE, said="move_proposed" if allotment_id else "money_sent")


@routes.post(PAGE + "/set-aside")
async def set_aside(form: Posted, visit: Sender) -> Response:
    """Have it proposed again only once more waits."""
    body = _what(form)
    if form.faults:
        return await _page(visit, 422, visit.fault(form))
    try:
        await client.set_aside(visit.payments.link, body, form.key)
    except ClientError as error:
        return await _page(visit, form.after(error)[0], visit.problem(error))
    return visit.go(PAGE, said="proposal_aside")


@routes.post(PAGE + "/rules")
async def set_rule(form: Posted, visit: Leader) -> Response:
    """Have money sent to those who wait by rule."""
    currency = _currency(form)
    body = {
        "programme": form.text("programme"),
        "currency": currency,
        "regions": form.regions("regions"),
        "keep_minor": form.money_or_none("keep", currency),
        "move_max_minor": form.money("move_max", currency, needed=True),
        "week_max_minor": form.money("week_max", currency, needed=True),
        "chosen_only": form.text("chosen_only") is not None,
    }
    if form.faults:
        return await _page(visit, 422, visit.say("rules.check"), form)
    try:
        await client.set_rule(visit.payments.link, body, form.key)
    except ClientError as error:
        status, key = form.after(error)
        return await _page(visit, status, visit.problem(error), form, key)
    return visit.go(PAGE, said="rule_set")


@routes.post(PAGE + "/rules/{rule_id}/end")
async def end_rule(rule_id: UUID, form: Posted, visit: Leader) -> Response:
    """Have people send it again."""
    try:
        await client.end_rule(visit.payments.link, rule_id, form.key)
    except ClientError as error:
        return await _page(visit, form.after(error)[0], visit.problem(error))
    return visit.go(PAGE, said="rule_end")


def _what(form: Form) -> dict[str, object]:
    """What is waited for, and where."""
    return {
        "region": form.code("region"),
        "programme": form.text("programme", needed=True),
        "currency": _currency(form),
    }


def _currency(form: Form) -> str:
    currency = form.text("currency") or "UAH"
    if not _CURRENCY.fullmatch(currency):
        form.faults["currency"] = "choice"
        return "UAH"
    return currency


async def _page(
    visit: Visit,
    status: int = 200,
    wrong: str | None = None,
    form: Form | None = None,
    key: UUID | None = None,
) -> Response:
    waits, rules = await asyncio.gather(
        visit.hear(client.waits(visit.payments.link)),
        visit.hear(client.rules(visit.payments.link)),
    )
    return visit.page(
        "waits",
        status,
        waits=waits,
        rules=rules,
        wrong=wrong,
        **shown_again(form, key),
    )
