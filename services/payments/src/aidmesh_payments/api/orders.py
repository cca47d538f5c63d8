"""Routes about what other regions have this office pay."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Response
from pydantic import Field, TypeAdapter

from aidmesh_chassis.http import Body, BulkRoute, PageQuery
from aidmesh_chassis.idempotency import Once
from aidmesh_contracts.ids import PayoutId
from aidmesh_payments.api.desk import ROWS_MAX, Desk, Finance, Payer, Reader, RowBody, Text, admit
from aidmesh_payments.api.payouts import ExportBody, ReasonBody
from aidmesh_payments.domain.orders import OrderState, OrderVerb
from aidmesh_payments.handlers import orders
from aidmesh_payments.handlers.payouts import Step
from aidmesh_payments.problems import problem
from aidmesh_payments.store import orders as store
from aidmesh_payments.store import payouts as payout_store
from aidmesh_payments.store.queries import orders as queries

_AFTER: TypeAdapter[tuple[datetime, UUID]] = TypeAdapter(tuple[datetime, UUID])


class OrderRow(RowBody):
    """An order that was paid, as the bank says; its id is that of the payout."""

    payout_id: UUID
    bank_reference: Text
    served_on: date | None = None


class SettleOrdersBody(Body):
    """Many orders that were paid."""

    source: Text = "form"
    rows: Annotated[tuple[OrderRow, ...], Field(min_length=1, max_length=ROWS_MAX)]


def router(desk: Desk) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/v1", tags=["paying orders"])

    @routes.get("/paying-orders")
    async def queue(
        caller: Reader, page: PageQuery, state: OrderState = "received"
    ) -> dict[str, object]:
        """What other regions have this office pay, oldest first."""
        async with desk.db.read() as conn:
            rows = await queries.orders(conn, state, page.after(_AFTER), page.limit + 1)
        kept, following = page.cut(rows, lambda row: (row["recorded_at"], row["id"]))
        return {"orders": kept, "next": following}

    @routes.get("/paying-orders/reviews")
    async def reviews(caller: Reader, page: PageQuery) -> dict[str, object]:
        """What one person paid alone and a second has to look at, most urgent first."""
        async with desk.db.read() as conn:
            rows = await queries.reviews(conn, page.after(_AFTER), page.limit + 1)
        kept, following = page.cut(rows, lambda row: (row["review_due_at"], row["id"]))
        return {"orders": kept, "next": following}

    @routes.post("/paying-orders:export", status_code=201)
    async def export(body: ExportBody, caller: Finance, once: Once) -> Response:
        """Put orders on a payment list; it is read like those of own payouts."""
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            region = desk.office.region
            ids = await store.exportable(
                tx.conn, region, body.currency, body.mechanism, body.rows_max
            )
            found = await store.lock(tx.conn, region, ids)
            if not found:
                raise problem("wrong-state")
            batch_id = uuid4()
            total = sum(row.order.amount_minor or 0 for row in found.values())
            await payout_store.insert_batch(
                tx.conn,
                batch_id,
                body.currency,
                body.mechanism,
                len(found),
                total,
                caller.staff_id,
            )
            steps = [Step(payout_id) for payout_id in found]
            outcomes = await orders.take_steps(
                desk.office, tx, "export", steps, caller.staff_id, batch_id
            )
            if any(outcomes.values()):
                # Somebody else was faster with one of them: nothing is exported twice.
                raise problem("wrong-state")
            return await once.answer(
                tx,
                201,
                {"batch_id": batch_id, "orders": len(found), "total_minor": total},
                location=f"/v1/payout-batches/{batch_id}/list.csv",
            )

    @routes.post("/paying-orders/{payout_id}:reject")
    async def reject(payout_id: UUID, body: ReasonBody, caller: Finance, once: Once) -> Response:
        """The bank did not carry it out; its region draws it up again or lets go."""
        return await _one(desk, once, "reject", payout_id, caller.staff_id, body.reason)

    @routes.post("/paying-orders/{payout_id}:return")
    async def send_back(payout_id: UUID, body: ReasonBody, caller: Finance, once: Once) -> Response:
        """A settled payment came back."""
        return await _one(desk, once, "return", payout_id, caller.staff_id, body.reason)

    @routes.post("/paying-orders/{payout_id}:review")
    async def review(payout_id: UUID, caller: Payer, once: Once) -> Response:
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            await orders.review_one(desk.office, tx, PayoutId(payout_id), caller.staff_id)
            return await once.answer(tx, 200, {"payout_id": payout_id})

    return routes


async def _one(
    desk: Desk, once: Once, verb: OrderVerb, payout_id: UUID, by: UUID, reason: str
) -> Response:
    async with desk.db.transaction() as tx:
        if known := await once.replay(tx):
            return known
        await orders.take_step(desk.office, tx, verb, Step(PayoutId(payout_id), reason=reason), by)
        return await once.answer(tx, 200, {"payout_id": payout_id})


def bulk_router(desk: Desk) -> APIRouter:
    """The route that takes many rows."""
    routes = APIRouter(prefix="/v1", tags=["paying orders"], route_class=BulkRoute)

    @routes.post("/paying-orders:settle")
    async def settle(body: SettleOrdersBody, caller: Payer, once: Once) -> Response:
        """Payments that were made for other regions; a file that comes twice counts once."""
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            intake = await admit(tx, "order_settlements", body.source, body.rows)
            steps: dict[int, Step] = {}
            named: set[PayoutId] = set()
            for place in intake.fresh:
                row = body.rows[place]
                payout_id = PayoutId(row.payout_id)
                if payout_id in named:
                    intake.reject(place, "wrong-state")
                    continue
                named.add(payout_id)
                steps[place] = Step(payout_id, row.bank_reference, row.served_on)
            outcomes = await orders.take_steps(
                desk.office, tx, "settle", steps.values(), caller.staff_id
            )
            for place, step in steps.items():
                refusal = outcomes.get(step.payout_id, "unknown-row")
                if refusal is None:
                    intake.done(place, step.payout_id)
                else:
                    intake.reject(place, str(refusal))
            return await once.answer(tx, 200, await intake.finish(tx))

    return routes
