"""Reporting's database for a test."""

from collections.abc import AsyncIterator

import pytest

from aidmesh_chassis.db import Database
from aidmesh_chassis.outbox import Origin
from support.servers import DatabaseFactory


@pytest.fixture
async def facts_db(database: DatabaseFactory) -> AsyncIterator[Database]:
    opened = Database(await database("reporting"), Origin("kyiv", "reporting"))
    await opened.open()
    yield opened
    await opened.close()
