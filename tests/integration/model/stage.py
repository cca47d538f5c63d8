"""One region and one loop for all tests of a file: to make its databases takes seconds."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

from integration.model.town import Town

T = TypeVar("T")


@dataclass
class Stage:
    """A region, and the loop in which it lives."""

    runner: asyncio.Runner
    town: Town

    def do(self, work: Awaitable[T]) -> T:
        """Run something there."""

        async def run() -> T:
            return await work

        return self.runner.run(run())
