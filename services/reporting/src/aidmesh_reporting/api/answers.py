"""What the API answers, as it goes over the wire."""

from collections.abc import Mapping
from datetime import date, datetime
from uuid import UUID

from pydantic import BaseModel

from aidmesh_chassis.peers import LinkState
from aidmesh_reporting.domain.disclosure import without_money
from aidmesh_reporting.domain.results import Cell, Dimension, Line


class LineOut(BaseModel):
    """One line of results; a part that it is not split by is left out as None.

    Attributes:
        people: distinct beneficiaries; an upper bound unless `people_exact`.
        contacts: headcount of outreach and group sessions, apart from people.
        quantities: by unit; what was paid out, in a currency's minor units, only for those who
            may see amounts.
        amounts: minor units by currency, for those who may see what is sensitive; of other
            regions' results they are not known.
    """

    kind: str | None = None
    area: str | None = None
    month: str | None = None
    grant_id: UUID | None = None
    people: int
    people_exact: bool
    services: int
    contacts: int
    quantities: dict[str, int]
    amounts: dict[str, int] | None


class TogetherOut(BaseModel):
    """Sums of whole months that are over. What tells of few people is not in them.

    Attributes:
        people: added up, so an upper bound.
    """

    people: int
    services: int
    contacts: int


class PublicLine(TogetherOut):
    """One line of what may be shown to everybody; no quantities, which are not of many."""

    kind: str | None
    area: str | None
    month: str | None


class SourceOut(BaseModel):
    """How fresh a region's part of the whole is.

    Attributes:
        as_of: of its oldest month of the period, for those who may see what is sensitive; for
            others of its newest word: when a month was told is a word about this month.
        months: which of them it told, for those who may see what is sensitive.
        link: whether that region is heard; None for the own one.
    """

    region: str
    as_of: datetime
    months: list[str] | None = None
    link: LinkState | None = None


class WholeOut(BaseModel):
    """This region and the others together.

    Attributes:
        provisional: some region has not told some month, or has not called it settled.
        left_out: months that lie in the period only in part; other regions publish whole ones.
        apart: help of sensitive kinds, which is in neither lines nor total; None for those who
            may see it there.
        twice: people who are known in two regions and were taken out of `total`, so that they are
            counted once; None for those who may not see what is sensitive: they count twice there.
    """

    provisional: bool
    regions: list[SourceOut]
    left_out: list[str]
    lines: list[LineOut]
    total: LineOut
    apart: TogetherOut | None
    twice: int | None = None


class ResultsOut(BaseModel):
    """Results of a period.

    Attributes:
        as_of: when they were added up, by this region's clock.
        last_event_at: when the newest event that they rest on happened, for those who may see what
            is sensitive: where no line changed since, it is about that.
        provisional: some month of the period is not settled yet in this region.
        apart: help of sensitive kinds, which is in neither lines nor total; None for those who
            may see it there.
    """

    region: str
    from_on: date
    to_on: date
    by: list[Dimension]
    as_of: datetime
    last_event_at: datetime | None
    provisional: bool
    lines: list[LineOut]
    total: LineOut
    apart: TogetherOut | None
    whole: WholeOut


class PublicOut(BaseModel):
    """What may be shown to everybody: whole months that are over, split one way.

    Attributes:
        smallest: fewer people of one kind, area and month are in none of these numbers.
        lines: of sensitive kinds only where they are split by kind.
        apart: help of sensitive kinds, where it is in no line.
        total: all of this together.
    """

    regions: list[SourceOut]
    from_on: date
    to_on: date
    by: list[Dimension]
    as_of: datetime
    provisional: bool
    smallest: int
    lines: list[PublicLine]
    apart: TogetherOut | None
    total: TogetherOut


class TracedOut(BaseModel):
    """One service behind a figure, and the events that tell of it."""

    need_id: UUID
    service_no: int
    served_on: date
    kind: str
    area: str
    grant_id: UUID | None
    event_ids: list[UUID]


class TracePage(BaseModel):
    """A page of services; `next` is the cursor of the following one."""

    services: list[TracedOut]
    next: str | None


class MonthOut(BaseModel):
    """A month with services, or one without that was settled.

    Attributes:
        version: how often the others were told it; from 2 on it was restated. For those who may
            see what is sensitive, as is `published_at`: where no line changed, it is about that.
    """

    month: str
    settled_at: datetime | None
    version: int | None
    published_at: datetime | None


class MonthPage(BaseModel):
    """A page of months, the first ones first."""

    months: list[MonthOut]
    next: str | None


class GrantOut(BaseModel):
    """The name of a grant."""

    grant_id: UUID
    region: str
    code: str
    donor: str
    currency: str
    status: str


class GrantPage(BaseModel):
    """A page of grants, by code."""

    grants: list[GrantOut]
    next: str | None


class WaitingOut(BaseModel):
    """Needs that wait for the same."""

    kind: str
    area: str
    resource: str
    code: str
    needs: int
    quantity: int
    oldest_asked_on: date


class WaitingPage(BaseModel):
    """A page of what is waited for; what most needs wait for comes first."""

    waiting: list[WaitingOut]
    next: str | None


class ClosedOut(BaseModel):
    """Needs that ended without a service.

    Attributes:
        reason: for those who may see what is sensitive: some reasons tell of what it was.
    """

    state: str
    reason: str | None
    needs: int


class ClosedPage(BaseModel):
    """A page of ends, by state and reason."""

    closed: list[ClosedOut]
    next: str | None


def in_order(lines: Mapping[Cell, Line]) -> list[tuple[Cell, Line]]:
    """Return lines in the order in which they are shown."""
    return sorted(lines.items(), key=lambda item: tuple(str(part) for part in item[0]))


def lines_out(lines: Mapping[Cell, Line], *, amounts: bool) -> list[LineOut]:
    """Return lines as they are answered, with money or without."""
    return [line_out(cell, line, amounts=amounts) for cell, line in in_order(lines)]


def line_out(cell: Cell, line: Line, *, amounts: bool) -> LineOut:
    """Return one line as it is answered, with money or without."""
    if not amounts:
        line = without_money(line)
    return LineOut(
        kind=cell.kind,
        area=cell.area,
        month=cell.month,
        grant_id=cell.grant,
        people=line.people,
        people_exact=line.people_exact,
        services=line.services,
        contacts=line.contacts,
        quantities=line.quantities,
        amounts=line.amounts if amounts else None,
    )


def public_out(cell: Cell, line: Line) -> PublicLine:
    """Return one line as it is shown to everybody."""
    return PublicLine(
        kind=cell.kind,
        area=cell.area,
        month=cell.month,
        people=line.people,
        services=line.services,
        contacts=line.contacts,
    )


def together_out(line: Line) -> TogetherOut:
    """Return what is told of several lines as one."""
    return TogetherOut(people=line.people, services=line.services, contacts=line.contacts)
