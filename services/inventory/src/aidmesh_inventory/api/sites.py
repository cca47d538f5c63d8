"""Sites and items."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID, uuid4

from fastapi import Depends, Response
from pydantic import BaseModel, Field, TypeAdapter

from aidmesh_chassis.auth import Role, require
from aidmesh_chassis.crypto import decrypt, encrypt
from aidmesh_chassis.db import Database, Tx
from aidmesh_chassis.http import Body, PageQuery, Routes, revealed
from aidmesh_chassis.idempotency import Once
from aidmesh_chassis.keys import KeyRing
from aidmesh_chassis.peers import LinkOf, LinkState
from aidmesh_chassis.privacy import PersonalText
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_contracts.values import Area, Code
from aidmesh_inventory.api.callers import ANYONE, KEEPER
from aidmesh_inventory.api.problems import problem
from aidmesh_inventory.domain.areas import iso_code_of
from aidmesh_inventory.handlers import sites as handlers
from aidmesh_inventory.store import sites, world

_TEXT_KEY: TypeAdapter[str] = TypeAdapter(str)
_OTHER_KEY: TypeAdapter[tuple[str, UUID]] = TypeAdapter(tuple[str, UUID])
_SEES_ADDRESS = Depends(require(Role.CASEWORKER, Role.LOGISTICIAN, Role.LEAD))

Name = Annotated[str, Field(min_length=1, max_length=200)]


class SiteIn(Body):
    """A new site.

    Attributes:
        area: P-code; the ISO code that goes with it is kept beside it.
        site_type: such as `shelter`, `warehouse`, `center`, `office`.
        address: encrypted; where a shelter is must not be known.
    """

    code: Code
    name: Name
    area: Area
    site_type: Code
    address: PersonalText | None = None


class SiteOut(BaseModel):
    """A site as staff see it in lists: no address."""

    site_id: UUID
    code: str
    name: str
    area: str
    iso_code: str
    site_type: str
    status: Literal["open", "closed"]
    status_reason: str | None
    version: int


class SiteDetail(SiteOut):
    """A site with its address."""

    address: PersonalText | None


class OtherSite(BaseModel):
    """A site of another region; `link` says whether that region is heard."""

    region: str
    site_id: UUID
    area: str
    site_type: str
    status: str
    as_of: datetime
    link: LinkState | None


class OtherSitePage(BaseModel):
    """Sites of the other regions by region."""

    rows: list[OtherSite]
    next: str | None


class SiteCorrectIn(Body):
    """What a site is called and where it is; what is left out stays.

    Attributes:
        version: of the site that was looked at.
        address: null for none. It is in no event.
    """

    version: Annotated[int, Field(ge=1)]
    name: Name | None = None
    address: PersonalText | None = None


class Reason(Body):
    """Why something is done: a code, never anything about a person."""

    reason: Code


class CloseIn(Reason):
    """Closing a site.

    Attributes:
        keep: for an alert or a power cut: reservations stay and their clocks stand still.
    """

    keep: bool = False


class Names(Body):
    """A name in the three languages of the desk."""

    uk: Name
    en: Name
    de: Name


class ItemIn(Body):
    """A new item.

    Attributes:
        pack: pieces in a pack.
        tracking: `serial` items become assets when they are handed to a center.
    """

    code: Code
    names: Names
    unit: Code = "piece"
    pack: Annotated[int, Field(ge=1, le=100_000)] = 1
    tracking: Literal["lot", "serial", "none"] = "lot"
    prescription: bool = False


class ItemCorrectIn(Body):
    """What an item is called, and whether it takes a prescription; what is left out stays.

    Attributes:
        version: of the item that was looked at.
    """

    version: Annotated[int, Field(ge=1)]
    names: Names | None = None
    prescription: bool | None = None


class ItemOut(BaseModel):
    """An item."""

    code: str
    names: dict[str, str]
    unit: str
    pack: int
    tracking: str
    prescription: bool
    version: int


class SitePage(BaseModel):
    """Sites of this region by code."""

    rows: list[SiteOut]
    next: str | None


class ItemPage(BaseModel):
    """Items by code."""

    rows: list[ItemOut]
    next: str | None


def _out(row: sites.SiteRow) -> SiteOut:
    return SiteOut.model_validate(row, from_attributes=True)


def _place_of(site_id: UUID) -> bytes:
    return b"site:" + site_id.bytes


def _sealed(keys: KeyRing, address: PersonalText | None, site_id: UUID) -> bytes | None:
    if address is None:
        return None
    return encrypt(keys.master(), address.reveal().encode(), _place_of(site_id))


def router(database: Database, keys: KeyRing, link: LinkOf) -> Routes:
    """Return the routes."""
    routes = Routes(prefix="/v1", tags=["sites and items"])

    @routes.post("/sites", status_code=201, response_model=SiteOut, dependencies=[KEEPER])
    async def add_site(body: SiteIn, once: Once) -> Response:
        """Add a site. Sent again with the same content it gives the site there is."""
        iso_code = iso_code_of(body.area)
        if iso_code is None:
            raise problem("unknown-area")
        site_id = uuid4()
        address = _sealed(keys, body.address, site_id)
        row = sites.SiteRow(
            site_id, body.code, body.name, body.area, iso_code, body.site_type, "open", None,
            address, 1,
        )  # fmt: skip
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            status = 201
            if not await handlers.add(tx, row):
                found = await sites.get_by_code(tx.conn, body.code)
                same = found is not None and (found.area, found.site_type, found.name) == (
                    body.area,
                    body.site_type,
                    body.name,
                )
                if found is None or not same:
                    raise problem("code-taken")
                row, status = found, 200
            return await once.answer(
                tx, status, _out(row).model_dump(mode="json"), location=f"/v1/sites/{row.site_id}"
            )

    @routes.get("/sites", dependencies=[ANYONE])
    async def list_sites(page: PageQuery, area: str | None = None) -> SitePage:
        """Sites of this region by code; `area` takes in what lies inside it."""
        async with database.read() as conn:
            rows = await sites.list_all(
                conn, area=area, after=page.after(_TEXT_KEY), limit=page.limit + 1
            )
        kept, after = page.cut(rows, lambda row: row.code)
        return SitePage(rows=[_out(row) for row in kept], next=after)

    @routes.get("/sites/others", dependencies=[ANYONE])
    async def other_sites(page: PageQuery) -> OtherSitePage:
        """Sites of the other regions: area and kind, never where exactly."""
        async with database.read() as conn:
            rows = await world.others_sites(
                conn, after=page.after(_OTHER_KEY), limit=page.limit + 1
            )
        kept, after = page.cut(rows, lambda row: (row["region"], row["site_id"]))
        return OtherSitePage(
            rows=[OtherSite(**row, link=link(row["region"])) for row in kept], next=after
        )

    @routes.get("/sites/{site_id}", response_model=SiteDetail, dependencies=[_SEES_ADDRESS])
    async def get_site(site_id: UUID) -> Response:
        """A site with its address."""
        async with database.read() as conn:
            row = await sites.get(conn, site_id)
        if row is None:
            raise Problem(NOT_FOUND)
        address = None
        if row.address is not None:
            text = decrypt(keys.master(), row.address, _place_of(site_id))
            address = PersonalText(text.decode())
        return revealed(SiteDetail(**_out(row).model_dump(), address=address))

    @routes.post("/sites/{site_id}:correct", response_model=SiteOut, dependencies=[KEEPER])
    async def correct_site(site_id: UUID, body: SiteCorrectIn, once: Once) -> Response:
        """Correct a site's name or address; other regions know neither."""
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            found = await sites.get(tx.conn, site_id)
            if found is None:
                raise Problem(NOT_FOUND)
            address = found.address
            if "address" in body.model_fields_set:
                address = _sealed(keys, body.address, site_id)
            row = await sites.correct(
                tx.conn, site_id, body.version, name=body.name or found.name, address=address
            )
            if row is None:
                raise problem("version-changed")
            return await once.answer(tx, 200, _out(row).model_dump(mode="json"))

    @routes.post("/sites/{site_id}:close", response_model=SiteOut, dependencies=[KEEPER])
    async def close_site(site_id: UUID, body: CloseIn, once: Once) -> Response:
        """Close a site: what is not handed out there is released, for its needs to go elsewhere."""
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            row = await handlers.close(tx, site_id, body.reason, keeps=body.keep)
            if row is None:
                raise await _missing(tx, site_id, "not-open")
            return await once.answer(tx, 200, _out(row).model_dump(mode="json"))

    @routes.post("/sites/{site_id}:reopen", response_model=SiteOut, dependencies=[KEEPER])
    async def reopen_site(site_id: UUID, body: Reason, once: Once) -> Response:
        """Open a closed site; pick-up deadlines are extended by the time it was closed."""
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            row = await handlers.reopen(tx, site_id, body.reason)
            if row is None:
                raise await _missing(tx, site_id, "not-closed")
            return await once.answer(tx, 200, _out(row).model_dump(mode="json"))

    @routes.post("/items", status_code=201, response_model=ItemOut, dependencies=[KEEPER])
    async def add_item(body: ItemIn, once: Once) -> Response:
        """Add an item. Sent again with the same content it gives the item there is."""
        row = sites.ItemRow(
            body.code,
            body.names.model_dump(),
            body.unit,
            body.pack,
            body.tracking,
            body.prescription,
        )
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            status = 201
            if not await sites.put_item(tx.conn, row):
                found = (await sites.items_by_code(tx.conn, [body.code])).get(body.code)
                if found is None or replace(found, version=row.version) != row:
                    raise problem("code-taken")
                row, status = found, 200
            out = ItemOut.model_validate(row, from_attributes=True)
            return await once.answer(tx, status, out.model_dump(mode="json"))

    @routes.post("/items/{code}:correct", response_model=ItemOut, dependencies=[KEEPER])
    async def correct_item(code: str, body: ItemCorrectIn, once: Once) -> Response:
        """Correct an item's names, or whether it is given on prescription only."""
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            found = (await sites.items_by_code(tx.conn, [code])).get(code)
            if found is None:
                raise Problem(NOT_FOUND)
            row = await sites.correct_item(
                tx.conn,
                code,
                body.version,
                names=found.names if body.names is None else body.names.model_dump(),
                prescription=(
                    found.prescription if body.prescription is None else body.prescription
                ),
            )
            if row is None:
                raise problem("version-changed")
            out = ItemOut.model_validate(row, from_attributes=True)
            return await once.answer(tx, 200, out.model_dump(mode="json"))

    @routes.get("/items", dependencies=[ANYONE])
    async def list_items(page: PageQuery) -> ItemPage:
        """Items by code."""
        async with database.read() as conn:
            rows = await sites.items(conn, after=page.after(_TEXT_KEY), limit=page.limit + 1)
        kept, after = page.cut(rows, lambda row: row.code)
        return ItemPage(
            rows=[ItemOut.model_validate(row, from_attributes=True) for row in kept], next=after
        )

    return routes


async def _missing(tx: Tx, site_id: UUID, otherwise: str) -> Problem:
    known = await sites.get(tx.conn, site_id)
    return Problem(NOT_FOUND) if known is None else problem(otherwise)
