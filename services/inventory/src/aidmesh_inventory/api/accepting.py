"""Rules by which asks of other regions are accepted without a person."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import Response
from pydantic import BaseModel, Field

from aidmesh_chassis.db import Database
from aidmesh_chassis.http import Body, PageQuery, Routes
from aidmesh_chassis.idempotency import Once
from aidmesh_contracts.values import Code, Region
from aidmesh_inventory.api.callers import ANYONE, Quantity, Storekeeper
from aidmesh_inventory.api.problems import problem
from aidmesh_inventory.domain.accepting import Rule
from aidmesh_inventory.store import accepting as store
from aidmesh_inventory.store import sites

Pieces = Annotated[int, Field(ge=0, le=1_000_000)]


class RuleIn(Body):
    """Under which conditions an ask is accepted, whole; what no rule accepts waits for a person.

    Attributes:
        item: None for all items.
        site_id: the site whose goods may go; None for those of all open sites.
        regions: who may ask; None for everybody.
        keep_pieces: free pieces that stay whatever is asked.
        keep_days: as many free pieces stay as so many days of own need take.
        ask_max: the largest ask that it accepts.
        week_max: pieces that it promises within seven days.
    """

    item: Code | None = None
    site_id: UUID | None = None
    regions: Annotated[list[Region], Field(min_length=1, max_length=100)] | None = None
    keep_pieces: Pieces = 0
    keep_days: Annotated[int, Field(ge=0, le=366)] = 0
    ask_max: Quantity
    week_max: Quantity


class EndIn(Body):
    """Nothing to say."""


class RuleOut(BaseModel):
    """A rule in force; `given` are the pieces that it promised within seven days."""

    rule_id: UUID
    item: str | None
    site_id: UUID | None
    regions: Sequence[str] | None
    keep_pieces: int
    keep_days: int
    ask_max: int
    week_max: int
    set_at: datetime
    set_by: UUID
    given: int


class RulesOut(BaseModel):
    """Rules in force, by item; those for all items come last."""

    rows: Sequence[RuleOut]
    next: str | None


class RuleDone(BaseModel):
    """A rule that was set or ended."""

    rule_id: UUID


def router(database: Database) -> Routes:
    """Return the routes."""
    routes = Routes(prefix="/v1/accept-rules", tags=["shipments"])

    @routes.get("", dependencies=[ANYONE])
    async def list_rules(page: PageQuery) -> RulesOut:
        """The rules in force."""
        async with database.read() as conn:
            rows = await store.shown(conn)
        kept, after = page.of(
            rows, lambda row: (str(row["item"] is None), row["item"] or "", str(row["rule_id"]))
        )
        return RulesOut(rows=[RuleOut(**row) for row in kept], next=after)

    @routes.post("", status_code=201, response_model=RuleDone)
    async def set_rule(body: RuleIn, caller: Storekeeper, once: Once) -> Response:
        """Have asks that come from now on accepted by rule."""
        if body.week_max < body.ask_max:
            raise problem("week-below-ask")
        rule = Rule(
            uuid4(),
            body.item,
            body.site_id,
            None if body.regions is None else frozenset(body.regions),
            body.keep_pieces,
            body.keep_days,
            body.ask_max,
            body.week_max,
        )
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            if rule.site_id and not await sites.areas_of(tx.conn, [rule.site_id]):
                raise problem("unknown-site")
            if not await store.put(tx.conn, rule, caller.staff_id):
                raise problem("unknown-item")
            return await once.answer(tx, 201, {"rule_id": str(rule.rule_id)})

    @routes.post("/{rule_id}:end", response_model=RuleDone)
    async def end_rule(rule_id: UUID, body: EndIn, caller: Storekeeper, once: Once) -> Response:
        """Have a rule accept nothing any more; what it promised stays promised."""
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            if not await store.end(tx.conn, rule_id, caller.staff_id):
                raise problem("unknown-rule")
            return await once.answer(tx, 200, {"rule_id": str(rule_id)})

    return routes
