"""The register of things that were handed to centers."""

from datetime import date
from typing import Literal
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel

from aidmesh_chassis.db import Database, Tx
from aidmesh_chassis.http import Body, PageQuery, Routes
from aidmesh_chassis.idempotency import Once
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_contracts.days import EnteredDay, day_of, is_future
from aidmesh_contracts.values import Code
from aidmesh_inventory.api.callers import ANYONE, UUID_KEY, Storekeeper
from aidmesh_inventory.api.problems import problem
from aidmesh_inventory.store import assets, sites


class AssetOut(BaseModel):
    """A thing, where it is, and what paid for it."""

    asset_id: UUID
    item: str
    serial: str | None
    grant_id: UUID | None
    unit_value_minor: int
    currency: str
    site_id: UUID
    reservation_id: UUID
    status: Literal["in_use", "written_off", "lost", "taken_back"]
    status_reason: str | None
    since: date


class AssetPage(BaseModel):
    """Assets by id."""

    rows: list[AssetOut]
    next: str | None


class EndIn(Body):
    """Why and when an asset went; `on` is today (Kyiv) by default."""

    status: Literal["written_off", "lost"]
    reason: Code
    on: EnteredDay | None = None


class RestoreIn(Body):
    """Why and since when an asset is in use again; `on` is today (Kyiv) by default."""

    reason: Code
    on: EnteredDay | None = None


class MoveIn(Body):
    """Where an asset went, why and when; `on` is today (Kyiv) by default."""

    site_id: UUID
    reason: Code
    on: EnteredDay | None = None


def router(database: Database) -> Routes:
    """Return the routes."""
    routes = Routes(prefix="/v1", tags=["assets"])

    @routes.get("/assets", dependencies=[ANYONE])
    async def list_assets(
        page: PageQuery, site_id: UUID | None = None, grant_id: UUID | None = None
    ) -> AssetPage:
        """The register, by center or by grant."""
        async with database.read() as conn:
            rows = await assets.page(
                conn,
                site_id=site_id,
                grant_id=grant_id,
                after=page.after(UUID_KEY),
                limit=page.limit + 1,
            )
        kept, after = page.cut(rows, lambda row: row["asset_id"])
        return AssetPage(rows=[AssetOut(**row) for row in kept], next=after)

    @routes.post("/assets/{asset_id}:end")
    async def end_asset(asset_id: UUID, body: EndIn, caller: Storekeeper, once: Once) -> Response:
        """Write an asset off, or report it lost."""
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            day = _happened_on(tx, body.on)
            done = await assets.end(tx.conn, asset_id, body.status, body.reason, day)
            return await _answer(tx, once, asset_id, is_done=done)

    @routes.post("/assets/{asset_id}:restore")
    async def restore_asset(
        asset_id: UUID, body: RestoreIn, caller: Storekeeper, once: Once
    ) -> Response:
        """Take an asset into use again that was found, or written off by mistake."""
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            day = _happened_on(tx, body.on)
            done = await assets.restore(tx.conn, asset_id, body.reason, day)
            return await _answer(tx, once, asset_id, is_done=done)

    @routes.post("/assets/{asset_id}:move")
    async def move_asset(asset_id: UUID, body: MoveIn, caller: Storekeeper, once: Once) -> Response:
        """Move an asset to another center."""
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            if await sites.get(tx.conn, body.site_id) is None:
                raise problem("unknown-site")
            day = _happened_on(tx, body.on)
            done = await assets.move(tx.conn, asset_id, body.site_id, body.reason, day)
            return await _answer(tx, once, asset_id, is_done=done)

    return routes


def _happened_on(tx: Tx, day: date | None) -> date:
    if day is not None and is_future(day, tx.now):
        raise problem("day-in-future")
    return day or day_of(tx.now)


async def _answer(tx: Tx, once: Once, asset_id: UUID, *, is_done: bool) -> Response:
    if not is_done:
        raise Problem(NOT_FOUND)
    return await once.answer(tx, 200, {"asset_id": asset_id})
