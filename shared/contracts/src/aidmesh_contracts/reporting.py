"""Events of reporting: monthly results, which say nothing about a single person, and links."""

from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, Field

from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import GrantId, LinkId
from aidmesh_contracts.streams import Stream
from aidmesh_contracts.values import Area, Code, Value

Month = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}$")]


class ResultLine(Value):
    """Results of one area, kind and grant within a month. People are distinct within the line.

    Attributes:
        kind: `other` where help of several kinds, some of them sensitive, was for too few people
            to be told apart; then `area` is `UA00`, there is no grant, and people are added up.
        sensitive: only some roles may see it by itself; where nobody said, it is taken to be.
    """

    area: Area
    kind: Code
    grant_id: GrantId | None = None
    people: int
    services: int
    contacts: int
    quantity: int
    unit: Code
    sensitive: bool = True


class MonthlyResultsV1(
    Event, type="reporting.results.published.v1", stream=Stream.EVENTS, key="month"
):
    """A region's results of one month, whole; restated by a higher version.

    Attributes:
        month: `YYYY-MM`, by `served_on`.
        people: distinct people over all lines of the month.
        year_people: distinct people of the year so far, which no sum of months can give.
        settled: a lead has called the month settled: it is restated by corrections only.
        elsewhere, year_elsewhere: of `people` and `year_people` those whom another region counts,
            as they are known in both; None where that was not told, or the people are few.
    """

    month: Month
    people: int
    services: int
    contacts: int
    year_people: int
    lines: tuple[ResultLine, ...]
    version: int = Field(gt=0)
    as_of: AwareDatetime
    settled: bool = False
    elsewhere: int | None = None
    year_elsewhere: int | None = None


class LinkServedV1(Event, type="reporting.link.served.v1", stream=Stream.HANDOFF, key="link_id"):
    """In which months one side of a link had a service; what, and whose, it does not say.

    Attributes:
        version: counts what was said of this link; the highest holds.
    """

    link_id: LinkId
    months: tuple[Month, ...]
    version: int = Field(gt=0)


class HandoffTakenV1(
    Event, type="reporting.handoff.taken.v1", stream=Stream.HANDOFF, key="handoff_id"
):
    """The answer to a handoff: it is in the inbox of the region that it was for."""

    handoff_id: UUID


EVENTS: tuple[type[Event], ...] = (MonthlyResultsV1, LinkServedV1, HandoffTakenV1)
