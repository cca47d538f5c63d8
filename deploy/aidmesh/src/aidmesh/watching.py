"""Looks after things for as long as a mesh runs, whatever it meets."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from aidmesh_chassis.ending import goes_on, lasting
from aidmesh_chassis.logs import get_logger

log = get_logger()

PAUSE_S_MIN: Final = 0.5
PAUSE_S_MAX: Final = 30.0
STEADY_S: Final = 60.0


async def unfailing(watched: str, work: Callable[[], Awaitable[None]], region: str = "all") -> None:
    """Do work that lasts until it is cancelled, and begin it anew whenever it fails.

    What it expects it deals with itself; what comes here is a bug. It goes on nevertheless, later
    each time: to let the whole mesh end and start anew would stop every region of it for one part's
    error, and for as long as that error lasts, over and over. The line is an error, and comes with
    each try.

    Args:
        watched: what it looks after.
        work: begins it.
        region: of which region; `all` where it is of none.
    """
    pause_s = PAUSE_S_MIN
    while goes_on():
        began_at = time.monotonic()
        try:
            await lasting(work())
        except Exception:
            if time.monotonic() - began_at > STEADY_S:
                pause_s = PAUSE_S_MIN
            log.exception("watch.failed", region=region, watched=watched)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, PAUSE_S_MAX)
        else:
            return
