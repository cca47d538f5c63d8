"""A stand-in for a pooler in transaction mode, such as PgBouncer.

It knows as much of PostgreSQL's protocol as decides what a client may rely on: a server connection
is a client's own from its first message until the server says that no transaction is open, and the
next message goes to the one that has been idle for longest. So whatever a client left in a session
(a setting, a prepared statement, a lock) is not there any more. Settings in the first message are
refused, as PgBouncer does. Each client proves itself to a server, whose connection then joins the
pool.
"""

import asyncio
import struct
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aidmesh.embedded.ports import free_ports

ENCRYPT, CANCEL = 80877103, 80877102
KNOWN = {"user", "database", "client_encoding", "application_name"}
ASKS = {b"Q", b"S", b"F"}
"""What the server ends its answer to with `Z`, which says whether a transaction is open."""

HOST = "127.0.0.1"
Frame = tuple[bytes, bytes]
Incoming = asyncio.Task[Frame]
Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Pooler:
    """Before the server at `server_port`, with `size` connections to each database at most."""

    def __init__(self, server_port: int, size: int) -> None:
        self._server_port = server_port
        self._size = size
        self._idle: dict[tuple[str, str], deque[Ends]] = {}
        self._made: Counter[tuple[str, str]] = Counter()
        self._freed = asyncio.Condition()
        self._clients: set[asyncio.Task[None]] = set()
        self._opened: list[asyncio.StreamWriter] = []
        self.port = 0
        self.moved = 0
        """How often a client was given another server than the last time."""

    def url_of(self, dsn: str) -> str:
        """The database URL that leads through this."""
        return dsn.replace(f"{HOST}:{self._server_port}", f"{HOST}:{self.port}")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client until it goes."""
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, EOFError, asyncio.CancelledError):
            pass
        finally:
            self._clients.discard(task)
            writer.transport.abort()

    async def end(self) -> None:
        """Cut everybody off."""
        for task in tuple(self._clients):
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        for writer in self._opened:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = await _untyped(reader)
        if _code(hello) == ENCRYPT:
            writer.write(b"N")
            hello = await _untyped(reader)
        if _code(hello) == CANCEL:
            return
        texts = hello[8:].rstrip(b"\0").decode().split("\0")
        given = dict(zip(texts[::2], texts[1::2], strict=True))
        if unknown := given.keys() - KNOWN:
            text = f"unsupported startup parameter: {min(unknown)}"
            writer.write(_error(text))
            await writer.drain()
            return
        server = await asyncio.open_connection(HOST, self._server_port)
        self._opened.append(server[1])
        server[1].write(hello)
        who, last = (given["user"], given["database"]), server
        incoming = asyncio.create_task(_frame(reader))
        try:
            incoming = await _converse(incoming, (reader, writer), server, 1)
            await self._admit(who, server)
            while True:
                kind, message = await incoming
                if kind == b"X":
                    return
                server = await self._take(who)
                self.moved += server is not last
                last = server
                server[1].write(message)
                incoming = asyncio.create_task(_frame(reader))
                try:
                    incoming = await _converse(incoming, (reader, writer), server, kind in ASKS)
                except BaseException:  # what it left open the server rolls back
                    server[1].transport.abort()
                    self._made[who] -= 1
                    raise
                await self._give(who, server)
        finally:
            incoming.cancel()
            await asyncio.gather(incoming, return_exceptions=True)

    async def _admit(self, who: tuple[str, str], server: Ends) -> None:
        if self._made[who] < self._size:
            self._made[who] += 1
            await self._give(who, server)
        else:
            server[1].transport.abort()

    async def _give(self, who: tuple[str, str], server: Ends) -> None:
        async with self._freed:
            self._idle.setdefault(who, deque()).append(server)
            self._freed.notify_all()

    async def _take(self, who: tuple[str, str]) -> Ends:
        async with self._freed:
            await self._freed.wait_for(lambda: bool(self._idle.get(who)))
            return self._idle[who].popleft()


@asynccontextmanager
async def pooled(dsn: str, size: int) -> AsyncIterator[tuple[str, Pooler]]:
    """A pooler before the server of a database URL, and the URL that leads through it."""
    pooler = Pooler(int(dsn.rpartition("/")[0].rpartition(":")[2]), size)
    (pooler.port,) = free_ports(1)
    listener = await asyncio.start_server(pooler.serve, HOST, pooler.port)
    try:
        yield pooler.url_of(dsn), pooler
    finally:
        listener.close()
        await pooler.end()


async def _converse(incoming: Incoming, client: Ends, server: Ends, asked: int) -> Incoming:
    """Pass on what both say until the server has answered and no transaction is open.

    Returns what waits for the client's next message.
    """
    reader, writer = client
    answer = asyncio.create_task(_frame(server[0]))
    try:
        while True:
            await asyncio.wait({incoming, answer}, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                kind, message = answer.result()
                writer.write(message)
                asked -= kind == b"Z"
                if kind == b"Z" and not asked and message.endswith(b"I"):
                    return incoming
                answer = asyncio.create_task(_frame(server[0]))
            else:
                kind, message = incoming.result()
                if kind == b"X":
                    raise EOFError
                asked += kind in ASKS
                server[1].write(message)
                incoming = asyncio.create_task(_frame(reader))
    finally:
        answer.cancel()
        await asyncio.gather(answer, return_exceptions=True)


async def _frame(reader: asyncio.StreamReader) -> Frame:
    """A message with its kind, whole."""
    head = await reader.readexactly(5)
    (length,) = struct.unpack("!I", head[1:])
    return head[:1], head + await reader.readexactly(length - 4)


async def _untyped(reader: asyncio.StreamReader) -> bytes:
    """The first message of a client, whole."""
    head = await reader.readexactly(4)
    (length,) = struct.unpack("!I", head)
    return head + await reader.readexactly(length - 4)


def _code(hello: bytes) -> int:
    return int.from_bytes(hello[4:8])


def _error(text: str) -> bytes:
    body = f"SFATAL\0C08P01\0M{text}\0\0".encode()
    return b"E" + struct.pack("!I", len(body) + 4) + body
