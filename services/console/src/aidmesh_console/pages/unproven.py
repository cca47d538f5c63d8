"""Payments that may have been made, as nobody can prove: settled, or found unpaid."""

from typing import Annotated, Final
from uuid import UUID, uuid4

from fastapi import Depends, Response

from aidmesh_chassis.http import Routes
from aidmesh_console import i18n
from aidmesh_console.clients import unproven as client
from aidmesh_console.clients.link import ClientError
from aidmesh_console.clients.payments import REFERENCE_CHARS_MAX
from aidmesh_console.roles import Act
from aidmesh_console.visit import Posted, Visit, visitor

routes = Routes(include_in_schema=False)
Reader = Annotated[Visit, Depends(visitor(Act.SEE_MONEY))]
Settler = Annotated[Visit, Depends(visitor(Act.SETTLE_PAYOUTS))]

NOTE_CHARS_MAX: Final = 200


@routes.get("/money/unproven")
async def show(visit: Reader) -> Response:
    """What nobody can prove, the oldest first."""
    return await _page(visit)


@routes.post("/money/unproven/{payment_id}/paid")
async def paid(payment_id: UUID, form: Posted, visit: Settler) -> Response:
    """The bank's statement, or the cash book, says that it was paid."""
    reference = form.text("bank_reference", needed=True)
    day = form.day("served_on") or i18n.today()
    if form.faults or reference is None or len(reference) > REFERENCE_CHARS_MAX:
        return await _page(visit, 422, visit.say("money.reference_missing"))
    try:
        await client.paid(visit.payments.link, payment_id, reference, day, form.key)
    except ClientError as error:
        status, key = form.after(error)
        return await _page(visit, status, visit.problem(error), key)
    return visit.go("/money/unproven", said="unproven_paid")


@routes.post("/money/unproven/{payment_id}/clear")
async def clear(payment_id: UUID, form: Posted, visit: Settler) -> Response:
    """Somebody looked, and it was not paid."""
    note = form.text("note", needed=True)
    if note is None or len(note) > NOTE_CHARS_MAX:
        return await _page(visit, 422, visit.say("unproven.note_fault"))
    try:
        await client.clear(visit.payments.link, payment_id, note, form.key)
    except ClientError as error:
        status, key = form.after(error)
        return await _page(visit, status, visit.problem(error), key)
    return visit.go("/money/unproven", said="unproven_cleared")


async def _page(
    visit: Visit, status: int = 200, wrong: str | None = None, key: UUID | None = None
) -> Response:
    pages = {"after": text} if (text := visit.asked.get("after")) else {}
    found = await visit.hear(client.unproven(visit.payments.link, pages.get("after")))
    return visit.page(
        "unproven",
        status,
        found=found,
        pages=pages,
        note_chars_max=NOTE_CHARS_MAX,
        wrong=wrong,
        key=key or uuid4(),
    )
