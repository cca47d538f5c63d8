"""The catalogue of kinds in the database."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from aidmesh_intake.domain.kinds import Kind


async def load(conn: asyncpg.Connection, kinds: Sequence[Kind]) -> None:
    """Bring in the kinds of a release: new ones, and newer versions of those nobody edited."""
    await conn.execute(
        """
        INSERT INTO kind (code, version, body)
        SELECT * FROM unnest($1::text[], $2::int[], $3::jsonb[])
        ON CONFLICT (code) DO UPDATE
            SET version = excluded.version, body = excluded.body, changed_at = now()
            WHERE NOT kind.edited AND kind.version < excluded.version
        """,
        [kind.code for kind in kinds],
        [kind.version for kind in kinds],
        [kind.model_dump_json() for kind in kinds],
    )


async def kinds(conn: asyncpg.Connection) -> dict[str, Kind]:
    """All kinds by code."""
    rows = await conn.fetch("SELECT body FROM kind ORDER BY code")
    found = (Kind.model_validate_json(row["body"]) for row in rows)
    return {kind.code: kind for kind in found}


async def version_of_all(conn: asyncpg.Connection) -> tuple[int, int]:
    """Changes whenever a kind does: count and sum of versions."""
    row = await conn.fetchrow("SELECT count(*) AS n, coalesce(sum(version), 0) AS v FROM kind")
    assert row is not None  # noqa: S101 - an aggregate always answers
    return int(row["n"]), int(row["v"])


async def lock(conn: asyncpg.Connection) -> None:
    """Have nobody else change the catalogue for as long as the transaction lasts."""
    await conn.execute("LOCK TABLE kind IN SHARE ROW EXCLUSIVE MODE")


async def put(conn: asyncpg.Connection, kind: Kind, staff_id: UUID) -> bool:
    """Write a kind that a lead edited; False unless it follows the stored version.

    A new kind has version 1.
    """
    result = await conn.execute(
        """
        INSERT INTO kind (code, version, body, edited, changed_by)
        SELECT $1, $2, $3::jsonb, true, $4
        WHERE $2 = 1 OR EXISTS (SELECT FROM kind WHERE code = $1)
        ON CONFLICT (code) DO UPDATE SET version = excluded.version, body = excluded.body,
            edited = true, changed_at = now(), changed_by = excluded.changed_by
            WHERE kind.version = excluded.version - 1
        """,
        kind.code,
        kind.version,
        kind.model_dump_json(),
        staff_id,
    )
    return bool(result.endswith(" 1"))


class Catalogue:
    """The kinds, remembered for as long as none of them changed."""

    def __init__(self, packaged: Sequence[Kind]) -> None:
        self._packaged = packaged
        self._version: tuple[int, int] | None = None
        self._kinds: dict[str, Kind] = {}

    async def current(self, conn: asyncpg.Connection) -> dict[str, Kind]:
        """All kinds by code, as of this transaction, which must be one that may write.

        At first, those of the release are brought in.
        """
        version = await version_of_all(conn)
        if version != self._version:
            await load(conn, self._packaged)
            self._kinds = await kinds(conn)
            self._version = await version_of_all(conn)
        return self._kinds
