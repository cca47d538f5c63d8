"""The HTTP API: results of this region and of the whole, each with its freshness."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Literal, get_args
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import TypeAdapter

from aidmesh_chassis.auth import Caller, Role, require
from aidmesh_chassis.db import Database
from aidmesh_chassis.http import PageQuery
from aidmesh_chassis.idempotency import Once
from aidmesh_chassis.problems import INVALID, Problem
from aidmesh_reporting import hxl
from aidmesh_reporting.answers import (
    ClosedOut,
    GrantOut,
    MonthOut,
    PublicOut,
    ResultsOut,
    SourceOut,
    TracedOut,
    TracePage,
    WaitingOut,
    WholeOut,
    in_order,
    line_out,
    lines_out,
    shown_out,
)
from aidmesh_reporting.domain.months import last_day, months_between, whole_months
from aidmesh_reporting.domain.results import (
    Cell,
    Dimension,
    Line,
    PublishedMonth,
    Shown,
    merge,
    of_others,
    suppress_small,
)
from aidmesh_reporting.problems import NOT_OVER, PERIOD
from aidmesh_reporting.store import results

DAYS_MAX = 3700
_KEY: TypeAdapter[tuple[date, UUID, int]] = TypeAdapter(tuple[date, UUID, int])
_SEE = Depends(require(Role.LEAD, Role.FINANCE, Role.APPROVER, Role.ONCALL))
_LEAD = Depends(require(Role.LEAD))


@dataclass(frozen=True, slots=True)
class Period:
    """Days from `from_on` to `to_on`, both included, and what to split by."""

    from_on: date
    to_on: date
    by: tuple[Dimension, ...]


async def _period(
    from_on: Annotated[date, Query(alias="from")],
    to_on: Annotated[date, Query(alias="to")],
    by: Annotated[str, Query(max_length=60, description="kind,area,month,grant")] = "",
) -> Period:
    if to_on < from_on or (to_on - from_on).days > DAYS_MAX:
        raise Problem(PERIOD)
    chosen: list[Dimension] = []
    for name in filter(None, by.split(",")):
        dimension = _BY.get(name)
        if dimension is None or dimension in chosen:
            raise Problem(INVALID, errors=[{"field": "query.by", "rule": "dimension"}])
        chosen.append(dimension)
    return Period(from_on, to_on, tuple(chosen))


_BY: Mapping[str, Dimension] = {
    dimension: dimension for dimension in get_args(Dimension) if dimension != "unit"
}
PeriodQuery = Annotated[Period, Depends(_period)]


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything read for one answer, at one moment."""

    as_of: datetime
    last_event_at: datetime | None
    provisional: bool
    own: dict[Cell, Line]
    own_total: Line
    whole: dict[Cell, Line]
    whole_total: Line
    regions: list[SourceOut]
    left_out: list[str]


def router(database: Database, region: str, small_cell_k: int) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/v1")

    async def read(period: Period) -> Reading:
        months = months_between(period.from_on, period.to_on)
        whole = whole_months(period.from_on, period.to_on)
        # Every number of an answer is of the same moment.
        async with (
            database.connection() as conn,
            conn.transaction(isolation="repeatable_read", readonly=True),
        ):
            as_of, last_event_at = await results.freshness(conn)
            own = await results.lines(conn, period.from_on, period.to_on, period.by)
            totals = await results.lines(conn, period.from_on, period.to_on, ())
            published = await results.world_months(conn, whole)
            settled = await results.settled(conn, months)
        own_total = totals.get(Cell(), Line())
        together = of_others(published, period.by)
        merge(together, own)
        together_total = of_others(published, ())
        merge(together_total, {Cell(): own_total})
        return Reading(
            as_of=as_of,
            last_event_at=last_event_at,
            provisional=set(months) != settled,
            own=own,
            own_total=own_total,
            whole=together,
            whole_total=together_total[Cell()],
            regions=[
                SourceOut(region=region, as_of=as_of, months=months),
                *_sources(published),
            ],
            left_out=[month for month in months if month not in whole],
        )

    @routes.get("/results", dependencies=[_SEE])
    async def get_results(period: PeriodQuery) -> ResultsOut:
        """People, contacts and services of a period, this region's own and the whole."""
        found = await read(period)
        return ResultsOut(
            region=region,
            from_on=period.from_on,
            to_on=period.to_on,
            by=list(period.by),
            as_of=found.as_of,
            last_event_at=found.last_event_at,
            provisional=found.provisional,
            lines=lines_out(found.own),
            total=line_out(Cell(), found.own_total),
            whole=WholeOut(
                regions=found.regions,
                left_out=found.left_out,
                lines=lines_out(found.whole),
                total=line_out(Cell(), found.whole_total),
            ),
        )

    @routes.get("/results.csv", dependencies=[_SEE])
    async def get_csv(period: PeriodQuery, part: Literal["own", "whole"] = "own") -> Response:
        """The same as CSV with HXL hashtags."""
        found = await read(period)
        async with database.read() as conn:
            codes = {row["grant_id"]: row["code"] for row in await results.grants(conn)}
        lines = found.own if part == "own" else found.whole
        text = hxl.to_csv(
            region if part == "own" else "+".join(each.region for each in found.regions),
            period.by,
            in_order(lines),
            "provisional" if found.provisional else "settled",
            codes,
        )
        return Response(
            text,
            media_type="text/csv; charset=utf-8; header=present",
            headers={"Content-Disposition": 'attachment; filename="results.csv"'},
        )

    @routes.get("/results/public", dependencies=[Depends(require())])
    async def get_public(period: PeriodQuery) -> PublicOut:
        """The whole, without numbers so small that they could tell of a single person.

        Whole months, split one way at most: finer tables could be subtracted from each other.
        """
        whole = whole_months(period.from_on, period.to_on)
        if len(period.by) > 1 or whole != months_between(period.from_on, period.to_on):
            raise Problem(
                PERIOD, "Ask for whole months and split by one thing: coarser is safer in public."
            )
        found = await read(period)
        shown, total_shown = suppress_small(found.whole, found.whole_total, small_cell_k)
        return PublicOut(
            regions=found.regions,
            from_on=period.from_on,
            to_on=period.to_on,
            by=list(period.by),
            as_of=found.as_of,
            provisional=found.provisional,
            smallest=small_cell_k,
            lines=[shown_out(each) for each in shown] if period.by else [],
            total=shown_out(Shown(Cell(), found.whole_total if total_shown else None)),
        )

    @routes.get("/results/trace", dependencies=[_LEAD])
    async def trace(
        period: PeriodQuery,
        page: PageQuery,
        kind: Annotated[str | None, Query(max_length=64)] = None,
        area: Annotated[str | None, Query(max_length=12)] = None,
        grant_id: UUID | None = None,
        without_grant: bool = False,
    ) -> TracePage:
        """The services that a figure of this region counts, one by one, with their events."""
        async with database.read() as conn:
            rows = await results.trace(
                conn,
                period.from_on,
                period.to_on,
                kind=kind,
                area=area,
                grant_id=grant_id,
                without_grant=without_grant,
                after=page.after(_KEY),
                limit=page.limit + 1,
            )
        kept, cursor = page.cut(rows, lambda row: (row.served_on, row.need_id, row.service_no))
        return TracePage(services=[TracedOut(**row._asdict()) for row in kept], next=cursor)

    @routes.get("/months", dependencies=[_SEE])
    async def months() -> list[MonthOut]:
        """Months with services: settled or not, and which version was published."""
        async with database.read() as conn:
            return [MonthOut(**dict(row)) for row in await results.list_months(conn)]

    @routes.post("/months/{month}:settle")
    async def settle(
        month: Annotated[str, Path(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$")],
        caller: Annotated[Caller, Depends(require(Role.LEAD))],
        once: Once,
    ) -> Response:
        """Call a month settled: its results are no longer provisional, corrections restate them."""
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            if tx.now.date() <= last_day(month):
                raise Problem(NOT_OVER)
            await results.settle(tx.conn, month, caller.staff_id)
            return await once.answer(tx, 200, {"month": month, "state": "settled"})

    @routes.get("/grants", dependencies=[_SEE])
    async def grants() -> list[GrantOut]:
        """Names of grants, this region's and those of others."""
        async with database.read() as conn:
            return [GrantOut(**dict(row)) for row in await results.grants(conn)]

    @routes.get("/waiting")
    async def waiting(caller: Annotated[Caller, Depends(require())]) -> list[WaitingOut]:
        """Where need outgrows supply: needs that were waitlisted and not served since."""
        async with database.read() as conn:
            rows = await results.waiting(conn, sensitive_too=caller.sees_sensitive)
        return [WaitingOut(**dict(row)) for row in rows]

    @routes.get("/closed", dependencies=[_SEE])
    async def closed() -> list[ClosedOut]:
        """Needs that ended without a service, by state and reason."""
        async with database.read() as conn:
            return [ClosedOut(**dict(row)) for row in await results.closed(conn)]

    return routes


def _sources(published: Iterable[PublishedMonth]) -> list[SourceOut]:
    by_region: dict[str, list[PublishedMonth]] = {}
    for month in published:
        by_region.setdefault(month.region, []).append(month)
    return [
        SourceOut(
            region=name,
            # The oldest of its months says how stale the sum may be.
            as_of=min(month.as_of for month in months),
            months=sorted(month.month for month in months),
        )
        for name, months in sorted(by_region.items())
    ]
