"""What may go wrong while a message is handled, and what is done about it.

::

    Exception
    ├── HandlingError
    │   ├── Poison   the message can never be handled   → dead letter, at once
    │   └── Park     not now, perhaps later             → parked in the database until `retry_at`
    ├── outages      connection lost, server starting   → waits, no attempt is used up
    ├── contention   deadlock, serialization, lock wait → the batch again, no attempt used up
    └── anything else                                   → one by one, with growing delays; after
                                                          `ATTEMPTS_MAX` tries a dead letter
"""

import asyncio

import asyncpg
import nats.errors


class HandlingError(Exception):
    """A handler's word about a message; `reason` is a code, never data of the message."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Poison(HandlingError):
    """The message can never be handled."""


class Park(HandlingError):
    """The message can't be handled yet; it is tried again after `retry_s` seconds."""

    def __init__(self, reason: str, *, retry_s: float = 60.0) -> None:
        super().__init__(reason)
        self.retry_s = retry_s


OUTAGES: tuple[type[BaseException], ...] = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InternalClientError,
    nats.errors.Error,
    asyncio.TimeoutError,
    TimeoutError,
    OSError,
)
"""The other side is away: wait, and try the same again."""

CONTENTION: tuple[type[BaseException], ...] = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
)
"""Two transactions got in each other's way: run the same again."""
