"""What is broken is broken as it is meant to be, however quick the supervisor is."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import psutil
import pytest

from aidmesh.chaos.nemesis import Nemesis
from aidmesh.chaos.plan import NATS, Fault, Kind
from aidmesh.chaos.recovery import Watch
from aidmesh.chaos.supervisor import Supervisor

EMPTY = Fault(1, 0.0, Kind.EMPTY, "kyiv", NATS, 0.0)


class OneServer:
    """Stands in for a mesh: one process that keeps something in its store."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.store = data / "kyiv" / NATS / "jetstream"
        self.store.mkdir(parents=True)
        (self.store / "old").touch()
        self.process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
        self._next = threading.Thread(target=self._start_the_next)
        self._next.start()

    def pids(self, _: str) -> dict[str, int]:
        return {NATS: self.process.pid}

    def _start_the_next(self) -> None:
        """At once when it has died, as a supervisor does."""
        self.process.wait()
        self.store.mkdir(exist_ok=True)
        (self.store / "new").touch()

    def end(self) -> None:
        self.process.kill()
        self._next.join(60)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OneServer]:
    server = OneServer(tmp_path)
    yield server
    server.end()


async def test_an_emptied_server_comes_back_without_its_store_and_keeps_the_next_one(
    server: OneServer,
) -> None:
    mesh, watch = cast("Supervisor", server), cast("Watch", None)
    nemesis = Nemesis(mesh, {}, (), watch, print)

    killed = await nemesis._empty(EMPTY)
    await asyncio.to_thread(server.end)

    assert killed == server.process.pid
    assert not psutil.pid_exists(killed)
    assert [each.name for each in server.store.iterdir()] == ["new"]
    assert [each.name for each in server.store.parent.iterdir()] == ["jetstream"]
