"""Money between regions: what is proposed, what waits for whom, giving back and recalling."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, Response

from aidmesh_chassis.http import Routes
from aidmesh_console.clients.link import ClientError
from aidmesh_console.clients.payments_views import Holding
from aidmesh_console.forms import Form, shown_again
from aidmesh_console.pages.common import said_after
from aidmesh_console.roles import Act
from aidmesh_console.visit import Posted, Visit, visitor

routes = Routes(include_in_schema=False)
Reader = Annotated[Visit, Depends(visitor(Act.SEE_MONEY))]
Proposer = Annotated[Visit, Depends(visitor(Act.ALLOT_AND_BUY))]

MOVE_REASONS: Final = ("waiting_needs", "unused_money", "grant_ends", "lead_decided")
DECLINE_REASONS: Final = ("needed_here", "planned_already", "wrong_amount")
RECALL_REASONS: Final = ("grant_cut", "grant_ends", "unused_money", "lead_decided")

STEPS: Final = {
    "sign": (Act.APPROVE_PAYOUTS, "move_signed"),
    "withdraw": (Act.ALLOT_AND_BUY, "move_withdrawn"),
    "retry": (Act.ALLOT_AND_BUY, "move_retried"),
    "keep": (Act.ALLOT_AND_BUY, "move_kept"),
}
"""By step of the own region's proposal: who may take it, and what is said afterwards."""
ANSWERS: Final = {
    "prepare": (Act.ALLOT_AND_BUY, "return_prepared"),
    "consent": (Act.APPROVE_PAYOUTS, "return_consented"),
    "decline": (Act.SETTLE_PAYOUTS, "move_declined"),
}
HELD: Final = {
    "return": (Act.ALLOT_AND_BUY, "money_returned"),
    "recall": (Act.AMEND_GRANTS, "money_recalled"),
}


@routes.get("/money/regions")
async def show(visit: Reader) -> Response:
    """Proposals and asks, and what regions hold."""
    return await _page(visit)


@routes.post("/money/regions/propose")
async def propose(form: Posted, visit: Proposer) -> Response:
    """Propose that a holder gives free money back for another region."""
    allotment_id = form.uuid("allotment_id", needed=True)
    held = {each.allotment_id: each for each in await _held(visit)} if allotment_id else {}
    chosen = held.get(allotment_id)
    if allotment_id and chosen is None:
        form.faults["allotment_id"] = "choice"
    body = {
        "allotment_id": str(allotment_id),
        "to_region": form.code("to_region"),
        "amount_minor": form.money("amount", chosen.currency if chosen else "UAH", needed=True),
        "reason": form.choice("reason", MOVE_REASONS),
        "days": form.whole("days", needed=True),
    }
    if form.faults:
        return await _page(visit, 422, visit.fault(form), form, form.key)
    try:
        await visit.rebalancing.propose(body, form.key)
    except ClientError as error:
        status, key = form.after(error)
        return await _page(visit, status, visit.problem(error), form, key)
    return visit.go("/money/regions", said="move_proposed")


@routes.post("/money/regions/proposals/{proposal_id}/{step}")
async def act(proposal_id: UUID, step: str, form: Posted, visit: Reader) -> Response:
    """Sign, withdraw, try again or keep."""
    said = said_after(visit, STEPS, step)
    try:
        await visit.rebalancing.act(proposal_id, step, form.key)
    except ClientError as error:
        return await _page(visit, form.after(error)[0], visit.problem(error))
    return visit.go("/money/regions", said=said)


@routes.post("/money/regions/asks/{proposal_id}/{step}")
async def answer(proposal_id: UUID, step: str, form: Posted, visit: Reader) -> Response:
    """Prepare a return, consent to it, or keep the money."""
    said = said_after(visit, ANSWERS, step)
    body: dict[str, object] = {}
    if step == "prepare":
        body = {"amount_minor": _amount(form)}
    elif step == "decline":
        body = {"reason": form.choice("reason", DECLINE_REASONS)}
    if form.faults:
        return await _page(visit, 422, visit.fault(form))
    try:
        await visit.rebalancing.answer(proposal_id, step, body, form.key)
    except ClientError as error:
        return await _page(visit, form.after(error)[0], visit.problem(error))
    return visit.go("/money/regions", said=said)


@routes.post("/money/regions/held/{allotment_id}/{step}")
async def give_back_or_recall(
    allotment_id: UUID, step: str, form: Posted, visit: Reader
) -> Response:
    """Give free money back without being asked, or ask a holder for all that is free."""
    said = said_after(visit, HELD, step)
    body: dict[str, object]
    if step == "return":
        body = {"amount_minor": _amount(form)}
    else:
        body = {"reason": form.choice("reason", RECALL_REASONS)}
    if form.faults:
        return await _page(visit, 422, visit.fault(form))
    try:
        await visit.rebalancing.act_on_allotment(allotment_id, step, body, form.key)
    except ClientError as error:
        return await _page(visit, form.after(error)[0], visit.problem(error))
    return visit.go("/money/regions", said=said)


def _amount(form: Form) -> int | None:
    """An amount in the currency that the form was shown with."""
    return form.money("amount", form.text("currency") or "UAH", needed=True)


async def _held(visit: Visit) -> Sequence[Holding]:
    """What holders of this region's grants have of them, as they last told."""
    return [each for each in await visit.payments.held() if each.status == "active"]


async def _page(
    visit: Visit,
    status: int = 200,
    wrong: str | None = None,
    form: Form | None = None,
    key: UUID | None = None,
) -> Response:
    pages = {name: text for name in ("made", "asks") if (text := visit.asked.get(name))}
    made, asks, held, regions = await asyncio.gather(
        visit.hear(visit.rebalancing.proposals(pages.get("made"))),
        visit.hear(visit.rebalancing.asks(pages.get("asks"))),
        visit.hear(_held(visit)),
        visit.hear(visit.payments.regions()),
    )
    own = visit.desk.settings.region
    return visit.page(
        "between",
        status,
        made=made,
        asks=asks,
        held=held,
        ours=[each for each in held.value or () if each.holder == own],
        theirs=[each for each in held.value or () if each.holder != own and each.grantor == own],
        movable=[each for each in held.value or () if each.grantor == own],
        regions=regions.value or (own,),
        staff_id=visit.session.caller.staff_id,
        move_reasons=MOVE_REASONS,
        decline_reasons=DECLINE_REASONS,
        recall_reasons=RECALL_REASONS,
        pages=pages,
        wrong=wrong,
        **shown_again(form, key),
    )
