"""What the API answers, as it goes over the wire."""

from collections.abc import Mapping
from datetime import date, datetime
from uuid import UUID

from pydantic import BaseModel

from aidmesh_reporting.domain.results import Cell, Dimension, Line, Shown


class LineOut(BaseModel):
    """One line of results; a part that it is not split by is left out as None.

    Attributes:
        people: distinct beneficiaries; an upper bound unless `people_exact`.
        contacts: headcount of outreach and group sessions, apart from people.
        quantities: by unit.
        amounts: minor units by currency; of other regions' results they are not known.
        suppressed: the numbers are too small to be shown in public.
    """

    kind: str | None = None
    area: str | None = None
    month: str | None = None
    grant_id: UUID | None = None
    people: int | None
    people_exact: bool | None
    services: int | None
    contacts: int | None
    quantities: dict[str, int] | None
    amounts: dict[str, int] | None
    suppressed: bool = False


class SourceOut(BaseModel):
    """How fresh a region's part of the whole is."""

    region: str
    as_of: datetime
    months: list[str]


class WholeOut(BaseModel):
    """This region and the others together.

    Attributes:
        left_out: months that lie in the period only in part; other regions publish whole ones.
    """

    regions: list[SourceOut]
    left_out: list[str]
    lines: list[LineOut]
    total: LineOut


class ResultsOut(BaseModel):
    """Results of a period.

    Attributes:
        as_of: when they were added up, by this region's clock.
        last_event_at: when the newest event that they rest on happened.
        provisional: some month of the period is not settled yet.
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
    whole: WholeOut


class PublicOut(BaseModel):
    """What may be shown to everybody."""

    regions: list[SourceOut]
    from_on: date
    to_on: date
    by: list[Dimension]
    as_of: datetime
    provisional: bool
    smallest: int
    lines: list[LineOut]
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
    """Needs that ended without a service."""

    state: str
    reason: str
    needs: int


def in_order(lines: Mapping[Cell, Line]) -> list[tuple[Cell, Line]]:
    """Return lines in the order in which they are shown."""
    return sorted(lines.items(), key=lambda item: tuple(str(part) for part in item[0]))


def lines_out(lines: Mapping[Cell, Line]) -> list[LineOut]:
    """Return lines as they are answered."""
    return [line_out(cell, line) for cell, line in in_order(lines)]


def line_out(cell: Cell, line: Line) -> LineOut:
    """Return one line as it is answered."""
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
        amounts=line.amounts,
    )


def shown_out(shown: Shown) -> LineOut:
    """Return a line of the public variant."""
    if shown.line is not None:
        return line_out(shown.cell, shown.line)
    return LineOut(
        kind=shown.cell.kind,
        area=shown.cell.area,
        month=shown.cell.month,
        grant_id=shown.cell.grant,
        people=None,
        people_exact=None,
        services=None,
        contacts=None,
        quantities=None,
        amounts=None,
        suppressed=True,
    )
