"""Beds, and who has them night by night."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID, uuid4

import asyncpg
from fastapi import Query, Response
from pydantic import BaseModel, Field

from aidmesh_chassis.db import Database
from aidmesh_chassis.http import Body, PageQuery, Routes, take
from aidmesh_chassis.idempotency import Once
from aidmesh_chassis.routing import BulkRoute
from aidmesh_contracts.days import EnteredDay, day_of
from aidmesh_contracts.values import Code, Currency
from aidmesh_inventory.api.bulk import BulkIn, BulkOut, SiteRow, add_at_sites
from aidmesh_inventory.api.callers import UUID_KEY, Staff, Storekeeper
from aidmesh_inventory.api.problems import problem
from aidmesh_inventory.handlers import places
from aidmesh_inventory.store import beds
from aidmesh_inventory.store.beds import NewBed

DAYS_MAX = 62
Label = Annotated[str, Field(min_length=1, max_length=64)]


class BedFields(Body):
    """A bed.

    Attributes:
        label: unique at the site, such as `2-B`.
        code: which kind of place, such as `shelter`.
        owner: `outside` beds are paid for by the night where someone else has them.
        night_minor: what a night costs the grant; 0 for beds that cost nothing per use.
    """

    label: Label
    room: Label
    code: Code
    features: Annotated[tuple[Code, ...], Field(max_length=50)] = ()
    owner: Literal["own", "outside"] = "own"
    grant_id: UUID | None = None
    night_minor: Annotated[int, Field(ge=0, le=10**12)] = 0
    currency: Currency = "UAH"


class BedIn(BedFields):
    """A new bed at a site."""

    site_id: UUID


class BedRow(SiteRow, BedFields):
    """A new bed, as a row of a bulk form."""


class BookingOut(BaseModel):
    """Who has a bed and when; a `to_on` of None is an open end."""

    reservation_id: UUID
    need_id: UUID
    state: str
    from_on: date
    to_on: date | None
    left_on: date | None


class BedOut(BaseModel):
    """A bed with its nights: `free`, `held`, `confirmed` or `occupied`."""

    bed_id: UUID
    label: str
    room: str
    code: str
    features: list[str]
    outside: bool
    status: str
    nights: list[str]
    bookings: list[BookingOut]


class BoardOut(BaseModel):
    """The beds of a site by room and label, night by night."""

    site_id: UUID
    nights: list[date]
    beds: list[BedOut]
    next: str | None


_NIGHT = {"held": "held", "confirmed": "confirmed", "issued": "occupied"}


def _board(nights: list[date], rows: list[asyncpg.Record], *, sensitive_too: bool) -> list[BedOut]:
    """The beds; of sensitive needs only that the bed is taken, unless the caller may see them."""
    found: dict[UUID, BedOut] = {}
    for row in rows:
        bed = found.get(row["bed_id"])
        if bed is None:
            bed = found[row["bed_id"]] = BedOut(
                bed_id=row["bed_id"],
                label=row["label"],
                room=row["room"],
                code=row["code"],
                features=row["features"],
                outside=row["owner"] == "outside",
                status=row["status"],
                nights=["free"] * len(nights),
                bookings=[],
            )
        if row["reservation_id"] is None:
            continue
        booking = BookingOut(**{name: row[name] for name in BookingOut.model_fields})
        if sensitive_too or not row["sensitive"]:
            bed.bookings.append(booking)
        for number, night in enumerate(nights):
            if booking.from_on <= night and (booking.to_on is None or night < booking.to_on):
                bed.nights[number] = _NIGHT[booking.state]
    return list(found.values())


def _new_bed(bed_id: UUID, site_id: UUID, bed: BedFields) -> tuple[NewBed, tuple[str, ...]]:
    return (
        NewBed(
            bed_id, site_id, bed.label, bed.room, bed.code, bed.owner, bed.grant_id,
            bed.night_minor, bed.currency,
        ),
        bed.features,
    )  # fmt: skip


def router(database: Database, region: str) -> Routes:
    """Return the routes."""
    routes = Routes(prefix="/v1", tags=["beds and slots"])
    bulk_routes = Routes(prefix="/v1", tags=["beds and slots"], route_class=BulkRoute)

    @routes.post("/beds", status_code=201)
    async def add_bed(body: BedIn, caller: Storekeeper, once: Once) -> Response:
        """Add a bed."""
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            bed_id = uuid4()
            fault = (await places.add_beds(tx, [_new_bed(bed_id, body.site_id, body)])).get(bed_id)
            if fault is not None:
                raise problem(fault)
            return await once.answer(tx, 201, {"bed_id": bed_id})

    @bulk_routes.post("/beds:bulk", response_model=BulkOut)
    async def add_bed_rows(body: BulkIn, caller: Storekeeper, once: Once) -> Response:
        """Rows with the fields of a bed and `site_id` or `site_code`."""
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            done = await add_at_sites(tx, region, "beds", body, BedRow, _new_bed, places.add_beds)
            return await once.answer(tx, 200, done)

    @routes.post("/beds/{bed_id}:retire")
    async def retire_bed(bed_id: UUID, caller: Storekeeper, once: Once) -> Response:
        """Take a bed out of use, if nobody has it."""
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            fault = await places.retire_bed(tx, bed_id)
            if fault is not None:
                raise problem(fault)
            return await once.answer(tx, 200, {"bed_id": bed_id})

    @routes.post("/beds/{bed_id}:restore")
    async def restore_bed(bed_id: UUID, caller: Storekeeper, once: Once) -> Response:
        """Take a bed into use again that was retired."""
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            fault = await places.restore_bed(tx, bed_id)
            if fault is not None:
                raise problem(fault)
            return await once.answer(tx, 200, {"bed_id": bed_id})

    @routes.get("/beds")
    async def see_beds(
        caller: Staff,
        page: PageQuery,
        site_id: UUID,
        from_on: Annotated[EnteredDay | None, Query(alias="from")] = None,
        days: Annotated[int, Query(ge=1, le=DAYS_MAX)] = 14,
    ) -> BoardOut:
        """The beds of a site and who has them, night by night from today or a given day."""
        first = from_on or day_of(datetime.now(UTC))
        nights = [first + timedelta(days=number) for number in range(days)]
        async with database.read() as conn:
            rows = await beds.board(
                conn,
                site_id,
                first,
                first + timedelta(days=days),
                page.after(UUID_KEY),
                page.limit + 1,
            )
        board = _board(nights, rows, sensitive_too=caller.sees_sensitive)
        kept, after = page.cut(board, lambda bed: bed.bed_id)
        return BoardOut(site_id=site_id, nights=nights, beds=list(kept), next=after)

    take(routes, bulk_routes)
    return routes
