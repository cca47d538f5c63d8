"""Looking into regions of which others, or all, may be down."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import asyncpg

from aidmesh.meshfile import MeshFile
from aidmesh.quiet import RegionProbe, probing
from aidmesh.topology.api import ApiError
from aidmesh_chassis.errors import TRANSIENT

CONNECT_S_MAX: Final = 10.0
OUTAGES: Final[tuple[type[BaseException], ...]] = (*TRANSIENT, ApiError, asyncpg.InterfaceError)


@asynccontextmanager
async def probing_one(mesh: MeshFile, region: str) -> AsyncIterator[RegionProbe]:
    """Look into one region, whatever becomes of the others. Raises as `probing` does."""
    alone = mesh.model_copy(update={"regions": {region: mesh.regions[region]}})
    async with AsyncExitStack() as stack:
        async with asyncio.timeout(CONNECT_S_MAX):  # a client goes on trying for minutes
            probes = await stack.enter_async_context(probing(alone))
        yield probes[0]


@asynccontextmanager
async def answering(mesh: MeshFile) -> AsyncIterator[tuple[list[RegionProbe], Mapping[str, str]]]:
    """Look into the regions that answer; of the others, by name, what came instead."""
    probes, silent = [], {}
    async with AsyncExitStack() as stack:
        for region in mesh.regions:
            try:
                probes.append(await stack.enter_async_context(probing_one(mesh, region)))
            except OUTAGES as error:
                silent[region] = type(error).__name__
        yield probes, silent
