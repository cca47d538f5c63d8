"""Reading a list of a service page by page."""

from collections.abc import Awaitable, Callable
from typing import Any


async def walk(
    get: Callable[[dict[str, str]], Awaitable[Any]], name: str, rows_max: int = 1
) -> list[Any]:
    """All rows of a list, so many at a time.

    Args:
        get: asks for a page, with this query.
        name: what the rows are called.
    """
    found: list[Any] = []
    query = {"limit": str(rows_max)}
    while True:
        page = await get(query)
        assert len(page[name]) <= rows_max
        found += page[name]
        if page["next"] is None:
            return found
        assert len(page[name]) == rows_max
        query["after"] = page["next"]
