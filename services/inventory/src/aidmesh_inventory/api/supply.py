"""What could be had now, in one answer: of each kind that somebody asks about, and of each item."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import asyncpg
from pydantic import BaseModel, Field, TypeAdapter

from aidmesh_chassis.db import Database
from aidmesh_chassis.http import Body, PageQuery, Routes
from aidmesh_chassis.idempotency import CHANGES_NOTHING
from aidmesh_chassis.peers import LinkOf, LinkState
from aidmesh_contracts.values import Code
from aidmesh_inventory.api.callers import Staff
from aidmesh_inventory.api.capacity import CapacityRow, hide_sensitive
from aidmesh_inventory.api.stock import own_shown
from aidmesh_inventory.domain.supply import At, Free, places_now, sets_at, supply_of
from aidmesh_inventory.store import world

WANTED_MAX = 200
SITES_MAX = 10
"""How many sites are named for each kind: those with the most."""
_ITEM: TypeAdapter[str] = TypeAdapter(str)


class GoodsIn(Body):
    """Pieces of an item that one unit takes."""

    item: Code
    quantity: Annotated[int, Field(ge=1, le=1_000_000)]


class PlaceIn(Body):
    """A kind of place."""

    resource: Literal["bed", "slot"]
    code: Code


class WantedIn(Body):
    """What one unit of a kind takes: goods, all from one site, or else a place.

    Attributes:
        code: whatever the caller calls the kind; it comes back with the answer.
    """

    code: Code
    stock: Annotated[tuple[GoodsIn, ...], Field(max_length=50)] = ()
    place: PlaceIn | None = None


class SupplyIn(Body):
    """Kinds to be told of."""

    wanted: Annotated[list[WantedIn], Field(max_length=WANTED_MAX)]


class SiteSupply(BaseModel):
    """How many units a site of this region could serve now."""

    site_id: UUID
    free: int


class RegionSupply(BaseModel):
    """How many units another region could serve, as of when it said so; `link`: is it heard?"""

    region: str
    free: int
    as_of: datetime
    link: LinkState | None


class KindSupply(BaseModel):
    """How many units could be served now; sites with the most first, not all of them."""

    code: str
    free: int
    sites: list[SiteSupply]
    elsewhere: list[RegionSupply]


class SupplyOut(BaseModel):
    """What could be had of each kind, in the order in which they were asked about."""

    rows: list[KindSupply]


class ItemTotal(BaseModel):
    """Pieces of an item that are free in this region."""

    item: str
    free: int


class TotalsPage(BaseModel):
    """Items by code."""

    rows: list[ItemTotal]
    next: str | None


async def _goods(
    conn: asyncpg.Connection, region: str, items: list[str], *, sensitive_too: bool
) -> list[Free]:
    own = await world.own_stock(conn, site_id=None, items=items, sensitive_too=sensitive_too)
    others = await world.others_stock(conn, items=items)
    return [
        Free(region, row.site_id, row.item, row.free, row.as_of)
        for row in own_shown(own, sensitive_too=sensitive_too)
    ] + [
        Free(row["region"], row["site_id"], row["item"], row["free"], row["as_of"])
        for row in others
    ]


async def _places(
    conn: asyncpg.Connection, region: str, codes: list[str], *, sensitive_too: bool
) -> list[CapacityRow]:
    own = await world.own_capacity(conn, resource=None, codes=codes)
    shown = [CapacityRow(region=region, **row) for row in own]
    if not sensitive_too:
        await hide_sensitive(conn, shown)
    others = await world.others_capacity(conn, resource=None, codes=codes)
    return [*shown, *(CapacityRow(**row) for row in others)]


def _at(wanted: WantedIn, goods: list[Free], places: list[CapacityRow]) -> list[At]:
    if wanted.stock:
        lines: dict[str, int] = {}
        for line in wanted.stock:
            lines[line.item] = lines.get(line.item, 0) + line.quantity
        return sets_at(lines, goods)
    place = wanted.place
    return [
        At(row.region, row.site_id, places_now(place.resource, row.free_by_day), row.as_of)
        for row in places
        if place is not None and (row.resource, row.code) == (place.resource, place.code)
    ]


def router(database: Database, region: str, link: LinkOf) -> Routes:
    """Return the routes."""
    routes = Routes(prefix="/v1", tags=["stock"])

    @routes.post("/supply:lookup", openapi_extra=dict(CHANGES_NOTHING))
    async def lookup(body: SupplyIn, caller: Staff) -> SupplyOut:
        """How many of each kind could be had now, here and elsewhere. Changes nothing."""
        too = caller.sees_sensitive
        items = sorted({line.item for each in body.wanted for line in each.stock})
        codes = sorted({each.place.code for each in body.wanted if each.place is not None})
        async with database.read() as conn:
            goods = await _goods(conn, region, items, sensitive_too=too) if items else []
            places = await _places(conn, region, codes, sensitive_too=too) if codes else []
        rows: list[KindSupply] = []
        for wanted in body.wanted:
            found = supply_of(region, _at(wanted, goods, places))
            rows.append(
                KindSupply(
                    code=wanted.code,
                    free=found.units,
                    sites=[
                        SiteSupply(site_id=at.site_id, free=at.units)
                        for at in found.sites[:SITES_MAX]
                    ],
                    elsewhere=[
                        RegionSupply(
                            region=each.region,
                            free=each.units,
                            as_of=each.as_of,
                            link=link(each.region),
                        )
                        for each in found.elsewhere
                    ],
                )
            )
        return SupplyOut(rows=rows)

    @routes.get("/stock/totals")
    async def totals(caller: Staff, page: PageQuery) -> TotalsPage:
        """What is free of each item, at all sites of this region together."""
        too = caller.sees_sensitive
        async with database.read() as conn:
            items = await world.stocked_items(conn, page.after(_ITEM), page.limit + 1)
            kept, after = page.cut(items, lambda item: item)
            own = await world.own_stock(conn, site_id=None, items=kept, sensitive_too=too)
        free = dict.fromkeys(kept, 0)
        for row in own_shown(own, sensitive_too=too):
            free[row.item] += row.free
        return TotalsPage(
            rows=[ItemTotal(item=item, free=pieces) for item, pieces in free.items()], next=after
        )

    return routes
