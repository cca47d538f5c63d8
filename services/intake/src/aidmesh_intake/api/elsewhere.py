"""What other regions could take in of those who wait here for a place, and rules that offer it."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import Response
from pydantic import BaseModel, Field

from aidmesh_chassis.auth import Caller
from aidmesh_chassis.http import Body, PageQuery, Routes
from aidmesh_chassis.idempotency import Once
from aidmesh_chassis.peers import LinkState
from aidmesh_chassis.problems import Problem
from aidmesh_contracts.values import Code, Region
from aidmesh_intake.api.context import (
    RULE_IN_FORCE,
    Caseworker,
    Context,
    Ctx,
    Lead,
    invalid,
    not_allowed,
    not_found,
)
from aidmesh_intake.domain.elsewhere import Match, Rule
from aidmesh_intake.domain.need import NotAllowed
from aidmesh_intake.domain.referral import OFFER_HOURS, OFFER_HOURS_MAX
from aidmesh_intake.handlers import elsewhere as handlers
from aidmesh_intake.store import elsewhere as store
from aidmesh_intake.store import needs, refer_rules

router = Routes(prefix="/v1", tags=["referrals"])


class Fit(BaseModel):
    """A waiting need, and where it could be served; see `POST /v1/needs/{id}:refer`."""

    need_id: UUID
    kind: str
    asked_on: date
    area: str
    site_id: UUID


class PlacesView(BaseModel):
    """Places of a kind that another region has free for needs that wait here.

    Attributes:
        waiting: how many needs of this region wait for such a place.
        fits: those whose person agreed to be referred and for whose days there is room, in the
            order of the waitlist; each need is with one region at the most.
        as_of: the oldest of the figures.
    """

    resource: str
    code: str
    sensitive: bool
    to_region: str
    waiting: int
    fits: Sequence[Fit]
    as_of: datetime
    link: LinkState | None


class PlacesPage(BaseModel):
    """What regions that are heard could take in.

    Attributes:
        left_out: needs that wait for a place behind those that were looked at; their turn comes
            when some of these are served.
    """

    rows: Sequence[PlacesView]
    next: str | None
    left_out: int


class RuleIn(Body):
    """A kind of need that is offered by itself to a region that has room, with consent only.

    Attributes:
        regions: to whom; None for everybody.
        open_max: how many of its offers may stand at once.
        hours: for how long each stands.
        chosen_only: only needs that somebody chose (`POST /v1/needs/{id}:choose`).
    """

    kind: Code
    regions: Annotated[list[Region], Field(min_length=1, max_length=100)] | None = None
    open_max: Annotated[int, Field(ge=1, le=1000)]
    hours: Annotated[int, Field(ge=1, le=OFFER_HOURS_MAX)] = OFFER_HOURS
    chosen_only: bool = False


class Nothing(Body):
    """An empty body."""


class RuleView(BaseModel):
    """A rule in force."""

    rule_id: UUID
    kind: str
    regions: Sequence[str] | None
    open_max: int
    hours: int
    chosen_only: bool
    set_at: datetime
    set_by: UUID


class RulePage(BaseModel):
    """Rules in force, by kind."""

    rows: Sequence[RuleView]
    next: str | None


@router.get("/proposals")
async def list_proposals(ctx: Ctx, caller: Caseworker, page: PageQuery) -> PlacesPage:
    """Who of those who wait for a bed or an appointment could be served where, as things stand."""
    async with ctx.database.transaction() as tx:
        matches = await handlers.matches(tx, ctx.link)
        waiting = await store.waiting(tx.conn)
        left_out = await store.seekers_left_out(tx.conn, sensitive_too=caller.sees_sensitive)
    groups: dict[tuple[str, str, bool, str], list[Match]] = {}
    for each in matches:
        if caller.sees_sensitive or not each.seeker.sensitive:
            key = (each.seeker.resource, each.seeker.code, each.seeker.sensitive, each.place.region)
            groups.setdefault(key, []).append(each)
    kept, following = page.of(groups.items(), lambda group: tuple(map(str, group[0])))
    return PlacesPage(
        rows=[
            PlacesView(
                resource=resource,
                code=code,
                sensitive=sensitive,
                to_region=region,
                waiting=waiting.get((resource, code, sensitive), 0),
                fits=[
                    Fit(
                        need_id=each.seeker.need_id,
                        kind=each.seeker.kind,
                        asked_on=each.seeker.asked_on,
                        area=each.place.area,
                        site_id=each.place.site_id,
                    )
                    for each in found
                ],
                as_of=min(each.place.as_of for each in found),
                link=ctx.link(region),
            )
            for (resource, code, sensitive, region), found in kept
        ],
        next=following,
        left_out=left_out,
    )


@router.get("/refer-rules")
async def list_rules(ctx: Ctx, caller: Caseworker, page: PageQuery) -> RulePage:
    """The rules in force."""
    async with ctx.database.transaction() as tx:
        kinds = await ctx.catalogue.current(tx.conn)
        rows = await refer_rules.shown(tx.conn)
    seen = [row for row in rows if caller.sees_sensitive or not kinds[row["kind"]].sensitive]
    kept, following = page.of(seen, lambda row: (row["kind"], str(row["rule_id"])))
    return RulePage(rows=[RuleView(**row) for row in kept], next=following)


@router.post("/refer-rules", status_code=201)
async def set_rule(body: RuleIn, ctx: Ctx, caller: Lead, once: Once) -> Response:
    """Have needs of a kind offered as soon as there is room; only those whose person agreed."""
    rule = Rule(
        uuid4(),
        body.kind,
        None if body.regions is None else frozenset(body.regions),
        body.open_max,
        body.hours,
        caller.staff_id,
        body.chosen_only,
    )
    async with ctx.database.transaction() as tx:
        if known := await once.replay(tx):
            return known
        kind = (await ctx.catalogue.current(tx.conn)).get(body.kind)
        if kind is None:
            raise invalid("body.kind", "unknown_kind")
        if kind.capacity is None:
            raise invalid("body.kind", "not_of_this_kind")
        if not await refer_rules.put(tx.conn, rule):
            raise Problem(RULE_IN_FORCE)
        return await once.answer(tx, 201, {"rule_id": rule.rule_id})


@router.post("/refer-rules/{rule_id}:end")
async def end_rule(
    rule_id: UUID, ctx: Ctx, caller: Lead, once: Once, body: Nothing | None = None
) -> Response:
    """Have these needs offered by people again; what was offered stands."""
    async with ctx.database.transaction() as tx:
        if known := await once.replay(tx):
            return known
        if not await refer_rules.end(tx.conn, rule_id, caller.staff_id):
            raise not_found()
        return await once.answer(tx, 200, {"rule_id": rule_id})


@router.post("/needs/{need_id}:choose")
async def choose(
    need_id: UUID, ctx: Ctx, caller: Caseworker, once: Once, body: Nothing | None = None
) -> Response:
    """Have a need served from elsewhere by rules that are for chosen needs alone.

    They ask for its goods, offer it to a region with room if its person agreed to referral, or
    send the money it waits for.
    """
    return await _choose(ctx, caller, need_id, once, chosen=True)


@router.post("/needs/{need_id}:unchoose")
async def unchoose(
    need_id: UUID, ctx: Ctx, caller: Caseworker, once: Once, body: Nothing | None = None
) -> Response:
    """Leave it to people again; what rules have done for it stands."""
    return await _choose(ctx, caller, need_id, once, chosen=False)


async def _choose(
    ctx: Context, caller: Caller, need_id: UUID, once: Once, *, chosen: bool
) -> Response:
    async with ctx.database.transaction() as tx:
        if known := await once.replay(tx):
            return known
        need = await needs.read(tx.conn, need_id)
        if need is None or (need.sensitive and not caller.sees_sensitive):
            raise not_found()
        if not chosen:
            await store.unchoose(tx.conn, need_id)
        elif not await store.choose(tx.conn, need_id, caller.staff_id):
            raise not_allowed(NotAllowed("need_over"))
        return await once.answer(tx, 200, {"need_id": need_id, "chosen": chosen})
