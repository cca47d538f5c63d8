"""Runs the mesh of a run, as `aidmesh up` does, in a process that can be killed like any other.

What it is to run comes in a file; which processes that came to is told in another one.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from aidmesh.mesh import cancelled_by_signals, running_mesh
from aidmesh_chassis.ending import goes_on

LOOK_S: Final = 0.05
TOLD: Final = "processes.json"


class Order(BaseModel):
    """What is to run.

    Attributes:
        keys: the folder of keys of each region.
        roads: who dials whom through which local port.
    """

    data: Path
    keys: dict[str, Path]
    services: tuple[str, ...]
    roads: tuple[tuple[str, str, int], ...]


class Told(BaseModel):
    """The processes of a mesh that came up: its supervisor's, and of each region those of its
    parts by name."""

    supervisor: int
    parts: dict[str, dict[str, int]]


async def serve(order: Order) -> None:
    """Run it until told to stop, and tell its processes from when all of it is ready."""
    told: Told | None = None
    with cancelled_by_signals():
        async with running_mesh(
            order.data,
            tuple(order.keys),
            lambda region: order.keys[region],
            services=order.services,
            apart=True,
            roads={(dialer, dialed): port for dialer, dialed, port in order.roads},
        ) as mesh:
            while goes_on():
                parts = {name: region.pids for name, region in mesh.regions.items()}
                now = Told(supervisor=os.getpid(), parts=parts)
                if now != told:
                    _write(order.data / TOLD, now)
                    told = now
                await asyncio.sleep(LOOK_S)


def _write(path: Path, told: Told) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(told.model_dump_json(), encoding="utf-8")
    fresh.rename(path)


if __name__ == "__main__":
    asyncio.run(serve(Order.model_validate_json(Path(sys.argv[1]).read_bytes())))
