"""Reporting's database for a test, and reporting as it is put together."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from pydantic import SecretStr

from aidmesh_chassis.db import Database
from aidmesh_chassis.keys import create_region_keys
from aidmesh_chassis.outbox import Origin
from aidmesh_reporting.app import build
from aidmesh_reporting.config import Settings
from integration.reporting.offices import Office, Offices
from integration.reporting.region import Built
from support.servers import DatabaseFactory


@pytest.fixture
async def facts_db(database: DatabaseFactory) -> AsyncIterator[Database]:
    opened = Database(await database("reporting"), Origin("kyiv", "reporting"))
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def built(database: DatabaseFactory, tmp_path: Path) -> AsyncIterator[Built]:
    create_region_keys(tmp_path / "keys")
    service = build(
        Settings(
            region="kyiv",
            database_url=SecretStr(await database("reporting")),
            keys_dir=tmp_path / "keys",
        )
    )
    assert service.database is not None
    assert service.peers is not None
    await service.database.open()
    yield Built(service, service.database, tmp_path / "keys", service.peers)
    await service.database.close()


@pytest.fixture
async def offices(database: DatabaseFactory, tmp_path: Path) -> AsyncIterator[Offices]:
    """Offices by name."""
    create_region_keys(tmp_path / "keys")
    async with AsyncExitStack() as opened:

        async def make(*names: str) -> list[Office]:
            made = []
            for name in names:
                dsn = SecretStr(await database("reporting"))
                service = build(Settings(region=name, database_url=dsn, keys_dir=tmp_path / "keys"))
                assert service.database is not None
                await service.database.open()
                opened.push_async_callback(service.database.close)
                made.append(Office(name, service, service.database, tmp_path / "keys"))
            return made

        yield make
