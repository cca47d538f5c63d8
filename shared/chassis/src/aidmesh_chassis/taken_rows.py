"""Rows of bulk forms that were taken in, as keyed hashes.

A service that has such forms makes the tables `row_secret` and `taken_row` in a migration of its
own, and computes the hashes with `row_keys`.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple
from uuid import UUID

import asyncpg

from aidmesh_chassis.crypto import SecretKey


class TakenRow(NamedTuple):
    """A row that was taken in, and what it became."""

    row_key: bytes
    content_hash: bytes
    result_id: UUID | None


async def secret(conn: asyncpg.Connection) -> SecretKey:
    """The key of the hashes."""
    return SecretKey(await conn.fetchval("SELECT secret FROM row_secret"))


async def lock_sources(conn: asyncpg.Connection, form: str, sources: Sequence[str]) -> None:
    """Wait for other transactions that take in rows of these sources, until this one ends."""
    for source in sources:
        await conn.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"bulk {form} {source}"
        )


async def known(conn: asyncpg.Connection, row_keys: Collection[bytes]) -> dict[bytes, TakenRow]:
    """The rows that were taken in before."""
    rows = await conn.fetch(
        """
        SELECT row_key, content_hash, result_id FROM taken_row WHERE row_key = ANY($1::bytea[])
        """,
        list(row_keys),
    )
    return {row["row_key"]: TakenRow(*row) for row in rows}


async def remember(conn: asyncpg.Connection, rows: Sequence[TakenRow]) -> None:
    """Remember rows that were taken in.

    Raises:
        asyncpg.UniqueViolationError: somebody else took one of them in at the same time.
    """
    if rows:
        await conn.execute(
            """
            INSERT INTO taken_row (row_key, content_hash, result_id)
            SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::uuid[])
            """,
            *(list(column) for column in zip(*rows, strict=True)),
        )
