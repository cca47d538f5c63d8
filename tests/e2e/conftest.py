"""What tests of a whole mesh have in common."""

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser

from support.browser import running_browser


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """A browser for the tests of one file: to start one takes longer than most of them."""
    async with running_browser() as running:
        yield running
