"""What the API answers, as it goes over the wire."""

from collections.abc import Mapping
from datetime import date, datetime
from uuid import UUID

from pydantic import BaseModel

from aidmesh_reporting.domain.disclosure import Protected
from aidmesh_reporting.domain.results import Cell, Dimension, Line


class LineOut(BaseModel):
    """One line of results; a part that it is not split by is left out as None.

    Attributes:
        people: distinct beneficiaries; an upper bound unless `people_exact`.
        contacts: headcount of outreach and group sessions, apart from people.
        quantities: by unit.
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
    """What may be told of several lines only as one: sums of whole months that are over.

    Attributes:
        people: added up month by month, so an upper bound.
        left_out: in some months there were too few people even so; they are not in here.
    """

    people: int
    services: int
    contacts: int
    left_out: bool


class SourceOut(BaseModel):
    """How fresh a region's part of the whole is."""

    region: str
    as_of: datetime
    months: list[str]


class WholeOut(BaseModel):
    """This region and the others together.

    Attributes:
        provisional: some region has not told some month, or has not called it settled.
        left_out: months that lie in the period only in part; other regions publish whole ones.
        apart: help of sensitive kinds, which is in neither lines nor total; None for those who
            may see it there.
    """

    provisional: bool
    regions: list[SourceOut]
    left_out: list[str]
    lines: list[LineOut]
    total: LineOut
    apart: TogetherOut | None


class ResultsOut(BaseModel):
    """Results of a period.

    Attributes:
        as_of: when they were added up, by this region's clock.
        last_event_at: when the newest event that they rest on happened.
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
        smallest: no line of any month tells of fewer people.
        lines: those that are large enough; of sensitive kinds only where they are split by kind.
        other: what is too small to have a line of its own.
        apart: help of sensitive kinds, where it is in no line.
        total: all of this together; its people are added up, so an upper bound.
    """

    regions: list[SourceOut]
    from_on: date
    to_on: date
    by: list[Dimension]
    as_of: datetime
    provisional: bool
    smallest: int
    lines: list[LineOut]
    other: TogetherOut | None
    apart: TogetherOut | None
    total: LineOut


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
    """A month with services."""

    month: str
    settled_at: datetime | None
    version: int | None
    published_at: datetime | None


class GrantOut(BaseModel):
    """The name of a grant."""

    grant_id: UUID
    region: str
    code: str
    donor: str
    currency: str
    status: str


class WaitingOut(BaseModel):
    """Needs that wait for the same."""

    kind: str
    area: str
    resource: str
    code: str
    needs: int
    quantity: int
    oldest_asked_on: date


class ClosedOut(BaseModel):
    """Needs that ended without a service.

    Attributes:
        reason: for those who may see what is sensitive: some reasons tell of what it was.
    """

    state: str
    reason: str | None
    needs: int


def in_order(lines: Mapping[Cell, Line]) -> list[tuple[Cell, Line]]:
    """Return lines in the order in which they are shown."""
    return sorted(lines.items(), key=lambda item: tuple(str(part) for part in item[0]))


def lines_out(lines: Mapping[Cell, Line], *, amounts: bool) -> list[LineOut]:
    """Return lines as they are answered, with money or without."""
    return [line_out(cell, line, amounts=amounts) for cell, line in in_order(lines)]


def line_out(cell: Cell, line: Line, *, amounts: bool) -> LineOut:
    """Return one line as it is answered, with money or without."""
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


def together_out(shown: Protected) -> TogetherOut:
    """Return what is told of several lines as one."""
    line = shown.pooled or Line()
    return TogetherOut(
        people=line.people,
        services=line.services,
        contacts=line.contacts,
        left_out=shown.left_out,
    )
