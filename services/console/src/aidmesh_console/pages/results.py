"""Results: people, services and contacts, each figure with its freshness."""

import asyncio
from calendar import monthrange
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, Response

from aidmesh_chassis.http import Routes
from aidmesh_console import i18n
from aidmesh_console.pages.common import names_of
from aidmesh_console.roles import Act
from aidmesh_console.visit import Visit, visitor
from aidmesh_contracts.days import is_possible

routes = Routes(include_in_schema=False)
Reader = Annotated[Visit, Depends(visitor(Act.SEE_RESULTS))]

YEARS_BACK: Final = 2
BY: Final = ("kind", "area", "month", "grant")
PUBLIC_BY: Final = BY[:-1]


@routes.get("/results")
async def show(visit: Reader) -> Response:
    """Results of a period, by one thing; this year by kind where nothing is asked for.

    Who need not know small numbers gets whole months with those left out.
    """
    today = i18n.today()
    first_on = _day(visit.asked.get("from")) or date(today.year, 1, 1)
    last_on = _day(visit.asked.get("to")) or today
    in_full = visit.may(Act.SEE_SMALL_NUMBERS)
    ways = BY if in_full else PUBLIC_BY
    by = visit.asked.get("by", "kind")
    if by not in ways:
        by = "kind"
    if not in_full:
        first_on, last_on = whole_months(first_on, last_on)
    ask = visit.reporting.results if in_full else visit.reporting.public
    found, names, grants = await asyncio.gather(
        visit.hear(ask(first_on, last_on, by)), names_of(visit, kinds=True), _grants(visit, by)
    )
    lines = found.value.whole.lines if found.value else ()
    if by == "month":
        rows = sorted(lines, key=lambda line: line.month or "")
    else:
        rows = sorted(lines, key=lambda line: -line.services)
    return visit.page(
        "results",
        names=names,
        grants=grants,
        results=found,
        rows=rows,
        most=max((line.services for line in lines), default=0),
        by=by,
        ways=ways,
        years=range(today.year - YEARS_BACK, today.year + 1),
        first_on=first_on,
        last_on=last_on,
        in_full=in_full,
    )


def whole_months(first_on: date, last_on: date) -> tuple[date, date]:
    """The months that these days lie in, whole."""
    first, last = min(first_on, last_on), max(first_on, last_on)
    return first.replace(day=1), last.replace(day=monthrange(last.year, last.month)[1])


async def _grants(visit: Visit, by: str) -> Mapping[UUID, str]:
    if by != "grant":
        return {}
    return (await visit.hear(visit.reporting.grants())).value or {}


def _day(text: str | None) -> date | None:
    try:
        day = date.fromisoformat(text or "")
    except ValueError:
        return None
    return day if is_possible(day) else None
