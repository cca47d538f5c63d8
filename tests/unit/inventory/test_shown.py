"""What those may see of stock and seats who may not see what is sensitive."""

from hypothesis import given
from hypothesis import strategies as st

from aidmesh_inventory.domain.shown import STEP, surplus

counts = st.integers(0, 60)


def shown(there: int, plain: int, sensitive: int) -> tuple[int, int]:
    """Taken and free, as they are shown."""
    taken = plain + sensitive
    more = surplus(sensitive, there - taken)
    return taken + more, there - taken - more


@given(counts, counts, st.integers(1, 60), st.integers(1, 60))
def test_numbers_within_a_step_look_the_same(
    room: int, plain: int, sensitive: int, other: int
) -> None:
    there = plain + max(sensitive, other) + room
    if -(-sensitive // STEP) == -(-other // STEP):
        assert shown(there, plain, sensitive) == shown(there, plain, other)


@given(counts, counts, counts)
def test_what_is_shown_adds_up_and_nothing_is_free_that_is_not(
    room: int, plain: int, sensitive: int
) -> None:
    there = plain + sensitive + room
    taken, free = shown(there, plain, sensitive)
    assert taken + free == there
    assert 0 <= free <= room
    assert room - free < STEP
    if sensitive == 0:
        assert free == room
