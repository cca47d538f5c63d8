"""Rows of files and bulk forms that were taken in, as keyed hashes."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from aidmesh_chassis.crypto import SecretKey


async def secret(conn: asyncpg.Connection) -> SecretKey:
    """The key of the hashes."""
    return SecretKey(await conn.fetchval("SELECT secret FROM row_secret"))


async def admit(
    conn: asyncpg.Connection, rows: Sequence[tuple[bytes, bytes]]
) -> tuple[set[int], dict[int, UUID | None], set[int]]:
    """Write the rows of a bulk form, each (row key, content hash).

    Returns:
        by position: rows that are new; known ones with the same content and what they made;
        known ones with other content.
    """
    keys, hashes = [key for key, _ in rows], [content_hash for _, content_hash in rows]
    written = await conn.fetch(
        """
        INSERT INTO taken_row (row_key, content_hash)
        SELECT row_key, content_hash
        FROM unnest($1::bytea[], $2::bytea[]) WITH ORDINALITY AS n (row_key, content_hash, place)
        ORDER BY row_key, place
        ON CONFLICT DO NOTHING RETURNING row_key
        """,
        keys,
        hashes,
    )
    fresh = {row["row_key"] for row in written}
    kept = {
        row["row_key"]: row
        for row in await conn.fetch(
            """
            SELECT row_key, content_hash, result_id FROM taken_row
            WHERE row_key = ANY($1::bytea[])
            """,
            keys,
        )
    }
    new: set[int] = set()
    same: dict[int, UUID | None] = {}
    changed: set[int] = set()
    for place, (key, content_hash) in enumerate(rows):
        if kept[key]["content_hash"] != content_hash:
            changed.add(place)
        elif key in fresh:
            # The same row twice in one form is done once.
            fresh.discard(key)
            new.add(place)
        else:
            same[place] = kept[key]["result_id"]
    return new, same, changed


async def finish(
    conn: asyncpg.Connection, done: Sequence[tuple[bytes, UUID]], rejected: Sequence[bytes]
) -> None:
    """Note what rows made; rejected rows are forgotten, so that they may come again."""
    if done:
        await conn.execute(
            """
            UPDATE taken_row t SET result_id = n.result_id
            FROM unnest($1::bytea[], $2::uuid[]) AS n (row_key, result_id)
            WHERE t.row_key = n.row_key
            """,
            *(list(column) for column in zip(*done, strict=True)),
        )
    if rejected:
        await conn.execute("DELETE FROM taken_row WHERE row_key = ANY($1::bytea[])", list(rejected))
