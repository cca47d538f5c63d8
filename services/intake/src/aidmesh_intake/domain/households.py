"""Which household a request is for: the one that its person belongs to, or moves into by it.

A request never moves anybody out of a household: whoever says that they live elsewhere now has to
be asked, and what is open of theirs goes with them. Nor does one that names both by their ids move
anybody in: it may have been written before they left.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID


class OtherHousehold(Exception):
    """Requests name another household than the one that their person belongs to.

    Attributes:
        draft_ids: these requests; there is at least one.
    """

    def __init__(self, draft_ids: frozenset[UUID]) -> None:
        super().__init__("another household")
        self.draft_ids = draft_ids


@dataclass(frozen=True, slots=True)
class Mention:
    """What a request says of a household.

    Attributes:
        person_id: the record that stands for whom it is for, if it is for a person.
        named: the households that it names, by code and by id.
        moves_in: whether a person of no household belongs to the named one from now on.
    """

    draft_id: UUID
    person_id: UUID | None
    named: frozenset[UUID]
    moves_in: bool


def moves(
    mentions: Iterable[Mention],
    home_of: Mapping[UUID, UUID],
    homes_behind: Mapping[UUID, Collection[UUID]],
) -> dict[UUID, UUID]:
    """Who moves in where, by person.

    Args:
        mentions: in the order in which they were made: the first that names a household of
            somebody who has none says which it is.
        home_of: the households of persons who belong to one.
        homes_behind: the households of records that were merged into persons: who belongs to none
            of their own is a member by these.

    Raises:
        OtherHousehold: some of them contradict what is known, or was said before.
    """
    moved: dict[UUID, UUID] = {}
    contrary: set[UUID] = set()
    for mention in mentions:
        person_id, named = mention.person_id, mention.named
        home = None if person_id is None else home_of.get(person_id) or moved.get(person_id)
        if len(named | ({home} if home else set())) > 1:
            contrary.add(mention.draft_id)
        elif person_id is not None and home is None and named:
            if mention.moves_in:
                (moved[person_id],) = named
            elif not named <= set(homes_behind.get(person_id, ())):
                contrary.add(mention.draft_id)
    if contrary:
        raise OtherHousehold(frozenset(contrary))
    return moved
