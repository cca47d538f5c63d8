"""Real servers for every test that asks for one. Under pytest-xdist each worker has its own."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from aidmesh.embedded import PostgresServer
from support.servers import DatabaseFactory, Databases, NatsRegion, new_postgres


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """The session's PostgreSQL; `dsn("postgres")` is the superuser's. Kill it, start it again."""
    folder = tmp_path_factory.mktemp("postgres")
    server = new_postgres(folder / "data")
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def databases(postgres: PostgresServer) -> Databases:
    """Templates, made once per session."""
    return Databases(postgres)


@pytest.fixture
async def database(
    databases: Databases, postgres: PostgresServer
) -> AsyncIterator[DatabaseFactory]:
    """`await database("intake")` gives the DSN of a fresh, migrated database."""
    if not postgres.alive:  # a test killed it and failed before starting it again
        postgres.start()
    yield databases.create
    await databases.drop()


@pytest.fixture
async def nats_region(tmp_path: Path) -> AsyncIterator[NatsRegion]:
    """A fresh NATS server of region kyiv with everything provisioned and an open gate."""
    region = NatsRegion(tmp_path / "nats-kyiv")
    region.start()
    await region.open()
    yield region
    await region.close()
