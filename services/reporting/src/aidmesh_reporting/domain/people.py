"""Which records are one person: a union of all recorded same-person decisions."""

from collections.abc import Iterable, Mapping
from uuid import UUID


def join(roots: Mapping[UUID, UUID], pairs: Iterable[tuple[UUID, UUID]]) -> dict[UUID, UUID]:
    """Join the classes of each pair.

    The smallest id of a class stands for it, so the outcome depends neither on the order of
    decisions nor on how often one came.

    Args:
        roots: who stands for whom so far, for every member of every class that is touched.
        pairs: records that are the same person.

    Returns:
        the new entries of `roots`, only where something changed.
    """
    members: dict[UUID, set[UUID]] = {}
    root_of = dict(roots)
    for person, root in roots.items():
        members.setdefault(root, {root}).add(person)
    for one, other in pairs:
        first, second = root_of.get(one, one), root_of.get(other, other)
        if first == second and one in root_of:
            continue
        joined = members.pop(first, {first}) | members.pop(second, {second}) | {one, other}
        root = min(joined)
        members[root] = joined
        for person in joined:
            root_of[person] = root
    return {person: root for person, root in root_of.items() if roots.get(person) != root}
