"""Routes of rules that send money to those who wait for it."""

from typing import Annotated
from uuid import UUID, uuid4

from fastapi import Response
from pydantic import Field

from aidmesh_chassis.http import Body, PageQuery, Routes
from aidmesh_chassis.idempotency import Once
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_contracts.values import Code, Currency, Region
from aidmesh_payments.api.answers import WaitRulePage
from aidmesh_payments.api.desk import Desk, Lead, Minor, Reader
from aidmesh_payments.domain.waits import Rule
from aidmesh_payments.problems import problem
from aidmesh_payments.store import wait_rules as store


class RuleBody(Body):
    """Money that goes to those who wait without a person; no other region's without its consent.

    Attributes:
        programme: None for all.
        regions: to whom; None for everybody, the own region too.
        keep_minor: so much of each source stays whatever waits.
        move_max_minor: the largest sum of one move.
        week_max_minor: all that it moves within seven days.
        chosen_only: no more than wait needs that somebody chose, where they wait.
    """

    programme: Code | None = None
    currency: Currency
    regions: Annotated[list[Region], Field(min_length=1, max_length=100)] | None = None
    keep_minor: Annotated[int, Field(ge=0, le=10**15)] = 0
    move_max_minor: Minor
    week_max_minor: Minor
    chosen_only: bool = False


def router(desk: Desk) -> Routes:
    """The routes."""
    routes = Routes(prefix="/v1/wait-rules", tags=["rebalancing"])

    @routes.get("", response_model=WaitRulePage)
    async def list_rules(caller: Reader, page: PageQuery) -> dict[str, object]:
        """The rules in force; `given_minor` is what each moved or proposed within seven days."""
        async with desk.db.read() as conn:
            rows = await store.shown(conn)
        kept, following = page.of(
            rows, lambda row: (row["set_at"].isoformat(), str(row["rule_id"]))
        )
        return {"rules": [dict(row) for row in kept], "next": following}

    @routes.post("", status_code=201)
    async def set_rule(body: RuleBody, caller: Lead, once: Once) -> Response:
        if body.week_max_minor < body.move_max_minor:
            raise problem("week-below-move")
        rule = Rule(
            uuid4(),
            body.programme,
            body.currency,
            None if body.regions is None else frozenset(body.regions),
            body.keep_minor,
            body.move_max_minor,
            body.week_max_minor,
            caller.staff_id,
            body.chosen_only,
        )
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            await store.put(tx.conn, rule)
            return await once.answer(tx, 201, {"rule_id": rule.rule_id})

    @routes.post("/{rule_id}:end")
    async def end_rule(rule_id: UUID, caller: Lead, once: Once) -> Response:
        """Have people decide again; what it sent stays sent."""
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            if not await store.end(tx.conn, rule_id, caller.staff_id):
                raise Problem(NOT_FOUND)
            return await once.answer(tx, 200, {"rule_id": rule_id})

    return routes
