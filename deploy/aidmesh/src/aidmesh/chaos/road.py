"""A TCP proxy between the two ends of a leaf link, which can be cut, stalled and slowed."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Final

from aidmesh.embedded.ports import HOST

CHUNK_BYTES: Final = 16 * 1024
SLOW_S: Final = 0.25
"""What a slow road makes each chunk wait: 64 kB a second, and half a second there and back."""


@dataclass(slots=True)
class Road:
    """The way from the server that dials to the one that listens.

    Args:
        port: where the dialer connects.
        target_port: where the listener is.
    """

    port: int
    target_port: int
    _server: asyncio.Server | None = field(default=None, init=False)
    _flows: set[asyncio.Task[None]] = field(default_factory=set, init=False)
    _is_cut: bool = field(default=False, init=False)
    _delay_s: float = field(default=0.0, init=False)
    _passable: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    async def open(self) -> None:
        """Begin to listen."""
        self._passable.set()
        self._server = await asyncio.start_server(self._accept, HOST, self.port)

    async def close(self) -> None:
        """End all of it."""
        if self._server is not None:
            self._server.close()
        await self.cut()

    async def cut(self) -> None:
        """Reset what runs over it, and whatever is begun until it is healed."""
        self._is_cut = True
        flows = list(self._flows)
        for flow in flows:
            flow.cancel()
        await asyncio.gather(*flows, return_exceptions=True)

    def stall(self) -> None:
        """Swallow everything, without a word, until it is healed."""
        self._passable.clear()

    def slow(self) -> None:
        """Have everything wait, until it is healed."""
        self._delay_s = SLOW_S

    def heal(self) -> None:
        """Let everything through."""
        self._is_cut = False
        self._delay_s = 0.0
        self._passable.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        flow = asyncio.current_task()
        if self._is_cut or flow is None:
            writer.transport.abort()
            return
        self._flows.add(flow)
        ends = [writer]
        try:
            there = await asyncio.open_connection(HOST, self.target_port)
            ends.append(there[1])
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(reader, there[1]))
                pumps.create_task(self._pump(there[0], writer))
        except* (OSError, asyncio.CancelledError):
            pass
        finally:
            self._flows.discard(flow)
            for end in ends:
                with contextlib.suppress(OSError):
                    end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK_BYTES):
            await self._passable.wait()
            if self._delay_s:
                await asyncio.sleep(self._delay_s)
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError("one end is gone")  # so the other pump ends as well
