"""Work that ends when it is told to, and not before."""

import asyncio
from collections.abc import Awaitable
from typing import Protocol, TypeVar

T = TypeVar("T")


class CutOffError(RuntimeError):
    """Work was cut off though nobody cancelled it."""


class Closable(Protocol):
    """A connection, as nats-py has them."""

    async def close(self) -> None:
        """Close it."""


def goes_on() -> bool:
    """Whether the current task may go on: it was not cancelled so far.

    A loop that awaits libraries asks this at every turn. Before Python 3.12 `asyncio.wait_for`,
    which nats-py is built on, loses a cancellation that arrives together with its result; the
    task's own count of cancellations does not.
    """
    task = asyncio.current_task()
    return task is None or task.cancelling() == 0


def check() -> None:
    """Raise the cancellation that a library may have lost.

    Raises:
        asyncio.CancelledError: the current task was cancelled.
    """
    if not goes_on():
        raise asyncio.CancelledError


async def lasting(work: Awaitable[T]) -> T:
    """Await work that ends by itself, or by being cancelled, and by nothing else.

    Out of a library may come the cancellation of a future that it shares among its tasks. A group
    of tasks would take that for an end that somebody asked for, and go on without this one.

    Raises:
        CutOffError: that happened.
    """
    try:
        return await work
    except asyncio.CancelledError as error:
        if goes_on():
            raise CutOffError("cut off, and nobody asked for it") from error
        raise


async def close(client: Closable) -> None:
    """Close a connection to NATS.

    While it connects anew, closing cancels what nats-py itself waits for next: the end of the old
    transport. That is no cancellation of whoever closes.

    Raises:
        asyncio.CancelledError: the current task was cancelled.
    """
    try:
        await client.close()
    except asyncio.CancelledError:
        check()
