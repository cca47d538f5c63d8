"""The register of assets: what was handed to which center, and what paid for it."""

import asyncio
from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, Response

from aidmesh_chassis.http import Routes
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_console.clients.link import ClientError
from aidmesh_console.forms import Form
from aidmesh_console.pages.common import ASSET_REASONS, names_of
from aidmesh_console.roles import Act
from aidmesh_console.visit import Posted, Visit, visitor

routes = Routes(include_in_schema=False)
Reader = Annotated[Visit, Depends(visitor(Act.SEE_ASSETS))]
Keeper = Annotated[Visit, Depends(visitor(Act.CHANGE_STOCK))]

ENDS: Final = ("written_off", "lost")
FOUND_REASONS: Final = ("found", "repaired", "entry_error")


@routes.get("/assets")
async def show(visit: Reader) -> Response:
    """Assets of a center, of a grant, or all."""
    return await _page(visit, visit.asked_id("site"))


@routes.post("/assets/{asset_id}/{step}")
async def act(asset_id: UUID, step: str, form: Posted, visit: Keeper) -> Response:
    """Move an asset to another center, note that it is gone, or that it is there after all."""
    if step not in {"move", "end", "restore"}:
        raise Problem(NOT_FOUND)
    body = _body(step, form)
    site_id = form.uuid("site")
    if form.faults:
        return await _page(visit, site_id, 422, visit.fault(form))
    try:
        await visit.inventory.act_on_asset(asset_id, step, body, form.key)
    except ClientError as error:
        return await _page(visit, site_id, 409, visit.problem(error))
    return visit.go("/assets", said=f"asset_{step}", site=site_id)


def _body(step: str, form: Form) -> dict[str, str | None]:
    reason = form.text("reason")
    if reason is None or reason not in (FOUND_REASONS if step == "restore" else ASSET_REASONS):
        form.faults["reason"] = "reason"
    if step == "restore":
        return {"reason": reason}
    if step == "end":
        return {"status": form.choice("status", ENDS), "reason": reason}
    return {"site_id": str(form.uuid("to_site_id", needed=True)), "reason": reason}


async def _page(
    visit: Visit, site_id: UUID | None, status: int = 200, wrong: str | None = None
) -> Response:
    grant_id = visit.asked_id("grant")
    assets, names, grants = await asyncio.gather(
        visit.hear(visit.inventory.assets(site_id, grant_id, visit.asked.get("after"))),
        names_of(visit),
        visit.hear(visit.reporting.grants()),
    )
    return visit.page(
        "assets",
        status,
        assets=assets,
        names=names,
        grants=grants.value or {},
        site=site_id,
        grant=grant_id,
        ends=ENDS,
        reasons=ASSET_REASONS,
        found_reasons=FOUND_REASONS,
        wrong=wrong,
    )
