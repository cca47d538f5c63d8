"""Events of intake about people who are known in two regions: blind queries and links.

What goes to the other region names nobody: queries and links have ids of their own, and what could
be compared is blinded, sealed, and of one size.
"""

from typing import Literal
from uuid import UUID

from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import LinkId, PersonId
from aidmesh_contracts.streams import Stream
from aidmesh_contracts.values import Region

Means = Literal["code", "contact", "name"]
Said = Literal["open", "yes", "no", "gone"]


class LookupAskedV1(Event, type="intake.lookup.asked.v1", stream=Stream.HANDOFF, key="lookup_id"):
    """A region asks whether another knows somebody; that one learns nothing by it.

    Attributes:
        sealed: base64 of a sealed box with blinded elements (RFC 9497), always as many.
    """

    lookup_id: UUID
    sealed: str


class LookupAnsweredV1(
    Event, type="intake.lookup.answered.v1", stream=Stream.HANDOFF, key="lookup_id"
):
    """What was asked, evaluated under a key made for this answer, and what is known, under it too.

    Attributes:
        sealed: base64 of a sealed box; None where too much was asked.
    """

    lookup_id: UUID
    sealed: str | None = None


class LookupClosedV1(Event, type="intake.lookup.closed.v1", stream=Stream.HANDOFF, key="lookup_id"):
    """The region that asked has compared: what it found, or nothing, in a box of the same size.

    Attributes:
        sealed: base64 of the sealed box; None where the person is not looked for any more.
    """

    lookup_id: UUID
    sealed: str | None = None


class LinkFoundV1(Event, type="intake.link.found.v1", stream=Stream.HANDOFF, key="link_id"):
    """Perhaps one person is known in both regions: somebody in each is to decide.

    Attributes:
        lookup_id: the query that it follows from.
        by: in what the two records agree.
    """

    link_id: LinkId
    lookup_id: UUID
    by: tuple[Means, ...]


class LinkSaidV1(Event, type="intake.link.said.v1", stream=Stream.HANDOFF, key="link_id"):
    """What a region says of a link; of all that it said the last in this row holds.

    Attributes:
        said: `open` (nobody decided), `yes`, `no` (also after a yes: they are parted), `gone` (the
            person is not looked for any more; what the link was about is deleted).
    """

    link_id: LinkId
    said: Said


class PersonLinkedV1(Event, type="intake.person.linked.v1", stream=Stream.LOCAL, key="link_id"):
    """Both regions say that one person is known in both: the whole counts them once."""

    link_id: LinkId
    person_id: PersonId
    region: Region


class PersonPartedV1(Event, type="intake.person.parted.v1", stream=Stream.LOCAL, key="link_id"):
    """A link is over for good. It may overtake the news that it began."""

    link_id: LinkId


EVENTS: tuple[type[Event], ...] = (
    LookupAskedV1,
    LookupAnsweredV1,
    LookupClosedV1,
    LinkFoundV1,
    LinkSaidV1,
    PersonLinkedV1,
    PersonPartedV1,
)
