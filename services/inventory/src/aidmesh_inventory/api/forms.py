"""Handovers, check-ins, check-outs and attendance, many rows at once."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import Response
from pydantic import AliasChoices, Field, model_validator

from aidmesh_chassis.auth import Caller
from aidmesh_chassis.db import Database, Tx
from aidmesh_chassis.http import Routes
from aidmesh_chassis.idempotency import Once
from aidmesh_chassis.routing import BulkRoute
from aidmesh_contracts.days import EnteredDay, day_of
from aidmesh_inventory.api.bulk import Bulk, BulkIn, BulkOut, Row
from aidmesh_inventory.api.callers import AtDesk
from aidmesh_inventory.api.reservations import Serial, seen, unseen
from aidmesh_inventory.domain.requests import Way
from aidmesh_inventory.handlers import handover, stays
from aidmesh_inventory.handlers.release import release
from aidmesh_inventory.store import reservations


class NeedRow(Row):
    """A row about a reservation, named by itself or by its need."""

    need_id: UUID | None = None
    reservation_id: UUID | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "NeedRow":
        if (self.need_id is None) == (self.reservation_id is None):
            raise ValueError("exactly one of need_id and reservation_id")
        return self


class HandoverRow(NeedRow):
    """Goods that were handed over; on prescription only with the day it was looked at."""

    served_on: EnteredDay | None = None
    to_site_id: UUID | None = None
    serials: Annotated[tuple[Serial, ...], Field(max_length=500)] = ()
    prescription_seen_on: EnteredDay | None = None


class CheckInRow(NeedRow):
    """A guest who came."""

    served_on: Annotated[
        EnteredDay | None, Field(validation_alias=AliasChoices("served_on", "from_on"))
    ] = None


class CheckOutRow(NeedRow):
    """A guest who left, on the morning after the last night."""

    to_on: Annotated[
        EnteredDay | None, Field(validation_alias=AliasChoices("to_on", "left_on", "served_on"))
    ] = None


class AttendanceRow(NeedRow):
    """A visitor who came, or did not."""

    served_on: EnteredDay | None = None
    attended: bool = True


N = TypeVar("N", bound=NeedRow)


async def _named(tx: Tx, bulk: Bulk[N], caller: Caller) -> dict[int, UUID]:
    """The reservations that fresh rows mean, each named once; other rows are rejected."""
    of_need = await reservations.current(
        tx.conn, {row.need_id for row in bulk.fresh.values() if row.need_id is not None}
    )
    by_id = {row.reservation_id for row in bulk.fresh.values() if row.reservation_id is not None}
    hidden = await unseen(tx, {*of_need.values(), *by_id}, caller)
    named: dict[int, UUID] = {}
    seen: set[UUID] = set()
    for number, row in list(bulk.fresh.items()):
        found = row.reservation_id if row.need_id is None else of_need.get(row.need_id)
        if found is None or found in hidden:
            bulk.reject(number, "unknown-reservation")
        elif found in seen:
            bulk.reject(number, "already-issued")
        else:
            seen.add(found)
            named[number] = found
    return named


async def _issue(
    tx: Tx, bulk: Bulk[N], commands: Mapping[int, handover.Issue], caller: Caller
) -> None:
    if not commands:
        return
    faults = await handover.issue(tx, list(commands.values()), caller.staff_id)
    bulk.settle({number: each.reservation_id for number, each in commands.items()}, faults)


def router(database: Database) -> Routes:
    """Return the routes."""
    routes = Routes(prefix="/v1", tags=["reservations"], route_class=BulkRoute)

    @routes.post("/handovers:bulk", response_model=BulkOut)
    async def hand_over_rows(body: BulkIn, caller: AtDesk, once: Once) -> Response:
        """Rows `{row_id, need_id | reservation_id, served_on, to_site_id, serials, …}`.

        What needs a prescription also takes `prescription_seen_on`.
        """
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            bulk = await Bulk.begin(tx, "handovers", body, HandoverRow)
            commands = {
                number: handover.Issue(
                    reservation_id,
                    "handover",
                    bulk.fresh[number].served_on or day_of(tx.now),
                    bulk.fresh[number].to_site_id,
                    bulk.fresh[number].serials,
                    seen(bulk.fresh[number].prescription_seen_on, caller),
                )
                for number, reservation_id in (await _named(tx, bulk, caller)).items()
            }
            await _issue(tx, bulk, commands, caller)
            return await once.answer(tx, 200, await bulk.finish())

    @routes.post("/checkins:bulk", response_model=BulkOut)
    async def check_in_rows(body: BulkIn, caller: AtDesk, once: Once) -> Response:
        """Rows `{row_id, need_id | reservation_id, served_on}`."""
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            bulk = await Bulk.begin(tx, "checkins", body, CheckInRow)
            commands = {
                number: _came(tx, reservation_id, "check_in", bulk.fresh[number].served_on)
                for number, reservation_id in (await _named(tx, bulk, caller)).items()
            }
            await _issue(tx, bulk, commands, caller)
            return await once.answer(tx, 200, await bulk.finish())

    @routes.post("/checkouts:bulk", response_model=BulkOut)
    async def check_out_rows(body: BulkIn, caller: AtDesk, once: Once) -> Response:
        """Rows `{row_id, need_id | reservation_id, to_on}`: the day on which the guest left."""
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            bulk = await Bulk.begin(tx, "checkouts", body, CheckOutRow)
            named = await _named(tx, bulk, caller)
            faults = await stays.check_out(
                tx,
                {
                    reservation_id: bulk.fresh[number].to_on or day_of(tx.now)
                    for number, reservation_id in named.items()
                },
            )
            bulk.settle(named, faults)
            return await once.answer(tx, 200, await bulk.finish())

    @routes.post("/attendance:bulk", response_model=BulkOut)
    async def attendance_rows(body: BulkIn, caller: AtDesk, once: Once) -> Response:
        """Rows `{row_id, need_id | reservation_id, attended, served_on}`."""
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            bulk = await Bulk.begin(tx, "attendance", body, AttendanceRow)
            named = await _named(tx, bulk, caller)
            came = {
                number: _came(tx, reservation_id, "attendance", bulk.fresh[number].served_on)
                for number, reservation_id in named.items()
                if bulk.fresh[number].attended
            }
            stayed_away = {
                number: reservation_id
                for number, reservation_id in named.items()
                if number not in came
            }
            await _issue(tx, bulk, came, caller)
            gone = await release(tx, list(stayed_away.values()), "no_show")
            done = {each.reservation_id for each in gone}
            late = {each: "reservation-over" for each in stayed_away.values() if each not in done}
            bulk.settle(stayed_away, late)
            return await once.answer(tx, 200, await bulk.finish())

    return routes


def _came(tx: Tx, reservation_id: UUID, way: Way, served_on: date | None) -> handover.Issue:
    return handover.Issue(reservation_id, way, served_on or day_of(tx.now))
