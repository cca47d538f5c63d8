"""Fixtures of inventory's integration tests."""

from collections.abc import AsyncIterator

import pytest

from aidmesh_chassis.db import Database
from aidmesh_chassis.outbox import Origin
from integration.inventory.world import World
from support.servers import DatabaseFactory


@pytest.fixture
async def world(database: DatabaseFactory) -> AsyncIterator[World]:
    opened = Database(await database("inventory"), Origin("kyiv", "inventory"))
    await opened.open()
    yield World(opened)
    await opened.close()
