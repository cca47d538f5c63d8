"""Needs: lists, one with its timeline, and what staff do to it."""

from datetime import date, datetime
from typing import Annotated, Final
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, TypeAdapter

from aidmesh_chassis.db import Tx
from aidmesh_chassis.http import Body, PageQuery, revealed
from aidmesh_chassis.idempotency import Once
from aidmesh_chassis.privacy import PersonalText
from aidmesh_chassis.problems import Problem
from aidmesh_contracts.values import Area, BlockedBy, Code
from aidmesh_intake.api.context import (
    HINDERED,
    STEP_NOT_ALLOWED,
    Caseworker,
    Context,
    Ctx,
    Lead,
    Staff,
    Teller,
    invalid,
    not_found,
)
from aidmesh_intake.domain import commands
from aidmesh_intake.domain.dates import today_of
from aidmesh_intake.domain.need import Need, State
from aidmesh_intake.domain.triage import Band, band, floor_of
from aidmesh_intake.handlers import acting
from aidmesh_intake.handlers.acting import Outcome
from aidmesh_intake.store import lists, persons, waitlist
from aidmesh_intake.store import needs as store

router = APIRouter(prefix="/v1", tags=["needs"])
_AFTER: Final = TypeAdapter(tuple[int, date, int, UUID])


class NeedRow(BaseModel):
    """One line of a list. Names only where they were asked for by a role that may see them."""

    need_id: UUID
    request_id: UUID
    kind: str
    state: str
    band: Band
    for_whom: str
    person_id: UUID | None
    household_id: UUID | None
    headcount: int | None
    quantity: int
    asked_on: date
    planned_on: date
    needed_by: date | None
    place_area: str
    site_id: UUID | None
    at_site_id: UUID | None
    waits_for: str | None
    wait: str | None
    told_at: datetime | None
    message: str | None
    served_on: date | None
    given: bool
    reason: str | None
    attention: str | None
    version: int
    chosen_name: PersonalText | None = None
    client_code: PersonalText | None = None


class NeedPage(BaseModel):
    """A page of a list; `next` is the `after` of the page that follows."""

    needs: list[NeedRow]
    next: str | None


class TimelineEntry(BaseModel):
    """One thing that happened to a need."""

    at: datetime
    note: str
    state: str
    attempt_no: int
    detail: str | None
    staff_id: UUID | None


class NeedView(BaseModel):
    """One need, whole."""

    need_id: UUID
    request_id: UUID
    kind: str
    programme: str
    state: str
    band: Band
    for_whom: str
    person_id: UUID | None
    household_id: UUID | None
    headcount: int | None
    quantity: int
    unit: str
    asked_on: date
    planned_on: date
    needed_by: date | None
    place_area: str
    site_id: UUID | None
    at_site_id: UUID | None
    ask: dict[str, object]
    attempt_no: int
    blocked_by: BlockedBy | None
    wait: str | None
    ahead: int | None
    told_at: datetime | None
    told_how: str | None
    message: str | None
    given: bool
    service_no: int
    served_on: date | None
    reason: str | None
    attention: str | None
    version: int
    timeline: list[TimelineEntry]


@router.get("/needs")
async def list_needs(
    ctx: Ctx,
    caller: Staff,
    page: PageQuery,
    state: Annotated[list[State] | None, Query(max_length=10)] = None,
    kind: Annotated[list[Code] | None, Query(max_length=50)] = None,
    area: Area | None = None,
    site_id: UUID | None = None,
    person_id: UUID | None = None,
    household_id: UUID | None = None,
    priority_band: Annotated[Band | None, Query(alias="band")] = None,
    to_tell: bool = False,
    attention: bool = False,
    names: bool = False,
) -> Response:
    """Needs in the order of the waitlist. Sensitive kinds only for roles that see them."""
    floor, below = (None, None) if priority_band is None else floor_of(priority_band)
    wanted = lists.Filter(
        states=None if state is None else [each.value for each in state],
        kinds=kind,
        area=area,
        site_id=site_id,
        person_id=person_id,
        household_id=household_id,
        points_from=floor,
        points_below=below,
        to_tell=to_tell,
        attention=attention,
        sensitive_too=caller.sees_sensitive,
    )
    after = page.after(_AFTER)
    async with ctx.database.read() as conn:
        rows = await lists.needs(conn, wanted, after, page.limit + 1)
    kept, following = page.cut(
        rows, lambda row: (row["priority"], row["asked_on"], row["queue_no"], str(row["id"]))
    )
    shown = [_row(row) for row in kept]
    if names and caller.sees_sensitive:
        shown = await _with_names(ctx, caller.staff_id, shown)
    return revealed(NeedPage(needs=shown, next=following))


async def _with_names(ctx: Context, staff_id: UUID, rows: list[NeedRow]) -> list[NeedRow]:
    vault = ctx.vault.open()
    ids = sorted({row.person_id for row in rows if row.person_id is not None})
    async with ctx.database.transaction() as tx:
        found = await persons.by_ids(tx.conn, ids)
        await persons.note_access(tx.conn, staff_id, ids, "list")
    shown: list[NeedRow] = []
    for row in rows:
        person = None if row.person_id is None else found.get(row.person_id)
        if person is None or person.details is None or person.wrapped_key is None:
            shown.append(row)
            continue
        details = vault.show(vault.locker(person.id, person.wrapped_key), person.id, person.details)
        shown.append(
            row.model_copy(
                update={"chosen_name": details.chosen_name, "client_code": details.client_code}
            )
        )
    return shown


@router.get("/needs/{need_id}")
async def get_need(need_id: UUID, ctx: Ctx, caller: Staff) -> NeedView:
    """One need and what happened to it."""
    async with ctx.database.read() as conn:
        need = await store.read(conn, need_id)
        if need is None or not _visible(need, caller.sees_sensitive):
            raise not_found()
        timeline = await lists.timeline(conn, need_id)
        ahead = await lists.waiting_ahead(conn, need_id) if need.state is State.WAITLISTED else None
    return view(need, timeline, ahead)


@router.get("/needs-by-state")
async def count_needs(ctx: Ctx, caller: Staff) -> dict[str, int]:
    """How many needs are in each state, of those that the caller may see."""
    async with ctx.database.read() as conn:
        return await lists.counts(conn, sensitive_too=caller.sees_sensitive)


@router.get("/waitlist")
async def waitlist_summary(ctx: Ctx, caller: Staff) -> dict[str, object]:
    """What is waited for, where, by how many needs that the caller may see, and since when."""
    async with ctx.database.read() as conn:
        rows = await waitlist.summary(conn, sensitive_too=caller.sees_sensitive)
    return {"waiting": [dict(row) for row in rows]}


class ApproveIn(Body):
    """`override_reason` approves whatever limits and duplicates say; a person answers for it."""

    override_reason: Code | None = None


class ReasonIn(Body):
    """Why; a code, no free text about anybody."""

    reason: Code


class ServeIn(Body):
    """When it was given; today by default."""

    served_on: date | None = None


class MoveIn(Body):
    """Where the need is to be served instead."""

    place_area: Area
    site_id: UUID | None = None


class Nothing(Body):
    """An empty body."""


@router.post("/needs/{need_id}:approve")
async def approve(
    need_id: UUID, ctx: Ctx, caller: Caseworker, once: Once, body: ApproveIn | None = None
) -> Response:
    """Let a requested need be served, or ask again for one that waits."""
    async with ctx.database.transaction() as tx:
        if known := await once.replay(tx):
            return known
        kinds = await ctx.catalogue.current(tx.conn)
        (outcome,) = await acting.approve(
            tx,
            [need_id],
            kinds,
            caller.staff_id,
            override=body is not None and body.override_reason is not None,
        )
        return await _answer(tx, once, outcome)


@router.post("/needs/{need_id}:decline")
async def decline(
    need_id: UUID, body: ReasonIn, ctx: Ctx, caller: Caseworker, once: Once
) -> Response:
    """Decide that a need will not be served."""
    async with ctx.database.transaction() as tx:
        if known := await once.replay(tx):
            return known
        (outcome,) = await acting.act(
            tx,
            [need_id],
            lambda need: commands.end(need, State.DECLINED, body.reason),
            caller.staff_id,
        )
        return await _answer(tx, once, outcome)


@router.post("/needs/{need_id}:cancel")
async def cancel(
    need_id: UUID, body: ReasonIn, ctx: Ctx, caller: Caseworker, once: Once
) -> Response:
    """The person does not want it any more; whatever is held for it is released."""
    async with ctx.database.transaction() as tx:
        if known := await once.replay(tx):
            return known
        (outcome,) = await acting.act(
            tx,
            [need_id],
            lambda need: commands.end(need, State.CANCELLED, body.reason),
            caller.staff_id,
        )
        return await _answer(tx, once, outcome)


@router.post("/needs/{need_id}:told")
async def told(
    need_id: UUID, ctx: Ctx, caller: Teller, once: Once, body: Nothing | None = None
) -> Response:
    """The person was told in person: the time to collect begins."""
    async with ctx.database.transaction() as tx:
        if known := await once.replay(tx):
            return known
        (outcome,) = await acting.act(
            tx,
            [need_id],
            lambda need: commands.tell(need, tx.now),
            caller.staff_id,
            visible=lambda need: _visible(need, caller.sees_sensitive),
        )
        return await _answer(tx, once, outcome)


@router.post("/needs/{need_id}:serve")
async def serve(need_id: UUID, body: ServeIn, ctx: Ctx, caller: Caseworker, once: Once) -> Response:
    """Record a service that takes nothing from stock, places or money, such as navigation."""
    async with ctx.database.transaction() as tx:
        if known := await once.replay(tx):
            return known
        today = today_of(tx.now)
        if body.served_on is not None and body.served_on > today:
            raise invalid("body.served_on", "in_the_future")
        (outcome,) = await acting.act(
            tx,
            [need_id],
            lambda need: commands.serve(need, body.served_on or today),
            caller.staff_id,
        )
        return await _answer(tx, once, outcome)


@router.post("/needs/{need_id}:reverse")
async def reverse(need_id: UUID, body: ReasonIn, ctx: Ctx, caller: Lead, once: Once) -> Response:
    """Undo a service that intake itself recorded. Goods and money are undone where they went."""
    async with ctx.database.transaction() as tx:
        if known := await once.replay(tx):
            return known
        (outcome,) = await acting.act(
            tx, [need_id], lambda need: commands.take_back(need, body.reason), caller.staff_id
        )
        return await _answer(tx, once, outcome)


@router.post("/needs/{need_id}:move")
async def move(need_id: UUID, body: MoveIn, ctx: Ctx, caller: Caseworker, once: Once) -> Response:
    """Have it served elsewhere, such as a guest whom a full shelter sends on."""
    async with ctx.database.transaction() as tx:
        if known := await once.replay(tx):
            return known
        outcome = await acting.move(
            tx, need_id, body.place_area, store.site(body.site_id), caller.staff_id
        )
        return await _answer(tx, once, outcome)


async def _answer(tx: Tx, once: Once, outcome: Outcome) -> Response:
    if outcome.need is None:
        raise not_found()
    if outcome.rule is not None:
        raise Problem(HINDERED if outcome.hindered else STEP_NOT_ALLOWED, rule=outcome.rule)
    need = outcome.need
    return await once.answer(
        tx,
        200,
        {
            "need_id": need.id,
            "state": need.state.value,
            "attempt_no": need.attempt_no,
            "version": need.version,
        },
    )


def _visible(need: Need, sensitive_too: bool) -> bool:
    return sensitive_too or not need.sensitive


def _row(row: asyncpg.Record) -> NeedRow:
    resource = row["blocked_resource"]
    fields = {name: row[name] for name in NeedRow.model_fields if name in row}
    return NeedRow(
        **fields,
        need_id=row["id"],
        band=band(row["priority"]),
        waits_for=None if resource is None else f"{resource}:{row['blocked_code']}",
    )


def view(need: Need, timeline: list[asyncpg.Record], ahead: int | None) -> NeedView:
    """A need as the desk shows it."""
    return NeedView(
        need_id=need.id,
        request_id=need.request_id,
        kind=need.kind,
        programme=need.programme,
        state=need.state.value,
        band=band(need.priority),
        for_whom=need.for_whom.value,
        person_id=need.person_id,
        household_id=need.household_id,
        headcount=need.headcount,
        quantity=need.quantity,
        unit=need.unit,
        asked_on=need.asked_on,
        planned_on=need.planned_on,
        needed_by=need.needed_by,
        place_area=need.place_area,
        site_id=need.site_id,
        at_site_id=need.at_site_id,
        ask=need.ask.model_dump(mode="json", exclude_defaults=True),
        attempt_no=need.attempt_no,
        blocked_by=need.blocked_by,
        wait=None if need.wait is None else need.wait.value,
        ahead=ahead,
        told_at=need.told_at,
        told_how=need.told_how,
        message=need.message,
        given=need.given,
        service_no=need.service_no,
        served_on=need.served_on,
        reason=need.reason,
        attention=need.attention,
        version=need.version,
        timeline=[
            TimelineEntry(**{name: row[name] for name in TimelineEntry.model_fields})
            for row in timeline
        ],
    )
