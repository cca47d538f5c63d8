"""Routes that put right what was entered of grants, or is not so any more."""

from typing import Annotated
from uuid import UUID, uuid4

from fastapi import Response
from pydantic import Field

from aidmesh_chassis.http import Body, Routes
from aidmesh_chassis.idempotency import Once
from aidmesh_contracts.days import EnteredDay
from aidmesh_contracts.ids import GrantId
from aidmesh_contracts.values import Code
from aidmesh_payments.api.desk import Desk, Finance, Lead, Minor, Text, moved_on
from aidmesh_payments.handlers import correcting, grants
from aidmesh_payments.handlers.correcting import Amendment


class ReasonBody(Body):
    """Why."""

    reason: Text


class LineAmountBody(Body):
    """What a budget line promises now, in the grant's currency."""

    code: Code
    amount_minor: Minor


class AmendBody(Body):
    """What a donor changed in a grant; what is left out stays. Overhead keeps its rate.

    Attributes:
        terms_version: that somebody looked at when they decided; refused if it is another by now.
    """

    amount_minor: Minor | None = None
    period_to: EnteredDay | None = None
    budget_lines: Annotated[tuple[LineAmountBody, ...], Field(max_length=200)] = ()
    reason: Text
    terms_version: Annotated[int, Field(ge=1)] | None = None


class LessBody(Body):
    """A donor does not want so much back after all."""

    amount_minor: Minor
    reason: Text
    on: EnteredDay | None = None


class NotRefundedBody(Body):
    """Money did not go back to the donor after all, or the bank sent it back."""

    amount_minor: Minor
    reason: Text
    on: EnteredDay | None = None


def router(desk: Desk) -> Routes:
    """The routes."""
    routes = Routes(prefix="/v1", tags=["grants"])

    @routes.post("/instalments/{instalment_id}:reverse")
    async def reverse(instalment_id: UUID, body: ReasonBody, caller: Lead, once: Once) -> Response:
        """Take out an instalment that did not come, or not so; enter the right one anew."""
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            await correcting.reverse_instalment(tx, instalment_id, body.reason, caller.staff_id)
            return await once.answer(tx, 200, {"instalment_id": instalment_id})

    @routes.post("/instalments/{instalment_id}:withdraw")
    async def withdraw(
        instalment_id: UUID, body: ReasonBody, caller: Finance, once: Once
    ) -> Response:
        """An instalment that was expected will not come."""
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            await correcting.withdraw_instalment(tx, instalment_id, body.reason, caller.staff_id)
            return await once.answer(tx, 200, {"instalment_id": instalment_id})

    @routes.post("/grants/{grant_id}:amend")
    async def amend(grant_id: UUID, body: AmendBody, caller: Lead, once: Once) -> Response:
        """Extend or shorten a grant, raise or cut what it promises; its holders are told."""
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            version = await correcting.amend(
                desk.office,
                tx,
                GrantId(grant_id),
                Amendment(
                    body.amount_minor,
                    body.period_to,
                    {line.code: line.amount_minor for line in body.budget_lines},
                    body.reason,
                    body.terms_version,
                ),
                caller.staff_id,
            )
            return await once.answer(tx, 200, {"grant_id": grant_id, "terms_version": version})

    @routes.post("/grants/{grant_id}:withdraw-demand")
    async def withdraw_demand(grant_id: UUID, body: LessBody, caller: Lead, once: Once) -> Response:
        """The donor wants less back: what is missing goes first, what was set aside is free."""
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            missing = await correcting.withdraw_demand(
                tx,
                uuid4(),
                GrantId(grant_id),
                body.amount_minor,
                body.reason,
                moved_on(body.on, tx.now),
                caller.staff_id,
            )
            return await once.answer(tx, 200, {"grant_id": grant_id, "shortfall_minor": missing})

    @routes.post("/grants/{grant_id}:reverse-refund")
    async def reverse_refund(
        grant_id: UUID, body: NotRefundedBody, caller: Lead, once: Once
    ) -> Response:
        """What was entered as refunded did not go, or not so much: it is set aside again."""
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            await grants.reverse_refund(
                tx,
                uuid4(),
                GrantId(grant_id),
                body.amount_minor,
                body.reason,
                moved_on(body.on, tx.now),
            )
            return await once.answer(tx, 200, {"grant_id": grant_id})

    return routes
