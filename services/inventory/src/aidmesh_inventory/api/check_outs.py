"""Guests whose last night is over: whom to check out, and check-outs that are taken back."""

from datetime import UTC, date, datetime
from typing import Annotated
from uuid import UUID

from fastapi import Response
from pydantic import AliasChoices, BaseModel, Field

from aidmesh_chassis.db import Database
from aidmesh_chassis.http import Body, PageQuery, Routes
from aidmesh_chassis.idempotency import Once
from aidmesh_contracts.days import EnteredDay, day_of
from aidmesh_contracts.values import Code
from aidmesh_inventory.api.callers import UUID_KEY, AtDesk, Staff
from aidmesh_inventory.api.problems import problem
from aidmesh_inventory.api.reservations import ChangedOut, unseen
from aidmesh_inventory.handlers import stays
from aidmesh_inventory.store import check_outs


class CheckOutOut(BaseModel):
    """A guest who by the booking has left and of whom nobody said so, or who was checked out.

    Attributes:
        to_on: the day of leaving, as booked or as somebody said.
        by_clock: the guest was checked out when the stay was over; a check-out with the day they
            really left confirms or corrects it.
    """

    reservation_id: UUID
    need_id: UUID
    site_id: UUID
    code: str
    beds: list[str]
    from_on: date
    to_on: date
    by_clock: bool


class CheckOutPage(BaseModel):
    """Check-outs to look at, by reservation."""

    rows: list[CheckOutOut]
    next: str | None


class UndoCheckOutIn(Body):
    """Why a check-out is taken back: a code, such as `still_here`.

    Attributes:
        until: the day the guest will leave; by default as booked, or tomorrow where that is over.
    """

    reason: Code
    until: Annotated[EnteredDay | None, Field(validation_alias=AliasChoices("to_on", "until"))] = (
        None
    )


def router(database: Database) -> Routes:
    """Return the routes."""
    routes = Routes(prefix="/v1", tags=["reservations"])

    @routes.get("/check-outs")
    async def list_check_outs(
        caller: Staff,
        page: PageQuery,
        site_id: UUID | None = None,
        left_since: EnteredDay | None = None,
    ) -> CheckOutPage:
        """Guests who should have left by today, checked out by the clock or not yet.

        With `left_since` those instead whom somebody checked out, as having left since that day.
        """
        too, after, limit = caller.sees_sensitive, page.after(UUID_KEY), page.limit + 1
        async with database.read() as conn:
            if left_since is None:
                today = day_of(datetime.now(UTC))
                rows = await check_outs.overdue(
                    conn, site_id=site_id, today=today, sensitive_too=too, after=after, limit=limit
                )
            else:
                rows = await check_outs.left_since(
                    conn,
                    site_id=site_id,
                    since=left_since,
                    sensitive_too=too,
                    after=after,
                    limit=limit,
                )
        kept, cursor = page.cut(rows, lambda row: row["reservation_id"])
        return CheckOutPage(rows=[CheckOutOut(**row) for row in kept], next=cursor)

    @routes.post("/reservations/{reservation_id}:undo-check-out", response_model=ChangedOut)
    async def undo_check_out(
        reservation_id: UUID, body: UndoCheckOutIn, caller: AtDesk, once: Once
    ) -> Response:
        """Take only the check-out back: the guest has not left, the stay goes on."""
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            if await unseen(tx, [reservation_id], caller):
                raise problem("unknown-reservation")
            fault = await stays.undo_check_out(tx, reservation_id, body.reason, body.until)
            if fault is not None:
                raise problem(fault)
            return await once.answer(tx, 200, {"reservation_id": reservation_id, "state": "issued"})

    return routes
