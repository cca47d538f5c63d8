"""Routes of results: of this region and of the whole, each with its freshness."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Annotated, Literal, get_args
from uuid import UUID

import asyncpg
from fastapi import Depends, Query, Response
from pydantic import TypeAdapter

from aidmesh_chassis.auth import Caller, Role, require
from aidmesh_chassis.db import Database
from aidmesh_chassis.http import CSV_ANSWER, PageQuery, Routes, rows_max
from aidmesh_chassis.peers import LinkOf, Peers
from aidmesh_chassis.problems import INVALID, Problem
from aidmesh_contracts.days import EnteredDay, day_of
from aidmesh_reporting.api import hxl
from aidmesh_reporting.api.answers import (
    PublicOut,
    ResultsOut,
    SourceOut,
    TracedOut,
    TracePage,
    WholeOut,
    in_order,
    line_out,
    lines_out,
    public_out,
    together_out,
)
from aidmesh_reporting.domain.disclosure import PUBLIC_BY, show, without_money
from aidmesh_reporting.domain.months import (
    months_between,
    months_over,
    months_so_far,
    whole_months,
)
from aidmesh_reporting.domain.results import (
    Cell,
    Dimension,
    Elsewhere,
    Line,
    PublishedLine,
    PublishedMonth,
    all_settled,
)
from aidmesh_reporting.domain.whole import of_everything, of_what_is_not_sensitive
from aidmesh_reporting.handlers.publishing import told_months
from aidmesh_reporting.problems import PERIOD, TOO_MANY_LINES
from aidmesh_reporting.store import links, money, results
from aidmesh_reporting.store import months as month_store

DAYS_MAX = 3700
LINES_MAX = 10_000
"""Of the own results, and of the whole; what is more is split too finely to be read by people."""
_KEY: TypeAdapter[tuple[date, UUID, int]] = TypeAdapter(tuple[date, UUID, int])
MAY_SEE = Depends(require(Role.LEAD, Role.FINANCE, Role.APPROVER, Role.ONCALL))
Seer = Annotated[Caller, MAY_SEE]
_LEAD = Depends(require(Role.LEAD))


@dataclass(frozen=True, slots=True)
class Period:
    """Days from `from_on` to `to_on`, both included, and what to split by."""

    from_on: date
    to_on: date
    by: tuple[Dimension, ...]


async def _period(
    from_on: Annotated[EnteredDay, Query(alias="from")],
    to_on: Annotated[EnteredDay, Query(alias="to")],
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
    """Everything read for one answer, at one moment.

    Attributes:
        apart, whole_apart: of sensitive kinds, for those who may not see them in the lines.
    """

    as_of: datetime
    last_event_at: datetime | None
    provisional: bool
    whole_provisional: bool
    own: dict[Cell, Line]
    own_total: Line
    apart: Line | None
    whole: dict[Cell, Line]
    whole_total: Line
    whole_apart: Line | None
    twice: int | None
    regions: list[SourceOut]
    left_out: list[str]


def router(
    database: Database,
    region: str,
    small_cell_k: int,
    peers: Peers,
) -> Routes:
    """Return the routes.

    Args:
        peers: the regions that this one is linked with, and whether they are heard.
    """
    routes = Routes(prefix="/v1")

    def others() -> Collection[str] | None:
        known = peers.regions
        return None if known is None else set(known) - {region}

    async def read(period: Period, *, sensitive_too: bool) -> Reading:
        months = months_between(period.from_on, period.to_on)
        whole = whole_months(period.from_on, period.to_on)
        plain = None if sensitive_too else False
        days = (period.from_on, period.to_on)
        # Every number of an answer is of the same moment.
        async with database.read(at_one_moment=True) as conn:
            as_of, last_event_at = await results.freshness(conn)
            own = await _lines(conn, period, sensitive=plain)
            totals = await results.lines(conn, *days, (), sensitive=plain)
            published = await month_store.world_months(conn, whole)
            settled = await month_store.settled(conn, months)
            heard = await month_store.heard(conn)
            apart = whole_apart = None
            linked = await links.any_heard(conn)
            told = {(month.region, month.month) for month in published}
            counted = Elsewhere(*await links.elsewhere(conn, whole, region, told))
            if sensitive_too:
                published = await _completed(conn, published, region)
            else:
                over = months_over(whole, day_of(as_of))
                mine = await told_months(conn, over)
                apart = show(mine, None, small_cell_k).apart
                theirs = _told(published, over)
                whole_apart = show([*mine, *theirs], None, small_cell_k).apart
        own_total = totals.get(Cell(), Line())
        if sensitive_too:
            pairs_may_be_missed = linked and len(whole) > 1
            together = of_everything(
                own,
                own_total,
                published,
                counted,
                period.by,
                pairs_may_be_missed=pairs_may_be_missed,
            )
        else:
            together = of_what_is_not_sensitive(own, own_total, published, counted, period.by)
        if len(together.lines) > LINES_MAX:
            raise Problem(TOO_MANY_LINES)
        return Reading(
            as_of=as_of,
            # Where no line changed, it would be the minute of something sensitive.
            last_event_at=last_event_at if sensitive_too else None,
            provisional=set(months) != settled,
            whole_provisional=set(months) != settled or not all_settled(published, others(), whole),
            own=own,
            own_total=own_total,
            apart=apart,
            whole=together.lines,
            whole_total=together.total,
            whole_apart=whole_apart,
            twice=together.twice,
            regions=[
                SourceOut(region=region, as_of=as_of, months=months if sensitive_too else None),
                *(_sources(published, peers.link) if sensitive_too else _heard(heard, peers.link)),
            ],
            left_out=[month for month in months if month not in whole],
        )

    @routes.get("/results", openapi_extra=rows_max(LINES_MAX))
    async def get_results(period: PeriodQuery, caller: Seer) -> ResultsOut:
        """People, contacts and services of a period, this region's own and the whole.

        Who may not see what is sensitive is told of it apart, as one line over whole months.
        """
        sees = caller.sees_sensitive
        found = await read(period, sensitive_too=sees)
        return ResultsOut(
            region=region,
            from_on=period.from_on,
            to_on=period.to_on,
            by=list(period.by),
            as_of=found.as_of,
            last_event_at=found.last_event_at,
            provisional=found.provisional,
            lines=lines_out(found.own, amounts=sees),
            total=line_out(Cell(), found.own_total, amounts=sees),
            apart=None if found.apart is None else together_out(found.apart),
            whole=WholeOut(
                provisional=found.whole_provisional,
                regions=found.regions,
                left_out=found.left_out,
                lines=lines_out(found.whole, amounts=sees),
                total=line_out(Cell(), found.whole_total, amounts=sees),
                apart=None if found.whole_apart is None else together_out(found.whole_apart),
                twice=found.twice,
            ),
        )

    @routes.get(
        "/results.csv",
        response_class=Response,
        responses=CSV_ANSWER,
        openapi_extra=rows_max(LINES_MAX),
    )
    async def get_csv(
        period: PeriodQuery, caller: Seer, part: Literal["own", "whole"] = "own"
    ) -> Response:
        """The same as CSV with HXL hashtags."""
        sees = caller.sees_sensitive
        found = await read(period, sensitive_too=sees)
        lines, apart, provisional = (
            (found.own, found.apart, found.provisional)
            if part == "own"
            else (found.whole, found.whole_apart, found.whole_provisional)
        )
        async with database.read() as conn:
            codes = await money.codes_of(conn, {cell.grant for cell in lines if cell.grant})
        text = hxl.to_csv(
            region if part == "own" else "+".join(each.region for each in found.regions),
            period.by,
            in_order(lines if sees else {cell: without_money(lines[cell]) for cell in lines}),
            apart,
            "provisional" if provisional else "settled",
            codes,
        )
        return Response(
            text,
            media_type="text/csv; charset=utf-8; header=present",
            headers={"Content-Disposition": 'attachment; filename="results.csv"'},
        )

    @routes.get(
        "/results/public",
        dependencies=[Depends(require())],
        openapi_extra=rows_max(LINES_MAX),
    )
    async def get_public(period: PeriodQuery) -> PublicOut:
        """The whole, without numbers so small that they could tell of a single person.

        Whole months that are over, split one way at most, and not by grant.
        """
        months = whole_months(period.from_on, period.to_on)
        whole = months == months_between(period.from_on, period.to_on)
        if len(period.by) > 1 or not PUBLIC_BY.issuperset(period.by) or not whole:
            raise Problem(
                PERIOD, "Ask for whole months and split by one thing: coarser is safer in public."
            )
        by = period.by[0] if period.by else None
        async with database.read(at_one_moment=True) as conn:
            as_of, _ = await results.freshness(conn)
            over = months_over(months, day_of(as_of))
            published = await month_store.world_months(conn, months)
            settled = await month_store.settled(conn, months)
            heard = await month_store.heard(conn)
            mine = await told_months(conn, over)
        shown = show([*mine, *_told(published, over)], by, small_cell_k)
        if len(shown.lines) > LINES_MAX:
            raise Problem(TOO_MANY_LINES)
        return PublicOut(
            regions=[SourceOut(region=region, as_of=as_of), *_heard(heard, peers.link)],
            from_on=period.from_on,
            to_on=period.to_on,
            by=list(period.by),
            as_of=as_of,
            provisional=set(months) != settled or not all_settled(published, others(), months),
            smallest=small_cell_k,
            lines=[public_out(cell, line) for cell, line in in_order(shown.lines)] if by else [],
            apart=None if by == "kind" else together_out(shown.apart),
            total=together_out(shown.total),
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

    return routes


async def _lines(
    conn: asyncpg.Connection, period: Period, *, sensitive: bool | None
) -> dict[Cell, Line]:
    """This region's own lines. Raises `Problem` if they are too many."""
    try:
        return await results.lines(
            conn,
            period.from_on,
            period.to_on,
            period.by,
            sensitive=sensitive,
            lines_max=LINES_MAX,
        )
    except results.TooManyLines:
        raise Problem(TOO_MANY_LINES) from None


async def _completed(
    conn: asyncpg.Connection, published: Sequence[PublishedMonth], region: str
) -> list[PublishedMonth]:
    """Add what is known here of people whom this region counts, where the other did not say it.

    It says nothing of months with few people. The year's own count is of use only as far as the
    last month of a region: it is asked for that one alone.
    """
    by_region: dict[str, list[PublishedMonth]] = {}
    for month in published:
        by_region.setdefault(month.region, []).append(month)
    complete: list[PublishedMonth] = []
    for other, told in by_region.items():
        unsaid = [each.month for each in told if each.elsewhere is None]
        by_month: Mapping[str, int] = {}
        if unsaid:
            _, by_month = await links.shared(conn, unsaid, region, other)
        last = max(told, key=lambda each: each.month)
        for month in told:
            elsewhere, so_far = month.elsewhere, month.year_elsewhere
            if elsewhere is None:
                elsewhere = by_month.get(month.month, 0)
            if so_far is None and month is last:
                year = months_so_far(month.month)
                so_far, _ = await links.shared(conn, year, region, other)
            complete.append(replace(month, elsewhere=elsewhere, year_elsewhere=so_far))
    return complete


def _told(
    published: Iterable[PublishedMonth], months: Collection[str]
) -> list[tuple[str, tuple[PublishedLine, ...]]]:
    return [(each.month, each.lines) for each in published if each.month in months]


def _heard(heard: Mapping[str, datetime], link: LinkOf) -> list[SourceOut]:
    return [SourceOut(region=name, as_of=as_of, link=link(name)) for name, as_of in heard.items()]


def _sources(published: Iterable[PublishedMonth], link: LinkOf) -> list[SourceOut]:
    by_region: dict[str, list[PublishedMonth]] = {}
    for month in published:
        by_region.setdefault(month.region, []).append(month)
    return [
        SourceOut(
            region=name,
            # The oldest of its months says how stale the sum may be.
            as_of=min(month.as_of for month in months),
            months=sorted(month.month for month in months),
            link=link(name),
        )
        for name, months in sorted(by_region.items())
    ]
