"""Which records are one person: a union of all recorded same-person decisions in force."""

from collections.abc import Iterable, Mapping
from uuid import UUID


def regroup(
    roots: Mapping[UUID, UUID], pairs: Iterable[tuple[UUID, UUID]]
) -> tuple[dict[UUID, UUID], list[UUID]]:
    """Group records anew by the decisions in force.

    The smallest id of a class stands for it, so the outcome depends neither on the order of
    decisions nor on how often one came.

    Args:
        roots: who stands for whom so far, for every member of every class that is touched.
        pairs: records that are the same person, for all of these members.

    Returns:
        the new entries of `roots`, only where something changed, and the records that are nobody
        else's any more.
    """
    members: dict[UUID, set[UUID]] = {}
    for one, other in pairs:
        joined = members.get(one, {one}) | members.get(other, {other})
        for person in joined:
            members[person] = joined
    found = {person: min(joined) for person, joined in members.items()}
    return (
        {person: root for person, root in found.items() if roots.get(person) != root},
        [person for person in roots if person not in found],
    )
