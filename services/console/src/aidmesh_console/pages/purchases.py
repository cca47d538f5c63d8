"""Purchases: drawing one up from an allotment, and its way to being paid."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Final
from uuid import UUID, uuid4

from fastapi import Depends, Response

from aidmesh_chassis.http import Routes
from aidmesh_console import i18n
from aidmesh_console.clients.link import ClientError
from aidmesh_console.clients.payments_views import Holding, PurchaseLine
from aidmesh_console.forms import Form, amount_text, filled, shown_again
from aidmesh_console.pages.common import (
    ALL,
    AREAS,
    COST_CATEGORIES,
    MONEY_REASONS,
    PAID_BACK,
    PAYMENT_REASONS,
    names_of,
    said_after,
)
from aidmesh_console.roles import Act
from aidmesh_console.visit import Posted, Visit, visitor

routes = Routes(include_in_schema=False)
Reader = Annotated[Visit, Depends(visitor(Act.SEE_MONEY))]
Buyer = Annotated[Visit, Depends(visitor(Act.ALLOT_AND_BUY))]

OPEN: Final = ("draft", "ordered", "received", "invoiced")
STATES: Final = (*OPEN, "paid", "cancelled")
LINES: Final = 5
_PRICE: Final = re.compile(r"price_([1-9][0-9]{0,2})")
STEPS: Final = {
    "order": (Act.ORDER_AND_PAY, "ordered"),
    "receive": (Act.ALLOT_AND_BUY, "all_came"),
    "invoice": (Act.ALLOT_AND_BUY, "invoiced"),
    "pay": (Act.ORDER_AND_PAY, "paid"),
    "cancel": (Act.ALLOT_AND_BUY, "purchase_cancelled"),
    "correct-bill": (Act.ALLOT_AND_BUY, "bill_corrected"),
    "reverse-payment": (Act.ORDER_AND_PAY, "payment_reversed"),
}
"""By step: who may take it, and what is said afterwards."""


@routes.get("/money/purchases")
async def show(visit: Reader) -> Response:
    """Purchases by state, those that are not over where none is asked for; and a new one."""
    return await _list(visit)


@routes.post("/money/purchases")
async def draw_up(form: Posted, visit: Buyer) -> Response:
    """Draw up a purchase; nothing is set aside before it is ordered."""
    held = await visit.hear(visit.payments.held_by(visit.desk.settings.region))
    wish = wish_of(form, held.value or ())
    if held.error or form.faults:
        wrong = visit.problem(held.error) if held.error else None
        return await _list(visit, 422, wrong, form, form.key)
    try:
        purchase_id = await visit.payments.draw_up(wish, form.key)
    except ClientError as error:
        status, key = form.after(error)
        return await _list(visit, status, visit.problem(error), form, key)
    return visit.go(f"/money/purchases/{purchase_id}", said="drawn_up")


@routes.get("/money/purchases/{purchase_id}")
async def one(purchase_id: UUID, visit: Reader) -> Response:
    """One purchase, and its next step."""
    return await _page(visit, purchase_id)


@routes.post("/money/purchases/{purchase_id}/{step}")
async def act(purchase_id: UUID, step: str, form: Posted, visit: Reader) -> Response:
    """Order, receive, invoice, pay or cancel."""
    said = said_after(visit, STEPS, step)
    body = step_of(step, form)
    if form.faults:
        return await _page(visit, purchase_id, 422, visit.fault(form), form, form.key)
    try:
        await visit.payments.act_on_purchase(purchase_id, step, body, form.key)
    except ClientError as error:
        status, key = form.after(error)
        return await _page(visit, purchase_id, status, visit.problem(error), form, key)
    return visit.go(f"/money/purchases/{purchase_id}", said=said)


def wish_of(form: Form, held: Sequence[Holding]) -> Mapping[str, object]:
    """The body of `POST /v1/purchases`; what is missing is in `form.faults`."""
    allotment_id = form.uuid("allotment_id", needed=True)
    purse = next((each for each in held if each.allotment_id == allotment_id), None)
    if allotment_id is not None and purse is None:
        form.faults["allotment_id"] = "choice"
    currency = purse.currency if purse else "UAH"
    lines = []
    for number in range(LINES):
        names = [f"{field}_{number}" for field in ("description", "item", "quantity", "price")]
        if not any(form.text(name) for name in names):
            continue
        line = {
            "description": form.text(names[0], needed=True),
            "item": form.text(names[1]),
            "quantity": form.whole(names[2], needed=True),
            "unit_value_minor": form.money(names[3], currency, needed=True),
        }
        lines.append(filled(line))
    if not lines:
        form.faults["description_0"] = "missing"
    return {
        "allotment_id": str(allotment_id),
        "supplier": form.text("supplier", needed=True),
        "cost_category": form.code("cost_category"),
        "programme": form.code("programme"),
        "area": form.choice("area", AREAS),
        "planned_on": (form.day("planned_on") or i18n.today()).isoformat(),
        "lines": lines,
    }


def step_of(step: str, form: Form) -> Mapping[str, object]:
    """The body of a step; what is missing is in `form.faults`."""
    if step in ("invoice", "correct-bill"):
        currency = form.text("currency") or "UAH"
        bill = {
            "amount_minor": form.money("amount", currency, needed=True),
            "reference": form.text("reference", needed=True),
            "prices": _prices(form, currency),
        }
        return (
            bill if step == "invoice" else bill | {"reason": form.choice("reason", MONEY_REASONS)}
        )
    if step == "reverse-payment":
        return _reversal(form)
    if step == "cancel" and form.text("reason"):
        return {"reason": form.choice("reason", MONEY_REASONS)}
    if step == "pay":
        day = form.day("paid_on") or i18n.today()
        reference = form.text("bank_reference", needed=True)
        return {"bank_reference": reference, "paid_on": day.isoformat()}
    return {}


def _prices(form: Form, currency: str) -> Sequence[Mapping[str, object]]:
    """What one piece costs by the bill, by line of goods; where nothing is written, as ordered."""
    lines = sorted(int(found[1]) for name in form.values if (found := _PRICE.fullmatch(name)))
    named = [(line, f"price_{line}") for line in lines if form.text(f"price_{line}") is not None]
    return [
        {"line": line, "unit_value_minor": form.money_or_none(name, currency)}
        for line, name in named
    ]


def _costs(lines: Sequence[PurchaseLine]) -> Mapping[str, int]:
    """What one of each item costs by the bill, or as ordered; several lines at their average."""
    sums: dict[str, tuple[int, int]] = {}
    for line in lines:
        if line.item is not None:
            count, value = sums.get(line.item, (0, 0))
            sums[line.item] = (count + line.quantity, value + line.quantity * line.cost_minor)
    return {item: (2 * value + count) // (2 * count) for item, (count, value) in sums.items()}


def _reversal(form: Form) -> Mapping[str, object]:
    """Only what the supplier paid back has a day on which it came back: today, if none is named."""
    reason, day = form.choice("reason", PAYMENT_REASONS), form.day("came_back_on")
    if reason == PAID_BACK:
        return {"reason": reason, "came_back_on": (day or i18n.today()).isoformat()}
    if day is not None:
        form.faults["reason"] = "choice"
    return {"reason": reason}


async def _list(
    visit: Visit,
    status: int = 200,
    wrong: str | None = None,
    form: Form | None = None,
    key: UUID | None = None,
) -> Response:
    asked = visit.asked.get("state", "")
    state = asked if asked in {*STATES, ALL} else ""
    states = {"": OPEN, ALL: STATES}.get(state, (state,))
    may_buy = visit.may(Act.ALLOT_AND_BUY)
    purchases, held, names = await asyncio.gather(
        visit.hear(visit.payments.purchases(states, visit.asked.get("after"))),
        visit.hear(visit.payments.held_by(visit.desk.settings.region)),
        names_of(visit, kinds=may_buy),
    )
    purses = [each for each in held.value or () if each.status == "active"]
    named = {kind.money.cost_category for kind in names.kinds.values() if kind.money}
    return visit.page(
        "purchases",
        status,
        purchases=purchases,
        held=held if may_buy else None,
        purses=sorted(purses, key=lambda each: (each.grant_code or "", each.budget_line or "")),
        names=names,
        states=STATES,
        state=state,
        lines=LINES,
        categories=sorted({*COST_CATEGORIES, *named} - {""}),
        wrong=wrong,
        opened=form is not None,
        **shown_again(form, key),
    )


async def _page(
    visit: Visit,
    purchase_id: UUID,
    status: int = 200,
    wrong: str | None = None,
    form: Form | None = None,
    key: UUID | None = None,
) -> Response:
    purchase, held, lots, names = await asyncio.gather(
        visit.payments.purchase(purchase_id),
        visit.hear(visit.payments.held_by(visit.desk.settings.region)),
        visit.hear(visit.inventory.lots_of(purchase_id, visit.asked.get("lots"))),
        names_of(visit),
    )
    values = form.values if form else {}
    billed = {
        f"price_{each.line}": amount_text(each.billed_unit_minor, purchase.currency)
        for each in purchase.lines
        if each.billed_unit_minor is not None
    }
    purse = next(
        (each for each in held.value or () if each.allotment_id == purchase.allotment_id), None
    )
    return visit.page(
        "purchase",
        status,
        purchase=purchase,
        purse=purse,
        lots=lots,
        costs=_costs(purchase.lines),
        money_reasons=MONEY_REASONS,
        payment_reasons=PAYMENT_REASONS,
        names=names,
        wrong=wrong,
        values=values,
        prices={**billed, **values},  # another step may have been refused
        key=key or uuid4(),
    )
