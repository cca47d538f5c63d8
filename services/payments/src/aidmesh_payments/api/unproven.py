"""Routes about what may have been paid after the backup that a region was restored from."""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import Field, TypeAdapter

from aidmesh_chassis import restoring
from aidmesh_chassis.http import Body, PageQuery
from aidmesh_chassis.idempotency import Once
from aidmesh_payments.api.desk import ROWS_MAX, Desk, Payer, Reader, Text
from aidmesh_payments.store import restoring as store

PAYMENTS: Final[tuple[restoring.About, ...]] = ("payout", "order", "purchase")
_AFTER: Final = TypeAdapter(tuple[datetime, UUID])


class ClearBody(Body):
    """What was looked up, and what was found."""

    ids: Annotated[tuple[UUID, ...], Field(min_length=1, max_length=ROWS_MAX)]
    note: Text


def router(desk: Desk) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/v1", tags=["unproven"])

    @routes.get("/unproven")
    async def listed(caller: Reader, page: PageQuery) -> dict[str, object]:
        """Payouts, paying orders and purchases that may have been paid, the oldest first."""
        async with desk.db.read() as conn:
            rows = await restoring.listed(conn, PAYMENTS, page.after(_AFTER), page.limit + 1)
        kept, following = page.cut(rows, lambda row: (row.since, row.id))
        return {"unproven": [row._asdict() for row in kept], "next": following}

    @routes.post("/unproven:clear")
    async def clear(body: ClearBody, caller: Payer, once: Once) -> Response:
        """Somebody has looked these up: from now on they are paid, or settled, like any other.

        A payout that was drawn up since is named by its own id; its need is cleared with it.
        """
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            ids = {*body.ids, *await store.needs_of(tx.conn, body.ids)}
            cleared = await restoring.clear(tx.conn, ids, body.note, caller.staff_id)
            return await once.answer(tx, 200, {"cleared": cleared})

    return routes
