"""What a restore has to know of reporting's tables."""

from typing import Final

import asyncpg

VERSIONED: Final = ("published_month", "link_told")
"""Tables whose states other regions hear of, by version."""


async def publish_again(conn: asyncpg.Connection) -> None:
    """Have all months published anew: others may know some from later."""
    await conn.execute("UPDATE published_month SET content_hash = ''")
    await conn.execute(
        "INSERT INTO dirty_month SELECT month FROM published_month ON CONFLICT DO NOTHING"
    )
