"""A fresh intake for every test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from integration.intake.world import World, open_world
from support.servers import DatabaseFactory


@pytest.fixture
async def world(database: DatabaseFactory, tmp_path: Path) -> AsyncIterator[World]:
    """Intake of region kyiv."""
    world = await open_world(await database("intake"), tmp_path)
    yield world
    await world.client.aclose()
    await world.db.close()
