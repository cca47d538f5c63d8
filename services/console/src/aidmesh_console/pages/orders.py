"""Onto a payment list, and what the bank sent back: own payouts, and those of other regions."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, Response

from aidmesh_chassis.http import Routes
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_console.clients.link import ClientError
from aidmesh_console.forms import Form
from aidmesh_console.pages import money
from aidmesh_console.pages.common import BANK_REASONS, CURRENCIES, LIST_MECHANISMS
from aidmesh_console.roles import Act
from aidmesh_console.visit import Posted, Visit, visitor

routes = Routes(include_in_schema=False)
Payer = Annotated[Visit, Depends(visitor(Act.REDO_PAYOUTS))]

_SAID: Final = {"reject": "order_rejected", "return": "order_returned"}


@routes.post("/money/export")
async def export(form: Posted, visit: Payer) -> Response:
    """Put approved payouts of one currency and one way on a new payment list."""
    return await _export(visit, form, visit.payments.export)


@routes.post("/money/orders/export")
async def export_orders(form: Posted, visit: Payer) -> Response:
    """The same of what other regions have this office pay."""
    return await _export(visit, form, visit.payments.export_orders)


@routes.post("/money/return")
async def own_came_back(form: Posted, visit: Payer) -> Response:
    """A payout that was settled came back; its number is on the payment list and at the need."""
    payout_id, reason = form.uuid("payout_id", needed=True), form.choice("reason", BANK_REASONS)
    if payout_id is None or reason is None:
        missing = "money.number_missing" if payout_id is None else "fault.reason"
        return await money.page(visit, 422, visit.say(missing))
    try:
        await visit.payments.came_back(payout_id, reason, form.key)
    except ClientError as error:
        return await money.failed(visit, error, form)
    return visit.go("/money", said="payout_returned")


@routes.post("/money/orders/return")
async def came_back(form: Posted, visit: Payer) -> Response:
    """A payment that was settled came back; its number is on the payment list."""
    payout_id = form.uuid("payout_id", needed=True)
    if payout_id is None:
        return await money.page(visit, 422, visit.say("money.number_missing"))
    return await _take(visit, payout_id, "return", form)


@routes.post("/money/orders/{payout_id}/{step}")
async def act(payout_id: UUID, step: str, form: Posted, visit: Payer) -> Response:
    """The bank did not carry one out, or it came back."""
    if step not in _SAID:
        raise Problem(NOT_FOUND)
    return await _take(visit, payout_id, step, form)


@routes.get("/money/lists/{list_id}.csv")
async def payment_list(list_id: UUID, visit: Payer) -> Response:
    """A payment list for the bank."""
    text = await visit.payments.payment_list(list_id)
    headers = {
        "Content-Disposition": f'attachment; filename="{list_id}.csv"',
        "Cache-Control": "no-store",
    }
    return visit.keep(Response(text, media_type="text/csv; charset=utf-8", headers=headers))


async def _export(
    visit: Visit, form: Form, export: Callable[[str, str, UUID], Awaitable[None]]
) -> Response:
    currency = form.choice("currency", CURRENCIES)
    mechanism = form.choice("mechanism", LIST_MECHANISMS)
    if currency is None or mechanism is None:
        return await money.page(visit, 422, visit.say("fault.choice"))
    try:
        await export(currency, mechanism, form.key)
    except ClientError as error:
        return await money.failed(visit, error, form)
    return visit.go("/money", said="orders_exported")


async def _take(visit: Visit, payout_id: UUID, step: str, form: Form) -> Response:
    reason = form.choice("reason", BANK_REASONS)
    if reason is None:
        return await money.page(visit, 422, visit.say("fault.reason"))
    try:
        await visit.payments.act_on_order(payout_id, step, reason, form.key)
    except ClientError as error:
        return await money.failed(visit, error, form)
    return visit.go("/money", said=_SAID[step])
