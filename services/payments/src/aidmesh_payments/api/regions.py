"""Routes about other regions: how they stand, and declaring one lost."""

from fastapi import Response

from aidmesh_chassis import standings
from aidmesh_chassis.http import Body, Routes, rows_max
from aidmesh_chassis.idempotency import Once
from aidmesh_contracts.values import Code, Region
from aidmesh_payments.api.answers import Standings
from aidmesh_payments.api.desk import Desk, Lead, Reader
from aidmesh_payments.handlers import lost
from aidmesh_payments.store import lost as store
from aidmesh_payments.store import owing


class LostBody(Body):
    """Why a region is held for lost, as a code: other regions read it."""

    reason: Code


def router(desk: Desk) -> Routes:
    """The routes."""
    routes = Routes(prefix="/v1", tags=["regions"])

    @routes.get(
        "/standings",
        response_model=Standings,
        openapi_extra=rows_max(4 * store.SHOWN_MAX),
    )
    async def listed(caller: Reader) -> dict[str, object]:
        """Regions that are or were gone, open declarations, and what was taken back or is owed.

        `owed` is what this region owes since others held it for lost. Of each list no more than
        500 are shown; `left_out` names those that have more.
        """
        async with desk.db.read() as conn:
            known = await standings.known(conn)
            found: dict[str, list[dict[str, object]]] = {
                "standings": [
                    {
                        "region": region,
                        "standing": stand.standing,
                        "epoch": stand.epoch,
                        "since": stand.since,
                    }
                    for region, stand in sorted(known.items())
                ],
                "asked": [dict(row) for row in await store.asked(conn)],
                "reissued": [dict(row) for row in await store.reissues(conn)],
                "owed": [dict(row) for row in await owing.owed(conn)],
            }
        return {
            **{name: rows[: store.SHOWN_MAX] for name, rows in found.items()},
            "left_out": [name for name, rows in found.items() if len(rows) > store.SHOWN_MAX],
        }

    @routes.post("/regions/{region}:declare-lost", status_code=202)
    async def declare(region: Region, body: LostBody, caller: Lead, once: Once) -> Response:
        """Say that a region is lost; another lead has to confirm it."""
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            await lost.declare(desk.office, tx, region, body.reason, caller.staff_id)
            return await once.answer(tx, 202, {"region": region})

    @routes.post("/regions/{region}:confirm-lost")
    async def confirm(region: Region, caller: Lead, once: Once) -> Response:
        """Agree that a region is lost: it is fenced everywhere; what it had free is taken back."""
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            await lost.confirm(tx, region, caller.staff_id)
            return await once.answer(tx, 200, {"region": region})

    @routes.post("/regions/{region}:not-lost")
    async def withdraw(region: Region, caller: Lead, once: Once) -> Response:
        """Drop a declaration that nobody confirmed."""
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            await lost.withdraw(tx, region, caller.staff_id)
            return await once.answer(tx, 200, {"region": region})

    @routes.post("/regions/{region}:readmit")
    async def readmit(region: Region, caller: Lead, once: Once) -> Response:
        """Let a lost region in again, once its conflicts here are closed; it raises its epoch."""
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            await lost.readmit(tx, region)
            return await once.answer(tx, 200, {"region": region})

    return routes
