"""Same-person decisions in force: a union, whatever the order."""

import random
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from aidmesh_reporting.domain.people import regroup

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


@given(
    pairs,
    st.sets(st.integers(0, 14)),
    st.randoms(use_true_random=False),
    st.integers(1, 5),
)
def test_decisions_in_any_order_and_any_batches_give_the_same_people(
    decisions: list[tuple[UUID, UUID]], back: set[int], chance: random.Random, size: int
) -> None:
    """Each may be taken back, which may be heard of first, and anything more than once."""
    undone = {each for each in back if each < len(decisions)}
    news = [(each, False) for each in range(len(decisions))] + [(each, True) for each in undone]
    news += chance.sample(news, len(news) // 2)
    chance.shuffle(news)
    stored: dict[UUID, UUID] = {}
    heard: set[int] = set()
    taken_back: set[int] = set()
    for start in range(0, len(news), size):
        batch = news[start : start + size]
        heard |= {each for each, gone in batch if not gone}
        taken_back |= {each for each, gone in batch if gone}
        named = {person for each, _ in batch for person in decisions[each]}
        roots = {stored[person] for person in named if person in stored}
        known = {person: root for person, root in stored.items() if root in roots}
        touched = named | known.keys()
        force = [decisions[each] for each in heard - taken_back]
        joined, parted = regroup(known, [pair for pair in force if touched & set(pair)])
        assert all(known.get(person) != root for person, root in joined.items())
        assert set(parted) <= known.keys() - joined.keys()
        stored.update(joined)
        for person in parted:
            del stored[person]
    force = [pair for each, pair in enumerate(decisions) if each not in undone]
    assert {person: stored.get(person, person) for person in PEOPLE} == classes(force)


def test_nothing_new_changes_nothing() -> None:
    one, other = PEOPLE[:2]
    known, nobody = regroup({}, [(one, other)])
    assert (known, nobody) == ({one: one, other: one}, [])
    assert regroup(known, [(other, one), (one, other)]) == ({}, [])
    assert regroup(known, []) == ({}, [one, other])
