"""Entering a grant that a donor has promised, and rates of exchange."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Final
from uuid import UUID, uuid5

from fastapi import Depends, Response

from aidmesh_chassis.http import Routes
from aidmesh_console import i18n
from aidmesh_console.clients.link import ClientError
from aidmesh_console.clients.payments_views import Donor
from aidmesh_console.forms import Form, filled, shown_again
from aidmesh_console.pages.common import AREAS, CURRENCIES, names_of
from aidmesh_console.roles import Act
from aidmesh_console.visit import Posted, Visit, visitor

routes = Routes(include_in_schema=False)
Booker = Annotated[Visit, Depends(visitor(Act.BOOK_GRANTS))]

LINES: Final = 6
AREA_MEANS: Final = ("service", "stay", "origin")
MONEY_CODES: Final = (*CURRENCIES, "GBP", "CHF", "PLN", "CAD", "SEK", "NOK", "DKK", "CZK")


@routes.get("/money/new-grant")
async def show(visit: Booker) -> Response:
    """An empty form."""
    return await _page(visit)


@routes.post("/money/new-grant")
async def pledge(form: Posted, visit: Booker) -> Response:
    """Enter the donor if need be, and the grant; a lead takes it up, or its first instalment."""
    donors = await visit.payments.donors()
    name = form.text("donor_name")
    donor_id = _donor_of(form, name, donors)
    wish = wish_of(form)
    if form.faults:
        return await _page(visit, 422, visit.fault(form), form, form.key)
    try:
        if donor_id is None and name is not None:
            donor_id = await visit.payments.add_donor(name, uuid5(form.key, "donor"))
        grant_id = await visit.payments.pledge({"donor_id": str(donor_id), **wish}, form.key)
    except ClientError as error:
        status, key = form.after(error)
        return await _page(visit, status, visit.problem(error), form, key)
    return visit.go(f"/money/grants/{grant_id}", said="grant_entered")


@routes.get("/money/rates")
async def rates(visit: Booker) -> Response:
    """The newest rates, and a form for another one."""
    return await _rates(visit)


@routes.post("/money/rates")
async def add_rate(form: Posted, visit: Booker) -> Response:
    """Enter a rate as it was published."""
    rate = rate_of(form)
    if form.faults:
        return await _rates(visit, 422, visit.fault(form), form, form.key)
    try:
        await visit.payments.add_rate(rate, form.key)
    except ClientError as error:
        status, key = form.after(error)
        return await _rates(visit, status, visit.problem(error), form, key)
    return visit.go("/money/rates", said="rate_entered")


def wish_of(form: Form) -> Mapping[str, object]:
    """The body of `POST /v1/grants` without its donor; what is missing is in `form.faults`."""
    currency = form.choice("currency", MONEY_CODES) or "UAH"
    first, last = form.day("period_from", needed=True), form.day("period_to", needed=True)
    if first and last and last < first:
        form.faults["period_to"] = "day"
    lines = []
    for number in range(LINES):
        names = [f"{field}_{number}" for field in ("line", "line_amount", "line_categories")]
        if not any(form.text(name) for name in names):
            continue
        line = {
            "code": form.code(names[0]),
            "amount_minor": form.money(names[1], currency, needed=True),
            "cost_categories": form.codes(names[2]),
        }
        lines.append(filled(line))
    if not lines:
        form.faults["line_0"] = "missing"
    areas = [each for each in form.many("areas") if each in AREAS]
    restriction = {
        "programmes": list(form.many("programmes")) or None,
        "areas": areas or None,
        "area_means": form.choice("area_means", AREA_MEANS) if areas else None,
        "valid_from": first.isoformat() if first else None,
        "valid_to": last.isoformat() if last else None,
    }
    return filled(
        {
            "code": form.code("code"),
            "currency": currency,
            "amount_minor": form.money("amount", currency, needed=True),
            "period_from": first.isoformat() if first else None,
            "period_to": last.isoformat() if last else None,
            "restriction": filled(restriction),
            "budget_lines": lines,
            "overhead_bp": form.percent("overhead"),
            "paying_office": form.text("paying_office"),
        }
    )


def rate_of(form: Form) -> Mapping[str, object]:
    """The body of `POST /v1/rates`; what is missing is in `form.faults`."""
    base, spending = form.choice("base", MONEY_CODES), form.choice("spending", MONEY_CODES)
    if base is not None and base == spending:
        form.faults["spending"] = "choice"
    rate = form.rate("rate")
    if rate is None:
        form.faults.setdefault("rate", "missing")
    return {
        "base": base,
        "spending": spending,
        "rate": rate,
        "on": (form.day("rate_on") or i18n.today()).isoformat(),
        "source": form.text("rate_source", needed=True),
    }


def _donor_of(form: Form, name: str | None, donors: Sequence[Donor]) -> UUID | None:
    """The donor that was chosen, or is known by the name that was typed."""
    chosen = form.uuid("donor_id")
    if chosen is not None:
        return chosen
    if name is None:
        form.faults["donor_id"] = "missing"
    return next((each.id for each in donors if each.name == name), None)


async def _page(
    visit: Visit,
    status: int = 200,
    wrong: str | None = None,
    form: Form | None = None,
    key: UUID | None = None,
) -> Response:
    donors, names, regions = await asyncio.gather(
        visit.hear(visit.payments.donors()), names_of(visit), visit.hear(visit.payments.regions())
    )
    return visit.page(
        "new_grant",
        status,
        donors=donors,
        names=names,
        regions=regions.value or (visit.desk.settings.region,),
        currencies=MONEY_CODES,
        area_means=AREA_MEANS,
        lines=LINES,
        wrong=wrong,
        chosen=frozenset((*form.many("programmes"), *form.many("areas"))) if form else frozenset(),
        **shown_again(form, key),
    )


async def _rates(
    visit: Visit,
    status: int = 200,
    wrong: str | None = None,
    form: Form | None = None,
    key: UUID | None = None,
) -> Response:
    return visit.page(
        "rates",
        status,
        rates=await visit.hear(visit.payments.rates(visit.asked.get("after"))),
        currencies=MONEY_CODES,
        wrong=wrong,
        **shown_again(form, key),
    )
