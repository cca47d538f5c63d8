"""Fixtures of inventory's integration tests."""

from collections.abc import AsyncIterator

import pytest

from aidmesh_chassis.db import Database
from aidmesh_chassis.outbox import Origin
from integration.inventory.sides import Side
from integration.inventory.world import World
from support.servers import DatabaseFactory

pytest.register_assert_rewrite(
    "integration.inventory.stock_model", "integration.inventory.bed_model"
)
"""Their assertions tell what they compared, as those of tests do."""


@pytest.fixture
async def world(database: DatabaseFactory) -> AsyncIterator[World]:
    opened = Database(await database("inventory"), Origin("kyiv", "inventory"))
    await opened.open()
    yield World(opened)
    await opened.close()


@pytest.fixture
async def pair(database: DatabaseFactory) -> AsyncIterator[tuple[Side, Side]]:
    """kyiv and lviv."""
    sides = []
    for region, area in (("kyiv", "UA80"), ("lviv", "UA46")):
        dsn = await database("inventory")
        opened = Database(dsn, Origin(region, "inventory"))
        await opened.open()
        world = World(opened, region=region)
        await world.item()
        sides.append(Side(region, world, await world.site(f"{region}-1", area), dsn))
    yield sides[0], sides[1]
    for side in sides:
        await side.world.books_are_right()
        await side.world.database.close()
