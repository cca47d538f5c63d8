"""Money: grants in sums, and the payouts that wait for a second person or for the bank."""

import asyncio
from collections.abc import Sequence
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Response

from aidmesh_console import i18n
from aidmesh_console.clients.link import Away, ClientError
from aidmesh_console.clients.payments import RowAnswer
from aidmesh_console.forms import Form
from aidmesh_console.roles import Act
from aidmesh_console.visit import Posted, Visit, visitor

routes = APIRouter()
Reader = Annotated[Visit, Depends(visitor(Act.SEE_MONEY))]
Approver = Annotated[Visit, Depends(visitor(Act.APPROVE_PAYOUTS))]
Settler = Annotated[Visit, Depends(visitor(Act.SETTLE_PAYOUTS))]

_ROWS = 50


@routes.get("/money")
async def show(visit: Reader) -> Response:
    """Grants and the two queues."""
    return await _page(visit)


@routes.post("/money/approve")
async def approve(form: Posted, visit: Approver) -> Response:
    """Approve the payouts that were ticked."""
    chosen = [found for text in form.many("payout") if (found := _id(text)) is not None]
    if not chosen:
        return await _page(visit, 422, visit.say("money.none_chosen"))
    try:
        rows = await visit.payments.approve(chosen, form.key)
    except ClientError as error:
        return await _failed(visit, error, form)
    return await _told(visit, rows, "payouts_approved")


@routes.post("/money/settle/{payout_id}")
async def settle(payout_id: UUID, form: Posted, visit: Settler) -> Response:
    """The bank paid."""
    reference = form.text("bank_reference", needed=True)
    day = form.day("served_on") or i18n.today()
    if form.faults or reference is None:
        return await _page(visit, 422, visit.say("money.reference_missing"))
    try:
        rows = await visit.payments.settle(payout_id, reference, day, form.key)
    except ClientError as error:
        return await _failed(visit, error, form)
    return await _told(visit, rows, "payout_settled")


@routes.post("/money/review/{payout_id}")
async def review(payout_id: UUID, form: Posted, visit: Settler) -> Response:
    """A second person looked at what one paid alone."""
    try:
        await visit.payments.review(payout_id, form.key)
    except ClientError as error:
        return await _failed(visit, error, form)
    return visit.go("/money", said="payout_reviewed")


async def _told(visit: Visit, rows: Sequence[RowAnswer], said: str) -> Response:
    refused = [row for row in rows if row.status == "rejected"]
    if refused:
        count = visit.say("money.some_refused", len(refused))
        return await _page(visit, 409, f"{count} {visit.refusal(refused[0].problem)}")
    return visit.go("/money", said=said)


async def _failed(visit: Visit, error: ClientError, form: Form) -> Response:
    key = form.key if isinstance(error, Away) else None
    return await _page(visit, 503 if key else 409, visit.problem(error), key)


async def _page(
    visit: Visit, status: int = 200, wrong: str | None = None, key: UUID | None = None
) -> Response:
    grants, reviews, draft, approved = await asyncio.gather(
        visit.hear(visit.payments.grants()),
        visit.hear(visit.payments.reviews()),
        visit.hear(visit.payments.payouts("draft", visit.asked.get("after"), _ROWS)),
        visit.hear(visit.payments.payouts("approved", limit=_ROWS)),
    )
    return visit.page(
        "money",
        status,
        grants=grants,
        reviews=reviews,
        draft=draft,
        approved=approved,
        wrong=wrong,
        key=key or uuid4(),
    )


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
