"""Routes about payouts, payees, payment lists and reviews."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Literal, TypeVar
from uuid import UUID, uuid4

import asyncpg
from fastapi import Response
from pydantic import Field, ValidationError

from aidmesh_chassis.auth import Caller
from aidmesh_chassis.db import Tx
from aidmesh_chassis.http import CSV_ANSWER, Body, PageQuery, Routes
from aidmesh_chassis.idempotency import Once
from aidmesh_chassis.keys import PAYMENTS
from aidmesh_chassis.privacy import PersonalText
from aidmesh_chassis.routing import BulkRoute
from aidmesh_contracts.accounts import Mechanism
from aidmesh_contracts.days import EnteredDay, day_of
from aidmesh_contracts.ids import NeedId, PayeeRef, PayoutId
from aidmesh_payments.api import steps
from aidmesh_payments.api.answers_paying import PaymentListPage, PayoutPage, PayoutReviewPage
from aidmesh_payments.api.bulk import Bulk, RowBody
from aidmesh_payments.api.desk import (
    ROWS_MAX,
    Approver,
    Desk,
    Finance,
    Payer,
    Reader,
    ReadPage,
    Text,
    Worker,
    seen_by,
)
from aidmesh_payments.api.steps import ExportBody, ReasonBody, Take
from aidmesh_payments.domain.money import EXPONENTS
from aidmesh_payments.domain.payout import PayoutState, Verb
from aidmesh_payments.domain.settling import Unclear, paid_by
from aidmesh_payments.handlers import payees, payment_lists, payouts
from aidmesh_payments.handlers.payees import Payee
from aidmesh_payments.handlers.payouts import Step
from aidmesh_payments.problems import problem
from aidmesh_payments.store import erasure, late_cash
from aidmesh_payments.store import payees as payee_store
from aidmesh_payments.store import payouts as store
from aidmesh_payments.store.queries import payouts as queries
from aidmesh_payments.store.queries.rows import Row


class PayoutRow(RowBody):
    """A payout by its own id or by its need's."""

    payout_id: UUID | None = None
    need_id: UUID | None = None


R = TypeVar("R", bound=PayoutRow)


class SettledRow(PayoutRow):
    """A payout that was paid, as the bank or the cash desk says.

    A row by its need means the payout that was open on the day; it is rejected where that is not
    one.
    """

    bank_reference: Text
    served_on: EnteredDay | None = None


class ApproveBody(Body):
    """Many payouts to approve."""

    source: Text = "form"
    rows: Annotated[tuple[PayoutRow, ...], Field(min_length=1, max_length=ROWS_MAX)]


class SettleBody(Body):
    """Many payouts that were paid."""

    source: Text = "form"
    rows: Annotated[tuple[SettledRow, ...], Field(min_length=1, max_length=ROWS_MAX)]


class RedoBody(Body):
    """New payee details, where the old were wrong."""

    payee_ref: UUID | None = None


class PayeeBody(Body):
    """Who is paid for a need, and how. It is sealed before it is stored."""

    need_id: UUID
    mechanism: Mechanism
    legal_name: PersonalText
    iban: PersonalText | None = None
    card: PersonalText | None = None
    tax_number: PersonalText | None = None
    post_address: PersonalText | None = None


def router(desk: Desk) -> Routes:
    """The routes."""
    routes = Routes(prefix="/v1", tags=["payouts"])

    @routes.get("/payouts", response_model=PayoutPage)
    async def queue(
        caller: Reader, page: PageQuery, state: PayoutState = "draft"
    ) -> dict[str, object]:
        """Payouts in a state, the oldest first; of sensitive needs some see not what for."""
        read = _shown_to(caller, partial(queries.payouts, state=state))
        return await desk.page(page, "payouts", "recorded_at", read, {"link": "assigned_to"})

    @routes.get("/payouts/reviews", response_model=PayoutReviewPage)
    async def reviews(caller: Reader, page: PageQuery) -> dict[str, object]:
        """What one person paid alone or entered as given, and a second looks at, by urgency."""
        read = _shown_to(caller, queries.reviews)
        return await desk.page(page, "payouts", "review_due_at", read)

    @routes.post("/payouts/{payout_id}:review")
    async def review(payout_id: UUID, caller: Payer, once: Once) -> Response:
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            await payouts.review_one(tx, PayoutId(payout_id), caller.staff_id)
            return await once.answer(tx, 200, {"payout_id": payout_id})

    @routes.post("/payouts/{payout_id}:redo", status_code=201)
    async def redo(payout_id: UUID, body: RedoBody, caller: Finance, once: Once) -> Response:
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            drawn = await payouts.redo(
                desk.office,
                tx,
                PayoutId(payout_id),
                caller.staff_id,
                None if body.payee_ref is None else PayeeRef(body.payee_ref),
            )
            return await once.answer(tx, 201, {"payout_id": drawn})

    @routes.post("/payouts/{payout_id}:give-up")
    async def give_up(payout_id: UUID, caller: Finance, once: Once) -> Response:
        """Let go of the money of a rejected or returned payout; its need waits again."""
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            await payouts.give_up(desk.office, tx, PayoutId(payout_id))
            return await once.answer(tx, 200, {"payout_id": payout_id})

    @routes.post("/payouts/{payout_id}:reject")
    async def reject(payout_id: UUID, body: ReasonBody, caller: Finance, once: Once) -> Response:
        take = _taking(desk, "reject", caller)
        return await steps.take_one(desk, once, take, payout_id, body.reason)

    @routes.post("/payouts/{payout_id}:return")
    async def send_back(payout_id: UUID, body: ReasonBody, caller: Finance, once: Once) -> Response:
        """A settled payment came back: it is reversed, and its need is ready again."""
        take = _taking(desk, "return", caller)
        return await steps.take_one(desk, once, take, payout_id, body.reason)

    @routes.post("/payouts/{payout_id}:not-collected")
    async def not_collected(payout_id: UUID, caller: Payer, once: Once) -> Response:
        """Nobody came for this cash, or will: its money is free, and its need waits again.

        If it was fetched after all, settle it: that also works later.
        """
        take = _taking(desk, "not_collected", caller)
        return await steps.take_one(desk, once, take, payout_id)

    @routes.post("/payouts/{payout_id}:{verb}")
    async def step(
        payout_id: UUID, verb: Literal["accept", "cancel"], caller: Finance, once: Once
    ) -> Response:
        """The bank has it (`accept`); or it is stopped before it left (`cancel`).

        Cash that was handed over all the same is settled as ever, also later.
        """
        take = _taking(desk, verb, caller)
        return await steps.take_one(desk, once, take, payout_id)

    @routes.post("/payouts:export", status_code=201)
    async def export(body: ExportBody, caller: Finance, once: Once) -> Response:
        """Put approved payouts on a payment list; the list is read under `list.csv`."""
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            ids = await store.exportable(
                tx.conn, desk.office.region, body.currency, body.mechanism, body.rows_max
            )
            amounts = {row.id: row.payout.amount_minor for row in await store.find(tx.conn, ids)}
            take = _taking(desk, "export", caller)
            return await steps.export(tx, once, body, caller.staff_id, take, amounts, "payouts")

    @routes.get("/payout-batches", response_model=PaymentListPage)
    async def batches(caller: Reader, page: PageQuery) -> dict[str, object]:
        """Payment lists, the newest first."""
        return await desk.page(page, "batches", "exported_at", queries.batches)

    @routes.get(
        "/payout-batches/{batch_id}/list.csv", response_class=Response, responses=CSV_ANSWER
    )
    async def payment_list(batch_id: UUID, caller: Finance) -> Response:
        """The payment list with payees opened. Every reading is recorded."""
        async with desk.db.transaction() as tx:
            text = await payment_lists.payment_list(
                tx, desk.keys, batch_id, caller.staff_id, desk.payment_purpose, EXPONENTS
            )
        return Response(
            text,
            media_type="text/csv; charset=utf-8",
            headers={
                "Content-Disposition": f'attachment; filename="{batch_id}.csv"',
                "Cache-Control": "no-store",
            },
        )

    @routes.post("/payees", status_code=201)
    async def add_payee(body: PayeeBody, caller: Worker, once: Once) -> Response:
        try:
            payee = Payee(
                mechanism=body.mechanism,
                legal_name=body.legal_name,
                iban=body.iban,
                card=body.card,
                tax_number=body.tax_number,
                post_address=body.post_address,
            )
        except ValidationError:
            raise problem("payee-unusable", rule=f"{body.mechanism}_number") from None
        box = payees.sealed(payee, desk.keys.public(PAYMENTS))
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            need_id, payee_ref = NeedId(body.need_id), PayeeRef(uuid4())
            if await erasure.is_erased(tx.conn, need_id):
                raise problem("payee-erased")
            details = (payee_ref, need_id, body.mechanism, box, 0, caller.staff_id)
            await payee_store.put(tx.conn, [details])
            return await once.answer(tx, 201, {"payee_ref": payee_ref})

    return routes


def _shown_to(caller: Caller, read: ReadPage) -> ReadPage:
    """What reads rows about needs, as the caller may see them."""

    async def rows(
        conn: asyncpg.Connection, *, after: tuple[datetime, UUID] | None, limit: int
    ) -> list[Row]:
        return [seen_by(caller, row) for row in await read(conn, after=after, limit=limit)]

    return rows


def _taking(desk: Desk, verb: Verb, caller: Caller) -> Take:
    return partial(payouts.take_steps, desk.office, verb=verb, by=caller.staff_id)


def bulk_router(desk: Desk) -> Routes:
    """The routes that take many rows."""
    routes = Routes(prefix="/v1", tags=["payouts"], route_class=BulkRoute)

    @routes.post("/payouts:approve")
    async def approve(body: ApproveBody, caller: Approver, once: Once) -> Response:
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            bulk = await Bulk.begin(tx, "approvals", body.source, body.rows)
            wanted = await _payouts(tx, bulk)
            named = {place: Step(payout_id) for place, payout_id in wanted.items()}
            await steps.take_rows(tx, bulk, _taking(desk, "approve", caller), named)
            return await once.answer(tx, 200, await bulk.finish(tx))

    @routes.post("/payouts:settle")
    async def settle(body: SettleBody, caller: Payer, once: Once) -> Response:
        """Payments that were made: a reconciliation file that comes twice counts once.

        Cash that had been given up is recorded all the same, and its need is served by it.
        """
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            bulk = await Bulk.begin(tx, "settlements", body.source, body.rows)
            wanted = await _paid(tx, bulk)
            paid = {
                place: Step(
                    payout_id,
                    bank_reference=bulk.fresh[place].bank_reference,
                    settled_on=bulk.fresh[place].served_on,
                )
                for place, payout_id in wanted.items()
            }
            await steps.take_rows(tx, bulk, _taking(desk, "settle", caller), paid)
            return await once.answer(tx, 200, await bulk.finish(tx))

    return routes


async def _payouts(tx: Tx, bulk: Bulk[PayoutRow]) -> Mapping[int, PayoutId]:
    """Find the payout of each new row that is not over."""
    live = await store.live_of_needs(tx.conn, _needs_of(bulk))
    return _found(bulk, lambda row, need_id: live.get(need_id, Unclear.NONE))


async def _paid(tx: Tx, bulk: Bulk[SettledRow]) -> Mapping[int, PayoutId]:
    """Find the payout by which each new row says that somebody was paid."""
    candidates = await late_cash.candidates_of_needs(tx.conn, _needs_of(bulk))
    today = day_of(tx.now)
    return _found(
        bulk, lambda row, need_id: paid_by(candidates.get(need_id, ()), row.served_on or today)
    )


def _needs_of(bulk: Bulk[R]) -> Sequence[NeedId]:
    return [NeedId(row.need_id) for row in bulk.fresh.values() if row.need_id is not None]


def _found(
    bulk: Bulk[R], of_need: Callable[[R, NeedId], PayoutId | Unclear]
) -> Mapping[int, PayoutId]:
    """The payout of each new row; rows that name none are rejected."""
    found: dict[int, PayoutId] = {}
    for place, row in bulk.fresh.items():
        payout_id: PayoutId | Unclear = Unclear.NONE
        if row.payout_id is not None:
            payout_id = PayoutId(row.payout_id)
        elif row.need_id is not None:
            payout_id = of_need(row, NeedId(row.need_id))
        if isinstance(payout_id, Unclear):
            bulk.reject(place, payout_id)
        else:
            found[place] = payout_id
    return found
