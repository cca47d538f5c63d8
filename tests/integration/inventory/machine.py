"""What machines that drive inventory's real handlers have in common."""

import asyncio
from collections.abc import Awaitable
from itertools import count
from typing import TypeVar
from uuid import UUID

from hypothesis.stateful import RuleBasedStateMachine

from integration.inventory.world import World

T = TypeVar("T")
TABLES = (
    "asset, bed_booking, bed, slot_booking, slot, capacity_state, attempt_ended, discrepancy,"
    " lot_correction, shipment, movement, allocation, reservation, stock_state, lot, receipt, item,"
    " site, outbox"
)


class Machine(RuleBasedStateMachine):
    """What both machines need: a loop, and a database emptied for each run.

    Ids are numbers in their order, anew in each run: they decide ties, so a run can be repeated.
    """

    runner: asyncio.Runner
    world: World

    def __init__(self) -> None:
        super().__init__()
        self.do(self.world.execute(f"TRUNCATE {TABLES} CASCADE"))
        numbers = count(1)
        self.world.new_id = lambda: UUID(int=next(numbers))

    def do(self, work: Awaitable[T]) -> T:
        """Run something in the loop that all runs share."""

        async def run() -> T:
            return await work

        return self.runner.run(run())
