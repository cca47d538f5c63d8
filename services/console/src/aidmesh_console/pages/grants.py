"""Grants: what each received, gave to whom and what became of it; allotting, and corrections."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, Response

from aidmesh_chassis.http import Routes
from aidmesh_console.clients.link import ClientError
from aidmesh_console.clients.payments_views import Holding
from aidmesh_console.forms import Form, shown_again
from aidmesh_console.pages.common import CURRENCIES, MONEY_REASONS, names_of, said_after
from aidmesh_console.pages.grant_forms import (
    DIFFERENCES,
    OVERHEAD,
    instalment_of,
    order_of,
    step_of,
)
from aidmesh_console.roles import Act
from aidmesh_console.visit import Posted, Visit, visitor

routes = Routes(include_in_schema=False)
Reader = Annotated[Visit, Depends(visitor(Act.SEE_MONEY))]
Allotter = Annotated[Visit, Depends(visitor(Act.ALLOT_AND_BUY))]
Booker = Annotated[Visit, Depends(visitor(Act.BOOK_GRANTS))]

STEPS: Final = {
    "amend": (Act.AMEND_GRANTS, "grant_amended"),
    "demand": (Act.AMEND_GRANTS, "demand_entered"),
    "withdraw-demand": (Act.AMEND_GRANTS, "demand_lowered"),
    "refund": (Act.BOOK_GRANTS, "refunded"),
    "reverse-refund": (Act.AMEND_GRANTS, "refund_reversed"),
    "book-difference": (Act.BOOK_GRANTS, "difference_booked"),
    "activate": (Act.AMEND_GRANTS, "grant_activated"),
    "suspend": (Act.AMEND_GRANTS, "grant_suspended"),
    "resume": (Act.AMEND_GRANTS, "grant_resumed"),
    "close": (Act.AMEND_GRANTS, "grant_closed"),
}
"""By step of a grant: who may take it, and what is said afterwards."""
TURNS: Final = {
    "pledged": ("activate", "close"),
    "active": ("suspend", "close"),
    "suspended": ("resume", "close"),
    "closed": ("resume",),
}
"""By status of a grant, the steps that give it another one; they need nothing but the decision."""
INSTALMENT_STEPS: Final = {
    "reverse": (Act.AMEND_GRANTS, "instalment_reversed"),
    "withdraw": (Act.BOOK_GRANTS, "instalment_withdrawn"),
}


@routes.get("/money/grants")
async def show(visit: Reader) -> Response:
    """Every grant in sums, by code."""
    grants = await visit.hear(visit.payments.grants(visit.asked.get("after")))
    return visit.page("grants", grants=grants)


@routes.get("/money/grants/{grant_id}")
async def one(grant_id: UUID, visit: Reader) -> Response:
    """One grant: budget lines, instalments, who holds what, and what was bought to keep."""
    return await _page(visit, grant_id)


@routes.post("/money/grants/{grant_id}/allot")
async def allot(grant_id: UUID, form: Posted, visit: Allotter) -> Response:
    """Give money of a budget line to a region; beyond the line a second person approves it."""
    order = order_of(grant_id, form)
    if form.faults:
        return await _page(visit, grant_id, 422, "allot", form=form, key=form.key)
    try:
        done = await visit.payments.allot(order, form.key)
    except ClientError as error:
        return await _failed(visit, grant_id, "allot", form, error)
    return visit.go(f"/money/grants/{grant_id}", said="allotted" if done else "allotment_asked")


@routes.post("/money/grants/{grant_id}/instalments")
async def enter(grant_id: UUID, form: Posted, visit: Booker) -> Response:
    """An instalment is expected, or came in."""
    row = instalment_of(await visit.payments.grant(grant_id), form)
    if form.faults:
        return await _page(visit, grant_id, 422, "instalment", form=form, key=form.key)
    try:
        answer = await visit.payments.enter_instalment(row, form.key)
    except ClientError as error:
        return await _failed(visit, grant_id, "instalment", form, error)
    if answer.status == "rejected":
        wrong = visit.refusal(answer.problem)
        return await _page(visit, grant_id, 409, "instalment", wrong, form)
    return visit.go(f"/money/grants/{grant_id}", said="instalment_entered")


@routes.post("/money/grants/{grant_id}/instalments/{instalment_id}/{step}")
async def correct(
    grant_id: UUID, instalment_id: UUID, step: str, form: Posted, visit: Reader
) -> Response:
    """An instalment did not come, or not so; or it will not come."""
    said = said_after(visit, INSTALMENT_STEPS, step)
    reason = form.choice("reason", MONEY_REASONS)
    if reason is None:
        return await _page(visit, grant_id, 422, str(instalment_id), visit.say("fault.reason"))
    try:
        await visit.payments.act_on_instalment(instalment_id, step, reason, form.key)
    except ClientError as error:
        return await _failed(visit, grant_id, str(instalment_id), form, error)
    return visit.go(f"/money/grants/{grant_id}", said=said)


@routes.post("/money/grants/{grant_id}/{step}")
async def act(grant_id: UUID, step: str, form: Posted, visit: Reader) -> Response:
    """The donor changed the grant, wants money back, or less, has it or does not; a conversion
    cost something else than was booked; or the grant stops or goes on."""
    said = said_after(visit, STEPS, step)
    body = step_of(step, await visit.payments.grant(grant_id), form)
    if form.faults:
        return await _page(visit, grant_id, 422, step, form=form, key=form.key)
    try:
        await visit.payments.act_on_grant(grant_id, step, body, form.key)
    except ClientError as error:
        return await _failed(visit, grant_id, step, form, error)
    return visit.go(f"/money/grants/{grant_id}", said=said)


async def _failed(
    visit: Visit, grant_id: UUID, opened: str, form: Form, error: ClientError
) -> Response:
    status, key = form.after(error)
    return await _page(visit, grant_id, status, opened, visit.problem(error), form, key)


async def _page(
    visit: Visit,
    grant_id: UUID,
    status: int = 200,
    opened: str = "",
    wrong: str | None = None,
    form: Form | None = None,
    key: UUID | None = None,
) -> Response:
    grant, assets, names, regions = await asyncio.gather(
        visit.payments.grant(grant_id),
        visit.hear(visit.inventory.assets(None, grant_id)),
        names_of(visit),
        visit.hear(visit.payments.regions()),
    )
    return visit.page(
        "grant",
        status,
        grant=grant,
        sums=sums_of(grant.holders),
        assets=assets,
        names=names,
        regions=regions.value or (visit.desk.settings.region,),
        currencies=tuple(dict.fromkeys((*CURRENCIES, grant.currency))),
        reasons=MONEY_REASONS,
        overhead=OVERHEAD,
        differences=DIFFERENCES,
        turns=TURNS.get(grant.status, ()),
        wrong=wrong,
        opened=opened,
        kept=key is not None,
        **shown_again(form, key),
    )


def sums_of(holders: Sequence[Holding]) -> Sequence[Holding]:
    """What all holders of a grant have together, by the currency they spend."""
    whole: dict[str, Holding] = {}
    for each in holders:
        so_far = whole.get(each.currency)
        whole[each.currency] = (
            Holding(**{**each.model_dump(), "as_of": None, "link": None, "budget_line": None})
            if so_far is None
            else so_far.model_copy(
                update={name: getattr(so_far, name) + getattr(each, name) for name in SUMMED}
            )
        )
    return list(whole.values())


SUMMED: Final = tuple(name for name in Holding.model_fields if name.endswith("_minor"))
