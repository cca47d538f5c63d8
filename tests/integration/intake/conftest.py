"""A fresh intake for every test, or two of them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from integration.intake.linked import Pair
from integration.intake.referred import Two
from integration.intake.sides import two_sides
from integration.intake.world import World, open_world
from support.servers import DatabaseFactory


@pytest.fixture
async def world(database: DatabaseFactory, tmp_path: Path) -> AsyncIterator[World]:
    """Intake of region kyiv."""
    world = await open_world(await database("intake"), tmp_path)
    yield world
    await world.client.aclose()
    await world.db.close()


@pytest.fixture
async def pair(database: DatabaseFactory, tmp_path: Path) -> AsyncIterator[Pair]:
    """Two regions that know each other's keys, and perhaps the same people."""
    async with two_sides(database, tmp_path) as (kyiv, lviv):
        yield Pair(kyiv, lviv)


@pytest.fixture
async def two(database: DatabaseFactory, tmp_path: Path) -> AsyncIterator[Two]:
    """Two regions that know each other's keys, of which one refers needs to the other."""
    async with two_sides(database, tmp_path) as (kyiv, lviv):
        yield Two(kyiv, lviv)
