"""Which household requests are for: one that is known is not exchanged for another."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aidmesh_intake.domain.households import Mention, OtherHousehold, moves

SOMEONE, OTHER = UUID(int=1), UUID(int=2)
HERE, THERE = UUID(int=11), UUID(int=12)
PERSONS = st.sampled_from([SOMEONE, OTHER, None])
HOMES = st.sampled_from([HERE, THERE])
SAID = st.tuples(PERSONS, st.frozensets(HOMES, max_size=2), st.booleans())


def mentions(*said: tuple[UUID | None, frozenset[UUID], bool]) -> list[Mention]:
    """What requests say, numbered."""
    return [Mention(UUID(int=100 + n), *each) for n, each in enumerate(said)]


def contrary(
    found: Sequence[Mention],
    home_of: Mapping[UUID, UUID],
    homes_behind: Mapping[UUID, Collection[UUID]] | None = None,
) -> list[int]:
    """The numbers of the requests that are refused."""
    try:
        moves(found, home_of, homes_behind or {})
    except OtherHousehold as error:
        return sorted(each.int - 100 for each in error.draft_ids)
    return []


def test_the_first_that_is_named_is_theirs() -> None:
    here, there = frozenset({HERE}), frozenset({THERE})
    found = mentions(
        (SOMEONE, frozenset(), True), (SOMEONE, here, True), (SOMEONE, there, True),
        (SOMEONE, here, True), (OTHER, there, True), (None, there, False),
    )  # fmt: skip
    assert contrary(found, {}) == [2]
    assert contrary(found, {SOMEONE: THERE}) == [1, 3]
    assert moves([*found[:2], *found[3:]], {}, {}) == {SOMEONE: HERE, OTHER: THERE}
    assert moves([*found[:2], *found[3:]], {SOMEONE: HERE}, {}) == {OTHER: THERE}


def test_two_that_are_named_at_once_are_not_one() -> None:
    both = frozenset({HERE, THERE})
    assert contrary(mentions((SOMEONE, both, True), (None, both, False)), {SOMEONE: HERE}) == [0, 1]


def test_who_is_named_by_id_only_does_not_move_in() -> None:
    here, there = frozenset({HERE}), frozenset({THERE})
    assert contrary(mentions((SOMEONE, here, False)), {}) == [0]
    assert contrary(mentions((SOMEONE, there, False)), {SOMEONE: HERE}) == [0]
    # Where they moved in by what was said before, they belong.
    said = mentions((SOMEONE, here, True), (SOMEONE, here, False), (SOMEONE, there, False))
    assert contrary(said, {}) == [2]


def test_who_belongs_by_a_record_behind_does_not_move_in_but_is_asked_for() -> None:
    here, there = frozenset({HERE}), frozenset({THERE})
    said = mentions((SOMEONE, here, False), (SOMEONE, there, False), (OTHER, here, False))
    assert moves(said[:1], {}, {SOMEONE: [HERE]}) == {}
    assert contrary(said, {}, {SOMEONE: [HERE]}) == [1, 2]
    # Their own comes first.
    assert contrary(said[:2], {SOMEONE: THERE}, {SOMEONE: [HERE]}) == [0]


@given(st.lists(SAID, max_size=8), st.dictionaries(st.sampled_from([SOMEONE, OTHER]), HOMES))
def test_what_is_left_is_taken_in_as_it_was_said(
    said: list[tuple[UUID | None, frozenset[UUID], bool]], home_of: dict[UUID, UUID]
) -> None:
    found = mentions(*said)
    refused = set(contrary(found, home_of))
    rest = [each for n, each in enumerate(found) if n not in refused]
    # Who was left out changed nothing for the others.
    moved = moves(rest, home_of, {})
    assert not moved.keys() & home_of.keys()
    lives = {**home_of, **moved}
    for each in rest:
        if each.person_id is not None and each.named:
            assert each.named == {lives[each.person_id]}


@pytest.mark.parametrize("home_of", [{}, {SOMEONE: HERE}])
def test_nothing_named_is_nothing_to_refuse(home_of: dict[UUID, UUID]) -> None:
    said = mentions((SOMEONE, frozenset(), True), (None, frozenset(), False))
    assert moves(said, home_of, {}) == {}
