"""Lines about what has to be waited for: when it begins, once a minute, and when it is over.

In an outage everything is tried again each second or so. A line for every try would bury what
happened before, and push it out of logs that have an end.
"""

import logging
import time
from collections.abc import Callable
from typing import Final

from aidmesh_chassis.logs import get_logger

log = get_logger()

EVERY_S: Final = 60.0


class Wait:
    """One thing that one piece of work waits for, again and again.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._event = ""
        self._began_at: float | None = None
        self._told_at = 0.0
        self._left_out = 0

    def warning(self, event: str, **fields: object) -> None:
        """Tell that it is waited for: written if it has just begun, or was not for a minute.

        Args:
            event: of the vocabulary.
            fields: of the line; how many were left out since the last one is added.
        """
        now = self._clock()
        if self._began_at is None:
            self._began_at = now
        elif now < self._told_at + EVERY_S:
            self._left_out += 1
            return
        else:
            fields["left_out"] = self._left_out
        self._event, self._told_at, self._left_out = event, now, 0
        log.log(logging.WARNING, event, **fields)

    def over(self) -> None:
        """Tell, if something was waited for, that it is there; called after every success."""
        if self._began_at is None:
            return
        log.info(
            "wait.over",
            of=self._event,
            left_out=self._left_out,
            duration_ms=round((self._clock() - self._began_at) * 1000, 1),
        )
        self._began_at = None
        self._left_out = 0
