"""Routes about commitments, discrepancies, purchases and the ledger."""

from datetime import date, datetime
from functools import partial
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import Query, Response
from pydantic import Field, TypeAdapter

from aidmesh_chassis.http import Body, PageQuery, Routes
from aidmesh_chassis.idempotency import Once
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_contracts.days import EnteredDay, day_of
from aidmesh_contracts.ids import AllotmentId, CommitmentId, GrantId, NeedId, PurchaseId
from aidmesh_contracts.values import Area, Code
from aidmesh_payments.api.answers_spending import (
    AccountPage,
    BillPage,
    DiscrepancyPage,
    JournalPage,
    OfNeed,
    Purchase,
    PurchasePage,
)
from aidmesh_payments.api.desk import (
    Approver,
    Desk,
    Finance,
    Minor,
    Payer,
    Reader,
    Text,
    Worker,
    seen_by,
)
from aidmesh_payments.domain.purchase import Line, PurchaseState
from aidmesh_payments.handlers import bills, commitments, purchases
from aidmesh_payments.handlers.purchases import Wish
from aidmesh_payments.store.queries import payouts as payout_queries
from aidmesh_payments.store.queries import spending as queries

_AFTER: TypeAdapter[tuple[datetime, UUID]] = TypeAdapter(tuple[datetime, UUID])
_ACCOUNT: TypeAdapter[tuple[str, UUID]] = TypeAdapter(tuple[str, UUID])


class BillBody(Body):
    """What a provider really charges."""

    amount_minor: Minor
    reason: Code = "bill"


class SettleBody(Body):
    """How a discrepancy was settled: booked on an allotment, or not to be booked."""

    allotment_id: UUID | None = None
    note: Text


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


class InvoiceBody(Body):
    """The supplier's bill."""

    amount_minor: Minor
    reference: Text


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
    """The routes about commitments, discrepancies and the ledger."""
    routes = Routes(prefix="/v1", tags=["spending"])

    @routes.get("/needs/{need_id}/commitment", response_model=OfNeed)
    async def of_need(need_id: UUID, caller: Worker) -> dict[str, object]:
        """What was committed for a need; of a sensitive one, to some, not what for."""
        async with desk.db.read() as conn:
            made = await queries.commitments_of(conn, NeedId(need_id))
            refused = await queries.refusal_of(conn, NeedId(need_id))
            drawn = await payout_queries.of_need(conn, NeedId(need_id))
        return {
            "commitments": [seen_by(caller, each) for each in made],
            "refused": None if refused is None else seen_by(caller, refused),
            "payouts": drawn,
        }

    @routes.post("/commitments/{commitment_id}:bill")
    async def bill(commitment_id: UUID, body: BillBody, caller: Finance, once: Once) -> Response:
        """Spending less than committed releases the rest; more takes free money.

        Above the float limit it waits until somebody else approves it (`waits`), and takes the
        place of a bill that waited.
        """
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            bill_id = uuid4()
            entered = await bills.enter(
                desk.office,
                tx,
                bill_id,
                CommitmentId(commitment_id),
                body.amount_minor,
                body.reason,
                caller.staff_id,
            )
            waits = entered.state == "waiting"
            return await once.answer(
                tx, 200, {"commitment_id": commitment_id, "bill_id": bill_id, "waits": waits}
            )

    @routes.get("/bills", response_model=BillPage)
    async def waiting_bills(caller: Reader, page: PageQuery) -> dict[str, object]:
        """Bills of providers that wait for a second person, oldest first."""
        async with desk.db.read() as conn:
            rows = await queries.bills(conn, page.after(_AFTER), page.limit + 1)
        kept, following = page.cut(rows, lambda row: (row["recorded_at"], row["id"]))
        return {"bills": [seen_by(caller, each) for each in kept], "next": following}

    @routes.post("/bills/{bill_id}:approve")
    async def approve_bill(bill_id: UUID, caller: Payer, once: Once) -> Response:
        """Have a bill charged that somebody else entered."""
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            await bills.approve(desk.office, tx, bill_id, caller.staff_id)
            return await once.answer(tx, 200, {"bill_id": bill_id})

    @routes.post("/bills/{bill_id}:withdraw")
    async def withdraw_bill(bill_id: UUID, caller: Payer, once: Once) -> Response:
        """It was entered wrong: nothing is charged for it."""
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            await bills.withdraw(tx, bill_id, caller.staff_id)
            return await once.answer(tx, 200, {"bill_id": bill_id})

    @routes.get("/discrepancies", response_model=DiscrepancyPage)
    async def discrepancies(caller: Reader, page: PageQuery) -> dict[str, object]:
        """Facts that do not fit the books, oldest first; some see not what they are for."""
        async with desk.db.read() as conn:
            rows = await queries.discrepancies(conn, page.after(_AFTER), page.limit + 1)
        kept, following = page.cut(rows, lambda row: (row["opened_at"], row["id"]))
        return {"discrepancies": [seen_by(caller, each) for each in kept], "next": following}

    @routes.post("/discrepancies/{discrepancy_id}:settle")
    async def settle(
        discrepancy_id: UUID, body: SettleBody, caller: Approver, once: Once
    ) -> Response:
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            await commitments.settle_discrepancy(
                desk.office,
                tx,
                discrepancy_id,
                None if body.allotment_id is None else AllotmentId(body.allotment_id),
                caller.staff_id,
                body.note,
            )
            return await once.answer(tx, 200, {"discrepancy_id": discrepancy_id})

    @routes.get("/accounts", response_model=AccountPage)
    async def accounts(
        caller: Reader, page: PageQuery, grant_id: UUID | None = None
    ) -> dict[str, object]:
        """Accounts with their balances, by code."""
        async with desk.db.read() as conn:
            rows = await queries.accounts(
                conn,
                None if grant_id is None else GrantId(grant_id),
                page.after(_ACCOUNT),
                page.limit + 1,
            )
        kept, following = page.cut(rows, lambda row: (row["code"], row["id"]))
        return {"accounts": kept, "next": following}

    @routes.get("/ledger", response_model=JournalPage)
    async def ledger(
        caller: Reader,
        page: PageQuery,
        grant_id: UUID | None = None,
        first_on: Annotated[EnteredDay | None, Query(alias="from")] = None,
        last_on: Annotated[EnteredDay | None, Query(alias="to")] = None,
    ) -> dict[str, object]:
        """Journals with their postings, by when they were recorded.

        Of spending for sensitive needs some see the amount and the day, not the grant.
        """
        async with desk.db.read() as conn:
            rows = await queries.journals(
                conn,
                None if grant_id is None else GrantId(grant_id),
                (first_on or date.min, last_on or date.max),
                page.after(_AFTER),
                page.limit + 1,
                sensitive_too=caller.sees_sensitive,
            )
        journals: dict[object, dict[str, object]] = {}
        postings: dict[object, list[dict[str, object]]] = {}
        for row in rows:
            journals.setdefault(
                row["id"],
                {
                    name: row[name]
                    for name in ("id", "kind", "occurred_on", "recorded_at", "reference", "reason")
                },
            )
            postings.setdefault(row["id"], []).append(
                {
                    name: row[name]
                    for name in (
                        "account",
                        "grant_id",
                        "allotment_id",
                        "currency",
                        "amount_minor",
                    )
                }
            )
        kept, following = page.cut(
            list(journals.values()), lambda row: (row["recorded_at"], row["id"])
        )
        return {
            "journals": [{**row, "postings": postings[row["id"]]} for row in kept],
            "next": following,
        }

    return routes


def purchase_router(desk: Desk) -> Routes:
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
