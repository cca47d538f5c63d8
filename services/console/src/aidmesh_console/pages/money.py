"""Money: the payouts that wait for a second person or for the bank."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import Depends, Response

from aidmesh_chassis.http import Routes
from aidmesh_console import i18n
from aidmesh_console.clients.bills import bills as bills_of
from aidmesh_console.clients.link import ClientError
from aidmesh_console.clients.payments import REFERENCE_CHARS_MAX
from aidmesh_console.clients.payments_views import Paid, RowAnswer
from aidmesh_console.clients.unproven import unproven
from aidmesh_console.forms import Form
from aidmesh_console.pages.common import BANK_REASONS, CURRENCIES, LIST_MECHANISMS
from aidmesh_console.roles import Act
from aidmesh_console.visit import Posted, Visit, visitor

routes = Routes(include_in_schema=False)
Reader = Annotated[Visit, Depends(visitor(Act.SEE_MONEY))]
Approver = Annotated[Visit, Depends(visitor(Act.APPROVE_PAYOUTS))]
Redoer = Annotated[Visit, Depends(visitor(Act.REDO_PAYOUTS))]
Settler = Annotated[Visit, Depends(visitor(Act.SETTLE_PAYOUTS))]

_ROWS = 50
_STATES = ("draft", "approved", "exported", "accepted", "rejected", "returned")
"""Payouts that somebody has to do something with; also what the cursor of each is called."""
_TO_SETTLE = ("approved", "exported", "accepted")
_ORDERS = ("received", "exported")
"""Orders of other regions that are to be settled."""
_FAILED = ("rejected", "returned")
_LINES_TOLD = 20
_BETWEEN = re.compile(r"[\s;,]+")
_LIKE_AN_ID = re.compile(r"[0-9]|^[A-Fa-f]{8}")
"""What no heading has: a digit, or as many letters as the short form of an id."""


@routes.get("/money")
async def show(visit: Reader) -> Response:
    """The queues."""
    return await page(visit)


@routes.post("/money/approve")
async def approve(form: Posted, visit: Approver) -> Response:
    """Approve the payouts that were ticked."""
    chosen = form.ids("payout")
    if not chosen:
        return await page(visit, 422, visit.say("money.none_chosen"))
    try:
        rows = await visit.payments.approve(chosen, form.key)
    except ClientError as error:
        return await failed(visit, error, form)
    return await _told(visit, form, rows, "payouts_approved")


@routes.post("/money/settle/{payout_id}")
async def settle(payout_id: UUID, form: Posted, visit: Settler) -> Response:
    """The bank paid."""
    reference = form.text("bank_reference", needed=True)
    day = form.day("served_on") or i18n.today()
    if form.faults or reference is None:
        return await page(visit, 422, visit.say("money.reference_missing"))
    try:
        rows = await visit.payments.settle(payout_id, reference, day, form.key)
    except ClientError as error:
        return await failed(visit, error, form)
    return await _told(visit, form, rows, "payout_settled")


@routes.post("/money/settle-order/{payout_id}")
async def settle_order(payout_id: UUID, form: Posted, visit: Settler) -> Response:
    """The bank paid what another region had asked for."""
    reference = form.text("bank_reference", needed=True)
    day = form.day("served_on") or i18n.today()
    if form.faults or reference is None:
        return await page(visit, 422, visit.say("money.reference_missing"))
    try:
        rows = await visit.payments.settle_order(payout_id, reference, day, form.key)
    except ClientError as error:
        return await failed(visit, error, form)
    return await _told(visit, form, rows, "payout_settled")


@routes.post("/money/settle")
async def settle_many(form: Posted, visit: Settler) -> Response:
    """The bank paid many: a pasted table of numbers and references."""
    day = form.day("served_on") or i18n.today()
    table, wrong_lines = table_of(form.text("table") or "")
    by_need = form.text("by") == "need"
    if form.faults or wrong_lines or not table:
        lines = ", ".join(str(line) for line in wrong_lines[:_LINES_TOLD])
        said = visit.say("money.table_wrong", lines=lines) if lines else None
        wrong = said or visit.say("fault.day" if form.faults else "money.table_empty")
        return await page(visit, 422, wrong, form.key, pasted=form.values)
    try:
        rows = await visit.payments.settle_many(table, day, form.key, by_need=by_need)
    except ClientError as error:
        status, key = form.after(error)
        return await page(visit, status, visit.problem(error), key, pasted=form.values)
    refused = [(table[row.row], row) for row in rows if row.status == "rejected"]
    if refused:
        visit.spent.add(str(form.key))
        wrong = visit.say("money.some_refused", len(refused))
        return await page(visit, 409, wrong, pasted=form.values, refused=refused)
    return visit.go("/money", said="payouts_settled")


@routes.post("/money/{payout_id}/not-collected")
async def not_collected(payout_id: UUID, form: Posted, visit: Settler) -> Response:
    """Nobody came for this cash: its money is free, the need waits again."""
    try:
        await visit.payments.not_collected(payout_id, form.key)
    except ClientError as error:
        return await failed(visit, error, form)
    return visit.go("/money", said="payout_not_collected")


@routes.post("/money/{payout_id}/reject")
async def reject(payout_id: UUID, form: Posted, visit: Redoer) -> Response:
    """The bank did not carry it out: it is drawn up again, or its money let go."""
    reason = form.choice("reason", BANK_REASONS)
    if reason is None:
        return await page(visit, 422, visit.say("fault.reason"))
    try:
        await visit.payments.reject(payout_id, reason, form.key)
    except ClientError as error:
        return await failed(visit, error, form)
    return visit.go("/money", said="payout_rejected")


@routes.post("/money/{payout_id}/redo")
async def redo(payout_id: UUID, form: Posted, visit: Redoer) -> Response:
    """Draw a payout up again that the bank did not carry out."""
    try:
        await visit.payments.redo(payout_id, form.key)
    except ClientError as error:
        return await failed(visit, error, form)
    return visit.go("/money", said="payout_redone")


@routes.post("/money/{payout_id}/give-up")
async def give_up(payout_id: UUID, form: Posted, visit: Redoer) -> Response:
    """Let go of the money: the need waits again."""
    try:
        await visit.payments.give_up(payout_id, form.key)
    except ClientError as error:
        return await failed(visit, error, form)
    return visit.go("/money", said="payout_given_up")


@routes.post("/money/review/{payout_id}")
async def review(payout_id: UUID, form: Posted, visit: Settler) -> Response:
    """A second person looked at what one paid alone."""
    try:
        await visit.payments.review(payout_id, form.key)
    except ClientError as error:
        return await failed(visit, error, form)
    return visit.go("/money", said="payout_reviewed")


def table_of(text: str) -> tuple[Sequence[Paid], Sequence[int]]:
    """Lines of an id and a bank reference, and the numbers of lines that are something else.

    Between the two may stand a tab, a semicolon, a comma or spaces. A first line that begins with
    a word is a heading; one that begins with part of a number is not.
    """
    found: list[Paid] = []
    wrong: list[int] = []
    for number, line in enumerate(text.splitlines(), start=1):
        parts = _BETWEEN.split(line.strip(), maxsplit=1)
        try:
            paid_id, reference = UUID(parts[0]), parts[1].strip(' \t;,"')
        except (ValueError, IndexError):
            if line.strip() and (number > 1 or _LIKE_AN_ID.search(parts[0])):
                wrong.append(number)
            continue
        if reference and len(reference) <= REFERENCE_CHARS_MAX:
            found.append(Paid(number, paid_id, reference))
        else:
            wrong.append(number)
    return found, wrong


async def _told(visit: Visit, form: Form, rows: Sequence[RowAnswer], said: str) -> Response:
    refused = [row for row in rows if row.status == "rejected"]
    if refused:
        visit.spent.add(str(form.key))
        count = visit.say("money.some_refused", len(refused))
        return await page(visit, 409, f"{count} {visit.refusal(refused[0].problem)}")
    return visit.go("/money", said=said)


async def failed(visit: Visit, error: ClientError, form: Form) -> Response:
    """The page again, with why a form was refused."""
    status, key = form.after(error)
    return await page(visit, status, visit.problem(error), key)


async def page(
    visit: Visit,
    status: int = 200,
    wrong: str | None = None,
    key: UUID | None = None,
    *,
    pasted: Mapping[str, str] | None = None,
    refused: Sequence[tuple[Paid, RowAnswer]] = (),
) -> Response:
    """The page of all queues."""
    names = (*_STATES, "reviews", *(f"orders_{state}" for state in _ORDERS))
    pages = {name: text for name in names if (text := visit.asked.get(name))}
    doubtful, bills, lists, reviews, received, listed, *heard = await asyncio.gather(
        visit.hear(unproven(visit.payments.link, limit=1)),
        visit.hear(bills_of(visit.payments.link, limit=1)),
        visit.hear(visit.payments.payment_lists()),
        visit.hear(visit.payments.reviews(pages.get("reviews"))),
        *(
            visit.hear(visit.payments.orders(state, pages.get(f"orders_{state}"), _ROWS))
            for state in _ORDERS
        ),
        *(visit.hear(visit.payments.payouts(state, pages.get(state), _ROWS)) for state in _STATES),
    )
    queues = dict(zip(_STATES, heard, strict=True))
    return visit.page(
        "money",
        status,
        doubtful=doubtful,
        bills=bills,
        lists=lists,
        bank_reasons=BANK_REASONS,
        mechanisms=LIST_MECHANISMS,
        currencies=CURRENCIES,
        reviews=reviews,
        draft=queues["draft"],
        orders={"received": received, "exported": listed},
        to_settle={state: queues[state] for state in _TO_SETTLE},
        failed={state: queues[state] for state in _FAILED},
        pages=pages,
        pasted=pasted or {},
        refused=[(paid, visit.refusal(row.problem)) for paid, row in refused],
        wrong=wrong,
        key=key or uuid4(),
    )
