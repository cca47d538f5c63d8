"""A bell for those who work when there is work, and look now and then whether one was missed."""

import asyncio


class Bell:
    """Rung as often as anybody likes; heard once, by the one who waits."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Say that there is work."""
        self._rung.set()

    async def wait(self, seconds_max: float) -> None:
        """Wait until it is rung, or this long; what was rung since the last time counts."""
        try:
            async with asyncio.timeout(seconds_max):
                await self._rung.wait()
        except TimeoutError:
            return
        finally:
            self._rung.clear()
