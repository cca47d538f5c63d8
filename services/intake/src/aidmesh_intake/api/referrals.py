"""Referrals: needs offered to other regions, and what other regions offer."""

from datetime import date, datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel, Field, TypeAdapter

from aidmesh_chassis.auth import Caller
from aidmesh_chassis.crypto import DecryptionFailed
from aidmesh_chassis.http import Body, PageQuery, Routes
from aidmesh_chassis.idempotency import Once
from aidmesh_chassis.problems import Problem
from aidmesh_contracts.values import Area, Region
from aidmesh_intake.api.context import (
    NO_CONSENT,
    Caseworker,
    Context,
    Ctx,
    invalid,
    not_allowed,
    unfit,
)
from aidmesh_intake.domain.asks import AskError
from aidmesh_intake.domain.need import NotAllowed
from aidmesh_intake.domain.referral import OFFER_HOURS, OFFER_HOURS_MAX, Got
from aidmesh_intake.domain.triage import Band, band
from aidmesh_intake.handlers import leaving, referring, taking
from aidmesh_intake.store import referrals as store
from aidmesh_intake.vault import Vault

router = Routes(prefix="/v1", tags=["referrals"])
_AFTER: Final = TypeAdapter(tuple[datetime, UUID])


class ReferIn(Body):
    """Which region is asked to serve a need, where there, and for how many hours it may say yes."""

    to_region: Region
    place_area: Area
    site_id: UUID | None = None
    hours: Annotated[int, Field(ge=1, le=OFFER_HOURS_MAX)] = OFFER_HOURS


class Nothing(Body):
    """An empty body."""


class OfferView(BaseModel):
    """A need offered to another region; `offered` until that one answers or the offer ends.

    Attributes:
        by_rule: a rule offered it, and no person.
    """

    referral_id: UUID
    need_id: UUID
    kind: str
    to_region: str
    status: str
    reason: str | None
    lapses_at: datetime
    offered_at: datetime
    changed_at: datetime
    by_rule: bool


class OfferPage(BaseModel):
    """A page of offers; `next` is the `after` of the page that follows."""

    referrals: list[OfferView]
    next: str | None


class WantedView(BaseModel):
    """What is asked for by an offer that stands; nothing tells whose need it is."""

    kind: str
    quantity: int
    band: Band
    asked_on: date
    from_on: date | None
    to_on: date | None
    needed_by: date | None
    place_area: str
    site_id: UUID | None
    languages: list[str]


class ReferralView(BaseModel):
    """Another region's offer.

    Attributes:
        lapses_at: by the clock of the region that offers; later if that one was down meanwhile.
        wanted: None once it was taken or is over, while the service is locked, or where the caller
            may not see its kind.
    """

    referral_id: UUID
    from_region: str
    status: str
    reason: str | None
    lapses_at: datetime
    need_id: UUID | None
    received_at: datetime
    changed_at: datetime
    wanted: WantedView | None = None


class ReferralPage(BaseModel):
    """A page of other regions' offers; `next` is the `after` of the page that follows."""

    referrals: list[ReferralView]
    next: str | None


@router.post("/needs/{need_id}:refer")
async def refer(need_id: UUID, body: ReferIn, ctx: Ctx, caller: Caseworker, once: Once) -> Response:
    """Ask another region to serve a waiting need; here it waits on, and is not woken meanwhile.

    It takes the person's recorded consent to referral. What is said of them is sealed to that
    region's intake.
    """
    if body.to_region == ctx.region:
        raise invalid("body.to_region", "own_region")
    vault = ctx.vault.open()
    async with ctx.database.transaction() as tx:
        if known := await once.replay(tx):
            return known
        try:
            offer = await referring.offer(
                tx,
                vault,
                need_id,
                body.to_region,
                body.place_area,
                body.site_id,
                tx.now + timedelta(hours=body.hours),
                caller.staff_id,
            )
        except NotAllowed as error:
            if error.rule == "no_consent_to_referral":
                raise Problem(NO_CONSENT) from None
            raise not_allowed(error) from None
        return await once.answer(
            tx,
            201,
            {
                "referral_id": offer.id,
                "need_id": offer.need_id,
                "status": offer.status.value,
                "lapses_at": offer.lapses_at,
            },
        )


@router.get("/referrals/out")
async def list_offers(ctx: Ctx, caller: Caseworker, page: PageQuery) -> OfferPage:
    """Needs that were offered to other regions, the latest first."""
    async with ctx.database.read() as conn:
        rows = await store.made(
            conn, page.after(_AFTER), page.limit + 1, sensitive=caller.sees_sensitive
        )
    kept, following = page.cut(
        rows, lambda row: (row["offered_at"].isoformat(), str(row["referral_id"]))
    )
    return OfferPage(referrals=[OfferView(**dict(row)) for row in kept], next=following)


@router.get("/referrals/in")
async def list_referrals(ctx: Ctx, caller: Caseworker, page: PageQuery) -> ReferralPage:
    """What other regions offer, the latest first."""
    async with ctx.database.read() as conn:
        rows = await store.got(conn, page.after(_AFTER), page.limit + 1)
        kept, following = page.cut(
            rows, lambda row: (row["received_at"].isoformat(), str(row["referral_id"]))
        )
        sealed = await store.sealed_of(conn, [row["referral_id"] for row in kept])
    wanted = await _wanted(ctx, caller, sealed)
    return ReferralPage(
        referrals=[
            ReferralView(**dict(row), wanted=wanted.get(row["referral_id"])) for row in kept
        ],
        next=following,
    )


@router.post("/referrals/{referral_id}:withdraw")
async def withdraw(
    referral_id: UUID, ctx: Ctx, caller: Caseworker, once: Once, body: Nothing | None = None
) -> Response:
    """Take an own offer back that was not confirmed; the need waits as before."""
    async with ctx.database.transaction() as tx:
        if known := await once.replay(tx):
            return known
        try:
            offer = await referring.withdraw(tx, referral_id, caller.staff_id)
        except NotAllowed as error:
            raise not_allowed(error) from None
        return await once.answer(tx, 200, {"referral_id": offer.id, "status": offer.status.value})


@router.post("/referrals/{referral_id}:take")
async def take(
    referral_id: UUID, ctx: Ctx, caller: Caseworker, once: Once, body: Nothing | None = None
) -> Response:
    """Have held what another region's need takes; it is told and served once they let go of it."""
    async with ctx.database.transaction() as tx:
        if known := await once.replay(tx):
            return known
        try:
            need = await taking.take(
                tx,
                ctx.vault,
                await ctx.catalogue.current(tx.conn),
                referral_id,
                caller.staff_id,
                sensitive_too=caller.sees_sensitive,
            )
        except AskError as error:
            raise unfit(error, "offer") from None
        except DecryptionFailed:
            raise not_allowed(NotAllowed("unreadable_offer")) from None
        except NotAllowed as error:
            raise not_allowed(error) from None
        return await once.answer(
            tx,
            201,
            {
                "referral_id": referral_id,
                "status": Got.TAKEN.value,
                "need_id": need.id,
                "state": need.state.value,
            },
        )


@router.post("/referrals/{referral_id}:keep")
async def keep(
    referral_id: UUID, ctx: Ctx, caller: Caseworker, once: Once, body: Nothing | None = None
) -> Response:
    """Make a need this region's own that a region offered which is lost or has retired.

    Nobody there will let go of it any more; whoever looks at it (`attention`: `source_gone`) keeps
    it, or cancels it.
    """
    async with ctx.database.transaction() as tx:
        if known := await once.replay(tx):
            return known
        try:
            need = await leaving.keep(
                tx, referral_id, caller.staff_id, sensitive_too=caller.sees_sensitive
            )
        except NotAllowed as error:
            raise not_allowed(error) from None
        return await once.answer(
            tx,
            200,
            {
                "referral_id": referral_id,
                "status": Got.CONFIRMED.value,
                "need_id": need.id,
                "state": need.state.value,
            },
        )


@router.post("/referrals/{referral_id}:refuse")
async def refuse(
    referral_id: UUID, ctx: Ctx, caller: Caseworker, once: Once, body: Nothing | None = None
) -> Response:
    """Say no to another region's offer: there the need waits as before."""
    async with ctx.database.transaction() as tx:
        if known := await once.replay(tx):
            return known
        try:
            referral = await taking.refuse(tx, referral_id, "declined")
        except NotAllowed as error:
            raise not_allowed(error) from None
        return await once.answer(
            tx, 200, {"referral_id": referral.id, "status": referral.status.value}
        )


async def _wanted(
    ctx: Context, caller: Caller, sealed: dict[UUID, bytes]
) -> dict[UUID, WantedView]:
    if ctx.vault.is_locked or not sealed:
        return {}
    async with ctx.database.transaction() as tx:
        kinds = await ctx.catalogue.current(tx.conn)
    found: dict[UUID, WantedView] = {}
    for referral_id, data in sealed.items():
        wanted = _open(ctx.vault, referral_id, data)
        kind = None if wanted is None else kinds.get(wanted.kind)
        # What this region has no word for may be anything.
        sensitive = kind is None or kind.sensitive
        if wanted is not None and (caller.sees_sensitive or not sensitive):
            found[referral_id] = wanted
    return found


def _open(vault: Vault, referral_id: UUID, data: bytes) -> WantedView | None:
    try:
        box = vault.open_box(data, referral_id)
    except DecryptionFailed:
        return None
    return WantedView(
        kind=box.kind,
        quantity=box.quantity,
        band=band(box.priority),
        asked_on=box.asked_on,
        from_on=box.from_on,
        to_on=box.to_on,
        needed_by=box.needed_by,
        place_area=box.place_area,
        site_id=box.site_id,
        languages=list(box.languages),
    )
