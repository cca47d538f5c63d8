"""Numbers of what is taken, as shown to those who may not see what is sensitive.

They plan with what is free, and see that something is taken; how many people it is for, or that
one more came, they don't. Free and taken add up to what there is, so both are shown in steps.
"""

from typing import Final

STEP: Final = 5


def surplus(sensitive: int, free: int) -> int:
    """Return how many more are shown as taken than are: up to the next step of what is sensitive.

    Args:
        sensitive: how many of those taken are for what is sensitive.
        free: how many there are left; no more than these are shown as taken.
    """
    return min(-sensitive % STEP, free)
