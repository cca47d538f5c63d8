"""Routes about what other regions have this office pay."""

from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import Response
from pydantic import Field

from aidmesh_chassis.auth import Caller
from aidmesh_chassis.http import Body, PageQuery, Routes
from aidmesh_chassis.idempotency import Once
from aidmesh_chassis.routing import BulkRoute
from aidmesh_contracts.days import EnteredDay
from aidmesh_contracts.ids import PayoutId
from aidmesh_payments.api import steps
from aidmesh_payments.api.answers_paying import OrderPage, OrderReviewPage
from aidmesh_payments.api.bulk import Bulk, RowBody
from aidmesh_payments.api.desk import ROWS_MAX, Desk, Finance, Payer, Reader, Text
from aidmesh_payments.api.steps import ExportBody, ReasonBody, Take
from aidmesh_payments.domain.orders import OrderState, OrderVerb
from aidmesh_payments.handlers import orders
from aidmesh_payments.handlers.payouts import Step
from aidmesh_payments.store import orders as store
from aidmesh_payments.store.queries import orders as queries


class OrderRow(RowBody):
    """An order that was paid, as the bank says; its id is that of the payout."""

    payout_id: UUID
    bank_reference: Text
    served_on: EnteredDay | None = None


class SettleOrdersBody(Body):
    """Many orders that were paid."""

    source: Text = "form"
    rows: Annotated[tuple[OrderRow, ...], Field(min_length=1, max_length=ROWS_MAX)]


def router(desk: Desk) -> Routes:
    """The routes."""
    routes = Routes(prefix="/v1", tags=["paying orders"])

    @routes.get("/paying-orders", response_model=OrderPage)
    async def queue(
        caller: Reader, page: PageQuery, state: OrderState = "received"
    ) -> dict[str, object]:
        """What other regions have this office pay, oldest first; not all see of which grant."""
        read = partial(queries.orders, state=state, sensitive_too=caller.sees_sensitive)
        return await desk.page(page, "orders", "recorded_at", read, {"link": "region"})

    @routes.get("/paying-orders/reviews", response_model=OrderReviewPage)
    async def reviews(caller: Reader, page: PageQuery) -> dict[str, object]:
        """What one person paid alone and a second has to look at, most urgent first."""
        links = {"link": "region"}
        return await desk.page(page, "orders", "review_due_at", queries.reviews, links)

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
            amounts = {
                row.id: row.order.amount_minor or 0
                for row in (await store.lock(tx.conn, region, ids)).values()
            }
            take = _taking(desk, "export", caller)
            return await steps.export(tx, once, body, caller.staff_id, take, amounts, "orders")

    @routes.post("/paying-orders/{payout_id}:reject")
    async def reject(payout_id: UUID, body: ReasonBody, caller: Finance, once: Once) -> Response:
        """The bank did not carry it out; its region draws it up again or lets go."""
        take = _taking(desk, "reject", caller)
        return await steps.take_one(desk, once, take, payout_id, body.reason)

    @routes.post("/paying-orders/{payout_id}:return")
    async def send_back(payout_id: UUID, body: ReasonBody, caller: Finance, once: Once) -> Response:
        """A settled payment came back."""
        take = _taking(desk, "return", caller)
        return await steps.take_one(desk, once, take, payout_id, body.reason)

    @routes.post("/paying-orders/{payout_id}:review")
    async def review(payout_id: UUID, caller: Payer, once: Once) -> Response:
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            await orders.review_one(desk.office, tx, PayoutId(payout_id), caller.staff_id)
            return await once.answer(tx, 200, {"payout_id": payout_id})

    return routes


def _taking(desk: Desk, verb: OrderVerb, caller: Caller) -> Take:
    return partial(orders.take_steps, desk.office, verb=verb, by=caller.staff_id)


def bulk_router(desk: Desk) -> Routes:
    """The route that takes many rows."""
    routes = Routes(prefix="/v1", tags=["paying orders"], route_class=BulkRoute)

    @routes.post("/paying-orders:settle")
    async def settle(body: SettleOrdersBody, caller: Payer, once: Once) -> Response:
        """Payments that were made for other regions; a file that comes twice counts once."""
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            bulk = await Bulk.begin(tx, "order_settlements", body.source, body.rows)
            paid = {
                place: Step(
                    PayoutId(row.payout_id),
                    bank_reference=row.bank_reference,
                    settled_on=row.served_on,
                )
                for place, row in bulk.fresh.items()
            }
            await steps.take_rows(tx, bulk, _taking(desk, "settle", caller), paid)
            return await once.answer(tx, 200, await bulk.finish(tx))

    return routes
