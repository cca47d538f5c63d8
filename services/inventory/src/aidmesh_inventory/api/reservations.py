"""Reservations: find them, hand over, check in and out, attend, undo; one by one."""

import json
from collections.abc import Collection
from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

import asyncpg
from fastapi import Query, Response
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from aidmesh_chassis.auth import Caller
from aidmesh_chassis.db import Database, Tx
from aidmesh_chassis.http import Body, PageQuery, Routes
from aidmesh_chassis.idempotency import CHANGES_NOTHING, Once
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_contracts.days import EnteredDay, day_of
from aidmesh_contracts.values import Code
from aidmesh_inventory.api.callers import DESK_ROLES, UUID_KEY, AtDesk, Staff
from aidmesh_inventory.api.problems import problem
from aidmesh_inventory.domain.requests import Way
from aidmesh_inventory.handlers import handover, stays
from aidmesh_inventory.handlers.release import release
from aidmesh_inventory.store import reservations, views

IDS_MAX = 5000
NUMBERS_MAX = 50
Serial = Annotated[str, Field(min_length=1, max_length=64)]
State = Literal["held", "confirmed", "issued", "released", "expired", "relocated"]
WAYS: dict[str, Way] = {"stock": "handover", "bed": "check_in", "slot": "attendance"}


def seen(on: date | None, caller: Caller) -> handover.Prescription | None:
    """Who looked at a prescription, by role."""
    if on is None:
        return None
    role = next(role for role in DESK_ROLES if role in caller.roles)
    return handover.Prescription(on, role.value)


class AllocationOut(BaseModel):
    """Pieces of one lot; `expiry` is the last day on which they are good, if there is one."""

    model_config = ConfigDict(extra="forbid")

    lot_id: UUID
    item: str
    quantity: int
    expiry: date | None


class BedsOut(BaseModel):
    """Beds for the nights `[from_on, to_on)`.

    Attributes:
        from_on: None where no night is left, and it is not known when the guest left.
        to_on: None for an open end.
        left_by_clock: nobody said that the guest left on `left_on`, their time was over.
        places: how many beds; `beds` are their labels.
    """

    model_config = ConfigDict(extra="forbid")

    resource: Literal["bed"]
    code: str
    from_on: date | None
    to_on: date | None
    left_on: date | None
    left_by_clock: bool
    places: int
    beds: list[str]


class SeatsOut(BaseModel):
    """Seats (`places`) in a slot."""

    model_config = ConfigDict(extra="forbid")

    resource: Literal["slot"]
    code: str
    slot_id: UUID
    starts_at: datetime
    minutes: int
    places: int


class ReservationOut(BaseModel):
    """What is set aside for an attempt to serve a need, and where it stands."""

    reservation_id: UUID
    need_id: UUID
    attempt_no: int
    way: str
    state: str
    cause: str | None
    site_id: UUID | None
    to_site_id: UUID | None
    planned_on: date
    hold_until: datetime
    told_at: datetime | None
    collect_by: datetime | None
    served_on: date | None
    issue_no: int
    allocations: list[AllocationOut]
    booking: Annotated[BedsOut | SeatsOut, Field(discriminator="resource")] | None


class ReservationPage(BaseModel):
    """Reservations by id."""

    rows: list[ReservationOut]
    next: str | None


class LookupIn(Body):
    """Needs or reservations to look up.

    Attributes:
        need_number: the first digits of a need's id, as it is called over a counter.
    """

    need_ids: Annotated[tuple[UUID, ...], Field(max_length=IDS_MAX)] = ()
    reservation_ids: Annotated[tuple[UUID, ...], Field(max_length=IDS_MAX)] = ()
    need_number: Annotated[str | None, Field(pattern=r"^[0-9A-Fa-f]{6,32}$")] = None


class LookupOut(BaseModel):
    """What was found; needs without a reservation are not in it.

    Of the needs that a number could mean, at most 50.
    """

    rows: list[ReservationOut]


class IssueIn(Body):
    """Handing over; `served_on` is today (Kyiv) by default.

    Attributes:
        to_site_id: the center that the goods go to; by default the site they were asked for.
        serials: their serial numbers.
        prescription_seen_on: the day somebody looked at the prescription of what needs one.
    """

    served_on: EnteredDay | None = None
    to_site_id: UUID | None = None
    serials: Annotated[tuple[Serial, ...], Field(max_length=500)] = ()
    prescription_seen_on: EnteredDay | None = None


class DayIn(Body):
    """The day something happened on, today (Kyiv) by default."""

    on: Annotated[
        EnteredDay | None,
        Field(validation_alias=AliasChoices("served_on", "from_on", "to_on", "left_on", "on")),
    ] = None


class UndoIn(Body):
    """Why an issue is taken back: a code, such as `wrong_person`."""

    reason: Code


class ChangedOut(BaseModel):
    """The reservation that was changed."""

    reservation_id: UUID
    state: str


def _out(row: asyncpg.Record) -> ReservationOut:
    fields = dict(row)
    bed, slot = fields.pop("beds"), fields.pop("slot")
    place = bed or slot
    return ReservationOut(
        **{**fields, "allocations": json.loads(fields["allocations"])},
        booking=None if place is None else json.loads(place),
    )


def router(database: Database) -> Routes:
    """Return the routes."""
    routes = Routes(prefix="/v1", tags=["reservations"])

    @routes.get("/reservations")
    async def list_reservations(
        caller: Staff,
        page: PageQuery,
        state: Annotated[list[State] | None, Query(max_length=6)] = None,
        site_id: UUID | None = None,
        resource: Literal["stock", "bed", "slot"] | None = None,
    ) -> ReservationPage:
        """Reservations, by default those that wait to be collected."""
        async with database.read() as conn:
            rows = await views.page(
                conn,
                states=state or ["confirmed"],
                site_id=site_id,
                way=None if resource is None else WAYS[resource],
                sensitive_too=caller.sees_sensitive,
                after=page.after(UUID_KEY),
                limit=page.limit + 1,
            )
        kept, after = page.cut(rows, lambda row: row["reservation_id"])
        return ReservationPage(rows=[_out(row) for row in kept], next=after)

    @routes.post("/reservations:lookup", openapi_extra=dict(CHANGES_NOTHING))
    async def lookup(body: LookupIn, caller: Staff) -> LookupOut:
        """The latest reservations of needs, and reservations by id. Changes nothing."""
        too = caller.sees_sensitive
        async with database.read() as conn:
            rows = (
                await views.current(conn, body.need_ids, sensitive_too=too) if body.need_ids else []
            )
            if body.reservation_ids:
                rows += await views.by_ids(conn, body.reservation_ids, sensitive_too=too)
            if body.need_number:
                first, last = _meant(body.need_number)
                rows += await views.by_number(conn, first, last, NUMBERS_MAX, sensitive_too=too)
        return LookupOut(rows=[_out(row) for row in rows])

    @routes.get("/needs/{need_id}/reservation")
    async def of_need(need_id: UUID, caller: Staff) -> ReservationOut:
        """The latest reservation of a need."""
        async with database.read() as conn:
            rows = await views.current(conn, [need_id], sensitive_too=caller.sees_sensitive)
        if not rows:
            raise Problem(NOT_FOUND)
        return _out(rows[0])

    async def issue(
        reservation_id: UUID, way: Way, body: IssueIn, caller: Caller, once: Once
    ) -> Response:
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            await _admit(tx, reservation_id, caller)
            faults = await handover.issue(
                tx,
                [
                    handover.Issue(
                        reservation_id,
                        way,
                        body.served_on or day_of(tx.now),
                        body.to_site_id,
                        body.serials,
                        seen(body.prescription_seen_on, caller),
                    )
                ],
                caller.staff_id,
            )
            if faults:
                raise problem(faults[reservation_id])
            return await once.answer(tx, 200, _changed(reservation_id, "issued"))

    @routes.post("/reservations/{reservation_id}:issue", response_model=ChangedOut)
    async def hand_over(
        reservation_id: UUID, body: IssueIn, caller: AtDesk, once: Once
    ) -> Response:
        """Hand goods over."""
        return await issue(reservation_id, "handover", body, caller, once)

    @routes.post("/reservations/{reservation_id}:check-in", response_model=ChangedOut)
    async def check_in(reservation_id: UUID, body: DayIn, caller: AtDesk, once: Once) -> Response:
        """A guest came."""
        return await issue(reservation_id, "check_in", IssueIn(served_on=body.on), caller, once)

    @routes.post("/reservations/{reservation_id}:attend", response_model=ChangedOut)
    async def attend(reservation_id: UUID, body: DayIn, caller: AtDesk, once: Once) -> Response:
        """A visitor came."""
        return await issue(reservation_id, "attendance", IssueIn(served_on=body.on), caller, once)

    @routes.post("/reservations/{reservation_id}:check-out", response_model=ChangedOut)
    async def check_out(reservation_id: UUID, body: DayIn, caller: AtDesk, once: Once) -> Response:
        """A guest left: the nights are settled and the rest of the stay is free."""
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            await _admit(tx, reservation_id, caller)
            faults = await stays.check_out(tx, {reservation_id: body.on or day_of(tx.now)})
            if faults:
                raise problem(faults[reservation_id])
            return await once.answer(tx, 200, _changed(reservation_id, "issued"))

    @routes.post("/reservations/{reservation_id}:undo", response_model=ChangedOut)
    async def undo(reservation_id: UUID, body: UndoIn, caller: AtDesk, once: Once) -> Response:
        """Take an issue back: what was handed out is set aside again for the same need."""
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            await _admit(tx, reservation_id, caller)
            changed = await handover.undo(tx, reservation_id, body.reason, caller.staff_id)
            if changed is None:
                states = await reservations.states(tx.conn, [reservation_id])
                raise problem("not-issued" if states else "unknown-reservation")
            return await once.answer(tx, 200, _changed(reservation_id, "confirmed"))

    async def give_up(
        reservation_id: UUID, cause: Literal["no_show", "relocated"], caller: Caller, once: Once
    ) -> Response:
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            await _admit(tx, reservation_id, caller)
            if not await release(tx, [reservation_id], cause):
                states = await reservations.states(tx.conn, [reservation_id])
                if not states:
                    raise problem("unknown-reservation")
                is_issued = states[reservation_id][0] == "issued"
                raise problem("already-issued" if is_issued else "reservation-over")
            state = "relocated" if cause == "relocated" else "released"
            return await once.answer(tx, 200, _changed(reservation_id, state))

    @routes.post("/reservations/{reservation_id}:no-show", response_model=ChangedOut)
    async def no_show(reservation_id: UUID, caller: AtDesk, once: Once) -> Response:
        """Nobody came: the bed or the seat is free again."""
        return await give_up(reservation_id, "no_show", caller, once)

    @routes.post("/reservations/{reservation_id}:relocate", response_model=ChangedOut)
    async def relocate(reservation_id: UUID, caller: AtDesk, once: Once) -> Response:
        """Send someone on: intake asks anew, and this site is taken only if no other will do."""
        return await give_up(reservation_id, "relocated", caller, once)

    return routes


async def unseen(tx: Tx, ids: Collection[UUID], caller: Caller) -> set[UUID]:
    """Those of these reservations that are not there for this caller."""
    return set() if caller.sees_sensitive else await reservations.sensitive(tx.conn, ids)


async def _admit(tx: Tx, reservation_id: UUID, caller: Caller) -> None:
    if await unseen(tx, [reservation_id], caller):
        raise problem("unknown-reservation")


def _meant(number: str) -> tuple[UUID, UUID]:
    """The first and the last id that a need's number could stand for."""
    return UUID(number.ljust(32, "0")), UUID(number.ljust(32, "f"))


def _changed(reservation_id: UUID, state: str) -> dict[str, object]:
    return {"reservation_id": reservation_id, "state": state}
