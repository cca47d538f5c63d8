"""What images take and how fast services start, both bounded; and where figures are kept."""

import asyncio
import os
import time
from dataclasses import dataclass, field
from typing import Final

import httpx

from aidmesh.meshfile import SERVICES
from containers.desk import PatientStaff
from containers.engine import Failed, Project, docker, image_bytes, layers

BASE: Final = os.environ.get("AIDMESH_PYTHON_IMAGE", "python:3.11-slim-bookworm")
READY_S_MAX: Final = 120.0
POLL_S: Final = 0.02
SERVICE_OWN_MB_MAX: Final = 150
SUPERVISOR_OWN_MB_MAX: Final = 200
START_CPU_S_MAX: Final = 3.0
START_S_MAX: Final = 5.0
"""Where each core has one process to run; longer by as much as there are more."""
STARTS_MAX: Final = 3
TICKS_PER_S: Final = 100


@dataclass(slots=True)
class Proof:
    """What was found, in words and figures."""

    figures: dict[str, object] = field(default_factory=dict)

    def say(self, line: str) -> None:
        """One line for whoever looks on."""
        print(line, flush=True)

    def found(self, name: str, figure: object, words: str) -> None:
        """A figure for the report and a line for whoever looks on."""
        self.figures[name] = figure
        self.say(f"ok  {words}")


async def ready_again(url: str) -> float:
    """Seconds until a service says that it is ready."""
    began = time.monotonic()
    async with httpx.AsyncClient(timeout=2.0, trust_env=False) as client:
        while True:
            try:
                if (await client.get(f"{url}/readyz")).is_success:
                    return time.monotonic() - began
            except httpx.HTTPError:
                pass
            if time.monotonic() - began > READY_S_MAX:
                raise Failed(f"{url} is not ready after {READY_S_MAX:.0f} s")
            await asyncio.sleep(POLL_S)


def sizes(proof: Proof, version: str) -> None:
    """What each image takes, and how much of that is not its base, which is bounded."""
    base_bytes, below = image_bytes(BASE), len(layers(BASE))
    for name in ("supervisor", *SERVICES):
        image = f"aidmesh-{name}:{version}"
        own_mb = (image_bytes(image) - base_bytes) / 1e6
        assert layers(image)[:below] == layers(BASE), f"{image} is built on something else"
        proof.found(f"{name}_own_mb", round(own_mb), f"{image}: {own_mb:.0f} MB over its base")
        most = SUPERVISOR_OWN_MB_MAX if name == "supervisor" else SERVICE_OWN_MB_MAX
        if own_mb > most:
            raise Failed(f"{image} has {own_mb:.0f} MB of its own, more than {most}")


async def starts_fast(proof: Proof, project: Project, staff: PatientStaff) -> None:
    """How long each service takes from the engine's word to its own, and how much processor.

    Both are bounded; where other work slows it down, it is tried again.
    """
    for name in SERVICES:
        starts = [await _started_anew(project, name, staff)]
        while not _is_fast(*starts[-1]) and len(starts) < STARTS_MAX:
            starts.append(await _started_anew(project, name, staff))
        seconds, cpu_s = starts[-1]
        proof.found(
            f"{name}_ready_s",
            round(seconds, 2),
            f"{name} is ready after {seconds:.2f} s and {cpu_s:.2f} s of processor",
        )
        proof.figures[f"{name}_ready_cpu_s"] = cpu_s
        if not _is_fast(seconds, cpu_s):
            raise Failed(f"{name} takes too long to start")


def _is_fast(seconds: float, cpu_s: float) -> bool:
    crowd = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    return seconds <= START_S_MAX * crowd and cpu_s <= START_CPU_S_MAX


async def _started_anew(project: Project, name: str, staff: PatientStaff) -> tuple[float, float]:
    """Start a service anew; seconds until it is ready, and what it has used of the processor."""
    container = project.container(name)
    await asyncio.to_thread(docker, "stop", container)
    starting = asyncio.create_task(asyncio.to_thread(docker, "start", container))
    seconds = await ready_again(staff.url(name))
    await starting
    said = await asyncio.to_thread(docker, "exec", container, "cat", "/proc/1/stat")
    user, system = said.rpartition(")")[2].split()[11:13]
    return seconds, (int(user) + int(system)) / TICKS_PER_S
