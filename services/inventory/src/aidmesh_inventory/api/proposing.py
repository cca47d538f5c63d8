"""What other regions could send for those who wait here, and rules that ask for it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import Response
from pydantic import BaseModel, Field

from aidmesh_chassis.db import Database
from aidmesh_chassis.http import Body, PageQuery, Routes
from aidmesh_chassis.idempotency import Once
from aidmesh_chassis.peers import LinkOf, LinkState
from aidmesh_contracts.values import Code, Region
from aidmesh_inventory.api.callers import ANYONE, Quantity, Storekeeper
from aidmesh_inventory.api.problems import problem
from aidmesh_inventory.domain.proposing import Proposal
from aidmesh_inventory.handlers import proposing as handlers
from aidmesh_inventory.store import ask_rules, sites


class ProposalOut(BaseModel):
    """Goods that could be asked of another region.

    Attributes:
        needs, waiting: how many needs wait for so many pieces, at a site or in an area.
        chosen: of those that somebody chose to be served from elsewhere by rule.
        quantity: pieces to ask for: no more than wait and are not coming, nor than are free there.
        free: what that region has, as it told at `as_of`.
    """

    item: str
    site_id: UUID | None
    area: str | None
    sensitive: bool
    chosen: bool
    needs: int
    waiting: int
    from_region: str
    quantity: int
    free: int
    as_of: datetime
    link: LinkState | None


class ProposalsOut(BaseModel):
    """Those of regions that are heard, by item; each piece that waits is in one at the most."""

    rows: Sequence[ProposalOut]
    next: str | None


class TakeIn(Body):
    """Which of it is asked for, and where it is to go."""

    item: Code
    from_region: Region
    quantity: Quantity
    to_site_id: UUID


class AsideIn(Body):
    """Which proposals are not wanted now."""

    item: Code
    from_region: Region


class TakenOut(BaseModel):
    """The ask that was made; see `GET /v1/transfers`."""

    transfer_id: UUID


class AsideOut(BaseModel):
    """What was set aside."""

    item: str
    from_region: str


class RuleIn(Body):
    """What is asked for as soon as it is proposed, to be sent to a site.

    Attributes:
        regions: who is asked; None for everybody.
        open_max: pieces that may be asked for or on their way there at once.
        chosen_only: only for needs that somebody chose, in intake.
    """

    item: Code
    to_site_id: UUID
    regions: Annotated[list[Region], Field(min_length=1, max_length=100)] | None = None
    open_max: Quantity
    chosen_only: bool = False


class EndIn(Body):
    """Nothing to say."""


class RuleOut(BaseModel):
    """A rule in force."""

    rule_id: UUID
    item: str
    to_site_id: UUID
    regions: Sequence[str] | None
    open_max: int
    chosen_only: bool
    set_at: datetime
    set_by: UUID


class RulesOut(BaseModel):
    """Rules in force, by item."""

    rows: Sequence[RuleOut]
    next: str | None


class RuleDone(BaseModel):
    """A rule that was set or ended."""

    rule_id: UUID


def _key(each: Proposal) -> tuple[str, ...]:
    """Names what is proposed to be asked of whom, for whom."""
    waiting = each.waiting
    place = str(waiting.site_id or ""), waiting.area or ""
    return (
        waiting.item,
        each.from_region,
        *place,
        str(waiting.sensitive),
        str(waiting.chosen),
    )


def router(database: Database, region: str, link: LinkOf) -> Routes:
    """Return the routes."""
    routes = Routes(prefix="/v1", tags=["shipments"])

    @routes.get("/proposals")
    async def list_proposals(caller: Storekeeper, page: PageQuery) -> ProposalsOut:
        """What could be asked of whom now; of sensitive needs for those who may see them."""
        async with database.read() as conn:
            found, _ = await handlers.proposals(conn, region, link)
        seen = [each for each in found if caller.sees_sensitive or not each.waiting.sensitive]
        kept, after = page.of(seen, _key)
        return ProposalsOut(
            rows=[
                ProposalOut(
                    item=each.waiting.item,
                    site_id=each.waiting.site_id,
                    area=each.waiting.area,
                    sensitive=each.waiting.sensitive,
                    chosen=each.waiting.chosen,
                    needs=each.waiting.needs,
                    waiting=each.waiting.quantity,
                    from_region=each.from_region,
                    quantity=each.quantity,
                    free=each.free,
                    as_of=each.as_of,
                    link=link(each.from_region),
                )
                for each in kept
            ],
            next=after,
        )

    @routes.post("/proposals:take", status_code=201, response_model=TakenOut)
    async def take(body: TakeIn, caller: Storekeeper, once: Once) -> Response:
        """Ask the region for it."""
        transfer_id = uuid4()
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            fault = await handlers.take(
                tx,
                region,
                link,
                item=body.item,
                from_region=body.from_region,
                quantity=body.quantity,
                to_site_id=body.to_site_id,
                transfer_id=transfer_id,
                by=caller.staff_id,
                sensitive_too=caller.sees_sensitive,
            )
            if fault is not None:
                raise problem(fault)
            return await once.answer(tx, 201, {"transfer_id": str(transfer_id)})

    @routes.post("/proposals:set-aside", response_model=AsideOut)
    async def set_aside(body: AsideIn, caller: Storekeeper, once: Once) -> Response:
        """Have it proposed again only once more of it waits than now, or after a week."""
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            if not await handlers.set_aside(
                tx,
                region,
                link,
                item=body.item,
                from_region=body.from_region,
                by=caller.staff_id,
                sensitive_too=caller.sees_sensitive,
            ):
                raise problem("no-proposal")
            return await once.answer(tx, 200, body.model_dump(mode="json"))

    @routes.get("/ask-rules", dependencies=[ANYONE])
    async def list_rules(page: PageQuery) -> RulesOut:
        """The rules in force."""
        async with database.read() as conn:
            rows = await ask_rules.shown(conn)
        kept, after = page.of(rows, lambda row: (row["item"], str(row["rule_id"])))
        return RulesOut(rows=[RuleOut(**row) for row in kept], next=after)

    @routes.post("/ask-rules", status_code=201, response_model=RuleDone)
    async def set_rule(body: RuleIn, caller: Storekeeper, once: Once) -> Response:
        """Have an item asked for by rule: for sensitive needs only if the caller may see them."""
        rule_id = uuid4()
        values = {**body.model_dump(), "sensitive_too": caller.sees_sensitive}
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            if not await sites.areas_of(tx.conn, [body.to_site_id]):
                raise problem("unknown-site")
            if not await sites.items_by_code(tx.conn, [body.item]):
                raise problem("unknown-item")
            if not await ask_rules.put(tx.conn, rule_id, values, caller.staff_id):
                raise problem("rule-in-force")
            return await once.answer(tx, 201, {"rule_id": str(rule_id)})

    @routes.post("/ask-rules/{rule_id}:end", response_model=RuleDone)
    async def end_rule(rule_id: UUID, body: EndIn, caller: Storekeeper, once: Once) -> Response:
        """Have it asked for by people again; what was asked for stays asked."""
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            if not await ask_rules.end(tx.conn, rule_id, caller.staff_id):
                raise problem("unknown-rule")
            return await once.answer(tx, 200, {"rule_id": str(rule_id)})

    return routes
