"""A link that the server has given up is dialed again, and nothing else is touched."""

import asyncio
import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aidmesh.topology import redial
from aidmesh.topology.config import render
from aidmesh.topology.redial import (
    REDIALS_MAX,
    RESTART_PAUSE_S,
    Absence,
    Redialer,
    Remedy,
    greets,
    remedy_of,
)
from support.regions import LinkedRegions, linked_regions
from support.waiting import eventually

seconds = st.floats(0, 1e6)


@given(seconds, seconds, st.integers(0, 20), st.none() | seconds)
def test_nothing_is_done_before_its_time_and_restarts_are_rare(
    next_at: float, now: float, redials: int, restarted_at: float | None
) -> None:
    remedy = remedy_of(Absence(next_at, redials), now, restarted_at)
    assert (remedy is Remedy.WAIT) == (now < next_at)
    if remedy is Remedy.RESTART:
        assert redials >= REDIALS_MAX
        assert restarted_at is None or now - restarted_at >= RESTART_PAUSE_S


async def test_a_peer_that_does_not_greet_is_left_to_the_server() -> None:
    done: list[str] = []
    mute = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    address = mute.sockets[0].getsockname()
    redialer = Redialer(lambda: {"kyiv": [address]}, done.append, lambda: done.append("restart"))
    for now in range(0, 100_000, 100):
        await asyncio.to_thread(redialer.look, frozenset(), float(now))
    assert done == []
    mute.close()


async def test_redialing_is_tried_ever_more_rarely_and_the_restart_last() -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"INFO {}\r\n")
        await writer.drain()
        writer.close()

    done: list[str] = []
    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    redialer = Redialer(lambda: {"kyiv": [address]}, done.append, lambda: done.append("restart"))
    times = [
        now
        for now in range(0, 3_000, 5)
        if await asyncio.to_thread(redialer.look, frozenset(), float(now)) is not Remedy.WAIT
    ]
    assert done[: REDIALS_MAX + 2] == ["kyiv"] * REDIALS_MAX + ["restart", "kyiv"]
    assert done.count("restart") == 1
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert pauses == sorted(pauses)
    await asyncio.to_thread(redialer.look, frozenset({"kyiv"}), 3_000.0)
    done.clear()
    await asyncio.to_thread(redialer.look, frozenset(), 3_001.0)
    assert done == []  # it was there: what is away now is given time again
    server.close()


async def linked(mesh: LinkedRegions, *peers: str) -> bool:
    return mesh.regions["odesa"].warden.watcher.linked == set(peers)


async def test_a_link_that_the_server_gave_up_comes_back_and_its_events_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redial, "GIVEN_UP_S", 1.0)
    async with linked_regions(tmp_path, ("kyiv", "lviv", "odesa")) as mesh:
        odesa = mesh.regions["odesa"]
        await eventually(lambda: linked(mesh, "kyiv", "lviv"), 20)
        # Cut for longer than it is waited for, and meanwhile the server stops dialing for good.
        await mesh.cable("kyiv", "odesa").cut()
        given_up = render(odesa.served.setup.config, undialed=["kyiv"])
        await asyncio.to_thread(odesa.server.reload, given_up)
        await eventually(lambda: linked(mesh, "lviv"), 20)
        looks = odesa.warden.watcher.look_count
        await eventually(lambda: odesa.warden.watcher.look_count > looks + 5, 20)
        assert await linked(mesh, "lviv")
        pid = odesa.server.pid
        service = await odesa.connect("intake")

        mesh.cable("kyiv", "odesa").heal()
        assert await asyncio.to_thread(greets, ("127.0.0.1", mesh.cable("kyiv", "odesa").port))
        await eventually(lambda: linked(mesh, "kyiv", "lviv"), 20)
        assert odesa.server.pid == pid
        assert service.is_connected
        assert service.stats["reconnects"] == 0
        await service.close()
        assert (odesa.server.folder / "nats.conf").read_text() == render(odesa.served.setup.config)

        client = await mesh.regions["kyiv"].admin()
        await client.jetstream().publish(
            "aid.kyiv.payments.grant.changed.v1", b"{}", headers={"Nats-Msg-Id": "one"}
        )
        await client.close()

        async def arrived() -> bool:
            admin = await odesa.admin()
            try:
                return (await admin.jetstream().stream_info("WORLD")).state.messages == 1
            finally:
                await admin.close()

        await eventually(arrived, 20)
