"""Reporting as the desk sees it: results with the freshness of each figure."""

from collections.abc import Mapping
from datetime import date, datetime
from uuid import UUID

from pydantic import TypeAdapter

from aidmesh_console.clients.link import ACCEPTED, Link, Page, Query, View
from aidmesh_console.clients.peers import LinkState


class Line(View):
    """One line of results."""

    kind: str | None = None
    area: str | None = None
    month: str | None = None
    grant_id: UUID | None = None
    people: int
    people_exact: bool = False
    services: int
    contacts: int


class Together(View):
    """Help that is told of only as one line, of whole months; people may be fewer."""

    people: int
    services: int
    contacts: int


class Source(View):
    """How fresh a region's part of the whole is."""

    region: str
    as_of: datetime
    link: LinkState | None = None


class Whole(View):
    """This region and the others together.

    Attributes:
        provisional: some region has not told some month, or has not closed it.
        left_out: months asked for only in part.
        apart: help of sensitive kinds, for those who may not see it in the lines.
        twice: people known in two regions who were taken out of the total.
    """

    provisional: bool
    regions: tuple[Source, ...]
    left_out: tuple[str, ...] = ()
    lines: tuple[Line, ...]
    total: Line
    apart: Together | None = None
    twice: int | None = None


class Results(View):
    """Results of a period."""

    whole: Whole


class _Public(View):
    provisional: bool
    regions: tuple[Source, ...]
    lines: tuple[Line, ...]
    total: Line
    apart: Together | None


class _GrantName(View):
    grant_id: UUID
    code: str


class _GrantNames(Page):
    grants: tuple[_GrantName, ...]


class _Month(View):
    month: str
    settled_at: datetime | None


class _Months(Page):
    months: tuple[_Month, ...]


_RESULTS = TypeAdapter(Results)
_PUBLIC = TypeAdapter(_Public)
_GRANTS = TypeAdapter(_GrantNames)
_MONTHS = TypeAdapter(_Months)


class Reporting:
    """What the desk asks of reporting."""

    def __init__(self, link: Link) -> None:
        self.link = link

    async def results(self, first_on: date, last_on: date, by: str) -> Results:
        """Results of the days from `first_on` to `last_on`, the last included."""
        return await self.link.get("/v1/results", _RESULTS, _period(first_on, last_on, by))

    async def public(self, first_on: date, last_on: date, by: str) -> Results:
        """The same of whole months, without numbers that could tell of a single person."""
        path = "/v1/results/public"
        found = await self.link.get(path, _PUBLIC, _period(first_on, last_on, by))
        whole = Whole(
            provisional=found.provisional,
            regions=found.regions,
            lines=found.lines,
            total=found.total,
            apart=found.apart,
        )
        return Results(whole=whole)

    async def grants(self) -> Mapping[UUID, str]:
        """The codes of grants."""
        pages = self.link.pages("/v1/grants", _GRANTS)
        return {each.grant_id: each.code async for page in pages for each in page.grants}

    async def closed_months(self) -> frozenset[str]:
        """The months that this region has closed, as `YYYY-MM`."""
        pages = self.link.pages("/v1/months", _MONTHS)
        return frozenset(
            [each.month async for page in pages for each in page.months if each.settled_at]
        )

    async def close(self, month: str, key: UUID) -> None:
        """Close a month: its figures are no longer provisional."""
        await self.link.post(f"/v1/months/{month}:settle", ACCEPTED, {}, key)


def _period(first_on: date, last_on: date, by: str) -> Query:
    return {"from": first_on.isoformat(), "to": last_on.isoformat(), "by": by}
