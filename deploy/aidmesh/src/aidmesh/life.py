"""A sign of life of whoever holds a data folder, for `aidmesh doctor`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from aidmesh.embedded.folder import show_life
from aidmesh.watching import unfailing

LIFE_S = 5.0


@asynccontextmanager
async def showing_life(data: Path) -> AsyncIterator[None]:
    """Say every few seconds that this process, which holds the folder, is at work.

    From the beginning: servers that read through a large store, or a restore, take minutes, and
    whoever is silent for so long is held for hung.
    """
    showing = asyncio.create_task(unfailing("the sign of life", partial(_show, data)))
    try:
        yield
    finally:
        showing.cancel()
        await asyncio.gather(showing, return_exceptions=True)


async def _show(data: Path) -> None:
    while True:
        show_life(data)
        await asyncio.sleep(LIFE_S)
