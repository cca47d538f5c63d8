"""One person in two regions: what each says of it, and what follows.

Each region says `open`, then `yes` or `no`, after a yes perhaps `no`, and in the end perhaps
`gone`; never anything that stood before. So of all that is heard the last in this row holds,
whatever the order in which it comes and however often, and both come to the same.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final
from uuid import UUID

from aidmesh_contracts.ids import LinkId, PersonId
from aidmesh_contracts.intake_links import Means, PersonLinkedV1, PersonPartedV1, Said
from aidmesh_intake.domain.need import NotAllowed

_ROW: Final[tuple[Said, ...]] = ("open", "yes", "no", "gone")


class LinkState(StrEnum):
    """Where a link stands, as both regions come to see it."""

    PERHAPS = "perhaps"
    LINKED = "linked"
    REFUSED = "refused"
    PARTED = "parted"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Link:
    """Somebody here who is perhaps somebody there.

    Attributes:
        person_id: None once it is gone, or while only what the other says is known of it.
        was_linked: both said yes once.
    """

    id: LinkId
    region: str
    person_id: UUID | None = None
    by: tuple[Means, ...] = ()
    mine: Said = "open"
    theirs: Said = "open"
    was_linked: bool = False

    @property
    def state(self) -> LinkState:
        """Where it stands."""
        said = {self.mine, self.theirs}
        if "gone" in said:
            return LinkState.GONE
        if "no" in said:
            return LinkState.PARTED if self.was_linked else LinkState.REFUSED
        return LinkState.LINKED if said == {"yes"} else LinkState.PERHAPS


@dataclass(frozen=True, slots=True)
class LinkStep:
    """What became of a link, and what reporting is told of it."""

    link: Link
    event: PersonLinkedV1 | PersonPartedV1 | None = None


def say(link: Link, said: Said) -> LinkStep:
    """Decide about a link in this region.

    Raises:
        NotAllowed: it is over, or this was said already.
    """
    if link.state not in (LinkState.PERHAPS, LinkState.LINKED):
        raise NotAllowed("link_over")
    if not _is_news(link.mine, said):
        raise NotAllowed("said_already")
    return _moved(link, replace(link, mine=said))


def end(link: Link) -> LinkStep:
    """Nobody is to be looked for: what the link was about is forgotten."""
    return _moved(link, replace(link, mine="gone"))


def hear(link: Link, said: Said) -> LinkStep:
    """Take in what the other region says."""
    if not _is_news(link.theirs, said):
        return LinkStep(link)
    return _moved(link, replace(link, theirs=said))


def found(link: Link, person_id: UUID, by: tuple[Means, ...]) -> LinkStep:
    """Learn whom here a link is about; what the other says may have come first."""
    if link.person_id is not None or link.state is LinkState.GONE:
        return LinkStep(link)
    return _moved(link, replace(link, person_id=person_id, by=by))


def _is_news(before: Said, said: Said) -> bool:
    return _ROW.index(said) > _ROW.index(before)


def _moved(before: Link, link: Link) -> LinkStep:
    if link.state is LinkState.LINKED:
        assert link.person_id is not None
        return LinkStep(
            replace(link, was_linked=True),
            None
            if before.state is LinkState.LINKED
            else PersonLinkedV1(
                link_id=link.id, person_id=PersonId(link.person_id), region=link.region
            ),
        )
    event = PersonPartedV1(link_id=link.id) if before.state is LinkState.LINKED else None
    if link.state is LinkState.GONE:
        link = replace(link, person_id=None, by=())
    return LinkStep(link, event)
