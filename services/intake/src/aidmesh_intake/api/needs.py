"""Needs as staff see them: lists, one with its timeline, counts of those that wait."""

from datetime import date, datetime
from typing import Annotated, Final
from uuid import UUID

import asyncpg
from fastapi import Query, Response
from pydantic import BaseModel, ConfigDict, PlainSerializer, TypeAdapter

from aidmesh_chassis.http import PageQuery, Routes, revealed, rows_max
from aidmesh_chassis.privacy import PersonalText
from aidmesh_contracts.values import Area, BlockedBy, Code
from aidmesh_intake.api.context import (
    Context,
    Ctx,
    Staff,
    not_found,
)
from aidmesh_intake.api.objections import ObjectionView, objection_view
from aidmesh_intake.domain.asks import Ask
from aidmesh_intake.domain.need import Lack, Need, State
from aidmesh_intake.domain.triage import Band, band, floor_of
from aidmesh_intake.handlers import approving
from aidmesh_intake.store import access, catalogue, elsewhere, lists, persons, referrals, waitlist
from aidmesh_intake.store import needs as store

router = Routes(prefix="/v1", tags=["needs"])
_AFTER: Final = TypeAdapter(tuple[int, date, int, UUID])
_QUEUE: Final[TypeAdapter[waitlist.SummaryKey]] = TypeAdapter(waitlist.SummaryKey)


class NeedRow(BaseModel):
    """One line of a list. Names only where they were asked for by a role that may see them.

    Attributes:
        confirmed_start: it is served when its start is confirmed (`:serve`).
        attended_on: its appointment was kept then; without a `served_on` it awaits confirmation.
        needed_until: where hours count, the instant after which it is of no use.
        ends_soon: it is not served, and its last day is today or tomorrow.
        to_come: whether the person has to come for it; not where it is sent by bank, card or post.
            None where that is not known.
    """

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
    needed_until: datetime | None
    place_area: str
    site_id: UUID | None
    at_site_id: UUID | None
    waits_for: str | None
    wait: str | None
    told_at: datetime | None
    message: str | None
    to_come: bool | None
    confirmed_start: bool
    attended_on: date | None
    served_on: date | None
    given: bool
    reason: str | None
    attention: str | None
    ends_soon: bool
    version: int
    chosen_name: PersonalText | None = None
    client_code: PersonalText | None = None
    code_elsewhere: PersonalText | None = None


class NeedPage(BaseModel):
    """A page of a list; `next` is the `after` of the page that follows."""

    needs: list[NeedRow]
    next: str | None


class TimelineEntry(BaseModel):
    """One thing that happened to a need.

    Attributes:
        overrode: the `limit` or `duplicate` that `staff_id` let it pass, for `override_reason`.
    """

    at: datetime
    note: str
    state: str
    attempt_no: int
    detail: str | None
    staff_id: UUID | None
    overrode: str | None
    override_reason: str | None


class OriginView(BaseModel):
    """The offer of another region that a need was made of."""

    region: str
    referral_id: UUID


class NeedView(BaseModel):
    """One need, whole.

    Attributes:
        ask: what it takes, fixed when it was asked for; what is as usual is left out.
        also_lacks: what else was refused when it began to wait for `blocked_by`, and why; once that
            grows it is asked for anew, and may come to wait for this.
        ahead: how many wait for the same before it; None where it does not wait.
        pending: it was referred here and is held, but the region it comes from has not let go.
        referred_from: the other region's offer that it was made of.
        chosen: somebody chose it to be served from elsewhere by rule.
        objection: what speaks today against approving it; only of a need that waits for a decision.
        to_come: as in `NeedRow`.
    """

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
    needed_until: datetime | None
    place_area: str
    site_id: UUID | None
    to_site_id: UUID | None
    at_site_id: UUID | None
    ask: Annotated[
        Ask, PlainSerializer(lambda ask: ask.model_dump(mode="json", exclude_defaults=True))
    ]
    attempt_no: int
    blocked_by: BlockedBy | None
    wait: str | None
    also_lacks: Lack | None
    ahead: int | None
    told_at: datetime | None
    told_how: str | None
    message: str | None
    to_come: bool | None
    given: bool
    service_no: int
    confirmed_start: bool
    attended_on: date | None
    served_on: date | None
    reason: str | None
    attention: str | None
    version: int
    pending: bool
    referred_from: OriginView | None
    chosen: bool
    objection: ObjectionView | None
    timeline: list[TimelineEntry]


class QueueRow(BaseModel):
    """How many needs wait for one thing in one place.

    Attributes:
        resource, code, site_id, area: what they wait for, as a need's `blocked_by` has it.
        quantity: pieces, places or minor units wanted by all of them together.
        priority_max: the points of the most urgent one.
    """

    model_config = ConfigDict(extra="forbid")

    resource: str
    code: str
    site_id: UUID | None
    area: str | None
    needs: int
    quantity: int
    oldest_asked_on: date
    priority_max: int


class QueuePage(BaseModel):
    """What is waited for, the longest queue first."""

    waiting: list[QueueRow]
    next: str | None


@router.get("/needs", response_model=NeedPage)
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
    request_id: UUID | None = None,
    priority_band: Annotated[Band | None, Query(alias="band")] = None,
    to_tell: bool = False,
    to_confirm: bool = False,
    attention: Annotated[bool, Query(description="conflicts, and what ends soon")] = False,
    names: bool = False,
) -> Response:
    """Needs in the order of the waitlist. Sensitive kinds only for roles that see them.

    Under `person_id` is also what is open for the person's household, unless it is sensitive.
    """
    floor, below = (None, None) if priority_band is None else floor_of(priority_band)
    wanted = lists.Filter(
        states=None if state is None else [each.value for each in state],
        kinds=kind,
        area=area,
        site_id=site_id,
        person_id=person_id,
        household_id=household_id,
        request_id=request_id,
        points_from=floor,
        points_below=below,
        to_tell=to_tell,
        to_confirm=to_confirm,
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
        await access.note_access(tx.conn, staff_id, ids, "list")
    shown: list[NeedRow] = []
    for row in rows:
        person = None if row.person_id is None else found.get(row.person_id)
        if person is None or person.details is None or person.wrapped_key is None:
            shown.append(row)
            continue
        details = vault.show(vault.locker(person.id, person.wrapped_key), person.id, person.details)
        shown.append(
            row.model_copy(
                update={
                    "chosen_name": details.chosen_name,
                    "client_code": details.client_code,
                    "code_elsewhere": details.code_elsewhere,
                }
            )
        )
    return shown


@router.get("/needs/{need_id}")
async def get_need(need_id: UUID, ctx: Ctx, caller: Staff) -> NeedView:
    """One need and what happened to it."""
    async with ctx.database.read() as conn:
        need = await store.read(conn, need_id)
        if need is None or (need.sensitive and not caller.sees_sensitive):
            raise not_found()
        timeline = await lists.timeline(conn, need_id)
        ahead = await approving.waiting_ahead(conn, need)
        objection = None
        if need.state is State.REQUESTED:
            kinds = await catalogue.kinds(conn)
            found = await approving.objection_to(conn, need, kinds)
            objection = objection_view(found, kinds, sees_sensitive=caller.sees_sensitive)
        origin = await referrals.origin_of(conn, need_id)
        chosen = await elsewhere.is_chosen(conn, need_id)
    return view(need, timeline, ahead, origin, objection, chosen=chosen)


@router.get("/needs-by-state", openapi_extra=rows_max(len(State)))
async def count_needs(
    ctx: Ctx,
    caller: Staff,
    state: Annotated[
        list[State] | None, Query(max_length=len(State), description="none for all")
    ] = None,
) -> dict[str, int]:
    """How many needs are in each state, of those that the caller may see.

    Most needs have ended: whoever wants to know of those that are open asks for their states.
    """
    states = [each.value for each in state or State]
    async with ctx.database.read() as conn:
        return await lists.counts(conn, states, sensitive_too=caller.sees_sensitive)


@router.get("/waitlist")
async def waitlist_summary(ctx: Ctx, caller: Staff, page: PageQuery) -> QueuePage:
    """What is waited for, where, by how many needs that the caller may see, and since when.

    The longest queue comes first.
    """
    async with ctx.database.read() as conn:
        rows = await waitlist.summary(
            conn, page.after(_QUEUE), page.limit + 1, sensitive_too=caller.sees_sensitive
        )
    kept, after = page.cut(rows, _queue_key)
    return QueuePage(waiting=[QueueRow(**row) for row in kept], next=after)


def _queue_key(row: asyncpg.Record) -> waitlist.SummaryKey:
    return (
        row["needs"],
        row["resource"],
        row["code"],
        row["area"] or "",
        row["site_id"] or waitlist.NO_SITE,
    )


def _row(row: asyncpg.Record) -> NeedRow:
    resource = row["blocked_resource"]
    fields = {name: row[name] for name in NeedRow.model_fields if name in row}
    return NeedRow(
        **fields,
        need_id=row["id"],
        band=band(row["priority"]),
        waits_for=None if resource is None else f"{resource}:{row['blocked_code']}",
    )


def view(
    need: Need,
    timeline: list[asyncpg.Record],
    ahead: int | None,
    origin: asyncpg.Record | None,
    objection: ObjectionView | None,
    *,
    chosen: bool,
) -> NeedView:
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
        needed_until=need.needed_until,
        place_area=need.place_area,
        site_id=need.site_id,
        to_site_id=need.to_site_id,
        at_site_id=need.at_site_id,
        ask=need.ask,
        attempt_no=need.attempt_no,
        blocked_by=need.blocked_by,
        wait=None if need.wait is None else need.wait.value,
        also_lacks=need.also_lacks,
        ahead=ahead,
        told_at=need.told_at,
        told_how=need.told_how,
        message=need.message,
        to_come=need.to_come,
        given=need.given,
        service_no=need.service_no,
        confirmed_start=need.confirmed_start,
        attended_on=None if need.attended is None else need.attended.on,
        served_on=need.served_on,
        reason=need.reason,
        attention=need.attention,
        version=need.version,
        pending=need.pending,
        referred_from=None
        if origin is None
        else OriginView(region=origin["from_region"], referral_id=origin["id"]),
        chosen=chosen,
        objection=objection,
        timeline=[
            TimelineEntry(**{name: row[name] for name in TimelineEntry.model_fields})
            for row in timeline
        ],
    )
