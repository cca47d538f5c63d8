"""Routes about what may have been paid: after a backup was taken, or by an office that is lost."""

from typing import Annotated
from uuid import UUID

from fastapi import Response
from pydantic import Field, StringConstraints

from aidmesh_chassis import restoring
from aidmesh_chassis.http import Body, PageQuery, Routes
from aidmesh_chassis.idempotency import Once
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_contracts.days import EnteredDay
from aidmesh_contracts.ids import PayoutId
from aidmesh_payments.api.answers_paying import DoubtfulPage
from aidmesh_payments.api.desk import ROWS_MAX, Desk, Payer, Reader, Text
from aidmesh_payments.handlers import orders, payouts
from aidmesh_payments.handlers.payouts import Step, done
from aidmesh_payments.problems import problem
from aidmesh_payments.store import restoring as store
from aidmesh_payments.store.queries.unproven import unproven


class ClearBody(Body):
    """What was looked up, and what was found."""

    ids: Annotated[tuple[UUID, ...], Field(min_length=1, max_length=ROWS_MAX)]
    note: Text


class PaidBody(Body):
    """What the bank's statement or the cash book says."""

    bank_reference: Annotated[str, StringConstraints(min_length=1, max_length=140)]
    served_on: EnteredDay


def router(desk: Desk) -> Routes:
    """The routes."""
    routes = Routes(prefix="/v1", tags=["unproven"])

    @routes.get("/unproven", response_model=DoubtfulPage)
    async def listed(caller: Reader, page: PageQuery) -> dict[str, object]:
        """Payouts, paying orders and purchases that may have been paid, the oldest first."""
        return await desk.page(page, "unproven", "since", unproven)

    @routes.post("/unproven:clear")
    async def clear(body: ClearBody, caller: Payer, once: Once) -> Response:
        """Somebody has looked these up, and they were not paid: they may be, like any other.

        What was paid is recorded instead (`:paid`): clearing it first could have it paid twice. An
        order that its region asked back meanwhile is given back, and its money is free there. A
        payout that was drawn up since is named by its own id; its need is cleared with it.
        """
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            ids = {*body.ids, *await store.needs_of(tx.conn, body.ids)}
            await orders.give_back_unpaid(desk.office, tx, map(PayoutId, body.ids))
            cleared = await restoring.clear(tx.conn, ids, body.note, caller.staff_id)
            return await once.answer(tx, 200, {"cleared": cleared})

    @routes.post("/unproven/{payment_id}:paid")
    async def paid(payment_id: UUID, body: PaidBody, caller: Payer, once: Once) -> Response:
        """A payout, or another region's order, was paid: it is settled as the statement says.

        Who approved it may be forgotten: above the float limit a second person then reviews it.
        What was bought is entered step by step, after it was cleared.
        """
        step = Step(
            PayoutId(payment_id),
            bank_reference=body.bank_reference,
            settled_on=body.served_on,
            is_forgotten=True,
        )
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            about = await store.about(tx.conn, payment_id)
            if about is None:
                raise Problem(NOT_FOUND)
            if about == "purchase":
                raise problem("wrong-state")
            take = orders.take_steps if about == "order" else payouts.take_steps
            done(await take(desk.office, tx, "settle", [step], caller.staff_id), step)
            return await once.answer(tx, 200, {"payout_id": payment_id})

    return routes
