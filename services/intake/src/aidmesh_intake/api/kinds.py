"""The catalogue of kinds of need."""

from typing import Annotated

from fastapi import Path, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from aidmesh_chassis.http import Routes, rows_max
from aidmesh_chassis.problems import Problem
from aidmesh_intake.api.context import CATALOGUE_FULL, Ctx, Lead, Staff, invalid, not_found, stale
from aidmesh_intake.domain.kinds import EnteredKind, Kind, mixed_limits
from aidmesh_intake.store import catalogue as store

router = Routes(prefix="/v1/kinds", tags=["kinds"])
KINDS_MAX = 200
"""As many as inventory says at once what there is of; a desk reads all of them."""
KindCode = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]


class KindList(BaseModel):
    """The catalogue.

    Attributes:
        programmes: of all kinds, also of those that the caller may not see: a programme says
            nothing of a person, and whoever buys for it or restricts goods to it needs its code.
        items: what offered kinds of need take of goods, of all of them too: whoever enters the
            items of inventory needs these codes, since they have to be the same.
    """

    kinds: list[Kind]
    programmes: list[str]
    items: list[str]


@router.get("", response_model=KindList, openapi_extra=rows_max(KINDS_MAX))
async def list_kinds(ctx: Ctx, caller: Staff) -> Response:
    """All kinds that the caller may see, and all programmes and items."""
    async with ctx.database.transaction() as tx:
        kinds = await ctx.catalogue.current(tx.conn)
    seen = [
        kind.model_dump(mode="json")
        for kind in kinds.values()
        if caller.sees_sensitive or not kind.sensitive
    ]
    programmes = sorted({kind.programme for kind in kinds.values()})
    items = sorted({take.item for kind in kinds.values() if kind.active for take in kind.stock})
    return JSONResponse({"kinds": seen, "programmes": programmes, "items": items})


@router.get("/{code}")
async def get_kind(code: KindCode, ctx: Ctx, caller: Staff) -> Kind:
    """One kind."""
    async with ctx.database.transaction() as tx:
        kind = (await ctx.catalogue.current(tx.conn)).get(code)
    if kind is None or (kind.sensitive and not caller.sees_sensitive):
        raise not_found()
    return kind


@router.put("/{code}")
async def put_kind(code: KindCode, kind: EnteredKind, ctx: Ctx, caller: Lead) -> Kind:
    """Change a kind, or make a new one (version 1). `version` is one more than the stored one.

    Needs that were asked for before keep what they were asked for. Limits of a kind that everybody
    sees count no sensitive one; what did so before stays as it is.
    """
    if kind.code != code:
        raise invalid("code", "differs_from_path")
    async with ctx.database.transaction() as tx:
        await store.lock(tx.conn)
        known = await ctx.catalogue.current(tx.conn)
        if code not in known and len(known) >= KINDS_MAX:
            raise Problem(CATALOGUE_FULL)
        if mixed_limits((known | {code: kind}).values()) - mixed_limits(known.values()):
            raise invalid("sensitivity" if kind.sensitive else "limits", "counts_sensitive_kinds")
        if not await store.put(tx.conn, kind, caller.staff_id):
            raise stale()
    return kind
