"""Results: people, services and contacts, each figure with its freshness."""

import asyncio
import re
from calendar import monthrange
from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta
from typing import Annotated, Final
from uuid import UUID, uuid4

from fastapi import Depends, Response

from aidmesh_chassis.http import Routes
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_console import i18n
from aidmesh_console.clients.link import ClientError
from aidmesh_console.pages.common import names_of
from aidmesh_console.roles import Act
from aidmesh_console.visit import Heard, Posted, Visit, visitor
from aidmesh_contracts.days import is_possible

routes = Routes(include_in_schema=False)
Reader = Annotated[Visit, Depends(visitor(Act.SEE_RESULTS))]
Closer = Annotated[Visit, Depends(visitor(Act.CLOSE_MONTHS))]

YEARS_BACK: Final = 2
BY: Final = ("kind", "area", "month", "grant")
PUBLIC_BY: Final = BY[:-1]
OPEN_MAX: Final = 12
"""How many months to close are shown at once; earlier ones when a time before is asked for."""
_MONTH: Final = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])")
_PERIOD: Final = ("from", "to", "by")


@routes.get("/results")
async def show(visit: Reader) -> Response:
    """Results of a period, by one thing; this year by kind where nothing is asked for.

    Who need not know small numbers gets whole months with those left out.
    """
    return await _page(visit)


@routes.post("/results/{month}/close")
async def close(month: str, form: Posted, visit: Closer) -> Response:
    """Say that everything of a month is entered; the page comes back with the same period."""
    if not _MONTH.fullmatch(month):
        raise Problem(NOT_FOUND)
    if not form.checked("sure"):
        return await _page(visit, 422, visit.say("results.close_unsure"), month, form.key)
    try:
        await visit.reporting.close(month, form.key)
    except ClientError as error:
        status, key = form.after(error)
        return await _page(visit, status, visit.problem(error), month, key)
    period = {name: visit.asked.get(name) for name in _PERIOD}
    return visit.go("/results", **period, said="month_closed")


async def _page(
    visit: Visit,
    status: int = 200,
    wrong: str | None = None,
    opened: str | None = None,
    key: UUID | None = None,
) -> Response:
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
    found, names, grants, closed = await asyncio.gather(
        visit.hear(ask(first_on, last_on, by)),
        names_of(visit, kinds=True),
        _grants(visit, by),
        _closed(visit),
    )
    lines = found.value.whole.lines if found.value else ()
    if by == "month":
        rows = sorted(lines, key=lambda line: line.month or "")
    else:
        rows = sorted(lines, key=lambda line: -line.services)
    to_close = () if closed.value is None else open_months(first_on, last_on, closed.value, today)
    return visit.page(
        "results",
        status,
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
        closed=closed,
        to_close=to_close[:OPEN_MAX],
        earlier=len(to_close[OPEN_MAX:]),
        left_out=", ".join(map(visit.say.month, found.value.whole.left_out if found.value else ())),
        wrong=wrong,
        opened=opened,
        key=key or uuid4(),
    )


def whole_months(first_on: date, last_on: date) -> tuple[date, date]:
    """The months that these days lie in, whole."""
    first, last = min(first_on, last_on), max(first_on, last_on)
    return first.replace(day=1), last.replace(day=monthrange(last.year, last.month)[1])


def open_months(
    first_on: date, last_on: date, closed: Collection[str], today: date
) -> Sequence[str]:
    """The months that have a day in a period, are over and not closed; the last one first."""
    first_on, last_on = min(first_on, last_on), max(first_on, last_on)
    found: list[str] = []
    day = min(last_on, today.replace(day=1) - timedelta(days=1))
    while (day.year, day.month) >= (first_on.year, first_on.month):
        if (month := f"{day:%Y-%m}") not in closed:
            found.append(month)
        day = day.replace(day=1) - timedelta(days=1)
    return found


async def _closed(visit: Visit) -> Heard[frozenset[str]]:
    """Which months are closed, for those who close them."""
    if not visit.may(Act.CLOSE_MONTHS):
        return Heard()
    return await visit.hear(visit.reporting.closed_months())


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
