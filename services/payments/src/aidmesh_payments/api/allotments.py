"""Routes about allotments: making, raising, recalling and returning them."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import Response
from pydantic import Field, TypeAdapter

from aidmesh_chassis.http import Body, PageQuery, Routes
from aidmesh_chassis.idempotency import Once
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_contracts.days import EnteredDay, day_of
from aidmesh_contracts.ids import AllotmentId, GrantId, TransferId
from aidmesh_contracts.values import Code, Currency, Region
from aidmesh_payments.api.answers import Regions
from aidmesh_payments.api.answers_grants import AllotmentRequestPage, HoldingPage
from aidmesh_payments.api.desk import Approver, Desk, Finance, Lead, Minor, Reader, Text
from aidmesh_payments.domain.grants import Override
from aidmesh_payments.domain.money import Rate
from aidmesh_payments.handlers import allotting, holding
from aidmesh_payments.handlers.allotting import Order
from aidmesh_payments.handlers.office import check_region
from aidmesh_payments.problems import problem
from aidmesh_payments.store import granted
from aidmesh_payments.store import grants as store
from aidmesh_payments.store.queries import grants as queries

_ID: TypeAdapter[UUID] = TypeAdapter(UUID)
_ASKED: TypeAdapter[tuple[datetime, UUID]] = TypeAdapter(tuple[datetime, UUID])


class AllotmentBody(Body):
    """Money from a budget line to a region, in the currency it will be spent in.

    Without `rate` the newest one kept is taken; a grant in the same currency needs none.
    `over_line_reason` asks a second person to let the budget line be exceeded.
    """

    grant_id: UUID
    budget_line: Code
    to_region: Region | None = None
    amount_minor: Minor
    currency: Currency
    rate: Annotated[str, Field(pattern=r"^[0-9]{1,9}(\.[0-9]{1,9})?$")] | None = None
    rate_on: EnteredDay | None = None
    rate_source: Text | None = None
    valid_until: EnteredDay | None = None
    over_line_reason: Text | None = None


class RaiseBody(Body):
    """More money for an allotment that is there."""

    amount_minor: Minor
    rate: Annotated[str, Field(pattern=r"^[0-9]{1,9}(\.[0-9]{1,9})?$")] | None = None
    rate_on: EnteredDay | None = None
    rate_source: Text | None = None


class RecallBody(Body):
    """Why it is asked back."""

    reason: Code


class ReturnBody(Body):
    """Free money that is not needed."""

    amount_minor: Minor


def _rate(text: str | None, on: date | None, source: str | None, today: date) -> Rate | None:
    if text is None:
        return None
    try:
        return Rate(text, on or today, source or "entered")
    except ValueError:
        raise problem("rate-unfit") from None


def router(desk: Desk) -> Routes:
    """The routes."""
    routes = Routes(prefix="/v1", tags=["allotments"])

    @routes.get("/regions", response_model=Regions)
    async def list_regions(caller: Reader, page: PageQuery) -> dict[str, object]:
        """Whom money may be allotted to: the own region, and those that it is linked with."""
        known = desk.office.regions()
        if known is None:
            raise problem("regions-not-known-yet")
        kept, following = page.of(known, lambda name: (name,))
        return {"region": desk.office.region, "regions": kept, "next": following}

    @routes.get("/allotments", response_model=HoldingPage)
    async def list_allotments(
        caller: Reader, page: PageQuery, holder: Region | None = None
    ) -> dict[str, object]:
        """Allotments known here, by id, of one holder or all; others' as they last told."""
        async with desk.db.read() as conn:
            rows = await queries.holdings(
                conn, desk.office.region, holder, page.after(_ID), page.limit + 1
            )
        kept, following = page.cut(rows, lambda row: row["allotment_id"])
        return {
            "region": desk.office.region,
            "allotments": desk.with_links(kept),
            "next": following,
        }

    @routes.post("/allotments", status_code=201)
    async def make(body: AllotmentBody, caller: Finance, once: Once) -> Response:
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            today = day_of(tx.now)
            order = Order(
                allotment_id=AllotmentId(uuid4()),
                transfer_id=TransferId(uuid4()),
                grant_id=GrantId(body.grant_id),
                budget_line=body.budget_line,
                to_region=body.to_region or desk.office.region,
                amount_minor=body.amount_minor,
                currency=body.currency,
                rate=_rate(body.rate, body.rate_on, body.rate_source, today),
                valid_until=body.valid_until,
            )
            check_region(desk.office, order.to_region)
            if body.over_line_reason is not None:
                request_id = uuid4()
                if await store.terms(tx.conn, order.grant_id) is None:
                    raise Problem(NOT_FOUND)
                await granted.ask_override(
                    tx.conn,
                    request_id,
                    order.grant_id,
                    order.model_dump_json(),
                    body.over_line_reason,
                    caller.staff_id,
                )
                return await once.answer(tx, 202, {"request_id": request_id})
            await allotting.allot(desk.office, tx, order, caller.staff_id)
            return await once.answer(
                tx,
                201,
                {"allotment_id": order.allotment_id, "transfer_id": order.transfer_id},
            )

    @routes.post("/allotments/{allotment_id}:raise")
    async def raise_it(
        allotment_id: UUID, body: RaiseBody, caller: Finance, once: Once
    ) -> Response:
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            made = await granted.allotment(tx.conn, AllotmentId(allotment_id))
            if made is None:
                raise Problem(NOT_FOUND)
            order = Order(
                allotment_id=made.id,
                transfer_id=TransferId(uuid4()),
                grant_id=made.grant_id,
                budget_line=made.budget_line,
                to_region=made.holder,
                amount_minor=body.amount_minor,
                currency=made.currency,
                rate=_rate(body.rate, body.rate_on, body.rate_source, day_of(tx.now)),
                valid_until=made.valid_until,
            )
            await allotting.allot(desk.office, tx, order, caller.staff_id)
            return await once.answer(
                tx, 200, {"allotment_id": made.id, "transfer_id": order.transfer_id}
            )

    @routes.post("/allotments/{allotment_id}:recall")
    async def recall(allotment_id: UUID, body: RecallBody, caller: Lead, once: Once) -> Response:
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            await allotting.recall(desk.office, tx, AllotmentId(allotment_id), body.reason)
            return await once.answer(tx, 200, {"allotment_id": allotment_id})

    @routes.post("/allotments/{allotment_id}:return")
    async def give_back(
        allotment_id: UUID, body: ReturnBody, caller: Finance, once: Once
    ) -> Response:
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            await holding.give_back(desk.office, tx, AllotmentId(allotment_id), body.amount_minor)
            return await once.answer(tx, 200, {"allotment_id": allotment_id})

    @routes.get("/allotment-requests", response_model=AllotmentRequestPage)
    async def list_requests(caller: Reader, page: PageQuery) -> dict[str, object]:
        """What waits for a second person, oldest first."""
        async with desk.db.read() as conn:
            rows = await queries.requests(conn, page.after(_ASKED), page.limit + 1)
        kept, following = page.cut(rows, lambda row: (row["asked_at"], row["id"]))
        return {"requests": kept, "next": following}

    @routes.post("/allotment-requests/{request_id}:approve")
    async def approve(request_id: UUID, caller: Approver, once: Once) -> Response:
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            asked = await granted.lock_request(tx.conn, request_id)
            if asked is None:
                raise Problem(NOT_FOUND)
            if asked.state != "asked":
                raise problem("wrong-state")
            if asked.maker == caller.staff_id:
                raise problem("second-person-needed")
            order = Order.model_validate_json(asked.order_json)
            await allotting.allot(
                desk.office, tx, order, asked.maker, Override(caller.staff_id, asked.reason)
            )
            await granted.decide_request(
                tx.conn, request_id, "approved", caller.staff_id, order.allotment_id
            )
            return await once.answer(tx, 200, {"allotment_id": order.allotment_id})

    @routes.post("/allotment-requests/{request_id}:refuse")
    async def refuse(request_id: UUID, caller: Approver, once: Once) -> Response:
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            asked = await granted.lock_request(tx.conn, request_id)
            if asked is None:
                raise Problem(NOT_FOUND)
            if asked.state != "asked":
                raise problem("wrong-state")
            await granted.decide_request(tx.conn, request_id, "refused", caller.staff_id, None)
            return await once.answer(tx, 200, {"request_id": request_id})

    return routes
