"""The proxy between two servers lets through, holds back, breaks, and heals."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from aidmesh.chaos import road as roads
from aidmesh.chaos.road import Road
from aidmesh.embedded.ports import free_ports

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]
HOST = "127.0.0.1"


@pytest.fixture
async def road() -> AsyncIterator[Road]:
    """A way to a server that says everything back."""
    port, target = free_ports(2)

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1024):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, HOST, target)
    way = Road(port, target)
    await way.open()
    yield way
    await way.close()
    server.close()


async def connected(road: Road) -> Ends:
    return await asyncio.open_connection(HOST, road.port)


async def said(ends: Ends, text: bytes) -> bytes:
    ends[1].write(text)
    return await ends[0].read(1024)


async def test_it_lets_through(road: Road) -> None:
    ends = await connected(road)

    assert await said(ends, b"one") == b"one"
    ends[1].close()


async def test_a_cut_breaks_what_runs_and_refuses_what_is_begun(road: Road) -> None:
    before = await connected(road)
    await said(before, b"one")
    await road.cut()

    with pytest.raises(ConnectionError):
        await _nothing(before)
    with pytest.raises(ConnectionError):
        await _nothing(await connected(road))
    road.heal()
    after = await connected(road)
    assert await said(after, b"two") == b"two"
    after[1].close()


async def _nothing(ends: Ends) -> None:
    try:
        if not await said(ends, b"x"):
            raise ConnectionResetError
    finally:
        ends[1].transport.abort()


async def test_what_is_stalled_arrives_when_it_is_healed(road: Road) -> None:
    ends = await connected(road)
    road.stall()
    answer = asyncio.create_task(said(ends, b"one"))
    done, _ = await asyncio.wait([answer], timeout=0.2)
    assert not done
    road.heal()

    assert await answer == b"one"
    ends[1].close()


async def test_what_is_slow_takes_its_time(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roads, "SLOW_S", 0.1)
    ends = await connected(road)
    road.slow()
    began = time.monotonic()

    assert await said(ends, b"one") == b"one"
    assert time.monotonic() - began >= 0.2
    ends[1].close()
