"""Lots: what there is of them, counts, losses, moves, and terms that were entered wrong."""

import json
from datetime import date
from typing import Annotated, Literal
from uuid import UUID, uuid4

import asyncpg
from fastapi import Response
from pydantic import BaseModel, Field

from aidmesh_chassis.auth import Caller
from aidmesh_chassis.db import Database
from aidmesh_chassis.http import Body, PageQuery, Routes
from aidmesh_chassis.idempotency import Once
from aidmesh_contracts.days import EnteredDay, day_of
from aidmesh_contracts.restriction import EnteredRestriction, Restriction
from aidmesh_contracts.values import Code, Currency
from aidmesh_inventory.api.callers import UUID_KEY, Quantity, Staff, Storekeeper
from aidmesh_inventory.api.problems import problem
from aidmesh_inventory.handlers import adjustments, moving, terms
from aidmesh_inventory.store import lots
from aidmesh_inventory.store.stock import LotState


class AdjustmentIn(Body):
    """A correction of one lot.

    Attributes:
        kind: `count` says how many pieces there are, `loss` how many are gone.
        happened_on: today (Kyiv) by default.
    """

    lot_id: UUID
    kind: Literal["count", "loss"]
    quantity: Annotated[int, Field(ge=0, le=10_000_000)]
    reason: Code
    happened_on: EnteredDay | None = None


class LotOut(BaseModel):
    """A lot after a correction; `held` for those who may see what is sensitive."""

    lot_id: UUID
    item: str
    site_id: UUID
    status: str
    on_hand: int
    held: int | None


class MoveLotIn(Body):
    """Pieces of a lot that went to another site of this region.

    Attributes:
        moved_on: today (Kyiv) by default.
        reason: a code, such as `needed_elsewhere` or `evacuation`.
    """

    quantity: Quantity
    to_site_id: UUID
    moved_on: EnteredDay | None = None
    reason: Code | None = None


class MovedOut(BaseModel):
    """The lot that pieces were moved from, and the one at the other site that they came to."""

    from_lot: LotOut
    to_lot: LotOut


class LotDetail(LotOut):
    """A lot with its terms.

    Attributes:
        is_bought: whether its terms are those of a purchase, here or in another region.
        purchase_id: of this region, by which it came.
    """

    receipt_id: UUID
    batch: str | None
    expiry: date | None
    grant_id: UUID | None
    restriction: Restriction | None
    unit_value_minor: int
    currency: str
    is_bought: bool
    purchase_id: UUID | None
    version: int


class LotPage(BaseModel):
    """Lots by id."""

    rows: list[LotDetail]
    next: str | None


class CorrectIn(Body):
    """What a lot's terms should have been; what is left out stays.

    Attributes:
        version: of the lot that was looked at.
        reason: a code, such as `entry_error`.
        restriction: of donated goods; null for none.
        unit_value_minor: what a piece is worth, or what one that was bought cost by the bill.
        currency: of donated goods.
    """

    version: Annotated[int, Field(ge=1)]
    reason: Code
    expiry: EnteredDay | None = None
    restriction: EnteredRestriction | None = None
    unit_value_minor: Annotated[int, Field(ge=0, le=10**15)] | None = None
    currency: Currency | None = None


def _lot(lot: LotState, caller: Caller) -> LotOut:
    """A lot; what of it is held for those who may see what is sensitive."""
    out = LotOut.model_validate(lot, from_attributes=True)
    out.held = out.held if caller.sees_sensitive else None
    return out


def _detail(row: asyncpg.Record, caller: Caller) -> LotDetail:
    """A lot; what of it is held for those who may see what is sensitive."""
    restriction = row["restriction"] and json.loads(row["restriction"])
    held = row["held"] if caller.sees_sensitive else None
    return LotDetail(**{**row, "held": held, "restriction": restriction})


def router(database: Database) -> Routes:
    """Return the routes."""
    routes = Routes(prefix="/v1", tags=["stock"])

    @routes.post("/adjustments", response_model=LotOut)
    async def adjust(body: AdjustmentIn, caller: Storekeeper, once: Once) -> Response:
        """Enter a count or a loss; where less is left than was promised, promises are given up."""
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            result = await adjustments.adjust(
                tx,
                adjustments.Adjustment(
                    uuid4(),
                    body.lot_id,
                    body.kind,
                    body.quantity,
                    body.reason,
                    body.happened_on or day_of(tx.now),
                ),
                caller.staff_id,
            )
            if isinstance(result, str):
                raise problem(result)
            return await once.answer(tx, 200, _lot(result, caller).model_dump(mode="json"))

    @routes.get("/lots")
    async def list_lots(
        caller: Staff, page: PageQuery, site_id: UUID | None = None, item: str | None = None
    ) -> LotPage:
        """Lots with something on hand."""
        async with database.read() as conn:
            rows = await lots.page(
                conn,
                site_id=site_id,
                item=item,
                after=page.after(UUID_KEY),
                limit=page.limit + 1,
            )
        kept, after = page.cut(rows, lambda row: row["lot_id"])
        return LotPage(rows=[_detail(row, caller) for row in kept], next=after)

    @routes.get("/purchases/{purchase_id}/lots")
    async def lots_of_purchase(purchase_id: UUID, caller: Staff, page: PageQuery) -> LotPage:
        """Lots that came from a purchase, those of which nothing is left as well."""
        async with database.read() as conn:
            rows = await lots.of_purchase(
                conn, purchase_id, after=page.after(UUID_KEY), limit=page.limit + 1
            )
        kept, after = page.cut(rows, lambda row: row["lot_id"])
        return LotPage(rows=[_detail(row, caller) for row in kept], next=after)

    @routes.get("/lots/{lot_id}")
    async def show_lot(lot_id: UUID, caller: Staff) -> LotDetail:
        """A lot, with its terms."""
        async with database.read() as conn:
            found = await lots.detail(conn, lot_id)
        if found is None:
            raise problem("unknown-lot")
        return _detail(found, caller)

    @routes.post("/lots/{lot_id}:move", response_model=MovedOut)
    async def move(lot_id: UUID, body: MoveLotIn, caller: Storekeeper, once: Once) -> Response:
        """Move free pieces to another site of this region, where whoever waits for them is woken.

        They keep their terms. What is set aside stays where it is; moving back is another move.
        """
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            moved = await moving.move(
                tx,
                moving.Move(
                    uuid4(),
                    lot_id,
                    body.quantity,
                    body.to_site_id,
                    body.moved_on or day_of(tx.now),
                    body.reason,
                ),
                caller.staff_id,
            )
            if isinstance(moved, str):
                raise problem(moved)
            out = MovedOut(from_lot=_lot(moved.from_lot, caller), to_lot=_lot(moved.to_lot, caller))
            return await once.answer(tx, 200, out.model_dump(mode="json"))

    @routes.post("/lots/{lot_id}:correct", response_model=LotDetail)
    async def correct(lot_id: UUID, body: CorrectIn, caller: Storekeeper, once: Once) -> Response:
        """Correct a lot's expiry, what the donor of its goods allows, or what they are worth."""
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            found = await lots.detail(tx.conn, lot_id)
            if found is None:
                raise problem("unknown-lot")
            lot = _detail(found, caller)
            given = body.model_fields_set
            fault = await terms.correct(
                tx,
                terms.Correction(
                    lot_id,
                    body.version,
                    body.expiry if "expiry" in given else lot.expiry,
                    body.restriction if "restriction" in given else lot.restriction,
                    lot.unit_value_minor
                    if body.unit_value_minor is None
                    else body.unit_value_minor,
                    body.currency or lot.currency,
                    body.reason,
                ),
                caller.staff_id,
            )
            if fault is not None:
                raise problem(fault)
            found = await lots.detail(tx.conn, lot_id)
            assert found is not None  # noqa: S101 - it was corrected just now
            return await once.answer(tx, 200, _detail(found, caller).model_dump(mode="json"))

    return routes
