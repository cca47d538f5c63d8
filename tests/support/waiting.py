"""Waiting for a condition instead of for a time."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable

POLL_S = 0.02
PATIENCE = 4.0
"""What takes this many times as long as its deadline on a machine that is slow, or busy with other
tests, is late; only what takes longer is broken."""


async def eventually(
    condition: Callable[[], object] | Callable[[], Awaitable[object]], deadline_s: float = 10.0
) -> object:
    """Return the condition's first true value; AssertionError when the deadline passes first.

    The deadline is that of a machine of one's own: `PATIENCE` of it are waited.

    An AssertionError raised by the condition counts as "not yet", and is the one shown at last.
    Between two looks it waits for as long as a look takes, so that a dear one leaves the machine to
    what it looks at.
    """
    waited_s = deadline_s * PATIENCE
    end = time.monotonic() + waited_s
    problem: AssertionError | None = None
    while True:
        began = time.monotonic()
        try:
            value = condition()
            if inspect.isawaitable(value):
                value = await value
            problem = None
        except AssertionError as error:
            value, problem = None, error
        if value:
            return value
        now = time.monotonic()
        if now > end:
            raise problem or AssertionError(f"not true within {waited_s} s: {condition}")
        await asyncio.sleep(max(POLL_S, now - began))
