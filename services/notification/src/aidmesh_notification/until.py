"""Until when something may be begun that was decided on a moment ago."""

import time
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Until:
    """Until when messages of a batch may be begun, by two clocks.

    A machine that sleeps stops the one, and somebody may set the other back. Hours that are safe
    for a person are hours on the wall: what they were decided by may be long past.
    """

    monotonic_s: float
    wall_s: float

    @classmethod
    def after(cls, span_s: float) -> Self:
        """The end of a span that begins now, in seconds."""
        return cls(time.monotonic() + span_s, time.time() + span_s)

    @property
    def is_over(self) -> bool:
        """Whether either clock is past it."""
        return time.monotonic() >= self.monotonic_s or time.time() >= self.wall_s
