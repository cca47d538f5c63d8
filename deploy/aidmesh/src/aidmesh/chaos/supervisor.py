"""Keeps the supervisor of a run's mesh going, as a host does with `aidmesh up`.

When the supervisor is killed all that it runs ends with it; the next one waits for what is left,
and finds everything as it was.
"""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from aidmesh.chaos.mesh_process import TOLD, Order, Told
from aidmesh.embedded.errors import EmbeddedError, StartError
from aidmesh.embedded.process import KeptProcess
from aidmesh.meshfile import MeshFile, read_mesh
from aidmesh_chassis.ending import goes_on

START_S_MAX: Final = 180.0
STOP_MS_MAX: Final = 60_000
LOOK_S: Final = 0.05
AGAIN_S: Final = 0.5
"""A host waits a moment before it starts again what died."""


@dataclass(slots=True)
class Supervisor:
    """A mesh whose supervisor is a process of its own.

    Attributes:
        file: its regions, on ports that stay.
        process: the supervisor.
    """

    data: Path
    file: MeshFile
    process: KeptProcess
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock, init=False)

    @property
    def pid(self) -> int:
        """The process of the supervisor."""
        return self.process.pid

    def pids(self, region: str) -> Mapping[str, int]:
        """The process of every part of a region that runs; none before all of the mesh is up."""
        told = self._told()
        return {} if told is None else told.parts.get(region, {})

    async def is_up(self) -> bool:
        """Whether the mesh has come up under the supervisor that runs now."""
        return self._told() is not None

    async def wait_until_up(self) -> None:
        """Until it has come up.

        Raises:
            StartError: the supervisor ended, or it takes too long.
        """
        try:
            async with asyncio.timeout(START_S_MAX):
                while not await self.is_up():
                    if not self.process.alive:
                        raise StartError(f"the mesh did not start\n{self.process.tail()}")
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            raise StartError(f"the mesh does not start\n{self.process.tail()}") from None

    async def keep(self) -> None:
        """Start the supervisor again whenever it has died, until cancelled."""
        while goes_on():
            await asyncio.sleep(AGAIN_S)
            if not self.process.alive:
                await asyncio.to_thread(self._start_again)

    def stop(self) -> None:
        """Stop it, and with it the mesh; blocking."""
        with self._one_at_a_time:
            self.process.stop()

    def _start_again(self) -> None:
        with self._one_at_a_time:
            self.process.stop()  # what is left of it
            try:
                self.process.start()
            except EmbeddedError:
                return  # the next look tries again

    def _told(self) -> Told | None:
        try:
            told = Told.model_validate_json((self.data / TOLD).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None
        return told if told.supervisor == self.pid and self.process.alive else None


@asynccontextmanager
async def supervised(order: Order) -> AsyncIterator[Supervisor]:
    """Start a mesh under a supervisor that is kept going; yields once all of it is ready.

    Raises:
        StartError: it does not start.
    """
    asked = order.data / "order.json"
    asked.write_text(order.model_dump_json(), encoding="utf-8")
    process = KeptProcess(
        command=(sys.executable, "-m", "aidmesh.chaos.mesh_process", str(asked)),
        output=order.data / "office.log",
        stop_ms_max=STOP_MS_MAX,
    )
    mesh = Supervisor(order.data, read_mesh(order.data), process)
    await asyncio.to_thread(process.start)
    keeping: asyncio.Task[None] | None = None
    try:
        await mesh.wait_until_up()
        keeping = asyncio.create_task(mesh.keep())
        yield mesh
    finally:
        if keeping is not None:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
        await asyncio.to_thread(mesh.stop)
