"""What the server is told of its messages: taken in, later, never again, still at work."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Protocol

from aidmesh_chassis.ending import goes_on
from aidmesh_chassis.errors import OUTAGES
from aidmesh_chassis.waits import Wait
from aidmesh_contracts.consumers import ACK_WAIT_S

HEARTBEAT_S = ACK_WAIT_S / 3
ACK_S_MAX = float(ACK_WAIT_S)
"""How long an acknowledgment is repeated: after that the server brings the message again."""
ACK_RETRY_S = 0.5


class Message(Protocol):
    """What is needed of a JetStream message (nats.aio.msg.Msg has it)."""

    subject: str
    data: bytes

    @property
    def headers(self) -> dict[str, str] | None: ...

    async def ack(self) -> None: ...

    async def nak(self, delay: float | None = None) -> None: ...

    async def term(self) -> None: ...

    async def in_progress(self) -> None: ...


async def ack_all(messages: Sequence[Message]) -> None:
    """Acknowledge; while the link is away nothing is buffered, so it is said again.

    If it can't be said in time, or only to another server than the one that brought them
    (`client.Message`), they come again and the inbox knows them.
    """
    done = 0
    wait = Wait()
    deadline = time.monotonic() + ACK_S_MAX
    while goes_on():
        try:
            for message in messages[done:]:
                await message.ack()
                done += 1
        except OUTAGES as error:
            left = len(messages) - done
            wait.warning("message.ack_waits", messages=left, cause=type(error).__name__)
            if time.monotonic() > deadline:
                return
            await asyncio.sleep(ACK_RETRY_S)
        else:
            wait.over()
            return


async def tell(said: Awaitable[None]) -> None:
    """Say nak or term; if the link is away the message comes again, and is told the same."""
    with suppress(*OUTAGES):
        await said


async def nak_all(messages: Sequence[Message], delay_s: float) -> None:
    """Have all of them brought again after a while."""
    for message in messages:
        await tell(message.nak(delay=delay_s))


@asynccontextmanager
async def kept_alive(messages: Sequence[Message]) -> AsyncIterator[None]:
    """Tell the server every few seconds that a long batch is still being worked on."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            with suppress(*OUTAGES):
                for message in messages:
                    await message.in_progress()

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
