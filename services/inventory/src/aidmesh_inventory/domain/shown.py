"""Numbers of what is taken, as shown to those who may not see what is sensitive.

They plan with what is free, and see that something is taken; how many people it is for, or that
one more came, they don't. Free and taken add up to what there is, so both are shown in steps.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final, NamedTuple

STEP: Final = 5


class Seated(NamedTuple):
    """A slot that has seats taken for what is sensitive: its day, those, and how many are free."""

    day: date
    sensitive: int
    free: int


def surplus(sensitive: int, free: int) -> int:
    """Return how many more are shown as taken than are: up to the next step of what is sensitive.

    Args:
        sensitive: how many of those taken are for what is sensitive.
        free: how many there are left; no more than these are shown as taken.
    """
    return min(-sensitive % STEP, free)


def free_shown(first_on: date, free_by_day: Sequence[int], seated: Iterable[Seated]) -> list[int]:
    """Return the free seats of each day from `first_on` on, less those that are shown as taken."""
    shown = list(free_by_day)
    for slot in seated:
        day = (slot.day - first_on).days
        if 0 <= day < len(shown):
            shown[day] = max(0, shown[day] - surplus(slot.sensitive, slot.free))
    return shown
