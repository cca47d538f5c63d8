"""Grants: what each received, gave to whom, and what became of it; and allotting."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Final
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Response

from aidmesh_console.clients.link import Away, ClientError
from aidmesh_console.clients.payments import Holding
from aidmesh_console.forms import Form
from aidmesh_console.pages.common import names_of
from aidmesh_console.roles import Act
from aidmesh_console.visit import Posted, Visit, visitor

routes = APIRouter()
Reader = Annotated[Visit, Depends(visitor(Act.SEE_MONEY))]
Allotter = Annotated[Visit, Depends(visitor(Act.ALLOT_AND_BUY))]

CURRENCIES: Final = ("UAH", "EUR", "USD")


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
        return await _page(visit, grant_id, 422, form=form, key=form.key)
    try:
        done = await visit.payments.allot(order, form.key)
    except ClientError as error:
        key = form.key if isinstance(error, Away) else None
        return await _page(visit, grant_id, 409, visit.problem(error), form, key)
    return visit.go(f"/money/grants/{grant_id}", said="allotted" if done else "allotment_asked")


def order_of(grant_id: UUID, form: Form) -> Mapping[str, object]:
    """The body of `POST /v1/allotments`; what is missing is in `form.faults`."""
    currency = form.choice("currency", (*CURRENCIES, form.text("grant_currency") or "UAH")) or "UAH"
    until = form.day("valid_until")
    order = {
        "grant_id": str(grant_id),
        "budget_line": form.code("budget_line"),
        "to_region": form.code("to_region"),
        "amount_minor": form.money("amount", currency, needed=True),
        "currency": currency,
        "rate": form.rate("rate"),
        "valid_until": until.isoformat() if until else None,
        "over_line_reason": form.text("over_line_reason"),
    }
    return {name: value for name, value in order.items() if value is not None}


async def _page(
    visit: Visit,
    grant_id: UUID,
    status: int = 200,
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
        wrong=wrong,
        values=form.values if form else {},
        faults=form.faults if form else {},
        opened=form is not None,
        key=key or uuid4(),
    )


def sums_of(holders: Sequence[Holding]) -> Sequence[Holding]:
    """What all holders of a grant have together, by the currency they spend."""
    whole: dict[str, Holding] = {}
    for each in holders:
        so_far = whole.get(each.currency)
        whole[each.currency] = (
            Holding(**{**each.model_dump(), "as_of": None, "budget_line": None})
            if so_far is None
            else so_far.model_copy(
                update={name: getattr(so_far, name) + getattr(each, name) for name in SUMMED}
            )
        )
    return list(whole.values())


SUMMED: Final = tuple(name for name in Holding.model_fields if name.endswith("_minor"))
