"""Fixtures of the tests of inventory's HTTP API on a real database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aidmesh_chassis.keys import create_region_keys
from aidmesh_chassis.service import Service
from aidmesh_inventory.app import build
from aidmesh_inventory.config import Settings
from integration.inventory.office import Api
from integration.inventory.world import World
from support.servers import DatabaseFactory


@pytest.fixture
async def service(database: DatabaseFactory, tmp_path: Path) -> AsyncIterator[Service]:
    create_region_keys(tmp_path / "keys")
    built = build(
        Settings(
            region="kyiv", database_url=await database("inventory"), keys_dir=tmp_path / "keys"
        )
    )
    assert built.database is not None
    await built.database.open()
    yield built
    await built.database.close()


@pytest.fixture
def world(service: Service) -> World:
    assert service.database is not None
    return World(service.database)


@pytest.fixture
def api(service: Service) -> Api:
    return Api(service)
