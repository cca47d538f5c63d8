"""An inlet whose effect tests choose, and the letters that come of it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from aidmesh_chassis import letters
from aidmesh_chassis.consuming import Inlet, Received
from aidmesh_chassis.db import Database, Tx
from aidmesh_contracts.intake import ContactSealedV1

Effect = Callable[[Tx, int], Awaitable[None]]


@dataclass
class Desk:
    """An inlet whose effect tests replace; what was tried, and what was handled, by number."""

    database: Database
    handled: list[int] = field(default_factory=list)
    tried: list[int] = field(default_factory=list)
    effect: Effect | None = None

    def __post_init__(self) -> None:
        self.inlet = Inlet(self.database, "notification-private", {ContactSealedV1: self._handle})

    async def _handle(self, tx: Tx, batch: Sequence[Received[ContactSealedV1]]) -> None:
        numbers = [item.event.person_id.int for item in batch]
        self.tried += numbers
        for number in numbers:
            if self.effect is not None:
                await self.effect(tx, number)
        self.handled += numbers

    async def letters(self) -> list[tuple[str, str, int]]:
        """Status, reason and attempts of every letter."""
        async with self.database.connection() as conn:
            rows = await conn.fetch("SELECT * FROM dead_letter ORDER BY id")
        return [(row["status"], row["reason"], row["attempts"]) for row in rows]

    async def drop(self) -> bool:
        """Have a person drop the first letter."""
        async with self.database.connection() as conn:
            return await letters.drop(conn, 1, "olena", "seen to on paper")

    async def time_passes(self) -> None:
        """Make everything that is parked due."""
        async with self.database.connection() as conn:
            await conn.execute("UPDATE dead_letter SET retry_at = now() WHERE status = 'parked'")


def failing(error: Exception, times: int) -> Effect:
    """An effect that raises so many times, then does nothing."""
    left = times

    async def effect(tx: Tx, number: int) -> None:
        nonlocal left
        if left:
            left -= 1
            raise error

    return effect
