"""Rows of bulk forms that were taken in, as keyed hashes.

A row is known by `(source, row_id)`. Sent again unchanged it is skipped; with other content it
is rejected, never taken in twice. A service that has such forms makes the tables `row_secret` and
`taken_row` in a migration of its own.
"""

import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import asyncpg

from aidmesh_chassis.crypto import SecretKey
from aidmesh_chassis.row_keys import content_key, row_key

LOCKS_MAX = 64
"""So many a form has for all sources: a form may name thousands, and a server holds few locks."""


class TakenRow(NamedTuple):
    """A row that was taken in, and what it became."""

    row_key: bytes
    content_hash: bytes
    result_id: UUID | None


class SentRow(NamedTuple):
    """A row as it was sent: where it comes from, its own id there, and a digest of the rest."""

    source: str
    row_id: str
    content_digest: bytes


@dataclass(frozen=True, slots=True)
class Admitted:
    """The rows of one form, by their places in it.

    Attributes:
        keys: what each row is found by, and what tells whether it changed.
        fresh: rows that are new, in order; of a row that was sent twice the first.
        same: rows that were sent before, and what they became; None while that is not known.
        changed: rows that were sent before with other content.
    """

    keys: Mapping[int, tuple[bytes, bytes]]
    fresh: Sequence[int]
    same: Mapping[int, UUID | None]
    changed: Sequence[int]


async def admit(conn: asyncpg.Connection, form: str, rows: Mapping[int, SentRow]) -> Admitted:
    """Find out which rows of a form are new; those that are taken in have to be remembered."""
    key = await secret(conn)
    keys = {
        place: (
            row_key(key, form, row.source, row.row_id),
            content_key(key, row.row_id, row.content_digest),
        )
        for place, row in rows.items()
    }
    # Two senders of one source would both find a row new; the second waits for the first.
    await lock_sources(conn, form, {row.source for row in rows.values()})
    seen = await known(conn, {found_by for found_by, _ in keys.values()})
    fresh: list[int] = []
    same: dict[int, UUID | None] = {}
    changed: list[int] = []
    for place, (found_by, content_hash) in keys.items():
        before = seen.get(found_by)
        if before is None:
            seen[found_by] = TakenRow(found_by, content_hash, None)
            fresh.append(place)
        elif before.content_hash == content_hash:
            same[place] = before.result_id
        else:
            changed.append(place)
    return Admitted(keys, fresh, same, changed)


async def secret(conn: asyncpg.Connection) -> SecretKey:
    """The key of the hashes."""
    return SecretKey(await conn.fetchval("SELECT secret FROM row_secret"))


async def lock_sources(conn: asyncpg.Connection, form: str, sources: Collection[str]) -> None:
    """Keep out other transactions that take in rows of these sources, until this one ends.

    Some other sources wait as well: those that share a lock with one of these.
    """
    numbers = sorted({zlib.crc32(source.encode()) % LOCKS_MAX for source in sources})
    await conn.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(name, 0)) FROM unnest($1::text[]) AS name",
        [f"bulk {form} {number}" for number in numbers],
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
            SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::uuid[]) ORDER BY 1
            """,
            *(list(column) for column in zip(*rows, strict=True)),
        )
