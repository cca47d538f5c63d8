"""People who are perhaps known in two regions: asking blindly, and deciding what was found."""

from datetime import datetime
from typing import Final
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel, TypeAdapter

from aidmesh_chassis.http import Body, PageQuery, Routes
from aidmesh_chassis.idempotency import Once
from aidmesh_chassis.privacy import PersonalText
from aidmesh_chassis.problems import Problem
from aidmesh_contracts.intake_links import Means, Said
from aidmesh_contracts.values import Region
from aidmesh_intake.api.context import (
    LINK_NOT_ALLOWED,
    NO_CONSENT_TO_LOOKUP,
    TOO_MANY_LOOKUPS,
    Caseworker,
    Context,
    Ctx,
    invalid,
)
from aidmesh_intake.domain.need import NotAllowed
from aidmesh_intake.handlers import linking, looking
from aidmesh_intake.store import links as store
from aidmesh_intake.store import lookups as lookup_store

router = Routes(prefix="/v1", tags=["links"])
_AFTER: Final = TypeAdapter(tuple[datetime, UUID])


class LookForIn(Body):
    """Which region is asked, and its client code if the person showed it."""

    to_region: Region
    code: PersonalText | None = None


class LookupView(BaseModel):
    """A blind query: `asked`, `answered`, then `matched`, `nothing` or `refused`."""

    lookup_id: UUID
    person_id: UUID
    to_region: str
    status: str
    asked_at: datetime
    changed_at: datetime


class LookupPage(BaseModel):
    """A page of queries; `next` is the `after` of the page that follows.

    Attributes:
        regions: those that can be asked: something can be sealed to them.
    """

    regions: list[str]
    lookups: list[LookupView]
    next: str | None


class LinkView(BaseModel):
    """Somebody here who is perhaps somebody in another region.

    Attributes:
        by: in what the two records agree; what exactly stays unsaid.
        state: `perhaps`, `linked`, `refused` or `parted`.
        mine, theirs: what either region said: `open`, `yes` or `no`.
    """

    link_id: UUID
    person_id: UUID
    region: str
    by: list[Means]
    state: str
    mine: str
    theirs: str
    found_at: datetime
    changed_at: datetime


class LinkPage(BaseModel):
    """A page of links; `next` is the `after` of the page that follows."""

    links: list[LinkView]
    next: str | None


@router.post("/persons/{person_id}:look-for")
async def look_for(
    person_id: UUID, body: LookForIn, ctx: Ctx, caller: Caseworker, once: Once
) -> Response:
    """Ask another region whether it knows a person; it takes their consent to be looked for.

    The other region does not learn whom it was asked about. While it is dark the query waits.
    """
    if body.to_region == ctx.region:
        raise invalid("body.to_region", "own_region")
    vault = ctx.vault.open()
    async with ctx.database.transaction() as tx:
        if known := await once.replay(tx):
            return known
        try:
            lookup_id = await looking.ask(
                tx,
                vault,
                person_id,
                body.to_region,
                body.code,
                caller.staff_id,
                ctx.lookups_day_max,
            )
        except looking.TooManyLookups:
            raise Problem(TOO_MANY_LOOKUPS) from None
        except NotAllowed as error:
            if error.rule == "no_consent_to_lookup":
                raise Problem(NO_CONSENT_TO_LOOKUP) from None
            raise Problem(LINK_NOT_ALLOWED, rule=error.rule) from None
        return await once.answer(tx, 201, {"lookup_id": lookup_id, "status": "asked"})


@router.get("/lookups")
async def list_lookups(
    ctx: Ctx, caller: Caseworker, page: PageQuery, person_id: UUID | None = None
) -> LookupPage:
    """Which regions were asked about whom, the latest first."""
    async with ctx.database.read() as conn:
        rows = await lookup_store.made(conn, person_id, page.after(_AFTER), page.limit + 1)
        regions = await lookup_store.regions(conn)
    kept, following = page.cut(
        rows, lambda row: (row["asked_at"].isoformat(), str(row["lookup_id"]))
    )
    return LookupPage(
        regions=regions, lookups=[LookupView(**dict(row)) for row in kept], next=following
    )


@router.get("/links")
async def list_links(
    ctx: Ctx,
    caller: Caseworker,
    page: PageQuery,
    person_id: UUID | None = None,
    undecided: bool = False,
) -> LinkPage:
    """Who is perhaps known in another region, the latest first."""
    async with ctx.database.read() as conn:
        rows = await store.found(
            conn, person_id, page.after(_AFTER), page.limit + 1, undecided=undecided
        )
    kept, following = page.cut(rows, lambda row: (row["found_at"].isoformat(), str(row["id"])))
    return LinkPage(
        links=[
            LinkView(
                link_id=row["id"],
                person_id=row["person_id"],
                region=row["region"],
                by=row["by"],
                state=store.link_of(row).state.value,
                mine=row["mine"],
                theirs=row["theirs"],
                found_at=row["found_at"],
                changed_at=row["changed_at"],
            )
            for row in kept
        ],
        next=following,
    )


@router.post("/links/{link_id}:confirm")
async def confirm(link_id: UUID, ctx: Ctx, caller: Caseworker, once: Once) -> Response:
    """They are one person. Once both regions say so, results count them once."""
    return await _say(ctx, link_id, "yes", caller.staff_id, once)


@router.post("/links/{link_id}:refuse")
async def refuse(link_id: UUID, ctx: Ctx, caller: Caseworker, once: Once) -> Response:
    """They are two; those who were linked are parted. The two are not asked about again."""
    return await _say(ctx, link_id, "no", caller.staff_id, once)


async def _say(ctx: Context, link_id: UUID, said: Said, staff_id: UUID, once: Once) -> Response:
    async with ctx.database.transaction() as tx:
        if known := await once.replay(tx):
            return known
        try:
            link = await linking.say(tx, link_id, said, staff_id)
        except NotAllowed as error:
            raise Problem(LINK_NOT_ALLOWED, rule=error.rule) from None
        return await once.answer(tx, 200, {"link_id": link_id, "state": link.state.value})
