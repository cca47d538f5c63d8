"""How far a region is on the way to an open gate, for whoever waits for it.

To put a log back takes as long as its history is long: minutes, or hours. So nobody who waits for
the gate counts the time since the start; they count since nothing has moved.
"""

import time
from collections.abc import Callable
from typing import Final

from aidmesh_chassis.logs import get_logger

log = get_logger()

EVERY_S: Final = 10.0


def nobody(_: str) -> None:
    """Tell nobody."""


class Progress:
    """What one region's warden is at before it opens the gate.

    Attributes:
        doing: what it is at, in words for a person.
        moved_at: when (monotonic) it last came further than ever before; a try that gets no further
            than those before it is no progress.
    """

    def __init__(self, region: str, say: Callable[[str], None] = nobody) -> None:
        """`say` gets lines for a person, one every few seconds while a log is put back."""
        self.doing = "nothing was begun"
        self._region = region
        self._say = say
        self.moved_at = time.monotonic()
        self._most: dict[str, int] = {}
        self._tell_at: dict[str, float] = {}

    def put_back(self, stream: str, events: int, total: int | None) -> None:
        """Tell how many events of a log are in it again.

        Args:
            stream: the log.
            events: how many.
            total: of how many; None where that took too long to find out.
        """
        now = time.monotonic()
        if events > self._most.get(stream, -1):
            self._most[stream], self.moved_at = events, now
        of = f" of {total}" if total is not None else ""
        self.doing = f"{stream} is put back from the databases, {events}{of} events so far"
        if events == total or now >= self._tell_at.get(stream, now):
            self._tell_at[stream] = now + EVERY_S
            self._say(f"{self._region}: {self.doing}")
            log.info(
                "stream.recovering", region=self._region, stream=stream, events=events, of=total
            )
