"""Fixtures of notification's integration tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aidmesh_chassis.db import Database
from aidmesh_chassis.keys import create_region_keys
from aidmesh_chassis.outbox import Origin
from integration.notification.world import World
from support.servers import DatabaseFactory


@pytest.fixture
async def world(database: DatabaseFactory) -> AsyncIterator[World]:
    opened = Database(await database("notification"), Origin("kyiv", "notification"))
    await opened.open()
    world = World(opened)
    yield world
    wrong = await world.wrong()
    await opened.close()
    assert wrong == [], "whatever happened, `aidmesh verify` finds the books right"


@pytest.fixture
def keys_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    create_region_keys(folder)
    return folder
