"""Terms of grants as their grantors tell them, and the lots that follow these."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import asyncpg


class GrantTerms(NamedTuple):
    """What a grant allows, by the word of its grantor; `restriction` is JSON."""

    grant_id: UUID
    grantor: str
    terms_version: int
    restriction: str


@dataclass(frozen=True, slots=True)
class Outdated:
    """A lot whose grant has newer terms than it; `before` and `after` are JSON, None for none."""

    lot_id: UUID
    site_id: UUID
    item: str
    status: str
    free: int
    before: str | None
    after: str
    terms_version: int


class Renewal(NamedTuple):
    """The terms that a lot is to have; `is_other` says whether they differ from what it had."""

    lot_id: UUID
    restriction: str
    terms_version: int
    is_other: bool


_OUTDATED = """
    l.id, l.site_id, l.item, l.status, l.on_hand - l.held, l.restriction, g.restriction,
    g.terms_version
"""


async def put(conn: asyncpg.Connection, told: Sequence[GrantTerms]) -> set[UUID]:
    """Keep the newest terms of grants, each told once; returns the grants that were theirs to tell.

    Nothing is kept of what others than its grantor say of a grant.
    """
    rows = await conn.fetch(
        """
        INSERT INTO grant_terms AS old (grant_id, grantor, terms_version, restriction)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::int[], $4::jsonb[])
        ON CONFLICT (grant_id) DO UPDATE SET
            restriction = CASE WHEN excluded.terms_version > old.terms_version
                               THEN excluded.restriction ELSE old.restriction END,
            heard_at = CASE WHEN excluded.terms_version > old.terms_version
                            THEN excluded.heard_at ELSE old.heard_at END,
            terms_version = greatest(excluded.terms_version, old.terms_version)
        WHERE old.grantor = excluded.grantor
        RETURNING grant_id
        """,
        *(list(column) for column in zip(*sorted(told), strict=True)),
    )
    return {row["grant_id"] for row in rows}


async def outdated(conn: asyncpg.Connection, limit: int) -> list[Outdated]:
    """Lots that follow their grant and have older terms than it, by id."""
    # Grant by grant along the index: most of the time there is no such lot.
    rows = await conn.fetch(
        f"""
        SELECT {_OUTDATED} FROM grant_terms g CROSS JOIN LATERAL (
            SELECT * FROM lot
            WHERE lot.grant_id = g.grant_id AND lot.terms_version < g.terms_version
            ORDER BY lot.terms_version LIMIT $1) AS l
        LIMIT $1
        """,  # noqa: S608 - our columns
        limit,
    )
    return sorted((Outdated(*row) for row in rows), key=lambda lot: lot.lot_id)


async def still_outdated(conn: asyncpg.Connection, lot_ids: Collection[UUID]) -> list[Outdated]:
    """Of these lots those that are outdated, by id; hold their mutexes for that to stay."""
    rows = await conn.fetch(
        f"""
        SELECT {_OUTDATED}
        FROM lot l JOIN grant_terms g
          ON g.grant_id = l.grant_id AND l.terms_version < g.terms_version
        WHERE l.id = ANY($1::uuid[]) ORDER BY l.id
        """,  # noqa: S608 - our columns
        list(lot_ids),
    )
    return [Outdated(*row) for row in rows]


async def renew(conn: asyncpg.Connection, lots: Sequence[Renewal], reason: str) -> None:
    """Give lots the terms of their grants; what they were is kept. Hold their mutexes."""
    await conn.execute(
        """
        INSERT INTO lot_correction (lot_id, version, expiry, restriction, unit_value_minor,
                                    currency, reason)
        SELECT id, version, expiry, restriction, unit_value_minor, currency, $2
        FROM lot WHERE id = ANY($1::uuid[])
        """,
        [each.lot_id for each in lots if each.is_other],
        reason,
    )
    await conn.execute(
        """
        UPDATE lot SET restriction = n.restriction, terms_version = n.terms_version,
               version = lot.version + n.is_other::int
        FROM unnest($1::uuid[], $2::jsonb[], $3::int[], $4::bool[])
             AS n (id, restriction, terms_version, is_other)
        WHERE lot.id = n.id
        """,
        *(list(column) for column in zip(*lots, strict=True)),
    )
