"""How regions stand: what payments tells of them, and every service takes in."""

from typing import Literal

from pydantic import AwareDatetime, Field

from aidmesh_contracts.base import Event
from aidmesh_contracts.streams import Stream
from aidmesh_contracts.values import Code, Region

Standing = Literal["member", "lost", "retired"]


class RegionChangedV1(Event, type="payments.region.changed.v1", stream=Stream.EVENTS, key="region"):
    """A region was declared lost, is a member again, or has retired.

    The first two are said by other regions, the last by that one itself, as its last word. What is
    said of a later epoch counts more; retired is final.

    Attributes:
        epoch: lost: what it says of this epoch counts no more unless it was taken in by then.
            member: it counts from this epoch on. retired: its last.
        since: when that was decided.
    """

    region: Region
    standing: Standing
    epoch: int = Field(gt=0)
    since: AwareDatetime
    reason: Code | None = None


EVENTS: tuple[type[Event], ...] = (RegionChangedV1,)
