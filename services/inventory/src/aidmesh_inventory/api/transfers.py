"""Goods that regions ask each other for."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID, uuid4

from fastapi import Response
from pydantic import BaseModel, TypeAdapter

from aidmesh_chassis.auth import Caller
from aidmesh_chassis.db import Database, Tx
from aidmesh_chassis.http import Body, PageQuery, Routes
from aidmesh_chassis.idempotency import Once
from aidmesh_chassis.peers import LinkOf, LinkState
from aidmesh_contracts.values import Code, Region
from aidmesh_inventory.api.callers import ANYONE, Quantity, Storekeeper
from aidmesh_inventory.api.problems import problem
from aidmesh_inventory.domain.transfers import State
from aidmesh_inventory.handlers import transfers as handlers
from aidmesh_inventory.store import transfers
from aidmesh_inventory.store.transfers import Transfer

_KEY: TypeAdapter[tuple[datetime, UUID]] = TypeAdapter(tuple[datetime, UUID])


class AskIn(Body):
    """What is wanted of which region, for which site here; `reason` is a code."""

    from_region: Region
    item: Code
    quantity: Quantity
    to_site_id: UUID
    reason: Code


class AcceptIn(Body):
    """How much of it will be sent."""

    quantity: Quantity


class RefuseIn(Body):
    """Why nothing will be sent: a code, such as `own_needs`."""

    reason: Code


class WithdrawIn(Body):
    """Nothing to say."""


class TransferOut(BaseModel):
    """Goods that one region asked another for.

    Attributes:
        ask_rule_id: the rule here that asked, where no person did.
        answered_by: the member of staff, at the owner.
        by_rule: a rule of the owner's accepted it, there `accept_rule_id`, and no person.
        sent, prepared: pieces that left for it, and those of shipments that have not.
        as_of: when this region last heard of it or did something with it; link: whether the other
            region is heard: it may have answered or withdrawn it meanwhile.
    """

    transfer_id: UUID
    from_region: str
    to_region: str
    item: str
    quantity: int
    to_site_id: UUID
    area: str
    reason: str
    state: State
    accepted: int | None
    answer_reason: str | None
    asked_at: datetime
    ask_rule_id: UUID | None
    answered_at: datetime | None
    answered_by: UUID | None
    by_rule: bool
    accept_rule_id: UUID | None
    sent: int
    prepared: int
    as_of: datetime | None = None
    link: LinkState | None = None


class TransferPage(BaseModel):
    """Asks, the latest first."""

    rows: Sequence[TransferOut]
    next: str | None


def router(database: Database, region: str, link: LinkOf) -> Routes:
    """Return the routes."""
    routes = Routes(prefix="/v1", tags=["shipments"])

    def shown(row: Transfer) -> TransferOut:
        other = row.to_region if row.from_region == region else row.from_region
        found = TransferOut.model_validate(row, from_attributes=True)
        return found.model_copy(update={"link": link(other)})

    @routes.get("/transfers", dependencies=[ANYONE])
    async def list_transfers(
        page: PageQuery,
        direction: Literal["in", "out"],
        state: State | None = None,
    ) -> TransferPage:
        """What other regions asked this one for (`out`), or this one asked others for (`in`)."""
        async with database.read() as conn:
            rows = await transfers.page(
                conn,
                region=region,
                outgoing=direction == "out",
                state=state,
                after=page.after(_KEY),
                limit=page.limit + 1,
            )
        kept, after = page.cut(rows, lambda row: (row.asked_at.isoformat(), str(row.transfer_id)))
        return TransferPage(rows=[shown(row) for row in kept], next=after)

    @routes.post("/transfers", status_code=201, response_model=TransferOut)
    async def ask(body: AskIn, caller: Storekeeper, once: Once) -> Response:
        """Ask another region for goods; see `GET /v1/stock/free` for what they have."""
        transfer_id = uuid4()
        return await step(
            once,
            transfer_id,
            lambda tx: handlers.ask(
                tx,
                region=region,
                transfer_id=transfer_id,
                owner=body.from_region,
                item=body.item,
                quantity=body.quantity,
                to_site_id=body.to_site_id,
                reason=body.reason,
                by=caller.staff_id,
            ),
            status=201,
        )

    @routes.post("/transfers/{transfer_id}:accept", response_model=TransferOut)
    async def accept(
        transfer_id: UUID, body: AcceptIn, caller: Storekeeper, once: Once
    ) -> Response:
        """Promise another region goods; they leave stock when a shipment is dispatched."""
        return await answer(once, caller, transfer_id, accepted=body.quantity, reason=None)

    @routes.post("/transfers/{transfer_id}:refuse", response_model=TransferOut)
    async def refuse(
        transfer_id: UUID, body: RefuseIn, caller: Storekeeper, once: Once
    ) -> Response:
        """Tell another region that nothing will be sent."""
        return await answer(once, caller, transfer_id, accepted=None, reason=body.reason)

    @routes.post("/transfers/{transfer_id}:withdraw", response_model=TransferOut)
    async def withdraw(
        transfer_id: UUID, body: WithdrawIn, caller: Storekeeper, once: Once
    ) -> Response:
        """Tell another region that goods are not wanted any more; what left comes all the same."""
        return await step(once, transfer_id, lambda tx: handlers.withdraw(tx, region, transfer_id))

    async def answer(
        once: Once, caller: Caller, transfer_id: UUID, *, accepted: int | None, reason: str | None
    ) -> Response:
        return await step(
            once,
            transfer_id,
            lambda tx: handlers.answer(
                tx,
                region=region,
                transfer_id=transfer_id,
                accepted=accepted,
                reason=reason,
                by=caller.staff_id,
            ),
        )

    async def step(
        once: Once,
        transfer_id: UUID,
        take: Callable[[Tx], Awaitable[str | None]],
        *,
        status: int = 200,
    ) -> Response:
        """Take a step with an ask; answer with how it is then, or with the problem."""
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            fault = await take(tx)
            if fault is not None:
                raise problem(fault)
            found = await transfers.lock(tx.conn, transfer_id)
            assert found is not None  # noqa: S101 - it was written just now
            return await once.answer(tx, status, shown(found).model_dump(mode="json"))

    return routes
