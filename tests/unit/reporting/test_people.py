"""Same-person decisions: a union, whatever the order."""

import random
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from aidmesh_reporting.domain.people import join

PEOPLE = [UUID(int=number) for number in range(1, 13)]
pairs = st.lists(st.tuples(st.sampled_from(PEOPLE), st.sampled_from(PEOPLE)), max_size=15)


def classes(decisions: list[tuple[UUID, UUID]]) -> dict[UUID, UUID]:
    """The model: relabel everybody again and again."""
    label = {person: person for person in PEOPLE}
    for _ in PEOPLE:
        for one, other in decisions:
            smallest = min(label[one], label[other])
            for person in PEOPLE:
                if label[person] in (label[one], label[other]):
                    label[person] = smallest
    return label


@given(pairs, st.randoms(use_true_random=False), st.integers(1, 5))
def test_decisions_in_any_order_and_any_batches_give_the_same_people(
    decisions: list[tuple[UUID, UUID]], chance: random.Random, size: int
) -> None:
    again = [*decisions, *chance.sample(decisions, len(decisions) // 2)]
    chance.shuffle(again)
    stored: dict[UUID, UUID] = {}
    for start in range(0, len(again), size):
        batch = again[start : start + size]
        touched = {person for pair in batch for person in pair}
        roots = {stored[person] for person in touched if person in stored}
        known = {person: root for person, root in stored.items() if root in roots}
        changed = join(known, batch)
        assert all(known.get(person) != root for person, root in changed.items())
        stored.update(changed)
    assert {person: stored.get(person, person) for person in PEOPLE} == classes(decisions)


def test_nothing_new_changes_nothing() -> None:
    one, other = PEOPLE[:2]
    known = join({}, [(one, other)])
    assert known == {one: one, other: one}
    assert join(known, [(other, one), (one, other)]) == {}
