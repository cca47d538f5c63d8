"""Reads a whole stream fast: what a client library does for each message costs ten times as much.

A pull consumer that acknowledges nothing is asked for some thousand messages at a time, over a
connection of its own; of each frame only what verification needs is looked at.
"""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple
from uuid import uuid4

from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from aidmesh.credentials import seed_file
from aidmesh.meshfile import RegionEntry
from aidmesh.topology.rights import READER
from aidmesh_chassis.nkey import Nkey, read_nkey, tls_of

READ_S_MAX = 30.0
BATCH_MESSAGES = 4096
BUFFER_BYTES = 1024 * 1024
GONE_AFTER_S = 60.0
ASK_S = 5.0
"""How long the server keeps a request for messages; then it is asked for the rest."""
ASK_AGAIN_S = 0.1
GREETING = b"INFO "
END = b"\r\n"
AGAIN = (b"NATS/1.0 503", b"NATS/1.0 408")
"""Nobody listens, since in a cluster a consumer is made before all servers know of it; or the
request is over."""
OLD_REPLY_TOKENS = 9
"""`$JS.ACK.<stream>.<consumer>.<delivered>.<seq>...`; the newer form puts domain and account
before the stream."""


class Frame(NamedTuple):
    """One message of a stream; `body` is empty where only headers were asked for."""

    seq: int
    subject: str
    head: bytes
    body: bytes


class WireError(ConnectionError):
    """The server ended the conversation, or answered something unexpected."""


def parse(data: bytes) -> tuple[list[Frame], list[bytes], int]:
    """Cut what came over the wire into messages. Pure.

    Returns:
        the messages that are complete, the control lines between them (those of `AGAIN` as well),
        and how many bytes of `data` they took.

    Raises:
        WireError: instead of a message the server sent another status.
    """
    frames: list[Frame] = []
    controls: list[bytes] = []
    at = 0
    while (eol := data.find(END, at)) >= 0:
        line = data[at:eol]
        if not line.startswith((b"HMSG ", b"MSG ")):
            controls.append(line)
            at = eol + 2
            continue
        words = line.decode().split(" ")
        size = int(words[-1])
        head_size = int(words[-2]) if words[0] == "HMSG" else 0
        start = eol + 2
        if len(data) < start + size + 2:
            break
        head = data[start : start + head_size]
        reply = words[3].split(".")
        if reply[0] != "$JS":
            status = head.split(END)[0]
            if not status.startswith(AGAIN):
                raise WireError(f"instead of a message came {status.decode()!r}")
            controls.append(status)
            at = start + size + 2
            continue
        seq = reply[5] if len(reply) == OLD_REPLY_TOKENS else reply[7]
        frames.append(Frame(int(seq), words[1], head, data[start + head_size : start + size]))
        at = start + size + 2
    return frames, controls, at


class Wire:
    """One connection to a region's server, as its reader."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        tls: ssl.SSLContext | None = None,
        host: str = "",
    ) -> None:
        """`tls` says how the connection to `host` is encrypted; None where it is not."""
        self._tls = tls
        self._host = host
        self._reader = reader
        self._writer = writer
        self._inbox = f"_INBOX.verify.{uuid4().hex}"
        self._rest = b""

    async def sign_in(self, nkey: Nkey) -> None:
        """Say who we are, and where answers are to go. Raises WireError."""
        async with asyncio.timeout(READ_S_MAX):
            greeting = await self._reader.readline()
        if not greeting.startswith(GREETING):
            raise WireError("the server does not greet")
        if self._tls is not None:  # the server speaks first, and in the clear
            async with asyncio.timeout(READ_S_MAX):
                await self._writer.start_tls(self._tls, server_hostname=self._host)
        nonce = str(json.loads(greeting.removeprefix(GREETING))["nonce"])
        options = {
            "nkey": nkey.public,
            "sig": nkey.signature(nonce).decode(),
            "verbose": False,
            "headers": True,
            "no_responders": True,
            "protocol": 1,
            "lang": "python",
            "version": "1",
            "name": "aidmesh-verify",
        }
        await self._send(f"CONNECT {json.dumps(options)}\r\nSUB {self._inbox} 1\r\n")

    async def read(
        self,
        client: Client,
        stream: str,
        after_seq: int,
        *,
        headers_only: bool,
        subjects: Sequence[str] | None = None,
    ) -> AsyncIterator[list[Frame]]:
        """Read what a stream holds now behind `after_seq`, as it comes.

        Args:
            client: makes the consumer.
            subjects: only those; all if None.

        Raises:
            TimeoutError: no message came for `READ_S_MAX` seconds.
            WireError: the server refused or went away.
        """
        manager = client.jsm(timeout=READ_S_MAX)
        info = await manager.add_consumer(
            stream,
            ConsumerConfig(
                name=f"read-{uuid4().hex}",
                ack_policy=AckPolicy.NONE,
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=after_seq + 1,
                headers_only=headers_only,
                filter_subjects=None if subjects is None else list(subjects),
                mem_storage=True,
                inactive_threshold=GONE_AFTER_S,
            ),
        )
        wanted = info.num_pending or 0
        last = time.monotonic()
        while wanted > 0:
            left = min(wanted, BATCH_MESSAGES)
            wanted -= left
            asked_at = await self._ask(stream, info.name, left)
            while left > 0:
                frames, is_over = await self._frames()
                left -= len(frames)
                now = time.monotonic()
                if frames:
                    last = now
                elif now - last > READ_S_MAX:  # pings are no messages
                    raise TimeoutError(f"{stream} is not read any further")
                if left > 0 and (is_over or now - asked_at > 2 * ASK_S):
                    await asyncio.sleep(ASK_AGAIN_S)
                    asked_at = await self._ask(stream, info.name, left)
                yield frames

    async def _ask(self, stream: str, consumer: str, messages: int) -> float:
        """Ask for messages; when that was."""
        request = json.dumps({"batch": messages, "expires": int(ASK_S * 1e9)})
        await self._send(
            f"PUB $JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer} {self._inbox} "
            f"{len(request)}\r\n{request}\r\n"
        )
        return time.monotonic()

    async def _frames(self) -> tuple[list[Frame], bool]:
        """What came, and whether nothing more comes of what was asked for."""
        async with asyncio.timeout(READ_S_MAX):
            more = await self._reader.read(BUFFER_BYTES)
        if not more:
            raise WireError("the server closed the connection")
        data = self._rest + more
        frames, controls, used = parse(data)
        self._rest = data[used:]
        for line in controls:
            if line == b"PING":
                await self._send("PONG\r\n")
            elif line.startswith(b"-ERR"):
                raise WireError(line.decode())
        return frames, any(line.startswith(AGAIN) for line in controls)

    async def _send(self, text: str) -> None:
        self._writer.write(text.encode())
        await self._writer.drain()


async def _open(entry: RegionEntry) -> tuple[Wire, asyncio.StreamWriter]:
    """A connection to the first of a region's servers that answers."""
    failed = OSError("there is no server")
    for node in entry.nats.nodes:
        try:
            reader, writer = await asyncio.open_connection(
                node.host, node.client_port, limit=BUFFER_BYTES
            )
        except OSError as error:
            failed = error
        else:
            return Wire(reader, writer, tls_of(entry.nats.ca_file), node.host), writer
    raise failed


@asynccontextmanager
async def wired(entry: RegionEntry) -> AsyncIterator[Wire]:
    """Connect to a region's server.

    Raises:
        OSError: it does not answer.
    """
    wire, writer = await _open(entry)
    try:
        await wire.sign_in(read_nkey(seed_file(entry.keys, READER)))
        yield wire
    finally:
        writer.close()
