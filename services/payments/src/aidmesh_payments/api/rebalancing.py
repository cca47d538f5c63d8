"""Routes about money that is to move from one holder to another."""

from typing import Final, Literal
from uuid import UUID, uuid4

from fastapi import Response
from pydantic import Field

from aidmesh_chassis.http import Body, PageQuery, Routes
from aidmesh_chassis.idempotency import Once
from aidmesh_contracts.ids import AllotmentId, RebalancingId
from aidmesh_contracts.values import Code, Region
from aidmesh_payments.api.answers import RebalancingPage, ReturnAskPage
from aidmesh_payments.api.desk import Approver, Desk, Finance, Minor, Payer, Reader
from aidmesh_payments.handlers import rebalancing, return_asks
from aidmesh_payments.store.queries import rebalancing as queries

_STEPS: Final = {
    "withdraw": rebalancing.withdraw,
    "retry": rebalancing.retry,
    "keep": rebalancing.keep,
}


class ProposalBody(Body):
    """Free money of an allotment that another region would need more.

    Attributes:
        amount_minor: at most so much, in the currency of spending.
        days: how long the holder has to consent.
    """

    allotment_id: UUID
    to_region: Region
    amount_minor: Minor
    reason: Code
    days: int = Field(default=14, ge=1, le=90)


class PrepareBody(Body):
    """How much of what is proposed can go back; all of it if nothing is said."""

    amount_minor: Minor | None = None


class DeclineBody(Body):
    """Why the money stays."""

    reason: Code


def router(desk: Desk) -> Routes:
    """The routes."""
    routes = Routes(prefix="/v1", tags=["rebalancing"])

    @routes.get("/rebalancings", response_model=RebalancingPage)
    async def list_proposals(caller: Reader, page: PageQuery) -> dict[str, object]:
        """What this region proposed to holders of its grants, the newest first.

        `as_of` and `link` are those of the holder, `to_link` is that of the region it goes on to.
        """
        links = {"link": "holder", "to_link": "to_region"}
        return await desk.page(page, "rebalancings", "proposed_at", queries.proposals, links)

    @routes.post("/rebalancings", status_code=201)
    async def propose(body: ProposalBody, caller: Finance, once: Once) -> Response:
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            rebalancing_id = RebalancingId(uuid4())
            await rebalancing.propose(
                desk.office,
                tx,
                rebalancing_id,
                AllotmentId(body.allotment_id),
                body.to_region,
                body.amount_minor,
                body.reason,
                body.days,
                caller.staff_id,
            )
            return await once.answer(tx, 201, {"rebalancing_id": rebalancing_id})

    @routes.post("/rebalancings/{rebalancing_id}:sign")
    async def sign(rebalancing_id: UUID, caller: Approver, once: Once) -> Response:
        """Let the money go on once it is back; never by whoever proposed it."""
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            await rebalancing.sign(desk.office, tx, RebalancingId(rebalancing_id), caller.staff_id)
            return await once.answer(tx, 200, {"rebalancing_id": rebalancing_id})

    @routes.post("/rebalancings/{rebalancing_id}:{verb}")
    async def step(
        rebalancing_id: UUID,
        verb: Literal["withdraw", "retry", "keep"],
        caller: Finance,
        once: Once,
    ) -> Response:
        """Withdraw it, try again to pass the money on, or leave in the grant what came back."""
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            await _STEPS[verb](desk.office, tx, RebalancingId(rebalancing_id))
            return await once.answer(tx, 200, {"rebalancing_id": rebalancing_id})

    return routes


def ask_router(desk: Desk) -> Routes:
    """The routes of whoever holds the money."""
    routes = Routes(prefix="/v1", tags=["rebalancing"])

    @routes.get("/return-asks", response_model=ReturnAskPage)
    async def list_asks(caller: Reader, page: PageQuery) -> dict[str, object]:
        """What grantors ask of this region's money, and would send here; the newest first.

        `as_of` and `link` are those of the grantor.
        """
        return await desk.page(page, "asks", "heard_at", queries.asks, {"link": "grantor"})

    @routes.post("/return-asks/{rebalancing_id}:prepare")
    async def prepare(
        rebalancing_id: UUID, body: PrepareBody, caller: Finance, once: Once
    ) -> Response:
        """Prepare the return; another person has to consent to it."""
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            await return_asks.prepare(
                desk.office,
                tx,
                RebalancingId(rebalancing_id),
                body.amount_minor,
                caller.staff_id,
            )
            return await once.answer(tx, 200, {"rebalancing_id": rebalancing_id})

    @routes.post("/return-asks/{rebalancing_id}:consent")
    async def consent(rebalancing_id: UUID, caller: Approver, once: Once) -> Response:
        """Let what was prepared go back; never by whoever prepared it."""
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            await return_asks.consent(
                desk.office, tx, RebalancingId(rebalancing_id), caller.staff_id
            )
            return await once.answer(tx, 200, {"rebalancing_id": rebalancing_id})

    @routes.post("/return-asks/{rebalancing_id}:decline")
    async def decline(
        rebalancing_id: UUID, body: DeclineBody, caller: Payer, once: Once
    ) -> Response:
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            await return_asks.decline(
                desk.office, tx, RebalancingId(rebalancing_id), body.reason, caller.staff_id
            )
            return await once.answer(tx, 200, {"rebalancing_id": rebalancing_id})

    return routes
