"""What may go wrong while a message is handled, and what is done about it.

::

    Exception
    ├── HandlingError
    │   ├── Poison   the message can never be handled   → dead letter, at once
    │   └── Park     not now, perhaps later             → parked in the database until `retry_at`
    ├── outages      connection lost, server starting   → waits, no attempt is used up
    ├── contention   deadlock, serialization, lock wait → the batch again, no attempt used up;
    │                                                     requests likewise, see `retrying`
    └── anything else, faults of ours among them        → one by one, with growing delays; after
                                                          `ATTEMPTS_MAX` tries a dead letter

`is_outage` tells an outage from a fault that shares its class: a missing file is an `OSError`
too, and waiting brings neither a file nor a smaller message.
"""

import asyncio
import random
from typing import Final

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
    # Not all of OperatorInterventionError: a statement that ran into its time limit belongs to
    # that class as well, and would run into it again for ever.
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.DatabaseDroppedError,
    asyncpg.IdleSessionTimeoutError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InternalClientError,
    nats.errors.Error,
    asyncio.TimeoutError,
    TimeoutError,
    OSError,
)
"""The other side is away: wait, and try the same again. See `is_outage` for what is not meant."""

FAULTS: tuple[type[BaseException], ...] = (
    ValueError,
    FileNotFoundError,
    PermissionError,
    nats.errors.MaxPayloadError,
    nats.errors.BadSubjectError,
    nats.errors.BadHeaderError,
)
"""What is also an outage's class but means a fault of ours, such as asyncpg's input errors."""

CONTENTION: tuple[type[BaseException], ...] = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
)
"""Two transactions got in each other's way: run the same again."""

CONTENTION_RETRIES_MAX: Final = 5
"""How often the same is run before it is given up."""

TRANSIENT: tuple[type[BaseException], ...] = (*OUTAGES, *CONTENTION, asyncpg.QueryCanceledError)
"""What a loop in the background waits out: its next round does the same work again."""


def is_outage(error: BaseException) -> bool:
    """Whether the other side is away, so that waiting will help."""
    return isinstance(error, OUTAGES) and not isinstance(error, FAULTS)


def contention_delay_s(attempt: int) -> float:
    """How long to wait after a try that met contention, counted from 0.

    Two that met once must not meet again for being equally patient.
    """
    delay_s = 0.02 * float(2**attempt)
    return delay_s * random.uniform(0.5, 1.5)  # noqa: S311 - no secret
