"""Loops that end when they are told to."""

import asyncio


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
