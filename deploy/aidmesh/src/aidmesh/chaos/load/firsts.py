"""What everybody does at least once in a run, as early as it can be done; then chance decides."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from aidmesh.chaos.load.client import Client

TRIES_MAX: Final = 6
"""What was refused that often is left to chance, so that it does not keep the rest from coming."""

Act = Callable[[], Awaitable[None]]


class Firsts:
    """Steps of a client that come before all others until they were accepted once.

    Args:
        steps: by the kind of operation that each is to come to; what can't be begun yet, because
            others have their turn first, is passed over.
    """

    def __init__(self, client: Client, steps: Mapping[str, Act]) -> None:
        self._client = client
        self._steps = dict(steps)
        self._tries = dict.fromkeys(steps, 0)

    async def act(self) -> bool:
        """Begin one of them; False if there is nothing to begin."""
        for what, step in list(self._steps.items()):
            if what in self._client.done or self._tries[what] >= TRIES_MAX:
                del self._steps[what]
                continue
            begun = self._client.begun
            await step()
            if self._client.begun > begun:
                self._tries[what] += 1
                return True
        return False
