"""A client of NATS closes connections whose handshake failed, and has headers as nats-py has."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client as NatsClient
from nats.errors import BadHeaderError, Error

from aidmesh_chassis.client import Client, written

DEADLINE_S = 20.0
INFO = b'INFO {"server_id":"A","version":"2.11.0","max_payload":1048576,"proto":1}\r\n'
NO_SERVER = b"nobody here\r\n"


@contextlib.asynccontextmanager
async def serving(greetings: list[bytes]) -> AsyncIterator[tuple[str, asyncio.Semaphore]]:
    """A stand-in that greets each client in turn; yields its URL and what counts those that left.

    After INFO it answers a PING and ends the connection; after the last greeting it says nothing.
    """
    left = asyncio.Semaphore(0)

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not greetings:
            writer.transport.abort()
            return
        greeting = greetings.pop(0)
        writer.write(greeting)
        if greeting == INFO:
            await reader.readuntil(b"PING\r\n")
            writer.write(b"PONG\r\n")
            writer.close()
            return
        await reader.read()  # until the client lets go
        left.release()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        yield f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}", left


async def ignore(_: Exception) -> None:
    """What goes wrong is what is wanted."""


async def test_while_it_connects_anew() -> None:
    async with serving([INFO, NO_SERVER, NO_SERVER]) as (url, left):
        client = Client()
        await client.connect(url, reconnect_time_wait=0, error_cb=ignore)
        try:
            async with asyncio.timeout(DEADLINE_S):
                await left.acquire()
                await left.acquire()
        finally:
            with contextlib.suppress(asyncio.CancelledError):
                await client.close()


async def test_when_it_is_not_to_connect_anew() -> None:
    async with serving([NO_SERVER]) as (url, left):
        with pytest.raises(Error):
            await Client().connect(url, allow_reconnect=False, error_cb=ignore)
        async with asyncio.timeout(DEADLINE_S):
            await left.acquire()


async def test_when_whoever_connects_has_no_more_patience() -> None:
    async with serving([b""]) as (url, left):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await Client().connect(url, allow_reconnect=False, error_cb=ignore)
        async with asyncio.timeout(DEADLINE_S):
            await left.acquire()


@given(st.lists(st.tuples(st.binary(max_size=6), st.binary(max_size=12)), max_size=4), st.binary())
def test_headers_are_read_as_the_library_reads_them(
    lines: list[tuple[bytes, bytes]], rest: bytes
) -> None:
    raw = b"".join(name + b":" + value + b"\r\n" for name, value in lines) + rest
    theirs = NatsClient._parse_header_lines(raw)
    theirs.pop("", None)  # no name at all
    assert Client._parse_header_lines(raw) == theirs


def test_headers_of_an_event_are_read() -> None:
    raw = b"ce-id: 7\r\nce-source:/aidmesh/lviv/intake\r\nodd\r\nne w: 1\r\naid-epoch:\t2 \r\n\r\n"
    headers = {"ce-id": "7", "ce-source": "/aidmesh/lviv/intake", "aid-epoch": "2"}
    assert Client._parse_header_lines(raw) == headers


class Recording(Client):
    """Keeps what goes out."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []

    async def _send_command(self, cmd: bytes, priority: bool = False) -> None:
        self.sent.append(cmd)


NAMES = st.text("ab-:. \n", max_size=4)
VALUES = st.text(st.sampled_from("ab:, \t\r\nä"), max_size=6)


@given(st.dictionaries(NAMES, VALUES, max_size=4))
async def test_headers_are_written_as_the_library_writes_them(headers: dict[str, str]) -> None:
    client, refused = Recording(), False
    for send in (NatsClient._send_publish, Client._send_publish):
        try:
            await send(client, "subject", "", b"payload", 7, headers)
        except BadHeaderError:
            refused = not refused
    assert not refused
    assert len(set(client.sent)) <= 1


def test_headers_of_an_event_are_written_in_one_go() -> None:
    headers = {"ce-id": "7", "ce-source": "/aidmesh/lviv/intake", "traceparent": "00-1-2-01"}
    block = b"NATS/1.0\r\nce-id: 7\r\nce-source: /aidmesh/lviv/intake\r\n"
    assert written(headers) == block + b"traceparent: 00-1-2-01\r\n\r\n"


@pytest.mark.parametrize(
    "value", ["", " 7", "7 ", "7\r\nother: 8", "7\r\nother", "7\n", "sieben ä"]
)
def test_odd_headers_are_left_to_the_library(value: str) -> None:
    assert written({"ce-id": value}) is None
