"""Payments on a real PostgreSQL."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from integration.payments.callers import Api, open_api
from integration.payments.offices import Desk, open_desk
from support.servers import DatabaseFactory


@pytest.fixture
async def desk(database: DatabaseFactory) -> AsyncIterator[Desk]:
    """The office of kyiv."""
    desk = await open_desk(await database("payments"))
    yield desk
    await desk.check()
    await desk.db.close()


@pytest.fixture
async def api(database: DatabaseFactory, tmp_path: Path) -> AsyncIterator[Api]:
    """Those who call the office of kyiv."""
    async with open_api(await database("payments"), tmp_path / "keys") as api:
        yield api


@pytest.fixture
async def pair(database: DatabaseFactory) -> AsyncIterator[tuple[Desk, Desk]]:
    """kyiv and lviv."""
    desks = (
        await open_desk(await database("payments"), "kyiv"),
        await open_desk(await database("payments"), "lviv"),
    )
    yield desks
    for desk in desks:
        await desk.check()
        await desk.db.close()
