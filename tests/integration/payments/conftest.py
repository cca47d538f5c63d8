"""Payments on a real PostgreSQL."""

from collections.abc import AsyncIterator

import pytest

from integration.payments.offices import Desk, open_desk
from support.servers import DatabaseFactory


@pytest.fixture
async def desk(database: DatabaseFactory) -> AsyncIterator[Desk]:
    """The office of kyiv."""
    desk = await open_desk(await database("payments"))
    yield desk
    await desk.check()
    await desk.db.close()
