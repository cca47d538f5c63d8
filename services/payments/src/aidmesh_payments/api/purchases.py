"""Routes about purchases, from what is wished for to what is paid."""

from datetime import datetime
from functools import partial
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import Query, Response
from pydantic import Field, TypeAdapter

from aidmesh_chassis.http import Body, PageQuery, Routes
from aidmesh_chassis.idempotency import Once
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_contracts.days import EnteredDay, day_of
from aidmesh_contracts.ids import AllotmentId, PurchaseId
from aidmesh_contracts.values import Area, Code
from aidmesh_payments.api.answers_spending import Purchase, PurchasePage
from aidmesh_payments.api.desk import Desk, Finance, Minor, Payer, Reader, Text
from aidmesh_payments.domain.purchase import Line, PurchaseState
from aidmesh_payments.handlers import purchases
from aidmesh_payments.handlers.purchases import Wish
from aidmesh_payments.store.queries import spending as queries

_AFTER: TypeAdapter[tuple[datetime, UUID]] = TypeAdapter(tuple[datetime, UUID])


class PurchaseLineBody(Body):
    """Pieces of an item; without `item` a service or cost such as rent."""

    item: Code | None = None
    description: Text
    quantity: int = Field(gt=0, le=10**9)
    unit_value_minor: int = Field(ge=0, le=10**12)


class PurchaseBody(Body):
    """What is to be bought from which allotment."""

    allotment_id: UUID
    supplier: Text
    cost_category: Code
    programme: Code
    area: Area
    planned_on: EnteredDay | None = None
    lines: Annotated[tuple[PurchaseLineBody, ...], Field(min_length=1, max_length=200)]


class PriceBody(Body):
    """What one piece costs by the bill; `line` is a line of goods, counted from 1."""

    line: int = Field(ge=1, le=200)
    unit_value_minor: int = Field(ge=0, le=10**12)


class InvoiceBody(Body):
    """The supplier's bill.

    Attributes:
        prices: of lines whose goods cost another price than was ordered; all others cost what was
            ordered. Where it is left out, a correction leaves what was entered.
    """

    amount_minor: Minor
    reference: Text
    prices: Annotated[tuple[PriceBody, ...], Field(max_length=200)] | None = None

    @property
    def by_line(self) -> dict[int, int] | None:
        """The prices by line; of a line that is named twice the last one."""
        if self.prices is None:
            return None
        return {each.line: each.unit_value_minor for each in self.prices}


class CorrectBillBody(InvoiceBody):
    """The supplier's bill as it should have been entered, and why it was not."""

    reason: Code


class ReverseBody(Body):
    """Why it is undone; a code."""

    reason: Code


class ReversePaymentBody(ReverseBody):
    """Why a payment is undone; a code.

    Attributes:
        came_back_on: the day on which the supplier gave the money back; none where it was entered
            wrong, or never left.
    """

    came_back_on: EnteredDay | None = None


class CancelBody(Body):
    """Why a purchase is given up; a code, kept where it was said to have come or was billed."""

    reason: Code = "cancelled"


class PayBody(Body):
    """A payment to the supplier."""

    bank_reference: Text
    paid_on: EnteredDay | None = None


def router(desk: Desk) -> Routes:
    """The routes about purchases."""
    routes = Routes(prefix="/v1", tags=["purchases"])

    @routes.get("/purchases", response_model=PurchasePage)
    async def list_purchases(
        caller: Reader,
        page: PageQuery,
        state: Annotated[list[PurchaseState] | None, Query(max_length=6)] = None,
    ) -> dict[str, object]:
        """Purchases, oldest first; of some states or of all."""
        read = partial(queries.purchases, states=state)
        return await desk.page(page, "purchases", "recorded_at", read)

    @routes.get("/purchases/{purchase_id}", response_model=Purchase)
    async def show(purchase_id: UUID, caller: Reader) -> dict[str, object]:
        """A purchase with its lines, and what was put right in it."""
        async with desk.db.read() as conn:
            found = await queries.purchase(conn, purchase_id)
        if found is None:
            raise Problem(NOT_FOUND)
        return found

    @routes.post("/purchases", status_code=201)
    async def draw_up(body: PurchaseBody, caller: Finance, once: Once) -> Response:
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            purchase_id = PurchaseId(uuid4())
            await purchases.draw_up(
                desk.office,
                tx,
                purchase_id,
                Wish(
                    allotment_id=AllotmentId(body.allotment_id),
                    supplier=body.supplier,
                    cost_category=body.cost_category,
                    programme=body.programme,
                    area=body.area,
                    planned_on=body.planned_on or day_of(tx.now),
                    lines=tuple(
                        Line(line.item, line.description, line.quantity, line.unit_value_minor)
                        for line in body.lines
                    ),
                ),
                caller.staff_id,
            )
            return await once.answer(
                tx,
                201,
                {"purchase_id": purchase_id},
                location=f"/v1/purchases/{purchase_id}",
            )

    @routes.post("/purchases/{purchase_id}:order")
    async def order(purchase_id: UUID, caller: Payer, once: Once) -> Response:
        """Approve and order; above the float limit not by who drew it up."""
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            await purchases.order(desk.office, tx, PurchaseId(purchase_id), caller.staff_id)
            return await once.answer(tx, 200, {"purchase_id": purchase_id})

    @routes.post("/purchases/{purchase_id}:receive")
    async def receive(purchase_id: UUID, caller: Finance, once: Once) -> Response:
        """Say that all has come: for services, or when the rest of the goods will not."""
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            await purchases.receive(desk.office, tx, PurchaseId(purchase_id))
            return await once.answer(tx, 200, {"purchase_id": purchase_id})

    @routes.post("/purchases/{purchase_id}:invoice")
    async def invoice(
        purchase_id: UUID, body: InvoiceBody, caller: Finance, once: Once
    ) -> Response:
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            await purchases.invoice(
                desk.office,
                tx,
                PurchaseId(purchase_id),
                caller.staff_id,
                body.amount_minor,
                body.reference,
                body.by_line,
            )
            return await once.answer(tx, 200, {"purchase_id": purchase_id})

    @routes.post("/purchases/{purchase_id}:pay")
    async def pay(purchase_id: UUID, body: PayBody, caller: Payer, once: Once) -> Response:
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            await purchases.pay(
                desk.office,
                tx,
                PurchaseId(purchase_id),
                caller.staff_id,
                body.bank_reference,
                body.paid_on,
            )
            return await once.answer(tx, 200, {"purchase_id": purchase_id})

    @routes.post("/purchases/{purchase_id}:correct-bill")
    async def correct_bill(
        purchase_id: UUID, body: CorrectBillBody, caller: Finance, once: Once
    ) -> Response:
        """Put a bill right before it is paid; what stood there before is kept."""
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            await purchases.correct_bill(
                desk.office,
                tx,
                PurchaseId(purchase_id),
                caller.staff_id,
                body.amount_minor,
                body.reference,
                body.reason,
                body.by_line,
            )
            return await once.answer(tx, 200, {"purchase_id": purchase_id})

    @routes.post("/purchases/{purchase_id}:reverse-payment")
    async def reverse_payment(
        purchase_id: UUID, body: ReversePaymentBody, caller: Payer, once: Once
    ) -> Response:
        """Undo a payment; above the float limit not by who paid. Then the bill is open again.

        It counts for the day on which the money came back, or else for that of the payment.
        """
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            await purchases.reverse_payment(
                desk.office,
                tx,
                PurchaseId(purchase_id),
                caller.staff_id,
                body.reason,
                body.came_back_on,
            )
            return await once.answer(tx, 200, {"purchase_id": purchase_id})

    @routes.post("/purchases/{purchase_id}:cancel")
    async def cancel(
        purchase_id: UUID, caller: Finance, once: Once, body: CancelBody | None = None
    ) -> Response:
        """Give up what is not paid, while nothing of it was counted in; its money is free again."""
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            await purchases.cancel(
                desk.office,
                tx,
                PurchaseId(purchase_id),
                caller.staff_id,
                (body or CancelBody()).reason,
            )
            return await once.answer(tx, 200, {"purchase_id": purchase_id})

    return routes
