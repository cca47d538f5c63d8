"""How often a service looks for what nobody told it of: less often where nothing happens.

What a service does is told it by a message, a request or a bell. Beside that it looks now and
then: for deadlines that have passed, and for what another copy of it left when it died. In an
office at night that is all it does, on a laptop that may run on battery.
"""

import asyncio
from time import monotonic
from typing import Final

BUSY_S: Final = 10.0
"""How long a service counts as busy after it has done something."""
REST_S: Final = 5.0
"""How long it rests between two looks when it is not."""


class Pace:
    """Whether a service is busy; a service that has just been started is."""

    def __init__(self) -> None:
        self._done_at = monotonic()
        self._busy = asyncio.Event()

    def worked(self) -> None:
        """Say that something was done; whoever rests looks again."""
        self._done_at = monotonic()
        self._busy.set()

    def interval_s(self, every_s: float) -> float:
        """Seconds to the next look: `every_s` of a busy service, `REST_S` or more of one at rest.

        It only tells them, to those who wait for a bell that may not ring. Others `pause`.
        """
        is_busy = monotonic() - self._done_at < BUSY_S
        return every_s if is_busy else max(every_s, REST_S)

    async def pause(self, every_s: float) -> None:
        """Wait for the next look, where no bell tells of it.

        That takes `every_s`; a service at rest then waits on until it works, for `REST_S` in all.
        """
        await asyncio.sleep(every_s)
        more_s = self.interval_s(every_s) - every_s
        if more_s > 0:
            self._busy.clear()
            try:
                async with asyncio.timeout(more_s):
                    await self._busy.wait()
            except TimeoutError:
                return
