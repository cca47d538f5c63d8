"""What a restore asks of intake's tables."""

from uuid import UUID

import asyncpg


async def open_needs(conn: asyncpg.Connection) -> list[UUID]:
    """Needs that may have gone on after the backup was taken."""
    rows = await conn.fetch(
        """
        SELECT id FROM need
        WHERE state IN ('requested', 'approved', 'held', 'ready', 'waitlisted') ORDER BY id
        """
    )
    return [row["id"] for row in rows]
