"""What providers charge for needs: entered by one person, much of it approved by another."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Final
from uuid import UUID, uuid4

from fastapi import Depends, Response

from aidmesh_chassis.http import Routes
from aidmesh_console.clients import bills as client
from aidmesh_console.clients.bills import Committed
from aidmesh_console.clients.link import ClientError
from aidmesh_console.roles import Act
from aidmesh_console.visit import Posted, Visit, visitor

routes = Routes(include_in_schema=False)
Reader = Annotated[Visit, Depends(visitor(Act.SEE_MONEY))]
Biller = Annotated[Visit, Depends(visitor(Act.ALLOT_AND_BUY))]
Payer = Annotated[Visit, Depends(visitor(Act.ORDER_AND_PAY))]

STEPS: Final = {"approve": "bill_approved", "withdraw": "bill_withdrawn"}
"""By step: what is said afterwards."""
_NUMBER: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@routes.get("/money/bills")
async def show(visit: Reader) -> Response:
    """Bills that wait, and what may be billed for a need that is asked for."""
    return await _page(visit)


@routes.post("/money/bills/find")
async def find(form: Posted, visit: Biller) -> Response:
    """By the number of a need; whatever else was typed never shows in an address."""
    need_id = number_in(form.text("need") or "")
    if need_id is None:
        return await _page(visit, 422, visit.say("bills.need_missing"), need=form.text("need"))
    return visit.go("/money/bills", need=need_id)


@routes.post("/money/bills/of/{need_id}/{commitment_id}")
async def enter(need_id: UUID, commitment_id: UUID, form: Posted, visit: Biller) -> Response:
    """Enter what a provider charges; above the float limit it waits."""
    amount_minor = form.money("amount", form.text("currency") or "UAH", needed=True)
    if form.faults or amount_minor is None:
        wrong = visit.say("fault.amount")
        return await _page(visit, 422, wrong, form.key, need=str(need_id), values=form.values)
    try:
        waits = await client.enter(visit.payments.link, commitment_id, amount_minor, form.key)
    except ClientError as error:
        status, key = form.after(error)
        wrong = visit.problem(error)
        return await _page(visit, status, wrong, key, need=str(need_id), values=form.values)
    return visit.go("/money/bills", said="bill_waits" if waits else "bill_entered")


@routes.post("/money/bills/{bill_id}/{step}")
async def decide(bill_id: UUID, step: str, form: Posted, visit: Payer) -> Response:
    """A second person approves a bill, or somebody withdraws it."""
    if step not in STEPS:
        return await _page(visit, 422, visit.say("problem.wrong-state"))
    try:
        await client.decide(visit.payments.link, bill_id, step, form.key)
    except ClientError as error:
        status, key = form.after(error)
        return await _page(visit, status, visit.problem(error), key)
    return visit.go("/money/bills", said=STEPS[step])


def number_in(text: str) -> UUID | None:
    """The number of a need in what was typed or pasted, such as the address of its page."""
    found = _NUMBER.search(text)
    return None if found is None else UUID(found[0])


async def _page(
    visit: Visit,
    status: int = 200,
    wrong: str | None = None,
    key: UUID | None = None,
    *,
    need: str | None = None,
    values: Mapping[str, str] | None = None,
) -> Response:
    pages = {"after": text} if (text := visit.asked.get("after")) else {}
    found = await visit.hear(client.bills(visit.payments.link, pages.get("after")))
    asked = need or visit.asked.get("need", "")
    need_id = number_in(asked)
    payable: Sequence[Committed] | None = None
    if need_id is not None:
        heard = await visit.hear(client.payable(visit.payments.link, need_id))
        payable = heard.value
        wrong = wrong or (visit.problem(heard.error) if heard.error else None)
    elif asked and wrong is None:
        status, wrong = 422, visit.say("bills.need_missing")
    return visit.page(
        "bills",
        status,
        found=found,
        pages=pages,
        asked=asked,
        need_id=need_id,
        payable=payable,
        values=values or {},
        wrong=wrong,
        key=key or uuid4(),
    )
