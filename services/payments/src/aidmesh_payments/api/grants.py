"""Routes about donors, grants and rates."""

from datetime import date
from typing import Annotated, Literal
from uuid import UUID, uuid4

from fastapi import Response
from pydantic import Field, TypeAdapter

from aidmesh_chassis.db import clock
from aidmesh_chassis.http import Body, PageQuery, Routes
from aidmesh_chassis.idempotency import Once
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_contracts.days import EnteredDay
from aidmesh_contracts.ids import GrantId
from aidmesh_contracts.restriction import UNRESTRICTED, EnteredRestriction
from aidmesh_contracts.values import Code, Currency, Region
from aidmesh_payments.api.answers_grants import (
    DonorPage,
    GrantPage,
    GrantSummary,
    RatePage,
    WholeGrant,
)
from aidmesh_payments.api.desk import Desk, Finance, Lead, Minor, Reader, Text, moved_on
from aidmesh_payments.domain.grants import OVERHEAD, Line
from aidmesh_payments.domain.money import Rate
from aidmesh_payments.handlers import grants
from aidmesh_payments.handlers.grants import NewGrant
from aidmesh_payments.problems import problem
from aidmesh_payments.store import funding
from aidmesh_payments.store import grants as store
from aidmesh_payments.store.queries import grants as queries

_DONOR: TypeAdapter[UUID] = TypeAdapter(UUID)
_CODE: TypeAdapter[str] = TypeAdapter(str)
_RATE: TypeAdapter[tuple[date, str, str, str]] = TypeAdapter(tuple[date, str, str, str])
_KNOWN: TypeAdapter[tuple[str, UUID]] = TypeAdapter(tuple[str, UUID])


class DonorBody(Body):
    """A donor."""

    name: Text


class LineBody(Body):
    """A budget line: its amount in the grant's currency."""

    code: Code
    amount_minor: Minor
    flexibility_percent: int = Field(default=10, ge=0, le=100)
    cost_categories: tuple[Code, ...] | None = None


class GrantBody(Body):
    """A pledged grant."""

    donor_id: UUID
    code: Code
    currency: Currency
    amount_minor: Minor
    period_from: EnteredDay
    period_to: EnteredDay
    restriction: EnteredRestriction = UNRESTRICTED
    budget_lines: Annotated[tuple[LineBody, ...], Field(min_length=1, max_length=200)]
    overhead_bp: int = Field(default=0, ge=0, le=10_000, description="Hundredths of a percent")
    paying_office: Region | None = None


class DemandBody(Body):
    """A donor wants money back."""

    amount_minor: Minor
    reason: Text
    on: EnteredDay | None = None


class RefundBody(Body):
    """Money went back to the donor."""

    amount_minor: Minor
    bank_reference: Text
    on: EnteredDay | None = None


class DifferenceBody(Body):
    """What a conversion really cost more (negative: less) than its booked rate."""

    loss_minor: int = Field(ge=-(10**15), le=10**15)
    reason: Text
    on: EnteredDay | None = None


class RateBody(Body):
    """Units of `spending` for one unit of `base`, as published."""

    base: Currency
    spending: Currency
    rate: Annotated[str, Field(pattern=r"^[0-9]{1,9}(\.[0-9]{1,9})?$")]
    on: EnteredDay
    source: Text


def router(desk: Desk) -> Routes:
    """The routes."""
    routes = Routes(prefix="/v1", tags=["grants"])

    @routes.post("/donors", status_code=201)
    async def add_donor(body: DonorBody, caller: Finance, once: Once) -> Response:
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            donor_id = uuid4()
            if not await store.insert_donor(tx.conn, donor_id, body.name):
                raise problem("code-taken")
            return await once.answer(tx, 201, {"donor_id": donor_id})

    @routes.get("/donors", response_model=DonorPage)
    async def list_donors(caller: Reader, page: PageQuery) -> dict[str, object]:
        async with desk.db.read() as conn:
            rows = await queries.donors(conn, page.after(_DONOR), page.limit + 1)
        kept, following = page.cut(rows, lambda row: row["id"])
        return {"donors": kept, "next": following}

    @routes.post("/grants", status_code=201)
    async def pledge(body: GrantBody, caller: Finance, once: Once) -> Response:
        codes = [line.code for line in body.budget_lines]
        if body.period_to < body.period_from:
            raise problem("period-ends-before-it-begins")
        if len(set(codes)) < len(codes) or OVERHEAD in codes:
            raise problem("budget-lines-unfit")
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            grant_id = GrantId(uuid4())
            await grants.pledge(
                desk.office,
                tx,
                NewGrant(
                    id=grant_id,
                    donor_id=body.donor_id,
                    code=body.code,
                    currency=body.currency,
                    amount_minor=body.amount_minor,
                    period=(body.period_from, body.period_to),
                    restriction=body.restriction,
                    lines=tuple(
                        Line(
                            line.code,
                            line.amount_minor,
                            line.flexibility_percent,
                            cost_categories=line.cost_categories,
                        )
                        for line in body.budget_lines
                    ),
                    overhead_bp=body.overhead_bp,
                    paying_office=body.paying_office or desk.office.region,
                ),
                caller.staff_id,
            )
            return await once.answer(
                tx, 201, {"grant_id": grant_id}, location=f"/v1/grants/{grant_id}"
            )

    @routes.get("/grants", response_model=GrantPage)
    async def list_grants(caller: Reader, page: PageQuery) -> dict[str, object]:
        """Grants of this region, by code."""
        async with desk.db.read() as conn:
            rows = await queries.grants(conn, page.after(_CODE), page.limit + 1)
        kept, following = page.cut(rows, lambda row: row["code"])
        return {"region": desk.office.region, "grants": kept, "next": following}

    @routes.get("/grants/summary", response_model=GrantSummary)
    async def summary(caller: Reader, page: PageQuery) -> dict[str, object]:
        """What every grant received, gave to whom, and what became of it, as of when.

        A page is so many grants, ours and those of other regions together.
        """
        async with desk.db.read(at_one_moment=True) as conn:
            as_of = await clock(conn)
            rows = await queries.known_grants(conn, page.after(_KNOWN), page.limit + 1)
            kept, following = page.cut(rows, lambda row: row)
            ids = [grant_id for _, grant_id in kept]
            ours = await queries.grants_of(conn, ids)
            held = desk.with_links(await queries.holdings_of(conn, desk.office.region, ids))
        for grant in ours:
            grant["holders"] = [each for each in held if each["grant_id"] == grant["id"]]
        known = {grant["id"] for grant in ours}
        return {
            "region": desk.office.region,
            "as_of": as_of,
            "grants": ours,
            "others": [each for each in held if each["grant_id"] not in known],
            "next": following,
        }

    @routes.get("/grants/{grant_id}", response_model=WholeGrant)
    async def show(grant_id: UUID, caller: Reader) -> dict[str, object]:
        """A grant with all that belongs to it, as of one moment: sums are those of their parts."""
        async with desk.db.read(at_one_moment=True) as conn:
            found = await queries.grants_of(conn, [grant_id])
            if not found:
                raise Problem(NOT_FOUND)
            return {
                **found[0],
                "budget_lines": await queries.lines(conn, GrantId(grant_id)),
                "instalments": await queries.instalments(conn, GrantId(grant_id)),
                "amendments": await queries.amendments(conn, GrantId(grant_id)),
                "demand_withdrawals": await queries.withdrawals(conn, GrantId(grant_id)),
                "holders": desk.with_links(
                    await queries.holdings_of(conn, desk.office.region, [grant_id])
                ),
            }

    @routes.post("/grants/{grant_id}:demand")
    async def demand(grant_id: UUID, body: DemandBody, caller: Lead, once: Once) -> Response:
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            missing = await grants.demand_back(
                tx,
                uuid4(),
                GrantId(grant_id),
                body.amount_minor,
                body.reason,
                moved_on(body.on, tx.now),
                caller.staff_id,
            )
            return await once.answer(tx, 200, {"grant_id": grant_id, "shortfall_minor": missing})

    @routes.post("/grants/{grant_id}:refund")
    async def refund(grant_id: UUID, body: RefundBody, caller: Finance, once: Once) -> Response:
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            await grants.refund(
                tx,
                uuid4(),
                GrantId(grant_id),
                body.amount_minor,
                moved_on(body.on, tx.now),
                body.bank_reference,
            )
            return await once.answer(tx, 200, {"grant_id": grant_id})

    @routes.post("/grants/{grant_id}:book-difference")
    async def book_difference(
        grant_id: UUID, body: DifferenceBody, caller: Finance, once: Once
    ) -> Response:
        if body.loss_minor == 0:
            raise problem("amount-is-zero")
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            await grants.book_difference(
                tx,
                uuid4(),
                GrantId(grant_id),
                body.loss_minor,
                moved_on(body.on, tx.now),
                body.reason,
            )
            return await once.answer(tx, 200, {"grant_id": grant_id})

    @routes.post("/grants/{grant_id}:{verb}")
    async def change(
        grant_id: UUID,
        verb: Literal["activate", "suspend", "resume", "close"],
        caller: Lead,
        once: Once,
    ) -> Response:
        """Activate a pledge, suspend, close, or resume what was suspended or closed.

        Only of an active grant money is allotted and spent; money that comes in is noted of all.
        """
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            await grants.change_status(desk.office, tx, GrantId(grant_id), verb)
            return await once.answer(tx, 200, {"grant_id": grant_id})

    @routes.post("/rates", status_code=201)
    async def add_rate(body: RateBody, caller: Finance, once: Once) -> Response:
        try:
            Rate(body.rate, body.on, body.source)
        except ValueError:
            raise problem("rate-unfit") from None
        if body.base == body.spending:
            raise problem("rate-unfit")
        async with desk.db.transaction() as tx:
            if known := await once.replay(tx):
                return known
            if not await funding.put_rate(
                tx.conn,
                body.base,
                body.spending,
                body.on,
                body.source,
                body.rate,
                caller.staff_id,
            ):
                raise problem("code-taken")
            return await once.answer(tx, 201, {"base": body.base, "spending": body.spending})

    @routes.get("/rates", response_model=RatePage)
    async def list_rates(caller: Reader, page: PageQuery) -> dict[str, object]:
        """Exchange rates, the newest first."""
        async with desk.db.read() as conn:
            rows = await queries.rates(conn, page.after(_RATE), page.limit + 1)
        kept, following = page.cut(
            rows, lambda row: (row["rate_on"], row["base"], row["spending"], row["source"])
        )
        return {"rates": kept, "next": following}

    return routes
